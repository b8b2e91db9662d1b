package index

import (
	"fmt"
	"testing"

	"github.com/swampline/live/where"
)

// TestTerms puts one predicate of each kind into the index and says where it stands: the number of entries that rows
// which match and rows which do not are led to.
func TestTerms(t *testing.T) {
	s := testSchema(t)
	r := func(pairs ...any) where.Row { return row(t, s, pairs...) }
	tests := []struct {
		filter      string
		yes, no     where.Row
		vainVisits  int // by the row no
		exact, many bool
	}{
		{filter: `{"list": 7}`, yes: r("list", 7), no: r("list", 8), exact: true},
		{filter: `{"list": null}`, yes: r("id", 1), no: r("list", 0), exact: true},
		{filter: `{"list__isnull": true}`, yes: r(), no: r("list", 0), exact: true},
		{filter: `{"list__in": [1, 2, null]}`, yes: r(), no: r("list", 3), exact: true, many: true},
		{filter: `{"title": "a"}`, yes: r("title", "a"), no: r("title", "b"), exact: true},
		{filter: `{"tags__in": [["a"]]}`, yes: r("tags", []string{"a"}), no: r("tags", "a"), exact: true},
		{filter: `{"list__lt": 7}`, yes: r("list", 6), no: r("list", 7), exact: true},
		{filter: `{"list__lt": 7}`, yes: r("list", -6), no: r(), exact: true},
		{filter: `{"list__lte": 7}`, yes: r("list", 7), no: r("list", 8), exact: true},
		{filter: `{"list__gt": 7}`, yes: r("list", 8), no: r("list", 7), exact: true},
		{filter: `{"list__gte": 7}`, yes: r("list", 7), no: r("list", 6), exact: true},
		{filter: `{"price__gt": 1, "price__lte": 2}`, yes: r("price", 2.0), no: r("price", 1.0), exact: true},
		{filter: `{"due__gte": "2026-01-01", "due__lt": "2026-02-01"}`, yes: r("due", "2026-01-31"), no: r("due", "2026-02-01"), exact: true},
		{filter: `{"not": {"list__lt": 7}}`, yes: r(), no: r("list", 6), exact: true, many: true},
		{filter: `{"not": {"list__gte": 7}}`, yes: r("list", 6), no: r("list", 7), exact: true, many: true},
		{filter: `{"title__startswith": "ab"}`, yes: r("title", "abc"), no: r("title", "ac")},
		{filter: `{"title__startswith": ""}`, yes: r("title", ""), no: r()},
		{filter: `{"title__startswith": "a􏿿"}`, yes: r("title", "a\U0010FFFFb"), no: r("title", "b")},
		{filter: `{"title__startswith": "퟿"}`, yes: r("title", "퟿x"), no: r("title", "\uE000")},
		{filter: `[{"list": 7}, {"price__gt": 3}]`, yes: r("list", 7, "price", 4), no: r("list", 8, "price", 3), exact: true, many: true},
		{filter: `[{"list": 7, "done": true}, {"list": 7, "title__contains": "x"}]`, yes: r("list", 7, "title", "x"), no: r("list", 8), many: true},
		{filter: `{"list": 7, "title__contains": "x"}`, yes: r("list", 7, "title", "x"), no: r("list", 8, "title", "x")},
		{filter: `{"not": {"title__contains": "x"}, "price__lt": 1}`, yes: r("price", 0), no: r("price", 1)},
		{filter: `{"title__contains": "x", "not": [{"list__ne": 1, "team__ne": 2}]}`, yes: r("team", 2, "title", "x"), no: r("team", 1), many: true},
		// Conditions that lead nowhere: every row visits.
		{filter: `{"list__ne": 7}`, yes: r(), no: r("list", 7), vainVisits: 1},
		{filter: `{"title__contains": "x"}`, yes: r("title", "x"), no: r(), vainVisits: 1},
		{filter: `{"title__icontains": "x"}`, yes: r("title", "X"), no: r("title", "y"), vainVisits: 1},
		{filter: `{"not": {"title__startswith": "x"}}`, yes: r(), no: r("title", "xy"), vainVisits: 1},
		{filter: `[{"list": 7}, {"title__contains": "x"}]`, yes: r("list", 7), no: r("list", 8), vainVisits: 1},
		// Nothing, which no rule of the normal form finds.
		{filter: `{"list__gt": 7, "list__lt": 7}`, no: r("list", 7), exact: true},
		{filter: `[]`, no: r(), exact: true},
	}
	for _, test := range tests {
		t.Run(test.filter, func(t *testing.T) {
			x := New[string](s)
			h := x.Add(bindJSON(t, s, test.filter), "e")
			check(t, x)
			if h.exact != test.exact || h.places() > 1 != test.many {
				t.Errorf("exact %v, %d places", h.exact, h.places())
			}
			if got := visits(x, test.no); got != test.vainVisits {
				t.Errorf("a row that does not match visits %d entries, want %d", got, test.vainVisits)
			}
			expect := func(was, now where.Row, want hit) {
				t.Helper()
				if got := matches(t, x, was, now)["e"]; got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			}
			expect(nil, test.no, hit{})
			expect(test.no, nil, hit{})
			expect(test.no, test.no, hit{})
			expect(nil, nil, hit{})
			if test.yes != nil {
				expect(nil, test.yes, hit{false, true})
				expect(test.yes, nil, hit{true, false})
				expect(test.yes, test.yes, hit{true, true})
				expect(test.yes, test.no, hit{true, false})
				expect(test.no, test.yes, hit{false, true})
			}
			x.Remove(h)
			x.Remove(h)
			checkEmpty(t, x)
		})
	}
}

func TestEverything(t *testing.T) {
	s := testSchema(t)
	x := New[int](s)
	h := x.Add(bindJSON(t, s, `{}`), 1)
	if got := matches(t, x, nil, where.Row{})[1]; got != (hit{false, true}) {
		t.Errorf("an empty row: %v", got)
	}
	if got := matches(t, x, row(t, s), row(t, s))[1]; got != (hit{true, true}) {
		t.Errorf("an update: %v", got)
	}
	if got := matches(t, x, nil, nil); len(got) != 0 {
		t.Errorf("no row: %v", got)
	}
	x.Remove(h)
	checkEmpty(t, x)
}

// TestOnce moves a row between two places of the same predicates.
func TestOnce(t *testing.T) {
	s := testSchema(t)
	x := New[string](s)
	for _, filter := range []string{
		`{"list__in": [1, 2]}`,
		`[{"list": 1}, {"list": 2, "done": true}, {"team": 5}]`,
		`{"list__gte": 1, "list__lte": 2}`,
		`[{"list__lte": 1}, {"list__gte": 2}]`,
	} {
		x.Add(bindJSON(t, s, filter), filter)
	}
	got := matches(t, x, row(t, s, "list", 1, "done", true, "team", 5), row(t, s, "list", 2, "done", true, "team", 5))
	if len(got) != 4 {
		t.Errorf("%d of 4 match", len(got))
	}
	for filter, h := range got {
		if h != (hit{true, true}) {
			t.Errorf("%s: %v", filter, h)
		}
	}
}

// TestHugeSlot fills one place and empties it from the middle.
func TestHugeSlot(t *testing.T) {
	const n = 10_000
	s := testSchema(t)
	x := New[int](s)
	var hs []*Entry[int]
	for i := range n {
		hs = append(hs, x.Add(bind(t, s, where.And(where.Eq("list", 1), where.Ne("id", i))), i))
	}
	check(t, x)
	if got := len(matches(t, x, nil, row(t, s, "list", 1, "id", 3))); got != n-1 {
		t.Errorf("%d match", got)
	}
	for i := range n {
		x.Remove(hs[(i*7919+n/2)%n])
		if i%1000 == 0 {
			check(t, x)
		}
	}
	checkEmpty(t, x)
}

// TestArrivals puts predicates into the index in orders that mislead it, and counts the entries that a row visits which
// matches few of them.
func TestArrivals(t *testing.T) {
	const n = 20_000
	s := testSchema(t)
	eq := where.Eq
	window := func(field string, low, high int) where.Where {
		return where.And(where.Gte(field, low), where.Lt(field, high))
	}
	tests := []struct {
		name string
		add  func(i int) where.Where
		row  where.Row
		most int
	}{
		{"one tenant", func(i int) where.Where { return where.And(eq("team", 1), eq("list", i)) },
			row(t, s, "team", 1, "list", 500), 1 + crowded},
		{"one tenant, crowded lists first", func(i int) where.Where {
			if i < n/2 {
				return where.And(eq("list", i%100), where.Contains("title", fmt.Sprint(i)))
			}
			return where.And(eq("team", 1), eq("list", 1000+i%100), where.Contains("title", fmt.Sprint(i)))
		}, row(t, s, "team", 1, "list", -1), n / 100},
		{"one tenant, alone in the end", func(i int) where.Where {
			if i < n/2 { // the lists are crowded, so these prefer the team
				return where.And(eq("list", i%2), eq("team", i/200))
			}
			return where.And(eq("team", 1), where.Contains("title", fmt.Sprint(i)))
		}, row(t, s, "team", 2, "list", -1), 5 * 200},
		{"one tenant, windows", func(i int) where.Where {
			return where.And(eq("team", 1), window("price", 10*i, 10*i+10))
		}, row(t, s, "team", 1, "price", 505), 1 + 2*crowded},
		{"many tenants, windows", func(i int) where.Where {
			return where.And(eq("team", i%100), window("price", 10*i, 10*i+10))
		}, row(t, s, "team", 5, "price", 10055), 1},
		{"one tenant, windows that overlap", func(i int) where.Where {
			return where.And(eq("team", 1), window("id", i, i+1000))
		}, row(t, s, "team", 1, "id", n/2), 6000},
		{"many tenants, one window", func(i int) where.Where {
			return where.And(eq("team", i), window("price", 0, 10))
		}, row(t, s, "team", 5, "price", 5), 2 + crowded},
		{"many tenants, half-open windows", func(i int) where.Where {
			return where.And(eq("team", i%100), where.Gt("price", i))
		}, row(t, s, "team", 5, "price", n), n / 100},
		{"a scope with an OR", func(i int) where.Where {
			return where.And(where.Or(eq("team", 1), eq("done", true)), eq("list", i))
		}, row(t, s, "team", 1, "done", true, "list", 500), 1 + 2*crowded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			x := New[int](s)
			var hs []*Entry[int]
			for i := range n {
				hs = append(hs, x.Add(bind(t, s, test.add(i)), i))
			}
			check(t, x)
			got := visits(x, test.row)
			t.Logf("%d of %d visited", got, n)
			if got > test.most {
				t.Errorf("%d of %d visited, want at most %d", got, n, test.most)
			}
			for _, h := range hs {
				x.Remove(h)
			}
			checkEmpty(t, x)
		})
	}
}

// TestReconsider crowds a place that was empty when entries with an alternative chose it.
func TestReconsider(t *testing.T) {
	const n = 10_000
	s := testSchema(t)
	x := New[int](s)
	var fillers []*Entry[int]
	for i := range n { // the lists 0 to 9 are crowded
		fillers = append(fillers, x.Add(bind(t, s, where.And(where.Eq("list", i%10), where.Ne("id", i))), i))
	}
	for i := range n / 10 { // so these go under the team
		x.Add(bind(t, s, where.And(where.Eq("team", 1), where.Eq("list", i%10), where.Contains("title", fmt.Sprint(i)))), i)
	}
	before := visits(x, row(t, s, "team", 1, "list", -1))
	for _, h := range fillers {
		x.Remove(h)
	}
	for i := range n / 10 { // and move, now that the lists are empty and the team is filled
		x.Add(bind(t, s, where.And(where.Eq("team", 1), where.Ne("id", i))), i)
	}
	check(t, x)
	after := visits(x, row(t, s, "team", 1, "list", -1)) - n/10
	if before < 100 || after > before/4 {
		t.Errorf("%d entries stood under the team, %d stand there still", before, after)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	s := testSchema(t)
	x := New[int](s)
	for i, filter := range []string{
		`{}`, `{"list": 1}`, `{"list__in": [1, 2]}`, `{"price__gt": 1}`, `{"price__gt": 1, "price__lt": 9}`,
		`{"title__contains": "a"}`, `[{"list": 1}, {"price__gt": 1}]`, `{"title__startswith": "a"}`,
	} {
		x.Add(bindJSON(t, s, filter), i)
	}
	was, now := row(t, s, "list", 1, "price", 3, "title", "ab"), row(t, s, "list", 2, "price", 4, "title", "abc")
	found := 0
	yield := func(int, bool, bool) { found++ }
	if n := testing.AllocsPerRun(100, func() { x.Match(was, now, yield) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if found != 8*101 {
		t.Errorf("%d found", found)
	}
}
