package index

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/where"
)

// TestAgainstScan compares the index with the evaluation of every predicate, under random additions and removals. A
// failure prints its seed; LIVE_TEST_SEED runs that one alone.
func TestAgainstScan(t *testing.T) {
	first, only := seed.First(t)
	count := 40
	if testing.Short() {
		count = 8
	}
	if only {
		count = 1
	}
	for i := range uint64(count) {
		againstScan(t, first+i, 400)
		if t.Failed() {
			t.Fatalf("LIVE_TEST_SEED=%d", first+i)
		}
	}
}

// FuzzAgainstScan lets the fuzzer choose the random world, a filter of its own in it, and how long it lasts.
func FuzzAgainstScan(f *testing.F) {
	f.Add(uint64(1), uint16(50))
	f.Add(uint64(2), uint16(300))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) { againstScan(t, seed, int(steps%1000)) })
}

// FuzzFilter indexes two filters as clients write them.
func FuzzFilter(f *testing.F) {
	s := testSchema(f)
	f.Add(`{"list__in": [1, 2], "not": {"price__lt": 3}}`, `[{"title__startswith": "a"}, {"done": true, "due__gt": "2026-01-01"}]`, uint64(1))
	f.Fuzz(func(t *testing.T, one, two string, seed uint64) {
		x := New[*where.Predicate](s)
		var hs []*Entry[*where.Predicate]
		for _, filter := range []string{one, two} {
			w, err := where.ParseJSON([]byte(filter), where.Limits{})
			if err != nil {
				return
			}
			p, err := s.Bind(w)
			if err != nil {
				return
			}
			hs = append(hs, x.Add(p, p))
		}
		check(t, x)
		w := newWorld(t, s, seed)
		for range 50 {
			was, now := w.row(), w.row()
			got := matches(t, x, was, now)
			for _, h := range hs {
				p := h.predicate
				if want := (hit{was != nil && p.Match(was), now != nil && p.Match(now)}); got[p] != want {
					t.Errorf("%v on %v and %v: got %v, want %v", p, was, now, got[p], want)
				}
			}
		}
		for _, h := range hs {
			x.Remove(h)
		}
		checkEmpty(t, x)
	})
}

func againstScan(t *testing.T, seed uint64, steps int) {
	w := newWorld(t, nil, seed)
	x := New[int](w.schema)
	type known struct {
		h *Entry[int]
		p *where.Predicate
	}
	all := map[int]known{}
	var ids []int
	remove := func(i int) {
		x.Remove(all[ids[i]].h)
		delete(all, ids[i])
		ids[i] = ids[len(ids)-1]
		ids = ids[:len(ids)-1]
	}
	growing := true
	for step := range steps {
		if w.IntN(60) == 0 {
			growing = !growing
		}
		switch {
		case len(ids) > 0 && w.IntN(10) < 3 == growing:
			remove(w.IntN(len(ids)))
		default:
			p := bind(t, w.schema, w.where(0))
			all[step] = known{x.Add(p, step), p}
			ids = append(ids, step)
		}
		if step%20 == 0 {
			check(t, x)
		}
		was, now := w.row(), w.row()
		got := matches(t, x, was, now)
		for id, k := range all {
			want := hit{was != nil && k.p.Match(was), now != nil && k.p.Match(now)}
			if got[id] != want {
				t.Errorf("%v on %v and %v: got %v, want %v", k.p, was, now, got[id], want)
			}
			delete(got, id)
		}
		if len(got) > 0 || x.Len() != len(all) {
			t.Errorf("yielded though removed: %v; Len %d, want %d", got, x.Len(), len(all))
		}
		if t.Failed() {
			return
		}
	}
	for len(ids) > 0 {
		remove(w.IntN(len(ids)))
	}
	checkEmpty(t, x)
}

// world is a random schema and what is random in it. Its fields have few values, so that predicates share places and
// rows match; skew is how few.
type world struct {
	*rand.Rand
	t      testing.TB
	schema *where.Schema
	fields []where.Field
	skew   int
	last   where.Row
}

func newWorld(t testing.TB, s *where.Schema, seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 0)), t: t}
	w.skew = []int{1, 3, 10, 100}[w.IntN(4)]
	if s == nil {
		var fields []where.Field
		for i := range 1 + w.IntN(6) {
			fields = append(fields, where.Field{Name: "f" + strconv.Itoa(i), Type: where.Bool + where.Type(w.IntN(6)), Nullable: w.IntN(2) == 0})
		}
		var err error
		if s, err = where.NewSchema(fields...); err != nil {
			t.Fatal(err)
		}
	}
	w.schema, w.fields = s, s.Fields()
	return w
}

// row returns nil, a new row, one with an end missing, or the last one with a field changed.
func (w *world) row() where.Row {
	switch n := w.IntN(10); {
	case n == 0:
		return nil
	case n < 5 && len(w.last) > 0:
		r := append(where.Row{}, w.last...)
		i := w.IntN(len(r))
		r[i] = w.rowValue(i)
		w.last = r
		return r
	}
	r := make(where.Row, len(w.fields))
	for i := range r {
		r[i] = w.rowValue(i)
	}
	if w.IntN(10) == 0 {
		r = r[:w.IntN(len(r)+1)]
	}
	w.last = r
	return r
}

func (w *world) rowValue(field int) where.Value {
	if w.fields[field].Nullable && w.IntN(6) == 0 {
		return where.Value{}
	}
	v, err := w.schema.ValueGo(field, w.value(field))
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

var texts = []string{"", "a", "ab", "abc", "b", "ß", "퟿", "\uE000", "a\U0010FFFF", "a\U0010FFFFz", "aB", "Ab"}

func (w *world) value(field int) any {
	switch w.fields[field].Type {
	case where.Bool:
		return w.IntN(2) == 0
	case where.Int:
		return w.IntN(w.skew*2+1) - w.skew
	case where.Float:
		return float64(w.IntN(w.skew*2+1)-w.skew) / 2
	case where.Text:
		return texts[w.IntN(min(len(texts), w.skew+2))]
	case where.Time:
		return time.UnixMicro(int64(w.IntN(w.skew + 1)))
	}
	return []any{map[string]any{"a": w.IntN(w.skew)}, []any{1, "x"}, "text", 5, true}[w.IntN(5)]
}

// where returns a random predicate; deeper ones are simpler.
func (w *world) where(depth int) where.Where {
	if n := w.IntN(10); n < 5-depth {
		var kids []where.Where
		for range w.IntN(4) {
			kids = append(kids, w.where(depth+1))
		}
		if n < 3 {
			return where.And(kids...)
		}
		return where.Or(kids...)
	}
	if w.IntN(8) == 0 {
		return where.Not(w.where(depth + 1))
	}
	return w.condition()
}

func (w *world) condition() where.Where {
	i := w.IntN(len(w.fields))
	f := w.fields[i]
	type compare = func(string, any) where.Where
	switch n := w.IntN(10); {
	case n < 3:
		return where.Eq(f.Name, w.value(i))
	case n == 3:
		var vs []any
		for range w.IntN(5) {
			vs = append(vs, w.value(i))
		}
		return where.In(f.Name, vs...)
	case n == 4:
		return where.Ne(f.Name, w.value(i))
	case n == 5:
		return where.IsNull(f.Name, w.IntN(2) == 0)
	case f.Type == where.Bool || f.Type == where.Opaque:
		return where.Eq(f.Name, w.value(i))
	case f.Type == where.Text && n < 8:
		return []compare{where.Contains, where.IContains, where.StartsWith, where.StartsWith}[w.IntN(4)](f.Name, w.value(i))
	case n == 9:
		return where.And(where.Gte(f.Name, w.value(i)), where.Lt(f.Name, w.value(i)))
	}
	return []compare{where.Lt, where.Lte, where.Gt, where.Gte}[w.IntN(4)](f.Name, w.value(i))
}
