package index

import (
	"testing"

	"github.com/swampline/live/where"
)

// testSchema has a field of every type; all but the first may be null.
func testSchema(t testing.TB) *where.Schema {
	t.Helper()
	s, err := where.NewSchema(
		where.Field{Name: "id", Type: where.Int, Filter: true},
		where.Field{Name: "team", Type: where.Int, Nullable: true, Filter: true},
		where.Field{Name: "list", Type: where.Int, Nullable: true, Filter: true},
		where.Field{Name: "done", Type: where.Bool, Nullable: true, Filter: true},
		where.Field{Name: "price", Type: where.Float, Nullable: true, Filter: true},
		where.Field{Name: "title", Type: where.Text, Nullable: true, Filter: true},
		where.Field{Name: "due", Type: where.Time, Nullable: true, Filter: true},
		where.Field{Name: "tags", Type: where.Opaque, Nullable: true, Filter: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bind(t testing.TB, s *where.Schema, w where.Where) *where.Predicate {
	t.Helper()
	p, err := s.Bind(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bindJSON(t testing.TB, s *where.Schema, filter string) *where.Predicate {
	t.Helper()
	w, err := where.ParseJSON([]byte(filter), where.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return bind(t, s, w)
}

// row makes a row of pairs of a name and a value; other fields are null.
func row(t testing.TB, s *where.Schema, pairs ...any) where.Row {
	t.Helper()
	r := make(where.Row, len(s.Fields()))
	for i := 0; i < len(pairs); i += 2 {
		field, ok := s.Index(pairs[i].(string))
		if !ok {
			t.Fatalf("no field %v", pairs[i])
		}
		v, err := s.ValueGo(field, pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		r[field] = v
	}
	return r
}

// hit is what Match says about an element.
type hit struct{ was, now bool }

// matches collects what Match yields and insists that it yields each element once.
func matches[E comparable](t testing.TB, x *Index[E], was, now where.Row) map[E]hit {
	t.Helper()
	got := map[E]hit{}
	x.Match(was, now, func(e E, w, n bool) {
		if _, twice := got[e]; twice {
			t.Errorf("%v is yielded twice", e)
		}
		if !w && !n {
			t.Errorf("%v is yielded without a match", e)
		}
		got[e] = hit{w, n}
	})
	return got
}

// visits counts the entries that a row leads to.
func visits[E any](x *Index[E], r where.Row) int {
	n := x.everything.len() + x.residual.len()
	for i := range x.fields {
		f, v := &x.fields[i], at(r, i)
		s := f.equal[v]
		n += s.len()
		walk(f.ranges.root, func(s *span[E]) {
			if s.contains(v) {
				n += s.slot.len()
			}
		})
	}
	return n
}

func walk[E any](n *span[E], visit func(*span[E])) {
	if n != nil {
		walk(n.left, visit)
		visit(n)
		walk(n.right, visit)
	}
}

// check insists that everything the index knows twice agrees.
func check[E any](t testing.TB, x *Index[E]) {
	t.Helper()
	places := map[*Entry[E]]int{}
	inSlot := func(s *slot[E], is func(*place[E]) bool) {
		ms := []member[E]{s.one}
		if s.more != nil {
			ms = s.more.members
		}
		for i, m := range ms {
			if m.entry == nil {
				continue
			}
			places[m.entry]++
			if pl := &m.entry.places[m.place]; !is(pl) || int(pl.at) != i {
				t.Fatalf("%v does not know that it stands at %d", m.entry.predicate, i)
			}
		}
	}
	inSlot(&x.everything, func(pl *place[E]) bool { return pl.node == nil && pl.value == listEverything })
	inSlot(&x.residual, func(pl *place[E]) bool { return pl.node == nil && pl.value == listResidual })
	for i := range x.fields {
		f := &x.fields[i]
		for v, s := range f.equal {
			if s.len() == 0 {
				t.Fatalf("field %d: the slot of %v is empty", i, v)
			}
			inSlot(&s, func(pl *place[E]) bool { return pl.span == nil && pl.node.Field == i && pl.key() == v })
		}
		var last *span[E]
		walk(f.ranges.root, func(s *span[E]) {
			if last != nil && last.compare(&s.interval) >= 0 {
				t.Fatalf("field %d: the intervals are out of order", i)
			}
			last = s
			checkSpan(t, s)
			inSlot(&s.slot, func(pl *place[E]) bool { return pl.span == s && pl.node.Field == i })
		})
	}
	if len(places) > x.Len() {
		t.Fatalf("%d entries stand somewhere, Len is %d", len(places), x.Len())
	}
	for h, n := range places {
		if n != len(h.places) {
			t.Fatalf("%v stands in %d places and knows %d", h.predicate, n, len(h.places))
		}
	}
}

func checkSpan[E any](t testing.TB, s *span[E]) {
	t.Helper()
	if s.slot.len() == 0 || s.empty() {
		t.Fatal("an empty span")
	}
	if d := s.left.tall() - s.right.tall(); d < -1 || d > 1 {
		t.Fatalf("the tree leans by %d", d)
	}
	is := *s
	if s.update(); is.height != s.height || is.weight != s.weight || is.least.high != s.least.high ||
		is.least.highOpen != s.least.highOpen || is.reach != s.reach || is.reachOpen != s.reachOpen {
		t.Fatal("a span does not know its subtree")
	}
}

// checkEmpty insists that nothing is left of the entries.
func checkEmpty[E any](t testing.TB, x *Index[E]) {
	t.Helper()
	if x.Len() != 0 || x.everything != (slot[E]{}) || x.residual != (slot[E]{}) {
		t.Errorf("the index is not empty: %d entries", x.Len())
	}
	for i := range x.fields {
		if x.fields[i].equal != nil || x.fields[i].ranges.root != nil {
			t.Errorf("something is left in field %d", i)
		}
	}
}
