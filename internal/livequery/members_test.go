package livequery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where"
)

// TestMembersOfManyShards has several shards join and part members at once, as their goroutines do.
func TestMembersOfManyShards(t *testing.T) {
	for range 50 {
		q := new(Registry).newQuery("k", at(0))
		var shards sync.WaitGroup
		for shard := range 4 {
			shards.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(shard)))
				var mine []*taker
				for range 300 {
					if len(mine) > 0 && r.IntN(5) < 2 {
						i := r.IntN(len(mine))
						q.Part(shard, mine[i])
						mine = slices.Delete(mine, i, i+1)
					} else {
						mine = append(mine, &taker{})
						q.Join(shard, mine[len(mine)-1])
					}
					holds(t, q, shard, mine)
				}
				for _, m := range mine {
					q.Part(shard, m)
				}
				holds(t, q, shard, nil)
			})
		}
		shards.Wait()
	}
}

// holds insists that the members of a shard are these, each in the place that it knows.
func holds(t *testing.T, q *Query, shard int, mine []*taker) {
	t.Helper()
	members := q.Members(shard)
	if len(members) != len(mine) {
		t.Fatalf("%d members, want %d", len(members), len(mine))
	}
	for _, m := range mine {
		if members[m.slot] != Member(m) {
			t.Fatalf("a member is not where it says, at %d", m.slot)
		}
	}
}

// TestIdleQueriesGoInTurn has queries idle in one order, and expects those to expire whose time has come, whatever went on between.
func TestIdleQueriesGoInTurn(t *testing.T) {
	h := newHub(t)
	var queries []*Query
	for i := range 10 {
		queries = append(queries, h.acquire(fmt.Sprintf(`{"box":%d}`, i)))
	}
	for _, i := range []int{3, 1, 4, 5, 9, 2, 6, 8, 7, 0} {
		h.stream.Release(queries[i])
	}
	for _, i := range []int{3, 5, 0} { // the first, one in the middle, the last
		if h.acquire(fmt.Sprintf(`{"box":%d}`, i)) != queries[i] {
			t.Fatal("a query is lost")
		}
	}
	h.stream.Release(queries[5]) // now it is the last
	for i := h.stream.idle.first; i != nil; i = i.later {
		if i.later != nil {
			i.later.since = i.since.Add(time.Second) // clocks may stand still
		}
	}
	h.stream.Expire(queries[6].idle.since)
	left := map[string]bool{}
	for q := range h.stream.all {
		left[q.Predicate.String()] = true
	}
	for i := range 10 {
		want := slices.Contains([]int{3, 0, 6, 8, 7, 5}, i)
		if left[queries[i].Predicate.String()] != want {
			t.Errorf("query %d is there: %v, want %v", i, !want, want)
		}
	}
	h.stream.Expire(time.Now().Add(time.Hour))
	if n := h.stream.Stats().Queries; n != 2 {
		t.Errorf("%d queries are left, want those that are referred to", n)
	}
}

// TestQueriesOfOnePredicate tells queries apart that have a predicate in common, and forgets one without the others.
func TestQueriesOfOnePredicate(t *testing.T) {
	h := newHub(t)
	p := h.stream.bind(t, boxA)
	some := h.stream.Schema.AddView("some", []bool{true, false, true, true})
	order := func(field string) []where.Order { return []where.Order{{Field: field}} }
	specs := []Spec{
		{Predicate: p}, {Predicate: p, View: some}, {Predicate: p, Count: true},
		{Predicate: p, Limit: 3, Order: order("id")}, {Predicate: p, Limit: 3, Order: order("box")}, {Predicate: p, Limit: 4, Order: order("id")},
		{Predicate: p, Limit: 3, Order: order("id"), View: some},
	}
	for gone := range specs {
		var queries []*Query
		for i, spec := range specs {
			q := h.stream.Acquire(spec, h.position)
			if slices.Contains(queries, q) {
				t.Fatalf("%+v is not told from others", spec)
			}
			queries = append(queries, q)
			if h.stream.Acquire(specs[i], h.position) != q {
				t.Fatalf("%+v is not found again", spec)
			}
			h.stream.Release(q)
		}
		h.stream.Release(queries[gone])
		h.stream.Expire(time.Now().Add(time.Hour))
		if n := h.stream.Stats().Queries; n != len(specs)-1 {
			t.Fatalf("%d queries are left", n)
		}
		for i, spec := range specs {
			if i != gone && h.stream.Acquire(spec, h.position) != queries[i] {
				t.Fatalf("%+v is gone with another", spec)
			}
		}
		for i, q := range queries {
			if i != gone {
				h.stream.Release(q)
				h.stream.Release(q)
			}
		}
		h.stream.Expire(time.Now().Add(time.Hour))
		if n := h.stream.Stats().Queries; n != 0 || len(h.stream.queries) != 0 {
			t.Fatalf("%d queries are left", n)
		}
	}
}

// TestMatchAllocatesForWhatMatches counts what one change allocates: the same among a few queries and among many, and a share of a
// piece of memory for each query that it concerns.
func TestMatchAllocatesForWhatMatches(t *testing.T) {
	publish := func(queries, concerned int) float64 {
		s := loadStream(t)
		for i := range queries {
			w := where.And(where.Eq("list", 1), where.Ne("id", 10+i))
			if i >= concerned {
				w = where.And(where.Eq("team", i%7), where.In("list", 2*i+2, 2*i+3), where.Gt("price", i))
			}
			p, err := s.Schema.Where.Bind(w)
			if err != nil {
				t.Fatal(err)
			}
			s.Acquire(Spec{Predicate: p}, func() broker.Position { return at(0) })
		}
		l := load{row: func(int) map[string]string { return set("list", 1, "team", 3, "price", 1e9) }}
		p := &publisher{stream: s, records: l.records("", 1, 1), out: make([]*Delivery, 0, queries)}
		p.publish(t)
		return testing.AllocsPerRun(50, func() {
			if out := p.publish(t); len(out) != concerned {
				t.Fatalf("%d queries are concerned, want %d", len(out), concerned)
			}
		})
	}
	one, among := publish(1, 1), publish(5000, 1)
	if one != among {
		t.Errorf("%v allocations among one query, %v among 5000", one, among)
	}
	if many := publish(1000, 1000); many > one+1000/maxRoom+10 {
		t.Errorf("%v allocations for one query, %v for 1000", one, many)
	}
}
