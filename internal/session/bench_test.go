package session_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/transport"
)

// ignoring is an observer that does as little as one can.
type ignoring struct{}

func (ignoring) Count(observe.Metric, string, int) {}

func (ignoring) Measure(observe.Metric, string, time.Duration) {}

// BenchmarkDeliver is one change on its way through the log to the transports of sessions that follow it, unwatched and watched.
func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, o := range []observe.Observer{nil, ignoring{}} {
			name := "unwatched"
			if o != nil {
				name = "watched"
			}
			b.Run(fmt.Sprint(n, "/", name), func(b *testing.B) { deliver(b, n, options{observer: o}) })
		}
	}
}

func deliver(b *testing.B, n int, o options) {
	h := newHub(b, o)
	defer h.close()
	ctx := context.Background()
	sessions := make([]*session.Session, n)
	for i := range sessions {
		sessions[i] = h.session(i)
		if err := sessions[i].Receive(ctx, []byte(`{"type":"subscribe","id":1,"router":"things"}`)); err != nil {
			b.Fatal(err)
		}
	}
	take := func(want string) {
		for _, s := range sessions {
			for taken := false; !taken; {
				frames, err := s.Next(ctx)
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range frames {
					taken = taken || f.Type == want
				}
			}
		}
	}
	take("snapshot")
	h.mustPut(1, 1)
	take("change") // now all are live
	b.ReportAllocs()
	for b.Loop() {
		h.mustPut(1, 1)
		take("change")
	}
}

// sink is a connection that takes everything. It costs what making a batch ready costs, and a look at the bytes.
type sink struct {
	session *session.Session
	world   *sinks
}

// sinks are all connections of a benchmark.
type sinks struct {
	*hub
	taken atomic.Int64 // frames, less those that were awaited
	moved chan struct{}
}

func (w *sinks) took(n int) {
	if left := w.taken.Add(int64(n)); left >= 0 && left < int64(n) {
		w.moved <- struct{}{}
	}
}

func (k *sink) Offer(b *transport.Batch) bool {
	data := b.Bytes("sink", func(frames []*transport.Frame) []byte {
		var text []byte
		for _, f := range frames {
			text = append(append(text, f.Data...), '\n')
		}
		return text
	})
	k.world.took(bytes.Count(data, []byte("\n")))
	return true
}

func (k *sink) Resume() { go k.serve() }

func (k *sink) serve() {
	for !k.session.Park(k) {
		frames, err := k.session.Next(context.Background())
		if err != nil {
			return
		}
		k.world.took(len(frames))
	}
}

// newSinks opens n parked sessions, each with what subscribe asks for, and returns when each was told that.
func newSinks(b testing.TB, n int, o options, subscribe func(i int) string) *sinks {
	w := &sinks{hub: newHub(b, o), moved: make(chan struct{}, 1)}
	w.expect(n)
	for i := range n {
		k := &sink{session: w.session(i), world: w}
		if err := k.session.Receive(context.Background(), []byte(subscribe(i))); err != nil {
			b.Fatal(err)
		}
		k.Resume()
	}
	w.await(b)
	return w
}

// expect says how many frames are to be taken, before await waits until they were.
func (w *sinks) expect(n int) { w.taken.Add(-int64(n)) }

func (w *sinks) await(b testing.TB) {
	select {
	case <-w.moved:
	case <-time.After(time.Minute):
		b.Fatalf("%d frames are missing", -w.taken.Load())
	}
}

// BenchmarkOffer is the way of changes to parked sessions: all of one live query; one change at a time, or 32.
func BenchmarkOffer(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		for _, at := range []int{1, 32} {
			b.Run(fmt.Sprintf("shared/%d/w%d", n, at), func(b *testing.B) {
				w := newSinks(b, n, options{}, func(int) string { return `{"type":"subscribe","id":1,"channel":"chat"}` })
				defer w.close()
				b.ReportAllocs()
				for b.Loop() {
					w.expect(n * at)
					for range at {
						if _, err := w.say(context.Background(), "chat", `{"a":1,"text":"something that is said to all of those who listen"}`); err != nil {
							b.Fatal(err)
						}
					}
					w.await(b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*at), "ns/delivery")
			})
		}
	}
}
