package where_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/where"
)

func TestSQL(t *testing.T) {
	s := todos(t)
	due := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	dueText := "2026-01-02T03:04:05.000678Z"
	tests := []struct {
		filter           string
		sqlite, postgres string
		args             []any // PostgreSQL's
	}{
		{`{}`, `1=1`, `1=1`, nil},
		{`[]`, `1=0`, `1=0`, nil},
		{`{"done":false}`, `"done" = ?`, `"done" = $1`, []any{false}},
		{`{"list_id":7}`, `"list_id" = ?`, `"list_id" = $1::bigint`, []any{int64(7)}},
		{`{"title":"a"}`, `"title" COLLATE BINARY = ?`, `"title" = $1`, []any{"a"}},
		{`{"title__ne":"a"}`, `("title" IS NULL OR "title" COLLATE BINARY <> ?)`, `("title" IS NULL OR "title" <> $1)`, []any{"a"}},
		{`{"title":null}`, `"title" IS NULL`, `"title" IS NULL`, nil},
		{`{"title__ne":null}`, `"title" IS NOT NULL`, `"title" IS NOT NULL`, nil},
		{`{"price__in":[1,2.5]}`, `"price" IN (?, ?)`, `"price" IN ($1, $2)`, []any{1.0, 2.5}},
		{`{"price__in":[1,null]}`, `("price" IS NULL OR "price" = ?)`, `("price" IS NULL OR "price" = $1)`, []any{1.0}},
		{`{"not":{"price__in":[1,2]}}`, `("price" IS NULL OR "price" NOT IN (?, ?))`, `("price" IS NULL OR "price" NOT IN ($1, $2))`, []any{1.0, 2.0}},
		{`{"not":{"price__in":[1,2,null]}}`, `"price" NOT IN (?, ?)`, `"price" NOT IN ($1, $2)`, []any{1.0, 2.0}},
		{`{"title__lt":"a"}`, `"title" COLLATE BINARY < ?`, `"title" COLLATE "C" < $1`, []any{"a"}},
		{`{"not":{"price__lt":1}}`, `("price" IS NULL OR "price" >= ?)`, `("price" IS NULL OR "price" >= $1)`, []any{1.0}},
		{`{"not":{"price__lte":1}}`, `("price" IS NULL OR "price" > ?)`, `("price" IS NULL OR "price" > $1)`, []any{1.0}},
		{`{"not":{"price__gt":1}}`, `("price" IS NULL OR "price" <= ?)`, `("price" IS NULL OR "price" <= $1)`, []any{1.0}},
		{`{"not":{"price__gte":1}}`, `("price" IS NULL OR "price" < ?)`, `("price" IS NULL OR "price" < $1)`, []any{1.0}},
		{`{"title__contains":"%"}`, `instr("title" COLLATE BINARY, ?) > 0`, `strpos("title" COLLATE "C", $1) > 0`, []any{"%"}},
		{`{"not":{"title__contains":"a"}}`, `("title" IS NULL OR NOT instr("title" COLLATE BINARY, ?) > 0)`,
			`("title" IS NULL OR NOT strpos("title" COLLATE "C", $1) > 0)`, []any{"a"}},
		{`{"title__icontains":"Äk.*[1"}`, `"title" COLLATE BINARY GLOB ?`, `"title" COLLATE "C" ~ $1`, []any{"[Ää][k\u212aK]\\.\\*\\[1"}},
		{`{"title__startswith":"ab"}`, `("title" COLLATE BINARY >= ? AND "title" COLLATE BINARY < ?)`, `starts_with("title" COLLATE "C", $1)`, []any{"ab"}},
		{`{"status":"open"}`, `"status" = ?`, `"status" = $1`, []any{int64(1)}},
		{`{"meta":"abc"}`, `"meta" = ?`, `"meta" = $1`, []any{"abc"}},
		{`{"meta__eq":{"a": 1}}`, `"meta" = ?`, `"meta" = $1`, []any{`{"a":1}`}},
		{`{"due":"` + dueText + `"}`, `"due" = ?`, `"due" = $1`, []any{due}},
		{`{"done":true,"not":{"not":[{"list_id":1},{"price":2}]}}`, `("list_id" = ? OR "price" = ?) AND "done" = ?`,
			`("list_id" = $1::bigint OR "price" = $2) AND "done" = $3`, []any{int64(1), 2.0, true}},
	}
	for _, tt := range tests {
		p := parse(t, s, tt.filter)
		cond, args := p.SQL(where.Postgres)
		if cond != tt.postgres || !reflect.DeepEqual(args, tt.args) {
			t.Errorf("%s on PostgreSQL\ngot  %s %v\nwant %s %v", tt.filter, cond, args, tt.postgres, tt.args)
		}
		cond, args = p.SQL(where.SQLite)
		if cond != tt.sqlite || strings.Count(cond, "?") != len(args) {
			t.Errorf("%s on SQLite\ngot  %s %v\nwant %s", tt.filter, cond, args, tt.sqlite)
		}
	}
	if _, args := parse(t, s, `{"due":"`+dueText+`"}`).SQL(where.SQLite); args[0] != dueText {
		t.Errorf("SQLite gets the time %v", args[0])
	}
	if _, args := parse(t, s, `{"title__icontains":"k*[]?"}`).SQL(where.SQLite); args[0] != "*[k\u212aK][*][[]][?]*" {
		t.Errorf("SQLite gets the pattern %v", args[0])
	}
}

// TestSQLKeepsArgs checks that the arguments of Arg follow their values through the algebra.
func TestSQLKeepsArgs(t *testing.T) {
	s := todos(t)
	for filter, want := range map[string]string{
		`{"status__in":["shut","open"]}`:                     "[1 2]",
		`{"status__in":["shut","open"],"status__ne":"open"}`: "[2]",
		`[{"status":"shut"},{"status":"open"}]`:              "[1 2]",
		`{"not":{"status":"shut"}}`:                          "[2]",
	} {
		if _, args := parse(t, s, filter).SQL(where.SQLite); fmt.Sprint(args) != want {
			t.Errorf("%s: got %v, want %s", filter, args, want)
		}
	}
}

func TestDialect(t *testing.T) {
	s := todos(t)
	d := where.Postgres.Starting(3).
		Columns(func(field string) string { return "t." + field }).
		Times(func(t time.Time) any { return t.Unix() })
	cond, args := parse(t, s, `{"due__gt":"1970-01-02","list_id__in":[1,2]}`).SQL(d)
	if want := `t.due > $3 AND t.list_id IN ($4::bigint, $5::bigint)`; cond != want {
		t.Errorf("got %s, want %s", cond, want)
	}
	if args[0] != int64(86400) {
		t.Errorf("got the time %v", args[0])
	}
	if cond, _ := parse(t, s, `{"list_id":1}`).SQL(where.Postgres); cond != `"list_id" = $1::bigint` {
		t.Errorf("a dialect was changed in place: %s", cond)
	}
	quoted, err := where.NewSchema(where.Field{Name: `a"b`, Type: where.Int})
	if err != nil {
		t.Fatal(err)
	}
	if cond, _ := bind(t, quoted, where.IsNull(`a"b`, true)).SQL(where.SQLite); cond != `"a""b" IS NULL` {
		t.Errorf("got %s", cond)
	}
}

func TestFormatTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))
	text := where.FormatTime(at)
	if text != "2026-01-02T02:04:05.000006Z" {
		t.Errorf("got %s", text)
	}
	if back, err := where.ParseTime(text); err != nil || !back.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("%s reads back as %v, %v", text, back, err)
	}
}
