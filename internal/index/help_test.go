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
		s := f.at(v)
		n += s.len()
		if !v.IsNull() {
			n += stabbed(&f.numbers.ranges, v.Number()) + stabbed(&f.texts.ranges, v.Text())
		}
	}
	return n
}

func stabbed[K key, E any](t *tree[K, E], v K) int {
	count := 0
	walk(t.root, func(low, high K, s *slot[E]) {
		if low <= v && (v < high || high == t.end) {
			count += s.len()
		}
	})
	return count
}

func walk[K key, E any](n *node[K, E], visit func(low, high K, s *slot[E])) {
	for i := 0; n != nil && i < n.n; i++ {
		if n.kids != nil {
			walk(n.kids.node[i], visit)
		} else {
			visit(n.low[i], n.high[i], &n.slots[i])
		}
	}
}

// check insists that everything the index knows twice agrees.
func check[E any](t testing.TB, x *Index[E]) {
	t.Helper()
	places := map[*Entry[E]]int{}
	inSlot := func(s *slot[E], is func(*place) bool) {
		ms := []member[E]{s.one}
		if s.more != nil {
			ms = s.more.members
		}
		for i, m := range ms {
			if m.entry == nil {
				continue
			}
			places[m.entry]++
			if pl := m.entry.place(m.place); !is(pl) || int(pl.at) != i {
				t.Fatalf("%v does not know that it stands at %d", m.entry.predicate, i)
			}
		}
	}
	inSlot(&x.everything, func(pl *place) bool { return pl.node == nil && pl.value == listEverything })
	inSlot(&x.residual, func(pl *place) bool { return pl.node == nil && pl.value == listResidual })
	for i := range x.fields {
		f := &x.fields[i]
		inSlot(&f.null, func(pl *place) bool { return pl.node.Field == i && pl.key().IsNull() })
		for v, s := range f.numbers.equal {
			inSlot(&s, func(pl *place) bool { return pl.node.Field == i && !pl.key().IsNull() && pl.key().Number() == v })
		}
		for v, s := range f.texts.equal {
			inSlot(&s, func(pl *place) bool { return pl.node.Field == i && !pl.key().IsNull() && pl.key().Text() == v })
		}
		ranged := func(pl *place) *interval {
			r, ok := x.rangeOf(i, pl.node)
			if !ok || pl.value != int32(intervals-i) {
				t.Fatalf("field %d: a place says it is elsewhere", i)
			}
			return &r.interval
		}
		walk(f.numbers.ranges.root, func(low, high uint64, s *slot[E]) {
			inSlot(s, func(pl *place) bool { return ranged(pl).numbers() == reach[uint64]{low, high} })
		})
		walk(f.texts.ranges.root, func(low, high string, s *slot[E]) {
			inSlot(s, func(pl *place) bool { return ranged(pl).texts() == reach[string]{low, high} })
		})
		checkTree(t, &f.numbers.ranges)
		checkTree(t, &f.texts.ranges)
		for _, s := range f.numbers.equal {
			if s.len() == 0 {
				t.Fatalf("field %d: an empty slot", i)
			}
		}
	}
	if len(places) > x.Len() {
		t.Fatalf("%d entries stand somewhere, Len is %d", len(places), x.Len())
	}
	for h, n := range places {
		if n != h.places() {
			t.Fatalf("%v stands in %d places and knows %d", h.predicate, n, h.places())
		}
	}
}

func checkTree[K key, E any](t testing.TB, tr *tree[K, E]) {
	t.Helper()
	var last *reach[K]
	walk(tr.root, func(low, high K, s *slot[E]) {
		if s.len() == 0 || low >= high && high != tr.end {
			t.Fatal("an empty interval")
		}
		if last != nil && (last.low > low || last.low == low && last.high >= high) {
			t.Fatal("the intervals are out of order")
		}
		last = &reach[K]{low, high}
	})
	if tr.root != nil {
		checkNode(t, tr.root)
	}
}

// checkNode returns how far all leaves are away.
func checkNode[K key, E any](t testing.TB, n *node[K, E]) (depth int) {
	t.Helper()
	var none K
	for i := range fanout {
		if i >= n.n && (n.low[i] != none || n.high[i] != none || n.slots != nil && n.slots[i] != (slot[E]{}) || n.kids != nil && n.kids.node[i] != nil) {
			t.Fatal("a node holds what it gave away")
		}
	}
	if n.n == 0 || (n.kids == nil) == (n.slots == nil) {
		t.Fatal("an empty node")
	}
	if n.kids == nil {
		return 1
	}
	for i := range n.n {
		if d := checkNode(t, n.kids.node[i]); depth != 0 && d != depth {
			t.Fatal("the tree leans")
		} else {
			depth = d
		}
	}
	is := &node[K, E]{kids: new(kids[K, E])}
	for i := range n.n {
		is.put(i, n.kids.node[i])
	}
	if is.low != n.low || is.high != n.high || *is.kids != *n.kids {
		t.Fatal("a node does not know what is beneath it")
	}
	return depth + 1
}

// checkEmpty insists that nothing is left of the entries.
func checkEmpty[E any](t testing.TB, x *Index[E]) {
	t.Helper()
	if x.Len() != 0 || x.everything != (slot[E]{}) || x.residual != (slot[E]{}) {
		t.Errorf("the index is not empty: %d entries", x.Len())
	}
	for i := range x.fields {
		if !x.fields[i].empty() {
			t.Errorf("something is left in field %d", i)
		}
	}
}
