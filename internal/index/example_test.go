package index_test

import (
	"fmt"

	"github.com/swampline/live/internal/index"
	"github.com/swampline/live/where"
)

// A to-do moves from list 1 to list 2. Whoever watches the first sees it leave, whoever watches the second sees it
// enter; nobody who watches another list costs anything.
func Example() {
	schema, err := where.NewSchema(where.Field{Name: "list_id", Type: where.Int}, where.Field{Name: "done", Type: where.Bool})
	if err != nil {
		panic(err)
	}
	x := index.New[string](schema)
	for id := range 1000 {
		p, err := schema.Bind(where.And(where.Eq("list_id", id), where.Eq("done", false)))
		if err != nil {
			panic(err)
		}
		x.Add(p, fmt.Sprintf("list %d", id))
	}

	row := func(listID int, done bool) where.Row {
		r := make(where.Row, 2)
		r[0], _ = schema.ValueGo(0, listID)
		r[1], _ = schema.ValueGo(1, done)
		return r
	}
	x.Match(row(1, false), row(2, false), func(list string, was, now bool) {
		fmt.Println(list, was, now)
	})
	// Unordered output:
	// list 1 true false
	// list 2 false true
}
