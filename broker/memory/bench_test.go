package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
)

// BenchmarkAppend appends entries of 200 bytes while so many followers wait at the head of the log. One that the log
// overtook follows again from the head. Delivered is how many entries reached each follower, of each one appended.
func BenchmarkAppend(b *testing.B) {
	for _, followers := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("followers=%d", followers), func(b *testing.B) {
			log := New(Options{})
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			var mu sync.Mutex
			delivered := 0
			for range followers {
				head, _ := log.Head(ctx)
				wg.Go(func() {
					n := 0
					for {
						err := log.Follow(ctx, head, func(batch []broker.Entry) error { n += len(batch); return nil })
						if !errors.Is(err, broker.ErrExpired) {
							break
						}
						head, _ = log.Head(ctx)
					}
					mu.Lock()
					defer mu.Unlock()
					delivered += n
				})
			}
			data := make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := log.Append(ctx, data); err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			wg.Wait()
			if followers > 0 {
				b.ReportMetric(float64(delivered)/float64(followers)/float64(b.N), "delivered/op")
			}
		})
	}
}

// BenchmarkFollow reads a log of 100,000 entries from its beginning, with so many followers at once; ns/entry is the
// time for each entry that a follower is given.
func BenchmarkFollow(b *testing.B) {
	const entries = 100_000
	log := New(Options{})
	data := make([]byte, 200)
	for range entries {
		log.Append(b.Context(), data)
	}
	enough := errors.New("enough")
	for _, followers := range []int{1, 100} {
		b.Run(fmt.Sprintf("followers=%d", followers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var wg sync.WaitGroup
				for range followers {
					wg.Go(func() {
						n := 0
						err := log.Follow(b.Context(), broker.Position{}, func(batch []broker.Entry) error {
							if n += len(batch); n == entries {
								return enough
							}
							return nil
						})
						if err != enough {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*followers*entries), "ns/entry")
		})
	}
}
