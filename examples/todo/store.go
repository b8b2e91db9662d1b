package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// store keeps lists and todos in SQLite. Every row has a version that each write raises: who writes says which version
// they saw, and a row that has moved on since is not touched (live.ErrConflict).
type store struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS lists (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	name       TEXT    NOT NULL,
	created_at TEXT    NOT NULL,
	changed_at TEXT    NOT NULL,
	changed_by TEXT    NOT NULL,
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS todos (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	list_id    INTEGER NOT NULL REFERENCES lists (id),
	title      TEXT    NOT NULL,
	done       INTEGER NOT NULL,
	created_at TEXT    NOT NULL,
	changed    TEXT    NOT NULL,
	changed_at TEXT    NOT NULL,
	changed_by TEXT    NOT NULL,
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX IF NOT EXISTS todos_list ON todos (list_id, done);
`

// AUTOINCREMENT never gives the id of a deleted row to a new one: whoever still holds the old row would take the new
// one for it.

const (
	listColumns = "id, name, created_at, changed_at, changed_by, version"
	todoColumns = "id, list_id, title, done, created_at, changed, changed_at, changed_by, version"
)

// openStore opens the database in file, makes its tables, and puts a first list into an empty one.
func openStore(ctx context.Context, file string) (*store, error) {
	options := url.Values{
		"_txlock": {"immediate"}, // a transaction that will write waits for its turn at the beginning, not in the middle
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)"},
	}
	path := (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
	db, err := sql.Open("sqlite", "file:"+path+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	s := &store{db}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s cannot be used as the database: %w", file, err)
	}
	if err := s.seed(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func (s *store) Close() error { return s.db.Close() }

// seed writes a first list into an empty database.
func (s *store) seed(ctx context.Context) error {
	return s.tx(ctx, func(ctx context.Context) error {
		var lists int
		if err := s.in(ctx).QueryRowContext(ctx, "SELECT count(*) FROM lists").Scan(&lists); err != nil || lists > 0 {
			return err
		}
		list, err := s.addList(ctx, List{Name: "Welcome", ChangedBy: "live"})
		if err != nil {
			return err
		}
		for _, todo := range []Todo{
			{Title: "Open this page in a second window", Changed: "added"},
			{Title: "Tick me, and watch the other window", Changed: "added"},
			{Title: "Click a title to change it", Changed: "added"},
			{Title: "Start the server", Changed: "ticked", Done: true},
		} {
			todo.ListID, todo.ChangedBy = list.ID, "live"
			if _, err := s.addTodo(ctx, todo); err != nil {
				return err
			}
		}
		return nil
	})
}

// Transactions

// tx runs do in a transaction, which is in do's ctx and so that of what the store does with it. What the routers are told with
// that ctx is published if it commits, and not otherwise.
func (s *store) tx(ctx context.Context, do func(ctx context.Context) error) error {
	return live.Tx(ctx, s.db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
}

// queryer is a *sql.DB or a *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// in returns the transaction of ctx, or the database outside of one.
func (s *store) in(ctx context.Context) queryer {
	if tx, ok := live.TxOf(ctx, s.db); ok {
		return tx
	}
	return s.db
}

// Lists

func (s *store) lists(ctx context.Context, clause string, args ...any) ([]List, error) {
	rows, err := s.in(ctx).QueryContext(ctx, "SELECT "+listColumns+" FROM lists "+clause, args...)
	return collect(rows, err, scanList)
}

func (s *store) list(ctx context.Context, id int64) (List, error) {
	row := s.in(ctx).QueryRowContext(ctx, "SELECT "+listColumns+" FROM lists WHERE id = ?", id)
	return found(scanList(row))
}

func (s *store) addList(ctx context.Context, list List) (List, error) {
	now := where.FormatTime(time.Now())
	row := s.in(ctx).QueryRowContext(ctx, "INSERT INTO lists (name, created_at, changed_at, changed_by) VALUES (?, ?, ?, ?) RETURNING "+listColumns,
		list.Name, now, now, list.ChangedBy)
	return scanList(row)
}

// saveList writes list over the row that has its id and version.
func (s *store) saveList(ctx context.Context, list List) (List, error) {
	row := s.in(ctx).QueryRowContext(ctx, "UPDATE lists SET name = ?, changed_at = ?, changed_by = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING "+listColumns,
		list.Name, where.FormatTime(time.Now()), list.ChangedBy, list.ID, list.Version)
	return unchanged(scanList(row))
}

// removeList deletes a list and returns the todos that went with it.
func (s *store) removeList(ctx context.Context, list List) (gone []Todo, err error) {
	err = s.tx(ctx, func(ctx context.Context) error {
		rows, err := s.in(ctx).QueryContext(ctx, "DELETE FROM todos WHERE list_id = ? RETURNING "+todoColumns, list.ID)
		if gone, err = collect(rows, err, scanTodo); err != nil {
			return err
		}
		return deleteOne(s.in(ctx).ExecContext(ctx, "DELETE FROM lists WHERE id = ? AND version = ?", list.ID, list.Version))
	})
	return gone, err
}

// Todos

func (s *store) todos(ctx context.Context, clause string, args ...any) ([]Todo, error) {
	rows, err := s.in(ctx).QueryContext(ctx, "SELECT "+todoColumns+" FROM todos "+clause, args...)
	return collect(rows, err, scanTodo)
}

func (s *store) todo(ctx context.Context, id int64) (Todo, error) {
	row := s.in(ctx).QueryRowContext(ctx, "SELECT "+todoColumns+" FROM todos WHERE id = ?", id)
	return found(scanTodo(row))
}

func (s *store) addTodo(ctx context.Context, todo Todo) (Todo, error) {
	now := where.FormatTime(time.Now())
	row := s.in(ctx).QueryRowContext(ctx, "INSERT INTO todos (list_id, title, done, created_at, changed, changed_at, changed_by) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING "+todoColumns,
		todo.ListID, todo.Title, todo.Done, now, todo.Changed, now, todo.ChangedBy)
	return inList(scanTodo(row))
}

// saveTodo writes todo over the row that has its id and version.
func (s *store) saveTodo(ctx context.Context, todo Todo) (Todo, error) {
	row := s.in(ctx).QueryRowContext(ctx, "UPDATE todos SET list_id = ?, title = ?, done = ?, changed = ?, changed_at = ?, changed_by = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING "+todoColumns,
		todo.ListID, todo.Title, todo.Done, todo.Changed, where.FormatTime(time.Now()), todo.ChangedBy, todo.ID, todo.Version)
	return unchanged(inList(scanTodo(row)))
}

func (s *store) removeTodo(ctx context.Context, todo Todo) error {
	return deleteOne(s.in(ctx).ExecContext(ctx, "DELETE FROM todos WHERE id = ? AND version = ?", todo.ID, todo.Version))
}

// removeDone deletes the ticked todos of a list and returns them.
func (s *store) removeDone(ctx context.Context, listID int64) ([]Todo, error) {
	rows, err := s.in(ctx).QueryContext(ctx, "DELETE FROM todos WHERE list_id = ? AND done RETURNING "+todoColumns, listID)
	return collect(rows, err, scanTodo)
}

// Rows

// scanner is a *sql.Row or a *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func scanList(row scanner) (l List, err error) {
	err = row.Scan(&l.ID, &l.Name, (*storedTime)(&l.CreatedAt), (*storedTime)(&l.ChangedAt), &l.ChangedBy, &l.Version)
	return l, err
}

func scanTodo(row scanner) (t Todo, err error) {
	err = row.Scan(&t.ID, &t.ListID, &t.Title, &t.Done, (*storedTime)(&t.CreatedAt), &t.Changed, (*storedTime)(&t.ChangedAt), &t.ChangedBy, &t.Version)
	return t, err
}

// collect reads all rows. It takes what QueryContext returned.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// found says that a row that was looked for by its id is not there.
func found[T any](row T, err error) (T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		err = live.ErrNotFound
	}
	return row, err
}

// unchanged says that a row that was to be written is not there in the version that the writer saw.
func unchanged[T any](row T, err error) (T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		err = live.ErrConflict
	}
	return row, err
}

// deleteOne says the same of a row that was to be deleted.
func deleteOne(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return live.ErrConflict
}

// inList says that the list of a todo is not there.
func inList(todo Todo, err error) (Todo, error) {
	if broken, ok := errors.AsType[*sqlite.Error](err); ok && broken.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY {
		err = invalid("list_id", "This list does not exist (any more).")
	}
	return todo, err
}

// storedTime is a time.Time that can be scanned from the text that where.FormatTime made of it: of one length and in UTC, so
// that SQLite orders times as live does.
type storedTime time.Time

func (t *storedTime) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("a time is stored as %T, want text", value)
	}
	parsed, err := where.ParseTime(text)
	*t = storedTime(parsed)
	return err
}
