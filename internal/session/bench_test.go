package session_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/session"
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
