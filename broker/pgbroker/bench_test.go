package pgbroker

import (
	"fmt"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// benchmarked returns a broker on a server whose commits are not flushed to the disk: a real disk adds its time to each commit that is
// alone, and little where many commit at once.
func benchmarked(b *testing.B, params string) *Broker {
	server := postgres.New(b)
	log := New(newPool(b, server.URL()+params), ownLog(unbounded))
	if _, err := log.Append(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	return log
}

// BenchmarkAppend appends entries of 200 bytes one after another.
func BenchmarkAppend(b *testing.B) {
	log := benchmarked(b, "")
	data := make([]byte, 200)
	for b.Loop() {
		if _, err := log.Append(b.Context(), data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendParallel appends entries of 200 bytes by so many writers, while one follows.
func BenchmarkAppendParallel(b *testing.B) {
	for _, writers := range []int{4, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			log := benchmarked(b, fmt.Sprintf("&pool_max_conns=%d", writers+2))
			done := make(chan error, 1)
			var n int
			from, err := log.Head(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			go func() {
				done <- log.Follow(b.Context(), from, func(batch []broker.Entry) error {
					if n += len(batch); len(batch[len(batch)-1].Data) == 0 { // the end
						return errEnough
					}
					return nil
				})
			}()
			data := make([]byte, 200)
			b.SetParallelism(writers) // times GOMAXPROCS
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := log.Append(b.Context(), data); err != nil {
						b.Error(err)
						return
					}
				}
			})
			if _, err := log.Append(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
			if err := <-done; err != errEnough {
				b.Fatal(err)
			}
			if n-1 != b.N {
				b.Errorf("%d of %d entries were followed", n-1, b.N)
			}
		})
	}
}

// BenchmarkAppendTx commits transactions that write one entry of 200 bytes.
func BenchmarkAppendTx(b *testing.B) {
	log := benchmarked(b, "")
	data := make([]byte, 200)
	for b.Loop() {
		tx, err := log.pool.Begin(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := log.AppendTx(b.Context(), Execer(tx), data); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFollow reads a log of 100,000 entries of 200 bytes from its beginning.
func BenchmarkFollow(b *testing.B) {
	const entries = 100_000
	log := benchmarked(b, "")
	execute(b, log, fmt.Sprintf(`INSERT INTO {log} (data) SELECT convert_to(repeat('x', 200), 'UTF8') FROM generate_series(2, %d)`, entries))
	execute(b, log, `ANALYZE {log}`) // autovacuum does that
	for b.Loop() {
		n := 0
		err := log.Follow(b.Context(), broker.Position{}, func(batch []broker.Entry) error {
			if n += len(batch); n == entries {
				return errEnough
			}
			return nil
		})
		if err != errEnough {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
}

// BenchmarkDelay appends one entry at a time by one instance and waits until another one has been given it.
func BenchmarkDelay(b *testing.B) {
	log := benchmarked(b, "")
	other := New(newPool(b, log.pool.Config().ConnString()), log.options)
	from, err := log.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	came, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- other.Follow(b.Context(), from, func(batch []broker.Entry) error {
			for _, e := range batch {
				if len(e.Data) == 0 {
					return errEnough
				}
				came <- struct{}{}
			}
			return nil
		})
	}()
	for b.Loop() {
		if _, err := log.Append(b.Context(), []byte("x")); err != nil {
			b.Fatal(err)
		}
		<-came
	}
	if _, err := log.Append(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	<-done
}
