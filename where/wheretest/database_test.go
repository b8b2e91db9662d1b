package wheretest

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
	_ "modernc.org/sqlite"
)

// database is a table "rows" in SQLite or PostgreSQL.
type database struct {
	name    string
	dialect where.Dialect
	exec    func(sql string, args ...any) error
	query   func(sql string, args ...any) ([]int, error)
	plan    func(p *where.Predicate) (string, error)
	stored  func(v any) any
}

func openSQLite(t *testing.T) *database {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	t.Cleanup(func() { db.Close() })
	d := &database{name: "SQLite", dialect: where.SQLite}
	d.exec = func(sql string, args ...any) error {
		_, err := db.ExecContext(t.Context(), sql, args...)
		return err
	}
	d.query = func(sql string, args ...any) ([]int, error) { return collect[int](db, sql, args...) }
	d.plan = func(p *where.Predicate) (string, error) {
		cond, args := p.SQL(d.dialect)
		// The first three columns are numbers of the planner's.
		lines, err := collect[string](db, "EXPLAIN QUERY PLAN SELECT id FROM rows WHERE "+cond, args...)
		return strings.Join(lines, "\n"), err
	}
	d.stored = func(v any) any {
		if t, ok := v.(time.Time); ok {
			return where.FormatTime(t)
		}
		return v
	}
	return d
}

// collect reads the last column of a query.
func collect[T any](db *sql.DB, query string, args ...any) ([]T, error) {
	rows, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []T
	for rows.Next() {
		var last T
		into := make([]any, len(columns))
		for i := range into {
			into[i] = new(any)
		}
		into[len(into)-1] = &last
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, last)
	}
	return out, rows.Err()
}

func openPostgres(t *testing.T) *database {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, postgres.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(ctx)) })
	d := &database{name: "PostgreSQL", dialect: where.Postgres}
	d.exec = func(sql string, args ...any) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	}
	d.query = func(sql string, args ...any) ([]int, error) {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[int])
	}
	d.plan = func(p *where.Predicate) (string, error) {
		cond, args := p.SQL(d.dialect)
		rows, err := conn.Query(ctx, "EXPLAIN SELECT id FROM rows WHERE "+cond, args...)
		if err != nil {
			return "", err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		return strings.Join(lines, "\n"), err
	}
	d.stored = func(v any) any { return v }
	return d
}

func (d *database) create(t *testing.T) {
	t.Helper()
	var b strings.Builder
	b.WriteString("CREATE TABLE rows (id INTEGER PRIMARY KEY")
	for _, c := range columns {
		declared := c.sqlite
		if d.name == "PostgreSQL" {
			declared = c.postgres
		}
		fmt.Fprintf(&b, `, "%s" %s`, strings.ReplaceAll(c.Name, `"`, `""`), declared)
	}
	if err := d.exec(b.String() + ")"); err != nil {
		t.Fatal(err)
	}
}

// fill replaces the table's rows; ids are their indexes.
func (d *database) fill(rows []record) error {
	if err := d.exec("DELETE FROM rows"); err != nil {
		return err
	}
	id := 0
	for chunk := range slices.Chunk(rows, 20) { // the SQLite driver slows down with the square of the arguments
		var values []string
		var args []any
		for _, r := range chunk {
			var places []string
			for _, v := range append([]any{id}, r.stored...) {
				args = append(args, d.stored(v))
				places = append(places, fmt.Sprintf("$%d", len(args))) // SQLite takes this form, too
			}
			values = append(values, "("+strings.Join(places, ", ")+")")
			id++
		}
		if err := d.exec("INSERT INTO rows VALUES "+strings.Join(values, ", "), args...); err != nil {
			return err
		}
	}
	return nil
}

// find returns the ids of the rows that match.
func (d *database) find(p *where.Predicate) ([]int, error) {
	dialect, first := d.dialect, "?"
	if d.name == "PostgreSQL" {
		dialect, first = dialect.Starting(2), "$1"
	}
	cond, args := p.SQL(dialect)
	ids, err := d.query("SELECT id FROM rows WHERE id >= "+first+" AND ("+cond+") ORDER BY id", append([]any{0}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("%s: %s %v: %w", d.name, cond, args, err)
	}
	return ids, nil
}

func (d *database) sorted(s *where.Schema, o []where.Order) ([]int, error) {
	return d.query("SELECT id FROM rows ORDER BY " + d.dialect.OrderBy(s, o) + ", id")
}
