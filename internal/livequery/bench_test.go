package livequery

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// BenchmarkPublish measures what one entry costs the goroutine that follows the log, decoding aside: resolving the change
// and finding the one live query of many that it concerns.
func BenchmarkPublish(b *testing.B) {
	for _, queries := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(queries), func(b *testing.B) {
			s := newStream(b)
			for i := range queries {
				s.Acquire(Spec{Predicate: s.bind(b, fmt.Sprintf(`{"box":%d}`, i))}, func() broker.Position { return at(0) })
			}
			records := make([]record.Change, 4096)
			row := thing{id: 1, box: 7, note: "a"}
			for i := range records {
				was := row
				row.version++
				row.box = int64(i*7919) % int64(queries)
				records[i] = updated(was, row)
			}
			var out []*Delivery
			runtime.GC() // the queries' making is not to be paid for here
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				r := records[i%len(records)]
				version := int64(i)
				r.Version = &version
				c, err := s.Resolve(&r, at(i+1))
				if err != nil {
					b.Fatal(err)
				}
				out = s.Match(&Entry{Position: at(i + 1), Changes: []*Change{c}}, at(i), out[:0])
				if len(out) == 0 || len(out) > 3 {
					b.Fatalf("%d queries are concerned, want that which the row left and that which it entered", len(out))
				}
			}
		})
	}
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
