package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// store keeps articles and people in SQLite. Every article has a version that each write raises: who writes says which version
// they saw, and one that has moved on since is not touched (live.ErrConflict). That, and nothing that a page shows of who else
// is there, is why nobody overwrites a colleague.
type store struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS people (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	name   TEXT NOT NULL UNIQUE COLLATE NOCASE,
	color  TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS articles (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	owner_id   INTEGER NOT NULL REFERENCES people (id),
	private    INTEGER NOT NULL DEFAULT 0,
	title      TEXT    NOT NULL,
	section    TEXT    NOT NULL,
	summary    TEXT    NOT NULL DEFAULT '',
	body       TEXT    NOT NULL DEFAULT '',
	ready      INTEGER NOT NULL DEFAULT 0,
	changed_at TEXT    NOT NULL,
	changed_by TEXT    NOT NULL,
	lock_token TEXT    NOT NULL DEFAULT '',
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
`

// AUTOINCREMENT never gives the id of a deleted row to a new one: whoever still holds the old row would take the new
// one for it.

const (
	articleColumns = "id, owner_id, private, title, section, summary, body, ready, changed_at, changed_by, lock_token, version"
	personColumns  = "id, name, color"
)

// openStore opens the database in file, makes its tables, and puts a few articles into an empty one.
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

// Articles

func (s *store) articles(ctx context.Context, clause string, args ...any) ([]Article, error) {
	rows, err := s.in(ctx).QueryContext(ctx, "SELECT "+articleColumns+" FROM articles "+clause, args...)
	return collect(rows, err, scanArticle)
}

func (s *store) article(ctx context.Context, id int64) (Article, error) {
	row := s.in(ctx).QueryRowContext(ctx, "SELECT "+articleColumns+" FROM articles WHERE id = ?", id)
	return found(scanArticle(row))
}

func (s *store) addArticle(ctx context.Context, a Article) (Article, error) {
	row := s.in(ctx).QueryRowContext(ctx, "INSERT INTO articles (owner_id, private, title, section, summary, body, ready, changed_at, changed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING "+articleColumns,
		a.OwnerID, a.Private, a.Title, a.Section, a.Summary, a.Body, a.Ready, where.FormatTime(time.Now()), a.ChangedBy)
	return scanArticle(row)
}

// saveArticle writes an article over the row that has its id and version. The version in the WHERE is the whole guarantee: of two
// who write at once the database lets one through. The token is that of the lock under which it is saved, with -lock: who was halted for
// so long that another has it by now has a smaller one.
func (s *store) saveArticle(ctx context.Context, a Article) (Article, error) {
	row := s.in(ctx).QueryRowContext(ctx, "UPDATE articles SET private = ?, title = ?, section = ?, summary = ?, body = ?, ready = ?, changed_at = ?, changed_by = ?, lock_token = ?, version = version + 1 WHERE id = ? AND version = ? AND lock_token <= ? RETURNING "+articleColumns,
		a.Private, a.Title, a.Section, a.Summary, a.Body, a.Ready, where.FormatTime(time.Now()), a.ChangedBy, a.LockToken, a.ID, a.Version, a.LockToken)
	return unchanged(scanArticle(row))
}

func (s *store) removeArticle(ctx context.Context, a Article) error {
	row := s.in(ctx).QueryRowContext(ctx, "DELETE FROM articles WHERE id = ? AND version = ? RETURNING "+articleColumns, a.ID, a.Version)
	_, err := unchanged(scanArticle(row))
	return err
}

// People

func (s *store) people(ctx context.Context) ([]Person, error) {
	rows, err := s.in(ctx).QueryContext(ctx, "SELECT "+personColumns+" FROM people ORDER BY id LIMIT 12")
	return collect(rows, err, scanPerson)
}

func (s *store) person(ctx context.Context, id int64) (Person, error) {
	row := s.in(ctx).QueryRowContext(ctx, "SELECT "+personColumns+" FROM people WHERE id = ?", id)
	return found(scanPerson(row))
}

// addPerson returns who has a name, and gives them a color. Somebody new is stored.
func (s *store) addPerson(ctx context.Context, name, color string) (Person, error) {
	row := s.in(ctx).QueryRowContext(ctx, "INSERT INTO people (name, color) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET color = excluded.color RETURNING "+personColumns,
		name, color)
	return scanPerson(row)
}

// Rows

// scanner is a *sql.Row or a *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func scanArticle(row scanner) (a Article, err error) {
	err = row.Scan(&a.ID, &a.OwnerID, &a.Private, &a.Title, &a.Section, &a.Summary, &a.Body, &a.Ready, (*storedTime)(&a.ChangedAt), &a.ChangedBy, &a.LockToken, &a.Version)
	return a, err
}

func scanPerson(row scanner) (p Person, err error) {
	err = row.Scan(&p.ID, &p.Name, &p.Color)
	return p, err
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
