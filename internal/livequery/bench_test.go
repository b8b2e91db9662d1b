package livequery

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// load is a kind of subscriptions, of which a published row concerns one.
type load struct {
	name  string
	where func(i int) where.Where       // of the i-th subscription
	row   func(i int) map[string]string // of the row that concerns it
}

var loads = []load{
	{"equality", func(i int) where.Where { return where.Eq("list", i) },
		func(i int) map[string]string { return set("list", i) }},
	{"text", func(i int) where.Where { return where.Eq("title", fmt.Sprint("title ", i)) },
		func(i int) map[string]string { return map[string]string{"title": fmt.Sprintf(`"title %d"`, i)} }},
	{"in", func(i int) where.Where { return where.In("list", 3*i, 3*i+1, 3*i+2) },
		func(i int) map[string]string { return set("list", 3*i+1) }},
	{"range", func(i int) where.Where { return where.And(where.Gte("price", 10*i), where.Lt("price", 10*i+10)) },
		func(i int) map[string]string { return set("price", 10*i+5) }},
	{"mixed", func(i int) where.Where {
		return where.And(where.Eq("team", i%100), where.Gte("price", 10*i), where.Lt("price", 10*i+10))
	}, func(i int) map[string]string { return set("team", i%100, "price", 10*i+5) }},
	{"scoped", func(i int) where.Where { return where.And(where.Eq("team", 1), where.Eq("list", i)) },
		func(i int) map[string]string { return set("team", 1, "list", i) }},
}

func set(pairs ...any) map[string]string {
	fields := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i].(string)] = fmt.Sprint(pairs[i+1])
	}
	return fields
}

var loadFields = []where.Field{
	{Name: "id", Type: where.Int}, {Name: "team", Type: where.Int, Nullable: true}, {Name: "list", Type: where.Int, Nullable: true},
	{Name: "price", Type: where.Float, Nullable: true}, {Name: "title", Type: where.Text, Nullable: true}, {Name: "version", Type: where.Int},
}

func loadStream(t testing.TB) *Stream {
	t.Helper()
	matchable, err := where.NewSchema(loadFields...)
	if err != nil {
		t.Fatal(err)
	}
	var fields []Field
	for _, f := range loadFields {
		fields = append(fields, Field{Name: f.Name, Published: true, Version: f.Name == "version"})
	}
	schema, err := NewSchema("things", fields, matchable)
	if err != nil {
		t.Fatal(err)
	}
	return NewStream(new(Registry), schema)
}

func (l load) predicates(t testing.TB, s *Stream, n int) []*where.Predicate {
	ps := make([]*where.Predicate, n)
	for i := range ps {
		p, err := s.Schema.Where.Bind(l.where(i))
		if err != nil {
			t.Fatal(err)
		}
		ps[i] = p
	}
	return ps
}

// records are updates of rows that stay where they are. The prefix tells their keys from those of others.
func (l load) records(prefix string, queries, n int) []record.Change {
	random := rand.New(rand.NewPCG(1, 1))
	records := make([]record.Change, n)
	for i := range records {
		was := record.Fields{"id": fmt.Appendf(nil, "%d", i), "version": json.RawMessage("1")}
		for name, value := range l.row(random.IntN(queries)) {
			was[name] = json.RawMessage(value)
		}
		records[i] = record.Change{Router: "things", Key: fmt.Sprint(prefix, i), Op: record.Update, Now: was, Was: was, Changed: []string{"version"}}
	}
	return records
}

// now is the same position for whoever acquires.
func now() broker.Position { return at(0) }

// publisher appends rows to a stream one after the other.
type publisher struct {
	stream  *Stream
	records []record.Change
	n       int
	out     []*Delivery
}

func (p *publisher) publish(t testing.TB) []*Delivery {
	r := p.records[p.n%len(p.records)]
	p.n++
	version := int64(p.n)
	r.Version = &version
	c, err := p.stream.Resolve(&r, at(p.n))
	if err != nil {
		t.Fatal(err)
	}
	e := &Entry{Position: at(p.n), Changes: []*Change{c}}
	p.out = p.stream.Match(e, at(p.n-1), p.out[:0])
	return p.out
}

// BenchmarkMatch measures what one entry costs the goroutine that follows the log, decoding aside: resolving the change
// and finding the one live query of many that it concerns. "hot" changes one row again and again; "cold", random ones, so
// that it also measures the memory that the queries lie in.
func BenchmarkMatch(b *testing.B) {
	for _, l := range loads {
		for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", l.name, n), func(b *testing.B) {
				s := loadStream(b)
				for _, p := range l.predicates(b, s, n) {
					s.Acquire(Spec{Predicate: p}, now)
				}
				run := 0
				for _, rows := range []int{1, 4096} {
					heat := "hot"
					if rows > 1 {
						heat = "cold"
					}
					b.Run(heat, func(b *testing.B) {
						run++
						p := &publisher{stream: s, records: l.records(fmt.Sprint(run, "-"), n, rows), n: int(s.resolved.Major)}
						for range rows {
							p.publish(b) // now the rows are known
						}
						runtime.GC() // the queries' making is not to be paid for here
						b.ReportAllocs()
						for b.Loop() {
							if out := p.publish(b); len(out) != 1 || len(out[0].parts) != 1 {
								b.Fatalf("%d queries are concerned", len(out))
							}
						}
					})
				}
			})
		}
	}
}

// BenchmarkSubscribe subscribes to many different queries, unsubscribes from all of them and expires them.
func BenchmarkSubscribe(b *testing.B) {
	for _, l := range loads {
		for _, n := range []int{1_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", l.name, n), func(b *testing.B) {
				s := loadStream(b)
				ps := l.predicates(b, s, n)
				queries := make([]*Query, n)
				var in, out time.Duration
				for b.Loop() {
					began := time.Now()
					for i, p := range ps {
						queries[i] = s.Acquire(Spec{Predicate: p}, now)
					}
					in += time.Since(began)
					began = time.Now()
					for _, q := range queries {
						s.Release(q)
					}
					s.Expire(time.Now().Add(time.Hour))
					out += time.Since(began)
					if s.Stats().Queries != 0 {
						b.Fatal("queries are left")
					}
				}
				each := float64(b.N) * float64(n)
				b.ReportMetric(float64(in.Nanoseconds())/each, "ns/subscribe")
				b.ReportMetric(float64(out.Nanoseconds())/each, "ns/unsubscribe")
			})
		}
	}
}

// taker is a member that takes the message and does nothing with it.
type taker struct {
	slot  int32
	bytes *int
}

func (m *taker) Deliver(run []*Delivery) {
	for _, d := range run {
		*m.bytes += len(d.Frame(d.Query.ID).Data)
	}
}
func (m *taker) Slot() *int32 { return &m.slot }

// BenchmarkHolders changes one row that many subscriptions hold, identical ones or each with a filter of its own, and has
// every one of them take the message.
func BenchmarkHolders(b *testing.B) {
	const n = 10_000
	for _, distinct := range []bool{false, true} {
		name := "identical"
		if distinct {
			name = "distinct"
		}
		b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
			s := loadStream(b)
			taken := 0
			for i := range n {
				w := where.Eq("list", 1)
				if distinct {
					w = where.And(w, where.Ne("id", 10+i))
				}
				p, err := s.Schema.Where.Bind(w)
				if err != nil {
					b.Fatal(err)
				}
				s.Acquire(Spec{Predicate: p}, now).Join(0, &taker{bytes: &taken})
			}
			r := record.Fields{"id": json.RawMessage("1"), "list": json.RawMessage("1"), "title": json.RawMessage(`"milk"`)}
			p := &publisher{stream: s, records: []record.Change{{Router: "things", Key: "1", Op: record.Update, Now: r, Was: r, Changed: []string{"title"}}}}
			told := 0
			b.ReportAllocs()
			for b.Loop() {
				run := p.publish(b)
				for i, d := range run {
					for _, m := range d.Query.Members(0) {
						m.Deliver(run[i : i+1])
						told++
					}
				}
			}
			if told != n*b.N || taken == 0 {
				b.Fatalf("%d were told", told)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(told), "ns/holder")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkMemory reports what a live query of its own costs with its one member, its predicate counted and not counted, what a
// further member costs, and what an entry of the log costs beside its bytes, before and after its message was encoded.
func BenchmarkMemory(b *testing.B) {
	const n = 50_000
	for _, l := range loads {
		b.Run("query/"+l.name, func(b *testing.B) {
			for b.Loop() {
				s := loadStream(b)
				queries, members := make([]*Query, n), make([]taker, n)
				before := heap()
				ps := l.predicates(b, s, n)
				bound := heap()
				for i, p := range ps {
					queries[i] = s.Acquire(Spec{Predicate: p}, now)
					queries[i].Join(i%2, &members[i])
				}
				after := heap()
				b.ReportMetric(float64(bound-before-8*n)/n, "B/predicate")
				b.ReportMetric(float64(after-bound)/n, "B/query")
				runtime.KeepAlive(ps)
				runtime.KeepAlive(s)
			}
		})
	}
	b.Run("member", func(b *testing.B) {
		for b.Loop() {
			s := loadStream(b)
			members := make([]taker, n)
			before := heap()
			q := s.Acquire(Spec{Predicate: loads[0].predicates(b, s, 1)[0]}, now)
			for i := range members {
				q.Join(i%2, &members[i])
			}
			b.ReportMetric(float64(heap()-before)/n, "B/member")
			runtime.KeepAlive(s)
			runtime.KeepAlive(members)
		}
	})
	b.Run("entry", func(b *testing.B) {
		for b.Loop() {
			s := loadStream(b)
			s.Acquire(Spec{Predicate: loads[0].predicates(b, s, 2)[1]}, now)
			const entries = 10_000
			held := make([]*Entry, entries)
			logged := 0
			before := heap()
			for i := range held {
				data := loggedEntry(b, i+1)
				logged += len(data)
				decoded, err := record.Decode(data)
				if err != nil {
					b.Fatal(err)
				}
				c, err := s.Resolve(&decoded.Changes[0], at(i+1))
				if err != nil {
					b.Fatal(err)
				}
				held[i] = &Entry{Position: at(i + 1), Changes: []*Change{c}, Size: len(data)}
				if out := s.Match(held[i], at(i), nil); len(out) != 1 || i > 0 && out[0].parts[0].verdict != Update {
					b.Fatal("the query is not told")
				}
			}
			resolved := heap()
			for _, e := range held {
				e.Changes[0].fragment(s.Schema.views[0], Update)
			}
			b.ReportMetric(float64(logged)/entries, "B/logged")
			b.ReportMetric(float64(resolved-before)/entries, "B/entry")
			b.ReportMetric(float64(heap()-before)/entries, "B/told")
			runtime.KeepAlive(held)
			runtime.KeepAlive(s)
		}
	})
}

// loggedEntry is the n-th change of a row as it stands on the log.
func loggedEntry(t testing.TB, n int) []byte {
	fields := func(n int) record.Fields {
		return record.Fields{"id": json.RawMessage("1"), "team": json.RawMessage("7"), "list": json.RawMessage("1"), "price": json.RawMessage("12.5"),
			"title": fmt.Appendf(nil, `"a title of a common length, number %d"`, n), "version": fmt.Append(nil, n)}
	}
	version := int64(n)
	data, err := record.Encode(record.Entry{Changes: []record.Change{{
		Router: "things", Key: "1", Op: record.Update, Version: &version, Now: fields(n), Was: fields(n - 1), Changed: []string{"title", "version"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// BenchmarkEncode measures the log's form of one change, both ways.
func BenchmarkEncode(b *testing.B) {
	r := updated(thing{1, 2, 3, "before"}, thing{1, 2, 4, "after"})
	b.ReportAllocs()
	for b.Loop() {
		data, err := record.Encode(record.Entry{Changes: []record.Change{r}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := record.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
