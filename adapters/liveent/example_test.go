package liveent_test

import (
	"context"
	"database/sql"
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/adapters/liveent"
	"github.com/swampline/live/adapters/liveent/internal/ent"
	"github.com/swampline/live/broker/memory"
)

// A router of a generated type. What is done in the transaction is told when it has committed. Whoever needs no transaction calls
// client.Todo.Create() as ever, and is told of as well.
func Example() {
	ctx := context.Background()
	hub := live.New(live.Options{Broker: memory.New(memory.Options{})})
	defer hub.Shutdown(ctx)
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	driver := liveent.New(hub, entsql.OpenDB(dialect.SQLite, db))
	client := ent.NewClient(ent.Driver(driver))
	client.Use(driver.Hook())
	if err := client.Schema.Create(ctx); err != nil {
		panic(err)
	}
	hub.Register(&live.Router[ent.Todo]{
		Name:  "todos",
		Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) (rows []ent.Todo, err error) {
			found, err := client.Todo.Query().All(ctx) // in the transaction of ctx, if it has one
			for _, row := range found {
				rows = append(rows, *row)
			}
			return rows, err
		},
	})

	err = driver.RunInTx(ctx, func(ctx context.Context) error {
		milk, err := client.Todo.Create().SetTitle("milk").Save(ctx)
		if err != nil {
			return err
		}
		return client.Todo.UpdateOne(milk).SetDone(true).Exec(ctx)
	})
	fmt.Println(err)

	tx, err := client.Tx(ctx)
	if err != nil {
		panic(err)
	}
	tx.Todo.Create().SetTitle("bread").ExecX(ctx)
	fmt.Println(tx.Rollback()) // nobody hears of the bread
	fmt.Println(client.Todo.Query().CountX(ctx))
	// Output:
	// <nil>
	// <nil>
	// 1
}
