package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/swampline/live"
)

// table stores rows of type T. Every row has an id, its first column, and a version, its last, that each write raises: who writes says
// which version they saw, and a row that has moved on since is not touched (live.ErrConflict).
type table[T any] struct {
	store   *store
	name    string
	columns string
	// fields returns pointers to what stands in the columns.
	fields func(*T) []any
}

// listed returns the rows of a query of live's: a router's List.
func (t table[T]) listed(ctx context.Context, q live.Query) ([]T, error) {
	clause, args := q.SQL(t.store.dialect)
	return t.where(ctx, clause, args...)
}

// count returns how many rows a query of live's has: a router's Count.
func (t table[T]) count(ctx context.Context, q live.Query) (n int64, err error) {
	clause, args := q.SQL(t.store.dialect)
	query := "SELECT count(*) FROM " + t.name + " " + clause
	err = t.store.conn(ctx, query).QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// where returns the rows of a clause.
func (t table[T]) where(ctx context.Context, clause string, args ...any) ([]T, error) {
	return t.query(ctx, "SELECT "+t.columns+" FROM "+t.name+" "+clause, args...)
}

// query returns the rows that a statement returns.
func (t table[T]) query(ctx context.Context, query string, args ...any) ([]T, error) {
	rows, err := t.store.conn(ctx, query).QueryContext(ctx, query, args...)
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

// one returns the row that a statement returns, or sql.ErrNoRows.
func (t table[T]) one(ctx context.Context, query string, args ...any) (row T, err error) {
	err = t.store.conn(ctx, query).QueryRowContext(ctx, query, args...).Scan(t.fields(&row)...)
	return row, err
}

// get returns the row of a key: a router's Get.
func (t table[T]) get(ctx context.Context, key live.Key) (T, error) {
	return t.byID(ctx, key.Int64())
}

func (t table[T]) byID(ctx context.Context, id int64) (T, error) {
	row, err := t.one(ctx, "SELECT "+t.columns+" FROM "+t.name+" WHERE id = $1", id)
	if errors.Is(err, sql.ErrNoRows) {
		err = live.ErrNotFound
	}
	return row, err
}

// add stores a new row: a router's Create.
func (t table[T]) add(ctx context.Context, row T) (T, error) {
	names, values := t.written(&row)
	return t.one(ctx, fmt.Sprintf("INSERT INTO %s (%s, version) VALUES (%s, 1) RETURNING %s",
		t.name, strings.Join(names, ", "), placeholders(len(names)), t.columns), values...)
}

// save stores a row over that of its id and version: a router's Update.
func (t table[T]) save(ctx context.Context, was, now T) (T, error) {
	names, values := t.written(&now)
	sets := make([]string, len(names))
	for i, name := range names {
		sets[i] = fmt.Sprintf("%s = $%d", name, i+1)
	}
	id, version := t.identity(&was)
	row, err := t.one(ctx, fmt.Sprintf("UPDATE %s SET %s, version = version + 1 WHERE id = $%d AND version = $%d RETURNING %s",
		t.name, strings.Join(sets, ", "), len(names)+1, len(names)+2, t.columns), append(values, id, version)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = live.ErrConflict
	}
	return row, err
}

// remove deletes the row of an id and version: a router's Delete.
func (t table[T]) remove(ctx context.Context, was T) error {
	id, version := t.identity(&was)
	_, err := t.one(ctx, "DELETE FROM "+t.name+" WHERE id = $1 AND version = $2 RETURNING "+t.columns, id, version)
	if errors.Is(err, sql.ErrNoRows) {
		err = live.ErrConflict
	}
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

// placeholders returns "$1, $2, …".
func placeholders(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", i+1)
	}
	return strings.Join(all, ", ")
}

// grouped loads the rows whose column has one of some values, in one statement: what live.Many asks for.
func grouped[T any](ctx context.Context, t table[T], column string, ids []int64, of func(T) int64) (map[int64][]T, error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := t.where(ctx, fmt.Sprintf("WHERE %s IN (%s) ORDER BY id", column, placeholders(len(ids))), args...)
	groups := make(map[int64][]T, len(ids))
	for _, row := range rows {
		groups[of(row)] = append(groups[of(row)], row)
	}
	return groups, err
}
