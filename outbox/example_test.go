//go:build unix

package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/outbox"
)

// Todo is a row of the application.
type Todo struct {
	ID    int64  `live:"id,key"`
	Title string `live:"title"`
}

// What is published in a transaction is on the log exactly if the transaction commits.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", filepath.Join(dir, "app.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE todos (id INTEGER PRIMARY KEY, title TEXT NOT NULL)"); err != nil {
		log.Fatal(err)
	}

	entries := memory.New(memory.Options{}) // a Redis or a NATS, where there are several machines
	box := outbox.New(db, entries, outbox.Options{Dialect: outbox.SQLite})
	if err := box.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	relayed := make(chan error)
	go func() { relayed <- box.Run(ctx) }()

	hub := live.New(live.Options{Broker: entries, Outbox: box})
	todos := &live.Router[Todo]{
		Name:  "todos",
		Scope: live.Everyone,
		List:  func(context.Context, live.Query) ([]Todo, error) { return nil, nil },
	}
	hub.Register(todos)

	add := func(todo Todo, fail error) error {
		return live.Tx(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO todos VALUES (?, ?)", todo.ID, todo.Title); err != nil {
				return err
			}
			if err := todos.Created(ctx, todo); err != nil {
				return err
			}
			return fail
		})
	}
	fmt.Println(add(Todo{1, "write to the table"}, fmt.Errorf("changed my mind")))
	fmt.Println(add(Todo{2, "read the log"}, nil))

	done := fmt.Errorf("one entry is on the log")
	fmt.Println(entries.Follow(ctx, broker.Position{}, func([]broker.Entry) error { return done }))
	if err := hub.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	cancel()
	fmt.Println(<-relayed)
	// Output:
	// changed my mind
	// <nil>
	// one entry is on the log
	// context canceled
}
