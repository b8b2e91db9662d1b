package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
)

// measurements are the rows of the table.
var measurements = []struct {
	name string
	run  func(ctx context.Context, e *engine, r *result) error
}{
	{"appended/s, 1 writer, 300 B", appending(1, 300)},
	{"appended/s, 1 writer, 4 KiB", appending(1, 4096)},
	{"appended/s, 16 writers, 300 B", appending(16, 300)},
	{"appended/s, 16 writers, 4 KiB", appending(16, 4096)},
	{"followed/s while 16 write, 300 B", following(90_000, 300)},
	{"followed/s while 16 write, 4 KiB", following(12_000, 4096)},
	{"followed/s from the beginning, 300 B", filling(20_000, 300)},
	{"followed/s from the beginning, 4 KiB", filling(5_000, 4096)},
	{"Append to deliver, 100/s, ms p50 / p99", delaying(100)},
	{"Append to deliver, 1,000/s, ms p50 / p99", delaying(1000)},
	{"publish to subscriber, 100/s, ms p50 / p99", publishing(100)},
	{"publish to subscriber, 1,000/s, ms p50 / p99", publishing(1000)},
}

// on runs a measurement on a new log with two nodes.
func on(ctx context.Context, e *engine, measure func(a, b broker.Broker) error) error {
	l, err := e.open(ctx)
	if err != nil {
		return err
	}
	a, b, err := l.two()
	if err == nil {
		if _, err = a.Append(ctx, make([]byte, 8)); err == nil { // the log is there now
			err = measure(a, b)
		}
	}
	return errors.Join(err, l.close(ctx))
}

func length() time.Duration { return time.Duration(*seconds * 1e9) }

// write has so many writers append, each one entry after the other, until the time is over or there are so many entries. It returns how many
// were appended, how long it took, and the position of the last.
func write(ctx context.Context, b broker.Broker, writers, size, most int, length time.Duration) (n int, took time.Duration, last broker.Position, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var left atomic.Int64
	left.Store(int64(most))
	began := time.Now()
	for range writers {
		wg.Go(func() {
			data, mine := make([]byte, size), 0
			var at broker.Position
			var failed error
			for time.Since(began) < length && left.Add(-1) >= 0 {
				if at, failed = b.Append(ctx, data); failed != nil {
					break
				}
				mine++
			}
			mu.Lock()
			defer mu.Unlock()
			n, err = n+mine, errors.Join(err, failed)
			if mine > 0 && at.After(last) || last.IsZero() {
				last = at
			}
		})
	}
	wg.Wait()
	return n, time.Since(began), last, err
}

const unbounded = 1 << 40

// appending measures how many entries a second are appended while nobody follows.
func appending(writers, size int) func(context.Context, *engine, *result) error {
	return func(ctx context.Context, e *engine, r *result) error {
		return on(ctx, e, func(a, _ broker.Broker) error {
			n, took, _, err := write(ctx, a, writers, size, unbounded, length())
			r.rates = append(r.rates, float64(n)/took.Seconds())
			return err
		})
	}
}

// follow follows until done says so of a batch.
func follow(ctx context.Context, b broker.Broker, after broker.Position, done func([]broker.Entry) bool) error {
	enough := errors.New("enough")
	err := b.Follow(ctx, after, func(batch []broker.Entry) error {
		if done(batch) {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		return nil
	}
	return err
}

// following measures how many entries a second another node is given while 16 writers append as fast as they can: until it has the last. They
// append no more than a log holds by default: in memory they would outrun who follows.
func following(most, size int) func(context.Context, *engine, *result) error {
	return func(ctx context.Context, e *engine, r *result) error {
		return on(ctx, e, func(a, b broker.Broker) error {
			head, err := b.Head(ctx)
			if err != nil {
				return err
			}
			marker := make([]byte, size+1) // the only entry of this size: the end
			followed := make(chan error, 1)
			began := time.Now()
			var n int
			go func() {
				followed <- follow(ctx, b, head, func(batch []broker.Entry) bool {
					n += len(batch)
					return len(batch[len(batch)-1].Data) == len(marker)
				})
			}()
			_, _, _, err = write(ctx, a, 16, size, most, length())
			if err == nil {
				_, err = a.Append(ctx, marker)
			}
			if err != nil {
				return err
			}
			if err := <-followed; err != nil {
				return err
			}
			r.rates = append(r.rates, float64(n)/time.Since(began).Seconds())
			return nil
		})
	}
}

// filling measures how many entries a second a node is given that follows a log from its beginning.
func filling(entries, size int) func(context.Context, *engine, *result) error {
	return func(ctx context.Context, e *engine, r *result) error {
		return on(ctx, e, func(a, b broker.Broker) error {
			_, _, last, err := write(ctx, a, 16, size, entries, time.Hour)
			if err != nil {
				return err
			}
			began, n := time.Now(), 0
			err = follow(ctx, b, broker.Position{}, func(batch []broker.Entry) bool {
				n += len(batch)
				return !last.After(batch[len(batch)-1].Position)
			})
			r.rates = append(r.rates, float64(n)/time.Since(began).Seconds())
			return err
		})
	}
}

// pace calls do at a rate, each call in a goroutine of its own at the moment when it is due, whether earlier ones have returned or not. It
// returns those moments, and the errors of the calls.
func pace(rate int, length time.Duration, do func(i int) error) ([]time.Time, error) {
	n := int(length.Seconds() * float64(rate))
	due := make([]time.Time, n)
	start := time.Now().Add(10 * time.Millisecond)
	for i := range due {
		due[i] = start.Add(time.Duration(i) * time.Second / time.Duration(rate))
	}
	var calls sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i := range due {
		time.Sleep(time.Until(due[i]))
		calls.Go(func() {
			if err := do(i); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	calls.Wait()
	return due, failed
}

// delaying measures the time from when Append is due on one node to deliver on the other. The due time is what counts, so a server that
// stands still counts for all that would have been appended meanwhile.
func delaying(rate int) func(context.Context, *engine, *result) error {
	return func(ctx context.Context, e *engine, r *result) error {
		return on(ctx, e, func(a, b broker.Broker) error {
			head, err := b.Head(ctx)
			if err != nil {
				return err
			}
			n := int((2 * length()).Seconds() * float64(rate))
			came, got := make([]time.Time, n), 0
			followed := make(chan error, 1)
			go func() {
				followed <- follow(ctx, b, head, func(batch []broker.Entry) bool {
					now := time.Now()
					for _, e := range batch {
						came[binary.LittleEndian.Uint64(e.Data)] = now
					}
					got += len(batch)
					return got >= n
				})
			}()
			due, err := pace(rate, 2*length(), func(i int) error {
				data := make([]byte, 300)
				binary.LittleEndian.PutUint64(data, uint64(i))
				_, err := a.Append(ctx, data)
				return err
			})
			if err != nil {
				return err
			}
			if err := <-followed; err != nil {
				return err
			}
			return r.add(due, came)
		})
	}
}

// add adds the delays between when things were due and when they came.
func (r *result) add(due, came []time.Time) error {
	for i, c := range came {
		if c.IsZero() {
			return fmt.Errorf("number %d of %d never came", i, len(came))
		}
		r.delays = append(r.delays, c.Sub(due[i]))
	}
	return nil
}
