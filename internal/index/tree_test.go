package index

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/where"
)

// TestTree fills and empties an index with thousands of intervals of numbers and of texts, at random, in order and backwards, and
// compares what values lead to with a scan.
func TestTree(t *testing.T) {
	first, _ := seed.First(t)
	s := testSchema(t)
	for run, order := range []string{"at random", "in order", "backwards"} {
		r := rand.New(rand.NewPCG(first, uint64(run)))
		bounds := func(i int) where.Where {
			low, width := r.IntN(3000), r.IntN(20)
			switch order {
			case "in order":
				low = i
			case "backwards":
				low = 3000 - i
			}
			if r.IntN(100) == 0 {
				width = 2000
			}
			if r.IntN(2) == 0 {
				return where.And(where.Gte("id", low), where.Lt("id", low+width))
			}
			return where.And(where.Gt("title", fmt.Sprintf("%04d", low)), where.Lte("title", fmt.Sprintf("%04d", low+width)))
		}
		x := New[int](s)
		all := map[int]*Entry[int]{}
		compare := func() {
			check(t, x)
			for range 30 {
				value := r.IntN(3100)
				now := row(t, s, "id", value, "title", fmt.Sprintf("%04d", value))
				got := matches(t, x, nil, now)
				for i, h := range all {
					if want := h.predicate.Match(now); want != got[i].now {
						t.Errorf("%v and %d: %v, want %v", h.predicate, value, got[i].now, want)
					}
				}
			}
			if t.Failed() {
				t.Fatalf("%s, LIVE_TEST_SEED=%d", order, first)
			}
		}
		for i := range 3000 {
			all[i] = x.Add(bind(t, s, bounds(i)), i)
			if i%500 == 499 {
				compare()
			}
		}
		for n, i := range r.Perm(3000) {
			x.Remove(all[i])
			delete(all, i)
			if n%500 == 499 {
				compare()
			}
		}
		checkEmpty(t, x)
	}
}

// TestEnds looks at the ends of what values there are.
func TestEnds(t *testing.T) {
	s := testSchema(t)
	values := []any{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	floats := []any{-math.MaxFloat64, -math.SmallestNonzeroFloat64, 0.0, math.SmallestNonzeroFloat64, math.MaxFloat64}
	texts := []any{"", "\x00", "a", "a\x00", "a\x00\x00", "b", "\U0010ffff", "\U0010ffff\U0010ffff"}
	for field, values := range map[string][]any{"team": values, "price": floats, "title": texts} {
		x := New[int](s)
		var ps []*where.Predicate
		add := func(w where.Where) {
			if p, err := s.Bind(w); err == nil { // a text with a zero is no operand
				x.Add(p, len(ps))
				ps = append(ps, p)
			}
		}
		comparisons := []func(string, any) where.Where{where.Lt, where.Lte, where.Gt, where.Gte}
		for _, low := range values {
			for _, one := range comparisons {
				add(one(field, low))
				add(where.Not(one(field, low)))
				for _, high := range values {
					for _, other := range comparisons {
						add(where.And(one(field, low), other(field, high)))
					}
				}
			}
			add(where.Eq(field, low))
		}
		check(t, x)
		for _, was := range append(values, nil) {
			for _, now := range append(values, nil) {
				old, new := row(t, s, field, was), row(t, s, field, now)
				got := matches(t, x, old, new)
				for i, p := range ps {
					if want := (hit{p.Match(old), p.Match(new)}); got[i] != want {
						t.Fatalf("%v, from %v to %v: %v, want %v", p, was, now, got[i], want)
					}
				}
			}
		}
	}
}
