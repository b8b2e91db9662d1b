package livebun_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livebun"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where"
)

// A router of a bun model. What the transaction writes is told when it has committed; what is undone is not.
func Example() {
	type Todo struct {
		ID    int64  `bun:",pk,autoincrement" live:"id,key"`
		Title string `live:"title"`
	}
	ctx := context.Background()
	hub := live.New(live.Options{Broker: memory.New(memory.Options{})})
	defer hub.Shutdown(ctx)
	pool, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)

	hook := livebun.New(hub)
	db := bun.NewDB(pool, sqlitedialect.New()).WithQueryHook(hook)
	todos := &live.Router[Todo]{
		Name:  "todos",
		Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) (rows []Todo, err error) {
			cond, args := q.Where.SQL(where.SQLite)
			err = hook.In(ctx, db).NewSelect().Model(&rows).Where(cond, args...).Scan(ctx)
			return rows, err
		},
	}
	hub.Register(todos)
	if _, err := db.NewCreateTable().Model((*Todo)(nil)).Exec(ctx); err != nil {
		panic(err)
	}

	err = hook.RunInTx(ctx, db, nil, func(ctx context.Context, tx bun.Tx) error {
		milk := &Todo{Title: "milk"}
		if _, err := tx.NewInsert().Model(milk).Exec(ctx); err != nil {
			return err
		}
		milk.Title = "oat milk"
		_, err := tx.NewUpdate().Model(milk).WherePK().Exec(ctx)
		return err
	})
	fmt.Println(err)

	// Nobody would learn how this one ends: nothing is written.
	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&Todo{Title: "bread"}).Exec(ctx)
		return err
	})
	fmt.Println(errors.Is(err, livebun.ErrUnseen))
	// Output:
	// <nil>
	// true
}
