package redisbroker_test

import (
	"errors"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/broker/redisbroker/redistest"
)

// benchData is an entry of 200 bytes.
var benchData = make([]byte, 200)

// BenchmarkAppend appends entries of 200 bytes one after the other: a round trip each.
func BenchmarkAppend(b *testing.B) {
	log := bounded(b, redistest.Client(b, redistest.URL(b)), redisbroker.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := log.Append(b.Context(), benchData); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendParallel appends from 16 goroutines for each processor, as a busy application does.
func BenchmarkAppendParallel(b *testing.B) {
	log := bounded(b, redistest.Client(b, redistest.URL(b)), redisbroker.Options{})
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := log.Append(b.Context(), benchData); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkFollow reads a log of 20,000 entries from its beginning; ns/entry is the time for each.
func BenchmarkFollow(b *testing.B) {
	const entries = 20_000
	log := bounded(b, redistest.Client(b, redistest.URL(b)), redisbroker.Options{})
	for range entries {
		if _, err := log.Append(b.Context(), benchData); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := take(b.Context(), log, broker.Position{}, entries); err != nil && !errors.Is(err, errEnough) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
}
