package pgbroker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// The database is that of the application. What is appended in its transaction is on the log if the transaction commits.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	log := pgbroker.New(pool, pgbroker.Options{})

	if _, err := log.Append(ctx, []byte("hello")); err != nil {
		panic(err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return errors.Join(log.AppendTx(ctx, pgbroker.Execer(tx), []byte("never")), errors.New("and then something failed"))
	})
	fmt.Println(err)
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return log.AppendTx(ctx, pgbroker.Execer(tx), []byte("goodbye"))
	})
	if err != nil {
		panic(err)
	}

	ctx, cancel := context.WithCancel(ctx)
	err = log.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
		for _, e := range batch {
			fmt.Printf("%s\n", e.Data)
			if string(e.Data) == "goodbye" {
				cancel()
			}
		}
		return nil
	})
	fmt.Println(err)
	// It prints:
	//
	//	and then something failed
	//	hello
	//	goodbye
	//	context canceled
}

// TestExample runs Example, which go test cannot run by itself: it needs a database.
func TestExample(t *testing.T) {
	t.Setenv("DATABASE_URL", postgres.Start(t))
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	Example()
	got, err := os.ReadFile(out.Name())
	if want := "and then something failed\nhello\ngoodbye\ncontext canceled\n"; err != nil || string(got) != want {
		t.Errorf("it prints %q, %v; want %q", got, err, want)
	}
}

// An application that runs its migrations itself prints what they need.
func ExampleMigration() {
	sql := pgbroker.Migration(pgbroker.Options{Table: "changes"})
	fmt.Println(sql[:88])
	// Output:
	// CREATE SEQUENCE IF NOT EXISTS "changes_seq" MAXVALUE 8796093022207;
	//
	// CREATE TABLE IF NOT
}
