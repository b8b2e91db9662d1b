package where_test

import (
	"fmt"
	"net/url"

	"github.com/swampline/live/where"
)

var exampleSchema, _ = where.NewSchema(
	where.Field{Name: "list_id", Type: where.Int, Filter: true},
	where.Field{Name: "title", Type: where.Text, Filter: true},
	where.Field{Name: "done", Type: where.Bool, Filter: true},
	where.Field{Name: "owner_id", Type: where.Int, Hidden: true},
)

func ExampleEq() {
	scope, err := exampleSchema.Bind(where.Eq("owner_id", 7))
	if err != nil {
		panic(err)
	}
	mine, _ := exampleSchema.ValueGo(3, 7)
	theirs, _ := exampleSchema.ValueGo(3, 8)
	fmt.Println(scope.Match(where.Row{3: mine}), scope.Match(where.Row{3: theirs}))
	// Output: true false
}

// A client's filter can only narrow what the scope lets through.
func ExampleParseJSON() {
	w, err := where.ParseJSON([]byte(`{"done": false, "title": {"contains": "milk"}, "not": {"list_id__in": [1, 2]}}`), where.Limits{})
	if err != nil {
		panic(err)
	}
	filter, err := exampleSchema.BindClient(w)
	if err != nil {
		panic(err)
	}
	scope, _ := exampleSchema.Bind(where.Eq("owner_id", 7))
	cond, args := scope.And(filter).SQL(where.SQLite)
	fmt.Println(cond)
	fmt.Println(args...)
	// Output:
	// "done" = ? AND ("list_id" IS NULL OR "list_id" NOT IN (?, ?)) AND "owner_id" = ? AND instr("title" COLLATE BINARY, ?) > 0
	// false 1 2 7 milk
}

func ExampleParseQuery() {
	q, _ := url.ParseQuery("done=false&list_id__in=3,1,2")
	w, err := where.ParseQuery(q, where.Limits{})
	if err != nil {
		panic(err)
	}
	filter, err := exampleSchema.BindClient(w)
	if err != nil {
		panic(err)
	}
	fmt.Println(filter)
	// Output: {"done":false,"list_id__in":[1,2,3]}
}

func ExamplePredicate_SQL() {
	p, _ := exampleSchema.Bind(where.Or(where.StartsWith("title", "a"), where.Not(where.Eq("list_id", 1))))
	cond, args := p.SQL(where.Postgres.Starting(2).Columns(func(field string) string { return "t." + field }))
	fmt.Println("SELECT * FROM todos t WHERE t.tenant = $1 AND ("+cond+") ORDER BY",
		where.Postgres.OrderBy(exampleSchema, []where.Order{{Field: "title", Desc: true}}))
	fmt.Println(args...)
	// Output:
	// SELECT * FROM todos t WHERE t.tenant = $1 AND ((t.list_id IS NULL OR t.list_id <> $2::bigint) OR starts_with(t.title COLLATE "C", $3)) ORDER BY "title" COLLATE "C" DESC
	// 1 a
}

func ExampleError() {
	w, _ := where.ParseJSON([]byte(`{"list_id": "abc"}`), where.Limits{})
	_, err := exampleSchema.BindClient(w)
	fmt.Println(err.(*where.Error).Code)
	fmt.Println(err)
	// Output:
	// invalid_value
	// field "list_id": want an integer, got the string "abc"
}
