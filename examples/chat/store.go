package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
	"github.com/swampline/live/where"
)

// store keeps everything in SQLite. It knows nothing of who may see what.
type store struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS people (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	name       TEXT    NOT NULL,
	folded     TEXT    NOT NULL UNIQUE, -- the name in lower case, by which people are found
	hue        INTEGER NOT NULL,
	email      TEXT    NOT NULL,
	paced_to   INTEGER NOT NULL DEFAULT 0, -- see pace.go
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
	token      TEXT    PRIMARY KEY, -- a hash of what the cookie holds
	person_id  INTEGER NOT NULL REFERENCES people (id)
) STRICT;
CREATE TABLE IF NOT EXISTS rooms (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	name       TEXT    NOT NULL,
	topic      TEXT    NOT NULL,
	private    INTEGER NOT NULL,
	owner_id   INTEGER NOT NULL,
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS members (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	room_id    INTEGER NOT NULL REFERENCES rooms (id),
	person_id  INTEGER NOT NULL REFERENCES people (id),
	version    INTEGER NOT NULL DEFAULT 1,
	UNIQUE (person_id, room_id)
) STRICT;
CREATE INDEX IF NOT EXISTS members_room ON members (room_id);
CREATE TABLE IF NOT EXISTS messages (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	room_id    INTEGER NOT NULL REFERENCES rooms (id),
	private    INTEGER NOT NULL,
	author_id  INTEGER NOT NULL REFERENCES people (id),
	text       TEXT    NOT NULL,
	mentions   TEXT    NOT NULL, -- JSON
	created_at TEXT    NOT NULL,
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX IF NOT EXISTS messages_room ON messages (room_id, id);
CREATE TABLE IF NOT EXISTS marks (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	room_id    INTEGER NOT NULL REFERENCES rooms (id),
	person_id  INTEGER NOT NULL REFERENCES people (id),
	message_id INTEGER NOT NULL,
	version    INTEGER NOT NULL DEFAULT 1,
	UNIQUE (person_id, room_id)
) STRICT;
` + notify.Schema

// openStore opens the database in file, makes its tables, and puts a first room into an empty one.
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

// seed writes a first room, and a welcome, into an empty database.
func (s *store) seed(ctx context.Context) error {
	return s.tx(ctx, func(ctx context.Context) error {
		rooms, err := s.rooms().where(ctx, "LIMIT 1")
		if err != nil || len(rooms) > 0 {
			return err
		}
		owner, err := s.people().add(ctx, Person{Name: host, Folded: host, Hue: 170})
		if err != nil {
			return err
		}
		for _, room := range []struct{ name, topic, text string }{
			{"general", "Everything, and everybody", "Welcome! Open this page in a second window, as somebody else, and say hello.\n\nWrite @ and a name to call somebody, and make a private room for two or more."},
			{"random", "What else there is", "The place for everything that belongs nowhere."},
		} {
			made, err := s.rooms().add(ctx, Room{Name: room.name, Topic: room.topic, OwnerID: owner.ID})
			if err != nil {
				return err
			}
			if _, err := s.messages().add(ctx, Message{RoomID: made.ID, AuthorID: owner.ID, Text: room.text, CreatedAt: time.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
}

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

// number returns the one number that a statement returns.
func (s *store) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.in(ctx).QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// The tables. The columns stand in the order of the fields.

func (s *store) people() table[Person] {
	return table[Person]{s, "people", "id, name, folded, hue, email, paced_to, version", func(p *Person) []any {
		return []any{&p.ID, &p.Name, &p.Folded, &p.Hue, &p.Email, &p.PacedTo, &p.Version}
	}}
}

func (s *store) rooms() table[Room] {
	return table[Room]{s, "rooms", "id, name, topic, private, owner_id, version", func(r *Room) []any {
		return []any{&r.ID, &r.Name, &r.Topic, &r.Private, &r.OwnerID, &r.Version}
	}}
}

func (s *store) members() table[Member] {
	return table[Member]{s, "members", "id, room_id, person_id, version", func(m *Member) []any {
		return []any{&m.ID, &m.RoomID, &m.PersonID, &m.Version}
	}}
}

func (s *store) messages() table[Message] {
	return table[Message]{s, "messages", "id, room_id, private, author_id, text, mentions, created_at, version", func(m *Message) []any {
		return []any{&m.ID, &m.RoomID, &m.Private, &m.AuthorID, &m.Text, &m.Mentions, (*storedTime)(&m.CreatedAt), &m.Version}
	}}
}

func (s *store) marks() table[Mark] {
	return table[Mark]{s, "marks", "id, room_id, person_id, message_id, version", func(m *Mark) []any {
		return []any{&m.ID, &m.RoomID, &m.PersonID, &m.MessageID, &m.Version}
	}}
}

// table stores rows of type T. Every row has an id, its first column, and a version, its last, that each write raises: who writes
// says which version they saw, and a row that has moved on since is not touched (live.ErrConflict). An id is never given twice:
// whoever still holds a row that is gone would take the new one for it.
type table[T any] struct {
	store   *store
	name    string
	columns string
	// fields returns pointers to what stands in the columns.
	fields func(*T) []any
}

// listed returns the rows of a query of live's: a router's List.
func (t table[T]) listed(ctx context.Context, q live.Query) ([]T, error) {
	clause, args := q.SQL(where.SQLite)
	return t.where(ctx, clause, args...)
}

// count returns how many rows a query of live's has: a router's Count.
func (t table[T]) count(ctx context.Context, q live.Query) (int64, error) {
	clause, args := q.SQL(where.SQLite)
	return t.store.number(ctx, "SELECT count(*) FROM "+t.name+" "+clause, args...)
}

// where returns the rows of a clause.
func (t table[T]) where(ctx context.Context, clause string, args ...any) ([]T, error) {
	return t.query(ctx, "SELECT "+t.columns+" FROM "+t.name+" "+clause, args...)
}

// query returns the rows that a statement returns.
func (t table[T]) query(ctx context.Context, query string, args ...any) ([]T, error) {
	rows, err := t.store.in(ctx).QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		var row T
		if err := rows.Scan(t.fields(&row)...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// one returns the row that a statement returns, or missing if it returns none.
func (t table[T]) one(ctx context.Context, missing error, query string, args ...any) (row T, err error) {
	err = t.store.in(ctx).QueryRowContext(ctx, query, args...).Scan(t.fields(&row)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = missing
	}
	return row, err
}

// get returns the row of a key: a router's Get.
func (t table[T]) get(ctx context.Context, key live.Key) (T, error) {
	return t.byID(ctx, key.Int64())
}

func (t table[T]) byID(ctx context.Context, id int64) (T, error) {
	return t.one(ctx, live.ErrNotFound, "SELECT "+t.columns+" FROM "+t.name+" WHERE id = ?", id)
}

// add stores a new row and returns it with its id and version.
func (t table[T]) add(ctx context.Context, row T) (T, error) {
	names, values := t.written(&row)
	return t.one(ctx, sql.ErrNoRows, fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) RETURNING %s",
		t.name, strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1), t.columns), values...)
}

// save stores a row over that of its id and version.
func (t table[T]) save(ctx context.Context, was, now T) (T, error) {
	names, values := t.written(&now)
	id, version := t.identity(&was)
	return t.one(ctx, live.ErrConflict, fmt.Sprintf("UPDATE %s SET %s = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING %s",
		t.name, strings.Join(names, " = ?, "), t.columns), append(values, id, version)...)
}

// remove deletes the row of an id and version: a router's Delete.
func (t table[T]) remove(ctx context.Context, was T) error {
	id, version := t.identity(&was)
	_, err := t.one(ctx, live.ErrConflict, "DELETE FROM "+t.name+" WHERE id = ? AND version = ? RETURNING "+t.columns, id, version)
	return err
}

// written returns the columns that the application writes, and their values.
func (t table[T]) written(row *T) ([]string, []any) {
	names, values := strings.Split(t.columns, ", "), t.fields(row)
	last := len(names) - 1
	return names[1:last], values[1:last]
}

func (t table[T]) identity(row *T) (id, version any) {
	values := t.fields(row)
	return values[0], values[len(values)-1]
}

// storedTime is a time.Time that is stored as where.FormatTime writes it: of one length and in UTC, so that SQLite orders times
// as live does.
type storedTime time.Time

func (t *storedTime) Value() (driver.Value, error) { return where.FormatTime(time.Time(*t)), nil }

func (t *storedTime) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("a time is stored as %T, want text", value)
	}
	parsed, err := where.ParseTime(text)
	*t = storedTime(parsed)
	return err
}

// Value and Scan store mentions as JSON.

func (m *Mentions) Value() (driver.Value, error) {
	text, err := json.Marshal(m.list())
	return string(text), err
}

func (m *Mentions) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("mentions are stored as %T, want text", value)
	}
	return json.Unmarshal([]byte(text), m)
}
