package pgsource_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/pgsource"
)

// testBatch looks at the log: what a transaction changed, of two tables, is one entry.
func testBatch(t *testing.T) {
	pool := database(t, todosSQL, "CREATE TABLE notes (id bigint PRIMARY KEY, list_id bigint, title text, done boolean)")
	r, notes := todos(pool), todos(pool)
	notes.Name = "notes"
	srv, b := server(t, r, notes)
	run(t, source(t, pool, asleep, pgsource.Table(r, "todos"), pgsource.Table(notes, "notes")))
	sub, other := srv.Connect(t).Subscribe(t, "todos"), srv.Connect(t).Subscribe(t, "notes")
	before, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tx := begin(t, pool)
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (1, 'milk'), (2, 'bread')")
	exec(t, tx, "INSERT INTO notes VALUES (1, 1, 'a note', false)")
	exec(t, tx, "UPDATE todos SET list_id = 1")
	commit(t, tx)
	wantAll(t, sub, "create 1", "create 2")
	wantAll(t, sub, "update 1", "update 2")
	other.Want(t, live.Create, 1)
	after, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := after.Major - before.Major; n != 1 {
		t.Errorf("the transaction is %d entries of the log, want 1", n)
	}
}

// testLargeTransaction has more statements in a transaction than are published one by one.
func testLargeTransaction(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, `DO $$ BEGIN
		FOR n IN 1..10001 LOOP
			INSERT INTO todos (id, title) VALUES (n, 'x');
		END LOOP;
	END $$`)
	sub.WantResync(t, "bulk")
	if rows := sub.Rows(); len(rows) != 10_001 {
		t.Errorf("the subscriber holds %d rows", len(rows))
	}
	last(t, pool, sub)
}

// testRowOrder has an older transaction change a row after a newer one did, while one between them is open: the order of
// transaction ids would show the newer one's row in the end, and so would waiting for the one that is open.
func testRowOrder(t *testing.T) {
	pool, _, sub := start(t, asleep)
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'first'), (2, 'other')")
	wantAll(t, sub, "create 1", "create 2")
	older, between := begin(t, pool), begin(t, pool)
	exec(t, older, "UPDATE todos SET title = 'by the older' WHERE id = 2")
	exec(t, between, "INSERT INTO todos (id, title) VALUES (3, 'between')")
	newer := begin(t, pool)
	exec(t, newer, "UPDATE todos SET title = 'by the newer' WHERE id = 1")
	commit(t, newer)
	exec(t, older, "UPDATE todos SET title = 'by the older' WHERE id = 1")
	commit(t, older)
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"title": "by the newer"})
	sub.Want(t, live.Update, 2).WantFields(t, map[string]any{"title": "by the older"})
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"title": "by the older"})
	commit(t, between)
	sub.Want(t, live.Create, 3)
	sub.WantNone(t)
}

// testBacklog publishes at once what was written in that way before the runner came.
func testBacklog(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	srv, _ := server(t, r)
	s := source(t, pool, asleep, pgsource.Table(r, "todos"))
	sub := srv.Connect(t).Subscribe(t, "todos")
	exec(t, pool, "INSERT INTO todos (id, title) VALUES (1, 'first')")
	older := begin(t, pool)
	exec(t, older, "INSERT INTO todos (id, title) VALUES (2, 'by the older')")
	for n := range 1200 { // more than are read at once
		exec(t, pool, "UPDATE todos SET title = $1 WHERE id = 1", fmt.Sprint(n))
	}
	exec(t, older, "UPDATE todos SET title = 'by the older' WHERE id = 1")
	commit(t, older)
	run(t, s)
	sub.Want(t, live.Create, 1)
	for n := range 1200 {
		sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"title": fmt.Sprint(n)})
	}
	sub.Want(t, live.Create, 2)
	sub.Want(t, live.Update, 1).WantFields(t, map[string]any{"title": "by the older"})
	last(t, pool, sub)
}

func testOpenTransaction(t *testing.T) {
	pool, _, sub := start(t, asleep)
	open := begin(t, pool)
	exec(t, open, "INSERT INTO todos (id, title) VALUES (1, 'late')")
	for n := 2; n < 10; n++ {
		exec(t, pool, "INSERT INTO todos (id, title) VALUES ($1, 'meanwhile')", n)
		sub.Want(t, live.Create, n) // while the other one is open
	}
	exec(t, open, "UPDATE todos SET title = 'later' WHERE id = 9")
	commit(t, open)
	wantAll(t, sub, "create 1", "update 9")
	sub.WantNone(t)
}

// arrivals signals each entry of the log.
func arrivals(t *testing.T, b broker.Broker) <-chan struct{} {
	t.Helper()
	head, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{}, 1)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		_ = b.Follow(ctx, head, func([]broker.Entry) error { // it ends with the test
			select {
			case arrived <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	return arrived
}

// holds waits until a subscriber holds a row, whatever came before.
func holds(t *testing.T, sub *livetest.Subscription, arrived <-chan struct{}, key string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		sub.Sync(t)
		for _, k := range sub.Keys() {
			if k == key {
				return
			}
		}
		select {
		case <-arrived:
		case <-deadline:
			t.Fatalf("row %s has not come: there are %d", key, len(sub.Rows()))
		}
	}
}

// testTakeover has two processes with a runner each, and takes the connection from the one that works again and again.
func testTakeover(t *testing.T) {
	pool := database(t, todosSQL)
	first, second := todos(pool), todos(pool)
	srv, b := server(t, first)
	hub := live.New(live.Options{Broker: b})
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	hub.Register(second)
	arrived := arrivals(t, b)
	o := pgsource.Options{Poll: 10 * time.Millisecond}
	stop := run(t, source(t, pool, o, pgsource.Table(first, "todos")))
	run(t, source(t, pool, o, pgsource.Table(second, "todos")))
	sub := srv.Connect(t).Subscribe(t, "todos")
	for n := range 300 {
		exec(t, pool, "INSERT INTO todos (id, title) VALUES ($1, 'x')", n)
		switch n {
		case 50, 100, 150:
			holds(t, sub, arrived, fmt.Sprint(n)) // so that there is one to end
			exec(t, pool, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
		case 200:
			stop()
		}
	}
	holds(t, sub, arrived, "299")
	if n := len(sub.Rows()); n != 300 {
		t.Errorf("the subscriber holds %d rows, want 300", n)
	}
}

// drained waits until all that was captured is published and deleted.
func drained(t *testing.T, pool execer) {
	t.Helper()
	for deadline := time.Now().Add(patience); one[int64](t, pool, "SELECT count(*) FROM live.changes") > 0; {
		if time.Now().After(deadline) {
			t.Fatal("what was captured is still there")
		}
	}
}

// testRestart ends the process and begins anew: what was written meanwhile comes, once.
func testRestart(t *testing.T) {
	pool := database(t, todosSQL)
	r := todos(pool)
	srv, _ := server(t, r)
	s := source(t, pool, asleep, pgsource.Table(r, "todos"))
	sub := srv.Connect(t).Subscribe(t, "todos")
	for n := range 3 {
		exec(t, pool, "INSERT INTO todos (id, title) VALUES ($1, 'x')", 2*n)
		stop := run(t, s)
		sub.Want(t, live.Create, 2*n)
		exec(t, pool, "INSERT INTO todos (id, title) VALUES ($1, 'x')", 2*n+1)
		sub.Want(t, live.Create, 2*n+1)
		drained(t, pool)
		stop()
	}
	sub.WantNone(t)
}
