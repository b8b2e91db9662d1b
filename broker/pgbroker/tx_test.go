package pgbroker

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// databases opens the server's database with every driver.
func databases(t *testing.T, server *postgres.Server) map[string]*sql.DB {
	t.Helper()
	all := map[string]*sql.DB{"pgx/stdlib with a pool": stdlib.OpenDBFromPool(newPool(t, server.URL()))}
	for driver, url := range map[string]string{"pgx": server.URL(), "postgres": server.URL() + "&sslmode=disable"} {
		db, err := sql.Open(driver, url)
		if err != nil {
			t.Fatal(err)
		}
		all[driver] = db
	}
	for _, db := range all {
		t.Cleanup(func() { db.Close() })
	}
	return all
}

// TestAppendTx writes in transactions of database/sql, with savepoints that are rolled back.
func TestAppendTx(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	for name, db := range databases(t, server) {
		for _, o := range []Options{{}, {NoNotify: true}} {
			b := New(pool, ownLog(o))
			before := head(t, b)
			r := follow(t, b, before)
			write := func(end func(*sql.Tx) error, steps ...string) {
				t.Helper()
				tx, err := db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range steps {
					if data, ok := strings.CutPrefix(step, "append "); ok {
						err = b.AppendTx(t.Context(), tx, []byte(data))
					} else {
						_, err = tx.ExecContext(t.Context(), step)
					}
					if err != nil {
						t.Fatal(name, step, err)
					}
				}
				if err := end(tx); err != nil {
					t.Fatal(err)
				}
			}
			write((*sql.Tx).Rollback, "append never")
			write((*sql.Tx).Commit, "append 1", "SAVEPOINT s", "append not", "ROLLBACK TO s", "append 2", "SAVEPOINT s", "append 3", "RELEASE s", "append 4")
			write((*sql.Tx).Commit, "SAVEPOINT s", "append 5")
			if err := b.AppendTx(t.Context(), db, []byte("6")); err != nil { // in no transaction: it is its own
				t.Fatal(err)
			}
			r.gets("1", "2", "3", "4", "5", "6")
			if got := held(t, b); !slices.Equal(got, []string{"1", "2", "3", "4", "5", "6"}) {
				t.Errorf("%s: the log is %q", name, got)
			}
		}
	}
}

// TestAppenderAlone publishes from a process that has no pool of pgx.
func TestAppenderAlone(t *testing.T) {
	server := postgres.New(t)
	o := ownLog(unbounded)
	b := New(newPool(t, server.URL()), o)
	r := follow(t, b, head(t, b))
	for _, db := range databases(t, server) {
		a := NewAppender(o)
		if err := a.AppendTx(t.Context(), db, nil); err != nil {
			t.Fatal(err)
		}
		r.gets("")
	}
}

// TestAppendTxTooLarge refuses an entry, and the transaction goes on as if nothing had been asked.
func TestAppendTxTooLarge(t *testing.T) {
	server := postgres.New(t)
	o := unbounded
	o.MaxEntryBytes = 4
	b := New(newPool(t, server.URL()), ownLog(o))
	tx := begin(t, b.pool) // the tables are made outside of it
	if err := b.AppendTx(t.Context(), Execer(tx), []byte("large")); !errors.Is(err, broker.ErrTooLarge) {
		t.Errorf("5 bytes of 4: %v", err)
	}
	if err := b.AppendTx(t.Context(), Execer(tx), []byte("fits")); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	o = b.options
	o.MaxEntryBytes = 0
	if got := held(t, New(b.pool, o)); !slices.Equal(got, []string{"fits"}) {
		t.Errorf("the log is %q", got)
	}
}

// note is a row.
type note struct {
	ID   int64  `live:"id,key"`
	Text string `live:"text"`
}

// TestTx publishes within transactions of pgx: what is on the log is what is in the table.
func TestTx(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	notes := &live.Router[note]{
		Name:  "notes",
		Scope: live.Everyone,
		List:  func(context.Context, live.Query) ([]note, error) { return nil, nil },
	}
	hub := live.New(live.Options{Broker: b})
	hub.Register(notes)
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	execute(t, b, "CREATE TABLE notes (id bigint PRIMARY KEY, text text)")
	write := func(ctx context.Context, id int64, text string) error {
		tx, ok := TxOf(ctx, pool)
		if !ok {
			return errors.New("there is no transaction")
		}
		if _, err := tx.Exec(ctx, "INSERT INTO notes VALUES ($1, $2)", id, text); err != nil {
			return err
		}
		return notes.Created(ctx, note{id, text})
	}
	undo := errors.New("undo")

	err := Tx(t.Context(), pool, func(ctx context.Context, _ pgx.Tx) error {
		if err := write(ctx, 1, "first"); err != nil {
			return err
		}
		if err := Tx(ctx, pool, func(ctx context.Context, _ pgx.Tx) error { return errors.Join(write(ctx, 2, "undone"), undo) }); err == nil || !errors.Is(err, undo) || err.Error() != "undo" {
			t.Errorf("the inner one returned %v", err)
		}
		// A statement that fails spoils its savepoint alone.
		if err := Tx(ctx, pool, func(ctx context.Context, _ pgx.Tx) error { return write(ctx, 1, "double") }); err == nil {
			t.Error("a key came twice")
		}
		return Tx(ctx, pool, func(ctx context.Context, _ pgx.Tx) error { return write(ctx, 3, "nested") })
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := Tx(t.Context(), pool, func(ctx context.Context, _ pgx.Tx) error { return errors.Join(write(ctx, 4, "rolled back"), undo) }); !errors.Is(err, undo) {
		t.Errorf("it returned %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = Tx(t.Context(), pool, func(ctx context.Context, _ pgx.Tx) error { _ = write(ctx, 5, "panicked"); panic("oops") })
		t.Error("the panic is gone")
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if err := Tx(ctx, pool, func(ctx context.Context, _ pgx.Tx) error { defer cancel(); return write(ctx, 6, "cancelled") }); err == nil {
		t.Error("it committed, and its context had ended")
	}

	log := held(t, b)
	if len(log) != 1 {
		t.Fatalf("there are %d entries, want one: %q", len(log), log)
	}
	for text, want := range map[string]bool{"first": true, "nested": true, "undone": false, "double": false} {
		if strings.Contains(log[0], text) != want {
			t.Errorf("%q is on the log: %v, want %v: %s", text, !want, want, log[0])
		}
	}
	rows, err := pool.Query(t.Context(), "SELECT id FROM notes ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil || !slices.Equal(ids, []int64{1, 3}) {
		t.Errorf("the table holds %v, %v", ids, err)
	}
	if _, ok := TxOf(t.Context(), pool); ok {
		t.Error("there is a transaction outside of Tx")
	}
}
