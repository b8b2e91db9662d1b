package index

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/swampline/live/where"
)

// load is a kind of subscriptions, of which a published row concerns one.
type load struct {
	name  string
	where func(i int) where.Where // of the i-th subscription
	row   func(i int) []any       // of the row that concerns it
}

var loads = []load{
	{"equality", func(i int) where.Where { return where.Eq("list", i) },
		func(i int) []any { return []any{"list", i} }},
	{"in", func(i int) where.Where { return where.In("list", 3*i, 3*i+1, 3*i+2) },
		func(i int) []any { return []any{"list", 3*i + 1} }},
	{"range", func(i int) where.Where { return where.And(where.Gte("price", 10*i), where.Lt("price", 10*i+10)) },
		func(i int) []any { return []any{"price", 10*i + 5} }},
	{"mixed", func(i int) where.Where {
		return where.And(where.Eq("team", i%100), where.Gte("price", 10*i), where.Lt("price", 10*i+10))
	}, func(i int) []any { return []any{"team", i % 100, "price", 10*i + 5} }},
	{"scoped", func(i int) where.Where { return where.And(where.Eq("team", 1), where.Eq("list", i)) },
		func(i int) []any { return []any{"team", 1, "list", i} }},
}

func eachLoad(b *testing.B, run func(b *testing.B, l load, s *where.Schema, n int)) {
	s := testSchema(b)
	for _, l := range loads {
		for _, n := range []int{1_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", l.name, n), func(b *testing.B) { run(b, l, s, n) })
		}
	}
}

func predicates(b *testing.B, l load, s *where.Schema, n int) []*where.Predicate {
	ps := make([]*where.Predicate, n)
	for i := range ps {
		ps[i] = bind(b, s, l.where(i))
	}
	return ps
}

// fill adds the predicates in a random order and reports the memory that each costs beside itself.
func fill(b *testing.B, s *where.Schema, ps []*where.Predicate) (x *Index[*int], hs []*Entry[*int], bytes float64) {
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(ps))
	hs = make([]*Entry[*int], len(ps))
	elements := make([]int, len(ps))
	before := heap()
	x = New[*int](s)
	for _, i := range order {
		hs[i] = x.Add(ps[i], &elements[i])
	}
	bytes = float64(heap()-before) / float64(len(ps))
	runtime.KeepAlive(order)
	return x, hs, bytes
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkPublish updates rows of which each concerns one subscription. "hot" publishes one row again and again, so
// that it measures what the index does; "cold" publishes random rows, so that it also measures the memory that an index
// beyond the caches lies in.
func BenchmarkPublish(b *testing.B) {
	eachLoad(b, func(b *testing.B, l load, s *where.Schema, n int) {
		ps := predicates(b, l, s, n)
		x, _, bytes := fill(b, s, ps)
		rows := make([]where.Row, 4096)
		for i := range rows {
			rows[i] = row(b, s, l.row(rand.IntN(n))...)
		}
		found := 0
		yield := func(_ *int, was, now bool) {
			if was && now {
				found++
			}
		}
		for _, heat := range []struct {
			name string
			mask int
		}{{"hot", 0}, {"cold", len(rows) - 1}} {
			b.Run(heat.name, func(b *testing.B) {
				b.ReportAllocs()
				found = 0
				i := 0
				for b.Loop() {
					r := rows[i&heat.mask]
					x.Match(r, r, yield)
					i++
				}
				if found != i {
					b.Fatalf("%d of %d found", found, i)
				}
				b.ReportMetric(bytes, "B/entry")
				b.ReportMetric(float64(visits(x, rows[0])), "visits")
			})
		}
	})
}

// BenchmarkPublishFanOut publishes a row that concerns all of n subscriptions, which share a place.
func BenchmarkPublishFanOut(b *testing.B) {
	s := testSchema(b)
	for _, n := range []int{1_000, 100_000} {
		for _, kind := range []string{"exact", "evaluated"} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				x := New[int](s)
				for i := range n {
					w := where.Eq("list", 1)
					if kind == "evaluated" {
						w = where.And(w, where.Ne("id", -i))
					}
					x.Add(bind(b, s, w), i)
				}
				r, found := row(b, s, "id", 1, "list", 1), 0
				yield := func(int, bool, bool) { found++ }
				b.ReportAllocs()
				for b.Loop() {
					x.Match(r, r, yield)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(found), "ns/match")
			})
		}
	}
}

// BenchmarkAdd adds one more to n entries; taking it out again is not measured.
func BenchmarkAdd(b *testing.B) {
	eachLoad(b, func(b *testing.B, l load, s *where.Schema, n int) { benchmarkChurn(b, l, s, n, true) })
}

// BenchmarkRemove removes one of n entries; putting it back is not measured.
func BenchmarkRemove(b *testing.B) {
	eachLoad(b, func(b *testing.B, l load, s *where.Schema, n int) { benchmarkChurn(b, l, s, n, false) })
}

// benchmarkChurn takes batches of random entries out and puts them back, and measures one of the two.
func benchmarkChurn(b *testing.B, l load, s *where.Schema, n int, add bool) {
	const batch = 500
	ps := predicates(b, l, s, n)
	x, hs, _ := fill(b, s, ps)
	e := new(int)
	b.ReportAllocs()
	b.ResetTimer()
	b.StopTimer()
	for done := 0; done < b.N; {
		chosen := rand.Perm(n)[:min(batch, b.N-done)]
		done += len(chosen)
		timed(b, !add, func() {
			for _, i := range chosen {
				x.Remove(hs[i])
			}
		})
		timed(b, add, func() {
			for _, i := range chosen {
				hs[i] = x.Add(ps[i], e)
			}
		})
	}
}

func timed(b *testing.B, measure bool, run func()) {
	if measure {
		b.StartTimer()
		defer b.StopTimer()
	}
	run()
}
