package live_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport"
)

// sink is a transport that takes what there is and sends it to nobody.
type sink struct{ changes *sync.WaitGroup }

func (sink) Name() string { return "sink" }

func (sink) Accepts(*http.Request) bool { return true }

func (t sink) Serve(_ http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	if s.Receive(r.Context(), o.Body) != nil {
		return
	}
	for {
		frames, err := s.Next(r.Context())
		for _, f := range frames {
			if f.Type == "change" || f.Type == "snapshot" {
				t.changes.Done()
			}
		}
		if err != nil {
			return
		}
	}
}

type ignoring struct{}

func (ignoring) Count(live.Metric, string, int) {}

func (ignoring) Measure(live.Metric, string, time.Duration) {}

// BenchmarkPublish is one change from the application's call to the transports of all who follow it, unwatched and watched.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, o := range []live.Observer{nil, ignoring{}} {
			name := "unwatched"
			if o != nil {
				name = "watched"
			}
			b.Run(fmt.Sprint(n, "/", name), func(b *testing.B) { publishing(b, n, live.Options{Observer: o}) })
		}
	}
}

func publishing(b *testing.B, n int, o live.Options) {
	var changes sync.WaitGroup
	o.Transports, o.Logger = []transport.Transport{sink{&changes}}, slog.New(slog.DiscardHandler)
	table := newTable()
	items := table.router("items")
	hub := live.New(o)
	hub.Register(items)
	row := table.insert(item{Title: "milk"})
	changes.Add(n)
	for range n {
		r := httptest.NewRequest("GET", "/live/items?cursor=", nil)
		r.Header.Set("Accept", "text/event-stream")
		go hub.ServeHTTP(httptest.NewRecorder(), r)
	}
	changes.Wait()
	update := func() {
		changes.Add(n)
		was, now, err := table.change(row.ID, func(i *item) { i.ListID++ })
		if err == nil {
			err = items.Updated(context.Background(), was, now)
		}
		if err != nil {
			b.Fatal(err)
		}
		changes.Wait()
	}
	update() // now all are live
	b.ReportAllocs()
	for b.Loop() {
		update()
	}
	b.StopTimer()
	if err := hub.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}
