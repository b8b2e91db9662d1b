package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Todo is one thing to do, on a list of a name.
type Todo struct {
	ID      int64  `live:"id,key"`
	List    string `live:"list,write,filter"`
	Title   string `live:"title,write"`
	Done    bool   `live:"done,write"`
	Version int64  `live:"version,version"`
}

// todoChannels begins the names of the channels on which the lists are offered.
const todoChannels = "private-todos-"

const maxTitle = 200

// todosRouter is an ordinary router. That pusher-js is told of its rows, too, it does not know.
func todosRouter(s *store) *live.Router[Todo] {
	return &live.Router[Todo]{
		Name:  "todos",
		Scope: live.Everyone,
		Tx:    s.tx,
		List: func(ctx context.Context, q live.Query) ([]Todo, error) {
			clause, args := q.SQL(where.SQLite)
			return s.todos(ctx, clause, args...)
		},
		Get:    s.todo,
		Create: s.add,
		Update: func(ctx context.Context, was, now Todo) (Todo, error) { return s.save(ctx, now) },
		Delete: s.remove,
	}
}

// tidy checks a todo that somebody wrote.
func tidy(t Todo) (Todo, error) {
	t.Title = strings.TrimSpace(t.Title)
	switch n := utf8.RuneCountInString(t.Title); {
	case n == 0:
		return t, live.Invalid{"title": {"Please write something."}}
	case n > maxTitle:
		return t, live.Invalid{"title": {fmt.Sprintf("That is %d characters; %d is the most.", n, maxTitle)}}
	}
	return t, nil
}

// store keeps the todos in SQLite.
type store struct{ db *sql.DB }

const columns = "id, list, title, done, version"

func openStore(ctx context.Context, file string) (*store, error) {
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	const schema = `CREATE TABLE IF NOT EXISTS todos (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	list    TEXT    NOT NULL,
	title   TEXT    NOT NULL,
	done    INTEGER NOT NULL,
	version INTEGER NOT NULL DEFAULT 1
) STRICT`
	if _, err := db.ExecContext(ctx, schema); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s cannot be used as the database: %w", file, err)
	}
	return &store{db}, nil
}

func (s *store) Close() error { return s.db.Close() }

// tx runs do in a transaction; what the router is told with its ctx is published if it commits.
func (s *store) tx(ctx context.Context, do func(ctx context.Context) error) error {
	return live.Tx(ctx, s.db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
}

// query runs a statement in the transaction of ctx, if there is one, and reads the rows.
func (s *store) query(ctx context.Context, statement string, args ...any) ([]Todo, error) {
	query := s.db.QueryContext
	if tx, ok := live.TxOf(ctx, s.db); ok {
		query = tx.QueryContext
	}
	rows, err := query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []Todo{}
	for rows.Next() {
		var t Todo
		if err := rows.Scan(&t.ID, &t.List, &t.Title, &t.Done, &t.Version); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// one is query for a single row; missing is the error when there is none.
func (s *store) one(ctx context.Context, missing error, statement string, args ...any) (Todo, error) {
	all, err := s.query(ctx, statement, args...)
	if err == nil && len(all) == 0 {
		err = missing
	}
	if err != nil {
		return Todo{}, err
	}
	return all[0], nil
}

func (s *store) todos(ctx context.Context, clause string, args ...any) ([]Todo, error) {
	return s.query(ctx, "SELECT "+columns+" FROM todos "+clause, args...)
}

func (s *store) todo(ctx context.Context, key live.Key) (Todo, error) {
	return s.one(ctx, live.ErrNotFound, "SELECT "+columns+" FROM todos WHERE id = ?", key.Int64())
}

func (s *store) add(ctx context.Context, in Todo) (Todo, error) {
	in, err := tidy(in)
	if err != nil {
		return in, err
	}
	return s.one(ctx, errors.New("nothing was inserted"), "INSERT INTO todos (list, title, done) VALUES (?, ?, ?) RETURNING "+columns, in.List, in.Title, in.Done)
}

func (s *store) save(ctx context.Context, now Todo) (Todo, error) {
	now, err := tidy(now)
	if err != nil {
		return now, err
	}
	return s.one(ctx, live.ErrConflict, "UPDATE todos SET list = ?, title = ?, done = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING "+columns,
		now.List, now.Title, now.Done, now.ID, now.Version)
}

func (s *store) remove(ctx context.Context, was Todo) error {
	_, err := s.one(ctx, live.ErrConflict, "DELETE FROM todos WHERE id = ? AND version = ? RETURNING "+columns, was.ID, was.Version)
	return err
}
