package where_test

import (
	"strings"
	"testing"

	"github.com/swampline/live/where"
)

func TestExplainNamesWhatStoppedTheRow(t *testing.T) {
	s := todos(t)
	milk := row{"done": "true", "list_id": "9", "title": `"milk"`, "owner_id": "9"}.values(t, s)
	for _, test := range []struct {
		where where.Where
		why   string
	}{
		{where.Eq("owner_id", 7), "owner_id = 7, and the row has 9"},
		{where.And(where.Eq("done", true), where.Eq("list_id", 7)), "list_id = 7, and the row has 9"},
		{where.In("list_id", 1, 2), "list_id in (1, 2), and the row has 9"},
		{where.In("list_id", 1, 2, 3, 4, 5, 6, 7), "list_id in (1, 2, 3, 4, 5, 2 more), and the row has 9"},
		{where.Not(where.In("list_id", 8, 9)), "list_id not in (8, 9), and the row has 9"},
		{where.Ne("list_id", 9), "list_id != 9, and the row has 9"},
		{where.IsNull("list_id", true), "list_id = null, and the row has 9"},
		{where.IsNull("price", false), "price != null, and the row has null"},
		{where.Gt("price", 1), "price > 1, and the row has null"},
		{where.Lte("list_id", 8), "list_id <= 8, and the row has 9"},
		{where.Contains("title", "x"), `title contains "x", and the row has "milk"`},
		{where.Not(where.StartsWith("title", "mi")), `not title startswith "mi", and the row has "milk"`},
		{where.Nothing(), "it matches no row"},
		{where.Or(where.And(where.Eq("list_id", 1), where.Eq("done", false)), where.Eq("title", "tea")),
			`none of 2 alternatives, the closest: title = "tea", and the row has "milk"`},
		{where.And(where.Eq("done", true), where.Or(where.Eq("list_id", 1), where.Eq("owner_id", 2))),
			"none of 2 alternatives, the closest: list_id = 1, and the row has 9"},
	} {
		p := bind(t, s, test.where)
		if ok, why := p.Explain(milk); ok || why != test.why {
			t.Errorf("%s\ngot  %v %s\nwant %s", p, ok, why, test.why)
		}
	}
	if ok, why := (&where.Predicate{}).Explain(milk); ok || why != "it matches no row" {
		t.Error(ok, why)
	}
	long := bind(t, s, where.Eq("title", strings.Repeat("long", 100)))
	if _, why := long.Explain(milk); len(why) > 200 {
		t.Errorf("%d bytes: %s", len(why), why)
	}
	for _, w := range []where.Where{{}, where.Eq("owner_id", 9), where.Or(where.Eq("done", false), where.Eq("list_id", 9))} {
		if ok, why := bind(t, s, w).Explain(milk); !ok || why != "" {
			t.Errorf("%s: %v %s", bind(t, s, w), ok, why)
		}
	}
}

// What Explain says and what Match does never differ.
func FuzzExplain(f *testing.F) {
	for _, filter := range []string{`{}`, `[]`, `{"done":true}`, `[{"list_id":1},{"not":{"title__contains":"i"},"list_id__in":[1,9]}]`, `{"not":[{"done":true},{"list_id":9}]}`} {
		f.Add(filter)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		s := todos(t)
		w, err := where.ParseJSON([]byte(filter), where.Limits{})
		if err != nil {
			return
		}
		p, err := s.BindClient(w)
		if err != nil {
			return
		}
		for _, r := range []row{{"done": "true", "list_id": "9", "title": `"milk"`}, {}} {
			values := r.values(t, s)
			if ok, why := p.Explain(values); ok != p.Match(values) || ok != (why == "") {
				t.Errorf("%s: %v %q, matches %v", p, ok, why, p.Match(values))
			}
		}
	})
}
