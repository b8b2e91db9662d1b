package pgsource_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/pgsource"
	"github.com/swampline/live/where/wheretest/postgres"
)

// bounced is a source of the table todos whose pool goes by way of a PgBouncer.
func bounced(t *testing.T, mode string, direct bool) (*pgxpool.Pool, *pgsource.Source, *livetest.Subscription) {
	t.Helper()
	database := postgres.New(t)
	config, err := pgxpool.ParseConfig(database.Bouncer(mode))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // its prepared statements are of another session
	var o pgsource.Options
	if direct {
		if o.Listen, err = pgx.ParseConfig(database.URL()); err != nil {
			t.Fatal(err)
		}
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	exec(t, pool, todosSQL)
	r := todos(pool)
	srv, _ := server(t, r)
	return pool, source(t, pool, o, pgsource.Table(r, "todos")), srv.Connect(t).Subscribe(t, "todos")
}

// TestTransactionPooling says what to do where the runner's connection would have no session of its own, and leaves nothing behind there.
func TestTransactionPooling(t *testing.T) {
	pool, s, _ := bounced(t, "transaction", false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "let Options.Listen be an address of PostgreSQL itself") {
		t.Fatalf("Run ended with %v", err)
	}
	if n := one[int](t, pool, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// TestPgBouncer publishes what is written by way of poolers that the runner goes around, or whose sessions it can keep.
func TestPgBouncer(t *testing.T) {
	for _, c := range []struct {
		mode   string
		direct bool
	}{{"transaction", true}, {"session", false}} {
		t.Run(c.mode, func(t *testing.T) {
			pool, s, sub := bounced(t, c.mode, c.direct)
			stop := run(t, s)
			for i := range 3 {
				exec(t, pool, "INSERT INTO todos (id, title) VALUES ($1, 'x')", i)
				sub.Want(t, live.Create, fmt.Sprint(i))
			}
			drained(t, pool) // else what is published and not yet deleted comes again
			stop()
			exec(t, pool, "UPDATE todos SET title = 'y' WHERE id = 1")
			run(t, s) // the lock was given back
			sub.Want(t, live.Update, "1")
		})
	}
}
