package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/transporttest"
)

// stream is a transport that hands frames to the test.
type stream struct {
	take func(r *http.Request, f *transport.Frame)
	end  func(r *http.Request)
}

func (stream) Name() string               { return "websocket" }
func (stream) Accepts(*http.Request) bool { return true }

func (s stream) Serve(_ http.ResponseWriter, r *http.Request, session transport.Session, o transport.Options) {
	defer session.Close()
	defer s.end(r)
	if session.Receive(r.Context(), o.Body) != nil {
		return
	}
	for {
		frames, err := session.Next(r.Context())
		for _, f := range frames {
			s.take(r, f)
		}
		if err != nil {
			return
		}
	}
}

// Ten thousand clients are told to come back at times that are spread over the window, and their connections are closed at such times.
func TestShutdownSpreadsTheClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, bins, window = 10_000, 20, 4 * time.Second
		var mu sync.Mutex
		var told, closed []time.Duration
		var start time.Time
		hub := live.New(live.Options{DrainWindow: window, Transports: []transport.Transport{stream{
			take: func(_ *http.Request, f *transport.Frame) {
				var m struct{ After int64 }
				if f.Type == "reconnect" && json.Unmarshal(f.Data, &m) == nil {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, time.Duration(m.After)*time.Millisecond)
				}
			},
			end: func(*http.Request) {
				mu.Lock()
				defer mu.Unlock()
				closed = append(closed, time.Since(start))
			},
		}}})
		for range clients {
			go post(t.Context(), hub, "")
		}
		synctest.Wait()
		start = time.Now()
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > window+time.Second {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		grace := slices.Min(closed)
		for i := range closed {
			closed[i] -= grace
		}
		for name, times := range map[string][]time.Duration{"told": told, "closed": closed} {
			if len(times) != clients {
				t.Fatalf("%d were %s", len(times), name)
			}
			var histogram [bins + 1]int
			for _, d := range times {
				histogram[d*bins/window]++
			}
			if peak := slices.Max(histogram[:]); float64(peak) > 1.5*clients/bins || histogram[bins] > 1 {
				t.Errorf("%s: %v", name, histogram)
			}
		}
	})
}

// Whoever holds on to his connection is served until it is closed, and is refused a new one.
func TestShutdownServesClientsUntilTheyLeave(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{DrainWindow: 400 * time.Millisecond}, m)
	f := follow(t, transporttest.WebSocket, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos","where":{"list_id":7}}`)
	f.want("snapshot")
	ended := make(chan error, 1)
	go func() { ended <- b.hub.Shutdown(limit(t)) }()
	f.want("reconnect")
	b.refused(503, "unavailable", "GET", "/live/memos", "")
	m.put(memo{ID: 77, OwnerID: 1, ListID: 7, Version: 1})
	if err := m.Created(t.Context(), memo{ID: 77, OwnerID: 1, ListID: 7, Version: 1}); err != nil {
		t.Fatal(err)
	}
	f.want("change")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestShutdownWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := live.New(live.Options{DrainWindow: time.Hour})
		synctest.Wait()
		start := time.Now()
		if err := hub.Shutdown(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("without a client it took %v, %v", time.Since(start), err)
		}
	})
}

// Clients go from a hub that shuts down to another one on the same log, while a writer never stops: nothing is missed, nothing comes
// twice, nobody is resynced.
func TestShutdownLosesNothing(t *testing.T) {
	const clients = 40
	log := memory.New(memory.Options{})
	news := func() *live.Channel { return &live.Channel{Name: "news", Subscribe: anyone} }
	old := newBench(t, live.Options{Broker: log, DrainWindow: time.Second}, news())
	next := newBench(t, live.Options{Broker: log}, news())
	from, to := old.server()+"/live/", next.server()+"/live/"
	ctx := limit(t)

	var said, last atomic.Int64 // last is how far everybody reads, once it is known
	stop := make(chan struct{})
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		for n := 0; ; n++ {
			if err := next.hub.Publish(ctx, "news", n); err != nil {
				t.Error(err)
			}
			said.Store(int64(n + 1))
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	var ready sync.WaitGroup
	ready.Add(clients)
	for i := range clients {
		readers.Go(func() {
			transportName := []string{transporttest.WebSocket, transporttest.SSE, transporttest.LongPoll}[i%3]
			mover{t: t, name: fmt.Sprint(transportName, " ", i), waits: i%2 == 0, ready: ready.Done, last: &last}.run(ctx, transportName, from, to)
		})
	}
	ready.Wait()
	before := runtime.NumGoroutine()
	if err := old.hub.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := runtime.NumGoroutine(); n > before+clients*4 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	last.Store(said.Load() + 20)
	readers.Wait()
	close(stop)
	writer.Wait()
}

// mover is a client that reads numbered messages up to the last, from one hub and then from another.
type mover struct {
	t     *testing.T
	name  string
	waits bool // until its connection is closed, rather than until its time has come
	ready func()
	last  *atomic.Int64
}

func (m mover) run(ctx context.Context, transportName, from, to string) {
	c, err := transporttest.Dial(ctx, transportName, from, transporttest.ClientOptions{Wait: 1})
	if err == nil {
		err = c.Send(ctx, `{"type":"subscribe","id":1,"channel":"news"}`)
	}
	if err != nil {
		m.t.Errorf("%s: %v", m.name, err)
		return
	}
	seen, moved := -1, false
	var leave <-chan time.Time
	for ctx.Err() == nil && (m.last.Load() == 0 || int64(seen) < m.last.Load()) {
		gone := false
		select {
		case <-leave:
			gone = true
		default:
			message, err := c.Next(ctx)
			switch {
			case err != nil && moved:
				m.t.Errorf("%s: at the other hub: %v", m.name, err)
				return
			case err != nil:
				gone = true
			case message.Type == "reconnect" && !m.waits:
				leave = time.After(time.Duration(message.After) * time.Millisecond)
			case message.Type == "resync":
				m.t.Errorf("%s: %s", m.name, message.Raw)
			}
			for _, data := range message.Messages {
				n := 0
				if err := json.Unmarshal(data, &n); err != nil || seen >= 0 && n != seen+1 {
					m.t.Errorf("%s: %d came after %d", m.name, n, seen)
				}
				if seen < 0 {
					m.ready()
				}
				seen = n
			}
		}
		if gone {
			subscriptions := c.Subscriptions()
			c.Drop()
			leave, moved = nil, true
			if c, err = transporttest.Dial(ctx, transportName, to, transporttest.ClientOptions{Wait: 1}); err == nil {
				err = c.Send(ctx, subscriptions...)
			}
			if err != nil {
				m.t.Errorf("%s: %v", m.name, err)
				return
			}
		}
	}
	c.Close()
	if !moved {
		m.t.Errorf("%s: never left", m.name)
	}
}

// Clients that read nothing do not hold up the end.
func TestShutdownCutsOffWhoDoesNotListen(t *testing.T) {
	b := newBench(t, live.Options{DrainWindow: 200 * time.Millisecond}, &live.Channel{Name: "news", Subscribe: anyone})
	server := httptest.NewServer(b.hub)
	defer server.Close()
	opened := make(chan struct{})
	deaf := websocketTo(t, server.Listener.Addr().String(), opened)
	defer deaf.Close()
	<-opened
	start := time.Now()
	if err := b.hub.Shutdown(limit(t)); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 8*time.Second { // PongTimeout, for which the answer to a close is waited for, is ten
		t.Errorf("it took %v", took)
	}
}
