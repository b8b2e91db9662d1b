package sqlitesource_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/sqlitesource"
	"github.com/swampline/live/where"
)

// todo has no version: whatever order the source publishes in, nothing else puts it right.
type todo struct {
	ID    int64  `live:"id,key"`
	Title string `live:"title,filter"`
	Done  bool   `live:"done,filter"`
}

const todosSQL = `CREATE TABLE todos (id INTEGER PRIMARY KEY, title TEXT UNIQUE, done BOOLEAN NOT NULL DEFAULT false)`

func todos(db **sql.DB, name string) *live.Router[todo] {
	return &live.Router[todo]{
		Name: name, Scope: live.Everyone, MaxRows: 20_000,
		List: func(ctx context.Context, q live.Query) (list []todo, err error) {
			clause, args := q.SQL(where.SQLite)
			rows, err := (*db).QueryContext(ctx, "SELECT id, title, done FROM "+name+" "+clause, args...)
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			for rows.Next() {
				var t todo
				if err := rows.Scan(&t.ID, &t.Title, &t.Done); err != nil {
					return nil, err
				}
				list = append(list, t)
			}
			return list, rows.Err()
		},
	}
}

// app is a database with the table todos, which is captured, and a subscriber to those that are not done.
type app struct {
	db     *sql.DB
	path   string
	source *sqlitesource.Source
	srv    *livetest.Server
	sub    *livetest.Subscription
}

func start(t *testing.T, setup ...string) *app {
	t.Helper()
	a := &app{source: sqlitesource.New(sqlitesource.Options{}), path: filepath.Join(t.TempDir(), "app.db")}
	var err error
	if a.db, err = a.source.Open("file:" + a.path + "?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.db.Close() })
	if len(setup) == 0 {
		setup = []string{todosSQL}
	}
	for _, statement := range setup {
		a.exec(t, statement)
	}
	r := todos(&a.db, "todos")
	a.srv = livetest.Config{Patience: time.Minute}.New(t, r)
	if err := a.source.Capture(t.Context(), a.db, sqlitesource.Table(r, "todos")); err != nil {
		t.Fatal(err)
	}
	a.sub = a.srv.Connect(t).Subscribe(t, "todos", livetest.Where(where.Eq("done", false)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return a
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func exec(t *testing.T, by execer, query string, args ...any) {
	t.Helper()
	if _, err := by.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (a *app) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	exec(t, a.db, query, args...)
}

// last makes a change that a test can wait for: when it has come, everything before it has.
func (a *app) last(t *testing.T) {
	t.Helper()
	a.exec(t, "INSERT INTO todos (id, title) VALUES (999999, 'last')")
	a.sub.Want(t, live.Enter, 999999)
	a.sub.WantNone(t)
}

func (a *app) begin(t *testing.T) *sql.Tx {
	t.Helper()
	tx, err := a.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() }) // when it is still open
	return tx
}

func TestStatements(t *testing.T) {
	a := start(t)
	a.exec(t, "INSERT INTO todos (id, title) VALUES (1, 'milk')")
	a.sub.Want(t, live.Enter, 1).WantFields(t, map[string]any{"id": 1, "title": "milk", "done": false})
	a.exec(t, "UPDATE todos SET title = 'oat milk'")
	a.sub.Want(t, live.Enter, 1).WantFields(t, map[string]any{"id": 1, "title": "oat milk", "done": false}) // the whole row
	a.exec(t, "UPDATE todos SET id = 2")
	a.sub.Want(t, live.Enter, 2)
	a.sub.Want(t, live.Delete, 1)
	a.exec(t, "UPDATE todos SET done = true")
	a.sub.Want(t, live.Leave, 2)
	a.exec(t, "UPDATE todos SET done = false")
	a.sub.Want(t, live.Enter, 2)
	a.exec(t, "INSERT INTO todos (id, title) VALUES (2, 'x') ON CONFLICT DO UPDATE SET title = 'bread'")
	a.sub.Want(t, live.Enter, 2)
	a.exec(t, "INSERT OR REPLACE INTO todos (id, title) VALUES (3, 'bread')") // which removes 2
	a.sub.Want(t, live.Enter, 3)
	a.sub.Want(t, live.Delete, 2)
	a.exec(t, "DELETE FROM todos") // the whole table, which SQLite could truncate
	a.sub.Want(t, live.Delete, 3)
	a.sub.WantNone(t)
}

// TestWays writes in each way that database/sql has.
func TestWays(t *testing.T) {
	a := start(t)
	var id int64
	if err := a.db.QueryRowContext(t.Context(), "INSERT INTO todos (id, title) VALUES (1, 'a') RETURNING id").Scan(&id); err != nil {
		t.Fatal(err)
	}
	a.sub.Want(t, live.Enter, 1)
	s, err := a.db.PrepareContext(t.Context(), "INSERT INTO todos (id, title) VALUES (?, ?)")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	exec(t, statement{s}, "", 2, "b")
	a.sub.Want(t, live.Enter, 2)
	s2, err := a.db.PrepareContext(t.Context(), "INSERT INTO todos (id, title) VALUES (?, ?) RETURNING id")
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	rows, err := s2.QueryContext(t.Context(), 3, "c")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	a.sub.Want(t, live.Enter, 3)
	// A connection that is never given back, with transactions by hand.
	conn, err := a.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec(t, conn, "INSERT INTO todos (id, title) VALUES (4, 'd')")
	a.sub.Want(t, live.Enter, 4)
	exec(t, conn, "BEGIN; INSERT INTO todos (id, title) VALUES (5, 'e'); COMMIT; BEGIN; INSERT INTO todos (id, title) VALUES (6, 'f')")
	a.sub.Want(t, live.Enter, 5)
	exec(t, conn, "ROLLBACK")
	if _, err := conn.ExecContext(t.Context(), "BEGIN; INSERT INTO todos (id, title) VALUES (7, 'g'); COMMIT; nonsense"); err == nil {
		t.Fatal("nonsense is no error")
	}
	a.sub.Want(t, live.Enter, 7)
	exec(t, conn, "BEGIN")
	exec(t, conn, "INSERT INTO todos (id, title) VALUES (8, 'h')")
	exec(t, conn, "COMMIT")
	a.sub.Want(t, live.Enter, 7) // again: after the error nobody knew that it had been committed
	a.sub.Want(t, live.Enter, 8)
	a.last(t)
}

type statement struct{ *sql.Stmt }

func (s statement) ExecContext(ctx context.Context, _ string, args ...any) (sql.Result, error) {
	return s.Stmt.ExecContext(ctx, args...)
}

func TestTransactions(t *testing.T) {
	a := start(t)
	tx := a.begin(t)
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (1, 'rolled back')")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	tx = a.begin(t)
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (2, 'a')")
	exec(t, tx, "SAVEPOINT s")
	exec(t, tx, "UPDATE todos SET title = 'taken back' WHERE id = 2")
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (3, 'taken back, too')")
	exec(t, tx, "ROLLBACK TO s")
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (4, 'b')")
	exec(t, tx, "RELEASE s")
	a.sub.WantNone(t)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	a.sub.Want(t, live.Enter, 2).WantFields(t, map[string]any{"id": 2, "title": "a", "done": false})
	a.sub.Want(t, live.Enter, 4)
	// A statement that fails in the middle takes its rows back.
	if _, err := a.db.ExecContext(t.Context(), "INSERT INTO todos (id, title) VALUES (5, 'c'), (6, 'a')"); err == nil {
		t.Fatal("a title came twice")
	}
	a.last(t)
}

// TestCommitFails has a deferred foreign key that keeps a transaction from committing until it is mended.
func TestCommitFails(t *testing.T) {
	a := start(t, `CREATE TABLE lists (id INTEGER PRIMARY KEY)`,
		`CREATE TABLE todos (id INTEGER PRIMARY KEY, title TEXT, done BOOLEAN NOT NULL DEFAULT false,
			list_id INTEGER REFERENCES lists ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)`)
	conn, err := a.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec(t, conn, "BEGIN")
	exec(t, conn, "INSERT INTO todos (id, title, list_id) VALUES (1, 'a', 7)")
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); err == nil {
		t.Fatal("the foreign key is not checked")
	}
	exec(t, conn, "INSERT INTO lists VALUES (7)")
	a.sub.WantNone(t)
	exec(t, conn, "COMMIT")
	a.sub.Want(t, live.Enter, 1)
	exec(t, conn, "DELETE FROM lists") // cascades
	a.sub.Want(t, live.Delete, 1)
	a.last(t)
}

func TestBulk(t *testing.T) {
	a := start(t)
	a.exec(t, "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) INSERT INTO todos (id, title) SELECT n, n FROM n")
	a.sub.WantResync(t, "bulk")
	if n := len(a.sub.Rows()); n != 10_000 {
		t.Errorf("the subscriber holds %d rows", n)
	}
	a.exec(t, "DELETE FROM todos WHERE id > 1")
	a.sub.WantResync(t, "bulk")
	a.last(t)
}

func TestPublished(t *testing.T) {
	a := start(t)
	exec(t, silent{a.db}, "INSERT INTO todos (id, title) VALUES (1, 'silent')")
	tx := a.begin(t)
	exec(t, silent{tx}, "INSERT INTO todos (id, title) VALUES (2, 'as well')")
	exec(t, tx, "INSERT INTO todos (id, title) VALUES (3, 'loud')")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	a.sub.Want(t, live.Enter, 3)
	a.last(t)
}

type silent struct{ by execer }

func (s silent) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return s.by.ExecContext(sqlitesource.Published(ctx), query, args...)
}

// TestSchemaChanges moves the key to another column while connections are open: what they do not know is told as a new list, once.
func TestSchemaChanges(t *testing.T) {
	a := start(t)
	a.exec(t, "INSERT INTO todos (id, title) VALUES (1, 'a')")
	a.sub.Want(t, live.Enter, 1)
	a.db.SetMaxOpenConns(2) // one that writes, at a time, and one that lists
	conn, err := a.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec(t, conn, "DROP TABLE todos")
	exec(t, conn, "CREATE TABLE TODOS (other TEXT, title TEXT, ID INTEGER PRIMARY KEY, done BOOLEAN NOT NULL DEFAULT false) ")
	exec(t, conn, "INSERT INTO todos (id, title) VALUES (2, 'b')")
	a.sub.WantResync(t, "bulk")
	exec(t, conn, "INSERT INTO todos (id, title) VALUES (3, 'c')")
	a.sub.Want(t, live.Enter, 3)
}

func TestWithoutRowid(t *testing.T) {
	a := start(t, "CREATE TABLE todos (done BOOLEAN NOT NULL DEFAULT false, title TEXT, id INTEGER PRIMARY KEY) WITHOUT ROWID")
	a.exec(t, "INSERT INTO todos (id, title) VALUES (1, 'a')")
	a.sub.Want(t, live.Enter, 1)
	a.exec(t, "UPDATE todos SET id = 2")
	a.sub.Want(t, live.Enter, 2)
	a.sub.Want(t, live.Delete, 1)
	a.exec(t, "DELETE FROM todos")
	a.sub.Want(t, live.Delete, 2)
	a.last(t)
}

// TestNotSeen is what the documentation says of others.
func TestNotSeen(t *testing.T) {
	a := start(t)
	other, err := sql.Open("sqlite", a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	exec(t, other, "INSERT INTO todos (id, title) VALUES (1, 'by another')")
	conn, err := a.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "CREATE TEMP TABLE todos (id INTEGER PRIMARY KEY, title TEXT)")
	exec(t, conn, "INSERT INTO temp.todos VALUES (2, 'temporary')")
	exec(t, conn, "DROP TABLE temp.todos")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	a.last(t)
}

// TestOrder has several writers change the same rows: what subscribers hold in the end is what is stored.
func TestOrder(t *testing.T) {
	a := start(t)
	a.exec(t, "INSERT INTO todos (id, title) VALUES (1, 'x'), (2, 'y')")
	failed := make(chan error, 4)
	for w := range 4 {
		go func() {
			for n := range 50 {
				if _, err := a.db.ExecContext(t.Context(), "UPDATE todos SET title = ? WHERE id = ?", fmt.Sprint(w, " ", n), w%2+1); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 4 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	a.exec(t, "INSERT INTO todos (id, title) VALUES (3, 'last')")
	done := a.srv.Connect(t).Subscribe(t, "todos", livetest.Where(where.Eq("title", "the very last")))
	a.exec(t, "UPDATE todos SET title = 'the very last' WHERE id = 3")
	done.Want(t, live.Enter, 3) // and what was before it is on the log
	a.sub.Sync(t)
	for id := int64(1); id <= 2; id++ {
		var title string
		if err := a.db.QueryRowContext(t.Context(), "SELECT title FROM todos WHERE id = ?", id).Scan(&title); err != nil {
			t.Fatal(err)
		}
		if got := string(a.sub.Row(t, id).Fields["title"]); got != `"`+title+`"` {
			t.Errorf("row %d is %s to the subscriber, and %q is stored", id, got, title)
		}
	}
}

func TestDeclarations(t *testing.T) {
	a := start(t)
	r, unregistered, elsewhere, again := todos(&a.db, "todos"), todos(&a.db, "none"), todos(&a.db, "elsewhere"), todos(&a.db, "again")
	livetest.New(t, elsewhere)
	hub := a.srv.Hub
	hub.Register(again)
	other := todos(&a.db, "other")
	hub.Register(other)
	_ = r
	for _, test := range []struct {
		table sqlitesource.Captured
		want  string
	}{
		{sqlitesource.Table(unregistered, "todos"), "router none: it is not registered"},
		{sqlitesource.Table[todo](nil, "todos"), `the table "todos" has no router`},
		{sqlitesource.Table(again, "Todos"), `the table "Todos" is captured for router todos already`},
		{sqlitesource.Table(elsewhere, "lists"), "router elsewhere: it belongs to another hub"},
		{sqlitesource.Table(other, "missing"), `router other: there is no table "missing"`},
		{sqlitesource.TableKey(other, "sqlite_schema", "number"), `the table "sqlite_schema" lacks the column "number" of the key`},
	} {
		err := a.source.Capture(t.Context(), a.db, test.table)
		if err == nil || !strings.HasPrefix(err.Error(), "sqlitesource: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}
