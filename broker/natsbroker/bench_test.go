package natsbroker_test

import (
	"errors"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker/natstest"
)

// entrySize is that of a record of a small row.
const entrySize = 200

// BenchmarkAppend is one writer that waits for each acknowledgement: the time of one entry.
func BenchmarkAppend(b *testing.B) {
	log := newBench(natstest.URL(b)).New(b)
	data := make([]byte, entrySize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := log.Append(b.Context(), data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendParallel is 64 writers for each processor: how many entries a stream takes.
func BenchmarkAppendParallel(b *testing.B) {
	log := newBench(natstest.URL(b)).New(b)
	data := make([]byte, entrySize)
	fill(b, log, 1, "first") // the stream is there
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := log.Append(b.Context(), data); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkFollow reads what is held, from the beginning: the time of one entry.
func BenchmarkFollow(b *testing.B) {
	log := newBench(natstest.URL(b)).New(b)
	const held = 20_000
	writing := make(chan error)
	for range 64 {
		go func() {
			var err error
			for range held / 64 {
				if err == nil {
					_, err = log.Append(b.Context(), make([]byte, entrySize))
				}
			}
			writing <- err
		}()
	}
	for range 64 {
		if err := <-writing; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		err := log.Follow(b.Context(), broker.Position{}, func(batch []broker.Entry) error {
			if left -= len(batch); left <= 0 || batch[len(batch)-1].Position.Major >= held/64*64 {
				return errStop
			}
			return nil
		})
		if !errors.Is(err, errStop) {
			b.Fatal(err)
		}
	}
}
