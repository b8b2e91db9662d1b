package session_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
)

// What is queued is counted as long as it is, and no longer: when it was taken, dropped because it is too much, or recalled. That nothing
// is left at the end, every test of this package checks.
func TestQueuedIsWhatWaits(t *testing.T) {
	inBubble(t, options{queue: 5000}, func(t *testing.T, h *hub) {
		c, other := h.client(), h.client()
		c.subscribe(1, `{}`)
		c.drain()
		queued := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if got := h.env.Queued.Load(); got != int64(want) {
				t.Errorf("%s: %d bytes are queued, want %d", when, got, want)
			}
		}
		queued("all taken", 0)
		pong := len(wire.Pong(7).Data) + 256 // what a frame costs beside
		c.send(`{"type":"ping","id":7}`)
		other.send(`{"type":"ping","id":7}`)
		queued("two answers", 2*pong)
		h.mustPut(1, 1)
		synctest.Wait()
		if h.env.Queued.Load() < int64(2*pong+50) {
			t.Errorf("a change is not counted: %d", h.env.Queued.Load())
		}
		for i := range int64(20) {
			h.mustPut(i, 1)
		}
		queued("dropped", 2*pong)
		c.drain()
		queued("one has taken his", pong)
		h.mustPut(1, 2)
		synctest.Wait()
		if h.env.Queued.Load() <= int64(pong) {
			t.Error("a change is not counted after an overflow")
		}
		if _, err := h.engine.Append(context.Background(), record.Entry{Recheck: []string{""}}); err != nil {
			t.Fatal(err)
		}
		queued("recalled", pong)
		other.session.Close()
		queued("abandoned", 0)
		c.drain()
		queued("all taken again", 0)
	})
}

// told is an observer that remembers.
type told struct {
	mu       sync.Mutex
	counts   map[string]int
	measured map[string][]time.Duration
}

func (o *told) Count(m observe.Metric, label string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[m.String()+" "+label] += n
}

func (o *told) Measure(m observe.Metric, label string, d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.measured[m.String()+" "+label] = append(o.measured[m.String()+" "+label], d)
}

// The delay is that of what waited longest among what a transport takes at once. What was there before the client was does not count, and
// what overflowed waits until it is read again.
func TestDeliveryDelay(t *testing.T) {
	o := &told{counts: map[string]int{}, measured: map[string][]time.Duration{}}
	inBubble(t, options{queue: 500, observer: o}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		synctest.Wait()
		time.Sleep(time.Hour)
		c := h.client()
		c.session.Transport = "pipe"
		delays := func(when string, want ...time.Duration) {
			t.Helper()
			o.mu.Lock()
			defer o.mu.Unlock()
			const key = "delivery_delay pipe"
			if got := o.measured[key]; !slices.Equal(got, want) {
				t.Errorf("%s: delays %v, want %v", when, got, want)
			}
			delete(o.measured, key)
		}
		feed := c.subscribe(1, `{}`)
		c.drain()
		delays("a snapshot")
		h.mustPut(1, 2)
		synctest.Wait()
		time.Sleep(3 * time.Second)
		h.mustPut(1, 3)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		c.drain()
		delays("two changes", 5*time.Second)
		for i := range int64(20) {
			h.mustPut(i, 1)
		}
		synctest.Wait()
		time.Sleep(7 * time.Second)
		c.drain()
		o.mu.Lock()
		n, first := o.counts["overflows pipe"], o.measured["delivery_delay pipe"]
		if n == 0 || len(first) == 0 || first[0] != 7*time.Second {
			t.Errorf("after %d overflows: delays %v, want 7s", n, first)
		}
		clear(o.measured)
		o.mu.Unlock()
		h.mustPut(1, 4)
		synctest.Wait()
		cursor := feed.Cursor
		c.reconnect()
		c.session.Transport = "pipe"
		time.Sleep(time.Hour)
		c.subscribe(1, `{}`)
		c.drain()
		delays("what was missed")
		if feed.Cursor == cursor {
			t.Error("nothing was missed")
		}
		h.agrees(t, feed, `{}`)
		o.mu.Lock()
		defer o.mu.Unlock()
		if got := o.counts["deliveries pipe"]; got < 5 {
			t.Errorf("%d deliveries", got)
		}
	})
}

func TestParkedPollsAreCounted(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		parked := func(want int64) {
			t.Helper()
			synctest.Wait()
			if got := h.env.Parked.Load(); got != want {
				t.Errorf("%d polls are parked, want %d", got, want)
			}
		}
		c.poll(0)
		parked(0)
		var polls sync.WaitGroup
		polls.Go(func() { c.poll(time.Minute) })
		parked(1)
		ctx, cancel := context.WithCancel(t.Context())
		polls.Go(func() {
			if _, err := h.client().session.Poll(ctx, time.Minute); err == nil {
				t.Error("a poll of a client that went was answered")
			}
		})
		parked(2)
		cancel()
		parked(1)
		polls.Wait()
		parked(0)
	})
}
