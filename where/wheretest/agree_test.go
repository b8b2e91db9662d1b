package wheretest

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/where"
	"pgregory.net/rapid"
)

// predicatesPerCheck is how many filters are asked of one set of rows.
const predicatesPerCheck = 50

// TestAgree is the promise of package where: the matcher, SQLite and PostgreSQL find the same rows, in the same order.
func TestAgree(t *testing.T) {
	databases := []*database{openSQLite(t), openPostgres(t)}
	for _, d := range databases {
		d.create(t)
	}
	s := newSchema(t)
	begin(t)
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{T: t, schema: s}
		for range 8 + g.pick(9) {
			g.rows = append(g.rows, g.record())
		}
		for _, d := range databases {
			if err := d.fill(g.rows); err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
		}
		for range predicatesPerCheck {
			p := g.predicate()
			want := g.matching(p)
			for _, d := range databases {
				got, err := d.find(p)
				if err != nil {
					t.Fatalf("%s: %v", p, err)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%s: %s finds %v, the matcher %v%s", p, d.name, got, want, g.table())
				}
			}
		}
		for range 4 {
			checkOrder(g, databases)
		}
	})
}

// begin gives rapid the seed of the test's rounds, unless -rapid.seed does.
func begin(t *testing.T) {
	t.Helper()
	if f := flag.Lookup("rapid.seed"); f.Value.String() == f.DefValue {
		first, _ := seed.First(t)
		if err := f.Value.Set(strconv.FormatUint(first, 10)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
	}
}

// predicate draws a filter, and checks that Go and JSON say the same.
func (g *generator) predicate() *where.Predicate {
	f := g.filter(3)
	p, err := g.schema.Bind(f.where)
	if err != nil {
		g.Fatalf("%s: %v", f.json, err)
	}
	parsed := g.parse(f.json)
	if parsed.String() != p.String() {
		g.Fatalf("%s is %s when parsed and %s when built", f.json, parsed, p)
	}
	return p
}

func (g *generator) parse(json string) *where.Predicate {
	w, err := where.ParseJSON([]byte(json), where.Limits{Nodes: 1 << 20, Depth: 1 << 20})
	if err != nil {
		g.Fatalf("%s: %v", json, err)
	}
	p, err := g.schema.Bind(w)
	if err != nil {
		g.Fatalf("%s: %v", json, err)
	}
	return p
}

func (g *generator) matching(p *where.Predicate) []int {
	var ids []int
	for id, r := range g.rows {
		if p.Match(r.row) {
			ids = append(ids, id)
		}
	}
	return ids
}

// table writes the rows out for a failure.
func (g *generator) table() string {
	out := ""
	for id, r := range g.rows {
		out += fmt.Sprintf("\n%d: %v", id, r.row)
	}
	return out
}

func checkOrder(g *generator, databases []*database) {
	o := g.order()
	want := make([]int, len(g.rows))
	for id := range want {
		want[id] = id
	}
	compare := g.schema.Comparer(o)
	slices.SortStableFunc(want, func(a, b int) int { return compare(g.rows[a].row, g.rows[b].row) })
	for _, d := range databases {
		got, err := d.sorted(g.schema, o)
		if err != nil {
			g.Fatalf("%s: %v: %v", d.name, o, err)
		}
		if !slices.Equal(got, want) {
			g.Fatalf("%s sorts by %v as %v, the comparer as %v%s", d.name, o, got, want, g.table())
		}
	}
	checkAfter(g, o, databases)
}

// checkAfter holds what comes after a row, as predicate and in SQL, against the comparer.
func checkAfter(g *generator, o []where.Order, databases []*database) {
	if len(o) == 0 {
		return
	}
	from := g.rows[g.pick(len(g.rows))].row
	p, err := g.schema.After(o, from)
	if err != nil {
		g.Fatalf("after %v by %v: %v", from, o, err)
	}
	compare := g.schema.Comparer(o)
	var want []int
	for id, r := range g.rows {
		if compare(r.row, from) > 0 {
			want = append(want, id)
		}
	}
	if got := g.matching(p); !slices.Equal(got, want) {
		g.Fatalf("%s matches %v, the comparer says %v%s", p, got, want, g.table())
	}
	for _, d := range databases {
		got, err := d.find(p)
		if err != nil {
			g.Fatalf("%s: %v", p, err)
		}
		if !slices.Equal(got, want) {
			g.Fatalf("%s: %s finds %v, the comparer %v%s", p, d.name, got, want, g.table())
		}
	}
}

// TestLaws holds the matcher against itself: logic, normal form, partial knowledge.
func TestLaws(t *testing.T) {
	s := newSchema(t)
	begin(t)
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{T: t, schema: s}
		for range 6 {
			g.rows = append(g.rows, g.record())
		}
		matches := map[string][]int{}
		for range predicatesPerCheck {
			a, b := g.filter(2), g.filter(2)
			p, q := g.bind(a.where), g.bind(b.where)
			checkLogic(g, a.where, b.where)
			checkPossible(g, p)
			for _, p := range []*where.Predicate{p, q, g.parse(p.String())} {
				ids := g.matching(p)
				if before, ok := matches[p.String()]; ok && !slices.Equal(before, ids) {
					t.Fatalf("two predicates are %s, one matches %v, one %v%s", p, before, ids, g.table())
				}
				matches[p.String()] = ids
			}
		}
	})
}

func (g *generator) bind(w where.Where) *where.Predicate {
	p, err := g.schema.Bind(w)
	if err != nil {
		g.Fatal(err)
	}
	return p
}

func checkLogic(g *generator, a, b where.Where) {
	p, q := g.bind(a), g.bind(b)
	not, and, or := g.bind(where.Not(a)), p.And(q), g.bind(where.Or(a, b))
	for _, r := range g.rows {
		x, y := p.Match(r.row), q.Match(r.row)
		if not.Match(r.row) == x || and.Match(r.row) != (x && y) || or.Match(r.row) != (x || y) {
			g.Fatalf("logic fails for %s and %s on %v", p, q, r.row)
		}
	}
	same := func(what string, texts ...string) {
		if len(slices.Compact(texts)) != 1 {
			g.Fatalf("%s: %q", what, texts)
		}
	}
	same("AND", and.String(), q.And(p).String(), g.bind(where.And(b, a, b)).String(), g.bind(where.Not(where.Or(where.Not(a), where.Not(b)))).String())
	same("OR", or.String(), g.bind(where.Or(b, a, b, where.Nothing())).String())
	same("NOT", p.String(), g.bind(where.Not(where.Not(a))).String(), p.And(p).String())
	same("read back", p.String(), g.parse(p.String()).String())
}

// checkPossible wants that what is called impossible does not happen, whatever the unknown fields hold.
func checkPossible(g *generator, p *where.Predicate) {
	mask := g.pick(1 << len(columns))
	known := func(field int) bool { return mask>>field&1 == 1 }
	for _, r := range g.rows {
		partial := make(where.Row, len(columns))
		for i := range partial {
			if known(i) {
				partial[i] = r.row[i]
			}
		}
		if p.Possible(partial, known) {
			continue
		}
		for _, other := range g.rows {
			full := slices.Clone(other.row)
			for i := range full {
				if known(i) {
					full[i] = r.row[i]
				}
			}
			if p.Match(full) {
				g.Fatalf("%s is not possible with %v (fields %b), but matches %v", p, partial, mask, full)
			}
		}
	}
}
