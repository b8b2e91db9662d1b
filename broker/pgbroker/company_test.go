package pgbroker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// listeners returns the processes of the connections that listen.
func listeners(t testing.TB, pool *pgxpool.Pool) []int {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// hour is a Poll that is never waited for: what arrives was notified.
const hour = time.Hour

// TestOneConnectionListens counts connections while many follow.
func TestOneConnectionListens(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	appended(t, b, "one", "two")
	// One that reads old history and does not wait needs none.
	if err := b.Follow(t.Context(), broker.Position{}, func([]broker.Entry) error { return errEnough }); err != errEnough {
		t.Fatal(err)
	}
	if n := len(listeners(t, pool)); n != 0 || b.company.present() {
		t.Errorf("%d connections listen, and nobody waits", n)
	}
	var readers []*reader
	for range 10 {
		readers = append(readers, follow(t, b, head(t, b)))
	}
	eventually(t, "a connection listens", func() bool { return len(listeners(t, pool)) > 0 })
	appended(t, b, "three")
	for _, r := range readers {
		r.gets("three")
	}
	if n := len(listeners(t, pool)); n != 1 {
		t.Errorf("%d connections listen for ten followers", n)
	}
	for i, r := range readers {
		r.stop()
		if err := <-r.done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if b.company.present() != (i < 9) {
			t.Errorf("after %d of 10 ended, present is %v", i+1, i == 9)
		}
	}
	eventually(t, "no connection listens", func() bool { return len(listeners(t, pool)) == 0 })
}

// TestNotified follows with a Poll that is never reached, so that only notifications wake.
func TestNotified(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	o := ownLog(unbounded)
	o.Poll = hour
	config, err := pgx.ParseConfig(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, o.Listen = range []*pgx.ConnConfig{nil, config} {
		follower, writer := New(pool, o), New(pool, o)
		r := follow(t, follower, head(t, follower))
		for range 2 {
			eventually(t, "a connection listens", func() bool { return len(listeners(t, pool)) == 1 })
			for range 20 { // most in the shadow of a notification
				appended(t, writer, "x")
			}
			r.gets(slices.Repeat([]string{"x"}, 20)...)
			tx := begin(t, pool)
			if err := writer.AppendTx(t.Context(), Execer(tx), []byte("tx")); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.gets("tx")
			// The connection is lost, and made again.
			for _, pid := range listeners(t, pool) {
				execute(t, writer, "SELECT pg_terminate_backend($1)", pid)
				eventually(t, "the connection is gone", func() bool { return !slices.Contains(listeners(t, pool), pid) })
			}
		}
		r.stop()
		<-r.done
	}
}

// TestPolled follows without a connection that listens.
func TestPolled(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	o := ownLog(unbounded)
	o.NoNotify = true
	follower, writer := New(pool, o), New(pool, o)
	r := follow(t, follower, head(t, follower))
	appended(t, writer, "one")
	r.gets("one")
	if n := len(listeners(t, pool)); n != 0 {
		t.Errorf("%d connections listen", n)
	}
	o.NoNotify = false // but the connection cannot be made
	config, err := pgx.ParseConfig("postgres://nobody@/nowhere?host=/nonexistent")
	if err != nil {
		t.Fatal(err)
	}
	o.Listen = config
	follower = New(pool, o)
	r = follow(t, follower, head(t, follower))
	for _, data := range []string{"two", "three"} {
		appended(t, writer, data)
		r.gets(data)
	}
}

// TestPaused asks a server that stands still: everything returns in its time, and goes on where it was.
func TestPaused(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	o := ownLog(unbounded)
	o.Timeout = 2 * time.Second
	slow := New(pool, o)
	o.Timeout = 0
	b := New(pool, o)
	at := appended(t, b, "one")
	r := follow(t, slow, at[0])
	eventually(t, "it follows", slow.company.present)
	server.Pause()
	if err := <-r.done; err == nil || errors.Is(err, broker.ErrExpired) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Follow of a server that stands still returned %v", err)
	}
	if _, err := slow.Append(t.Context(), []byte("perhaps")); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append to a server that stands still returned %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	if _, err := b.Append(ctx, []byte("perhaps")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append with a deadline returned %v", err)
	}
	cancel()
	ctx, cancel = context.WithCancel(t.Context())
	following := make(chan error)
	go func() { following <- b.Follow(ctx, at[0], func([]broker.Entry) error { return nil }) }()
	cancel()
	if err := <-following; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow that was cancelled returned %v", err)
	}
	server.Resume()
	eventually(t, "the server answers", func() bool { _, err := b.Append(t.Context(), []byte("end")); return err == nil })
	again := follow(t, b, at[0])
	for got := ""; got != "end"; { // before it what was perhaps appended
		select {
		case got = <-again.news:
		case err := <-again.done:
			t.Fatal(err)
		}
	}
}
