package live_test

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

// tally is an observer that remembers, under "metric label".
type tally struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next
	counts  map[string]int
	longest map[string]time.Duration
}

func newTally() *tally {
	return &tally{changed: make(chan struct{}), counts: map[string]int{}, longest: map[string]time.Duration{}}
}

func (o *tally) Count(m live.Metric, label string, n int) { o.add(m.String()+" "+label, n, 0) }

func (o *tally) Measure(m live.Metric, label string, d time.Duration) {
	o.add(m.String()+" "+label, 1, d)
}

func (o *tally) add(name string, n int, d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[name] += n
	o.longest[name] = max(o.longest[name], d)
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *tally) of(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts[name]
}

// want waits until something was told so often, and fails when it was told more often.
func (o *tally) want(t *testing.T, name string, n int) {
	t.Helper()
	for ctx := limit(t); ; {
		o.mu.Lock()
		got, changed := o.counts[name], o.changed
		o.mu.Unlock()
		if got == n {
			return
		}
		if got > n {
			t.Fatalf("%s: %d, want %d", name, got, n)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s: %d, want %d; told %v", name, got, n, o.counts)
		}
	}
}

func TestObserverIsToldWhatHappens(t *testing.T) {
	o, m := newTally(), desk()
	rule := ruled(m)
	chat := &live.Channel{
		Name: "chat:*", Subscribe: func(context.Context, string) error { return nil },
		Publish: func(context.Context, string, json.RawMessage) (any, error) {
			return nil, &live.Error{Code: "sold_out"}
		},
	}
	b := newBench(t, live.Options{Observer: o, Identity: byVisitor}, m, chat)
	url := b.server() + "/live/"
	f := follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	o.want(t, "deliveries websocket", 2) // hello and snapshot
	o.want(t, "loads memos", 1)
	o.want(t, "load_waits memos", 1)
	if n := o.of("delivery_delay websocket"); n != 0 {
		t.Errorf("a snapshot was delayed %d times", n)
	}

	m.retitle(t, 1, "cream")
	f.want("change")
	o.want(t, "publishes memos", 1)
	o.want(t, "broker_lag ", 1)
	o.want(t, "deliveries websocket", 3)
	o.want(t, "delivery_delay websocket", 1)

	f.say(`{"type":"subscribe","id":2,"channel":"chat:7"}`)
	f.want("snapshot")
	if err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		return firstError(b.hub.Publish(ctx, "chat:7", 1), b.hub.Publish(ctx, "chat:8", 2), m.Updated(ctx, memo{ID: 9, Version: 1}, memo{ID: 9, Version: 2}))
	}); err != nil {
		t.Fatal(err)
	}
	f.want("message")
	o.want(t, "publishes chat:*", 2)
	o.want(t, "publishes memos", 2)

	f.say(`{"type":"subscribe","id":3,"router":"nothing"}`, `{"type":"subscribe","id":1,"router":"memos"}`, `{"type":"publish","id":4,"channel":"chat:7","data":1}`)
	for range 3 {
		f.want("error")
	}
	o.want(t, "refusals unknown_router", 1)
	o.want(t, "refusals id_in_use", 1)
	o.want(t, "refusals application", 1)
	b.refused(404, "unknown_router", "GET", "/live/nothing", "")
	b.refused(403, "forbidden_origin", "GET", "/live/memos", "", "Origin", "https://evil.example")
	o.want(t, "refusals unknown_router", 2)
	o.want(t, "refusals forbidden_origin", 1)

	forbidden := func(context.Context) (where.Where, error) { return where.Where{}, live.ErrForbidden }
	rule.Store(&forbidden)
	if err := b.hub.Recheck(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	f.want("closed")
	o.want(t, "publishes ", 1)
	o.want(t, "closed_subscriptions forbidden", 1)

	other := follow(t, transporttest.SSE, url, `{"type":"subscribe","id":1,"channel":"chat:7"}`, "Visitor", "2")
	other.want("snapshot")
	if err := b.hub.Disconnect(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	o.want(t, "closed_sessions signed_out", 1)
	o.want(t, "closed_subscriptions signed_out", 1)
	gone := o.of("closed_sessions gone")
	other.Drop()
	o.want(t, "closed_sessions gone", gone+1)
	last := follow(t, transporttest.SSE, url, `{"type":"subscribe","id":1,"channel":"chat:7"}`, "Visitor", "2")
	last.want("snapshot")
	if err := b.hub.Shutdown(limit(t)); err != nil {
		t.Fatal(err)
	}
	o.want(t, "closed_sessions reconnect", 1)
	for name := range o.counts {
		if strings.HasPrefix(name, "panics") || strings.HasPrefix(name, "unknown") {
			t.Errorf("told of %s", name)
		}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestResyncsAreCountedByReason(t *testing.T) {
	o, m := newTally(), desk()
	rule := ruled(m)
	b := newBench(t, live.Options{Observer: o, Identity: byVisitor}, m)
	f := follow(t, transporttest.WebSocket, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	everyone := live.Everyone
	rule.Store((*func(context.Context) (where.Where, error))(&everyone))
	if err := b.hub.Recheck(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	f.want("resync")
	o.want(t, "resyncs rights", 1)
	if err := m.ChangedWhere(t.Context(), where.Eq("list_id", 7)); err != nil {
		t.Fatal(err)
	}
	f.want("resync")
	o.want(t, "resyncs bulk", 1)
}

func TestPanicsAreCountedOnceByPlace(t *testing.T) {
	type tests = []struct {
		where, name string
		set         func(*memos)
		do          func(b *bench)
	}
	list := func(b *bench) { b.refused(500, "internal", "GET", "/live/memos", "") }
	create := func(b *bench) { b.refused(500, "internal", "POST", "/live/memos", `{"title":"x"}`) }
	get := func(b *bench) { b.refused(500, "internal", "GET", "/live/memos/1", "") }
	for _, test := range (tests{
		{"scope", "Scope of a list", func(m *memos) { m.Scope = func(context.Context) (where.Where, error) { panic("oh") } }, list},
		{"scope", "Scope of a subscription", func(m *memos) { m.Scope = func(context.Context) (where.Where, error) { panic("oh") } },
			func(b *bench) { b.say(`{"type":"subscribe","id":1,"router":"memos"}`) }},
		{"scope", "Scope of a verb", func(m *memos) { m.Scope = func(context.Context) (where.Where, error) { panic("oh") } }, create},
		{"scope", "Allow", func(m *memos) { m.Allow = func(context.Context, string) error { panic("oh") } }, list},
		{"scope", "AllowRow", func(m *memos) { m.AllowRow = func(context.Context, string, memo) error { panic("oh") } }, get},
		{"list", "List", func(m *memos) { m.List = func(context.Context, live.Query) ([]memo, error) { panic("oh") } }, list},
		{"list", "List of a subscription", func(m *memos) { m.List = func(context.Context, live.Query) ([]memo, error) { panic("oh") } },
			func(b *bench) { b.say(`{"type":"subscribe","id":1,"router":"memos"}`) }},
		{"list", "List of a window", func(m *memos) { m.List = func(context.Context, live.Query) ([]memo, error) { panic("oh") } },
			func(b *bench) { b.say(`{"type":"subscribe","id":1,"router":"memos","limit":1}`) }},
		{"list", "List of the verb", func(m *memos) { m.List = func(context.Context, live.Query) ([]memo, error) { panic("oh") } },
			func(b *bench) { b.say(`{"type":"call","id":1,"router":"memos","verb":"list"}`) }},
		{"list", "Count", func(m *memos) { m.Count = func(context.Context, live.Query) (int64, error) { panic("oh") } },
			func(b *bench) { b.say(`{"type":"subscribe","id":1,"router":"memos","count":true}`) }},
		{"verb", "Get", func(m *memos) { m.Get = func(context.Context, live.Key) (memo, error) { panic("oh") } }, get},
		{"verb", "Create", func(m *memos) { m.Create = func(context.Context, memo) (memo, error) { panic("oh") } }, create},
		{"verb", "Create in a Tx", func(m *memos) {
			m.Create = func(context.Context, memo) (memo, error) { panic("oh") }
			m.Tx = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
		}, create},
		{"verb", "Before", func(m *memos) { m.Before = func(context.Context, *live.Write[memo]) error { panic("oh") } }, create},
		{"verb", "After", func(m *memos) { m.After = func(context.Context, *live.Write[memo]) { panic("oh") } }, create},
		{"channel", "Subscribe", func(*memos) {}, func(b *bench) { b.say(`{"type":"subscribe","id":1,"channel":"chat"}`) }},
		{"channel", "Publish", func(*memos) {}, func(b *bench) { b.say(`{"type":"publish","id":1,"channel":"chat","data":1}`) }},
	}) {
		t.Run(test.where+" "+test.name, func(t *testing.T) {
			o, m := newTally(), desk()
			test.set(m)
			b := newBench(t, live.Options{Observer: o}, m, &live.Channel{
				Name: "chat", Subscribe: func(context.Context, string) error { panic("oh") },
				Publish: func(context.Context, string, json.RawMessage) (any, error) { panic("oh") },
			})
			test.do(b)
			if err := b.hub.Shutdown(limit(t)); err != nil {
				t.Fatal(err)
			}
			o.want(t, "panics "+test.where, 1)
			for name := range o.counts {
				if strings.HasPrefix(name, "panics") && name != "panics "+test.where {
					t.Errorf("and %s", name)
				}
			}
			if logged := b.log.String(); strings.Count(logged, "panicked") != 1 || !strings.Contains(logged, "observer_test.go") {
				t.Errorf("logged %s", logged)
			}
		})
	}
}

func TestPanicsOfIdentityAndRefreshAreCounted(t *testing.T) {
	o, m := newTally(), desk()
	var broken atomic.Bool
	b := newBench(t, live.Options{
		Observer: o,
		Identity: func(ctx context.Context) string {
			if visitor(ctx) == 2 {
				panic("who?")
			}
			return byVisitor(ctx)
		},
		Refresh: func(ctx context.Context) (context.Context, error) {
			if broken.Load() {
				panic("no")
			}
			return ctx, nil
		},
	}, m)
	f := follow(t, transporttest.WebSocket, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	b.refused(500, "internal", "POST", "/live/", `{"type":"ping","id":1}`, "Visitor", "2")
	o.want(t, "panics identity", 1)
	broken.Store(true)
	if err := b.hub.Recheck(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	f.want("closed")
	o.want(t, "panics refresh", 1)
	o.want(t, "closed_subscriptions internal", 1)
	o.want(t, "closed_sessions internal", 1)
}

// angry is an observer that panics, always.
type angry struct{ told atomic.Int64 }

func (o *angry) Count(live.Metric, string, int) { o.told.Add(1); panic("I have enough") }

func (o *angry) Measure(live.Metric, string, time.Duration) { o.told.Add(1); panic("I have enough") }

func TestObserverThatPanicsIsAloneWithIt(t *testing.T) {
	o, m := &angry{}, desk()
	b := newBench(t, live.Options{Observer: o, MaxQueueBytes: 1 << 10}, m)
	for _, name := range transporttest.All {
		f := follow(t, name, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
		f.want("snapshot")
		m.retitle(t, 1, "over "+name)
		if change := f.want("change"); !strings.Contains(change.Raw, "over "+name) {
			t.Error(change.Raw)
		}
		f.say(`{"type":"subscribe","id":2,"router":"nothing"}`)
		f.want("error")
	}
	b.refused(404, "unknown_router", "GET", "/live/nothing", "")
	if err := b.hub.Shutdown(limit(t)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.log.String(), "the Observer panicked"); n != 1 || o.told.Load() < 20 || !strings.Contains(b.log.String(), "observer_test.go") {
		t.Errorf("%d panics are logged %d times: %s", o.told.Load(), n, b.log)
	}
}

func TestStatsAreWhatTheHubHolds(t *testing.T) {
	o, m := newTally(), desk()
	b := newBench(t, live.Options{Observer: o}, m, &live.Channel{Name: "chat", Subscribe: func(context.Context, string) error { return nil }})
	url := b.server() + "/live/"
	const memos = `{"type":"subscribe","id":1,"router":"memos"}`
	one := follow(t, transporttest.WebSocket, url, memos)
	one.want("snapshot")
	two := follow(t, transporttest.SSE, url, memos)
	two.want("snapshot")
	one.say(`{"type":"subscribe","id":2,"channel":"chat"}`)
	one.want("snapshot")
	m.retitle(t, 1, "cream")
	one.want("change")
	two.want("change")
	s := b.hub.Stats()
	for ctx := limit(t); s.QueuedBytes != 0 && ctx.Err() == nil; { // a client can have what its transport is about to report as sent
		runtime.Gosched()
		s = b.hub.Stats()
	}
	if s.Sessions["websocket"] != 1 || s.Sessions["sse"] != 1 || s.Sessions["longpoll"] != 0 || len(s.Sessions) != 4 {
		t.Errorf("sessions %v", s.Sessions)
	}
	if s.Subscriptions != 3 || s.LiveQueries != 2 || s.ParkedPolls != 0 || s.QueuedBytes != 0 || s.Degraded {
		t.Errorf("%+v", s)
	}
	if s.HistoryEntries != 1 || s.HistoryBytes < 100 || !strings.Contains(s.Position, ".") {
		t.Errorf("of the log: %+v", s)
	}
	gone := o.of("closed_sessions gone")
	one.Drop()
	o.want(t, "closed_sessions gone", gone+1)
	if s := b.hub.Stats(); s.Sessions["websocket"] != 0 || s.Subscriptions != 1 || s.LiveQueries != 2 {
		t.Errorf("one has gone: %+v", s)
	}
	if err := b.hub.Shutdown(limit(t)); err != nil {
		t.Fatal(err)
	}
	if s := b.hub.Stats(); s.Sessions["sse"] != 0 || s.Subscriptions != 0 || s.QueuedBytes != 0 {
		t.Errorf("after the end: %+v", s)
	}
}

// What clients send does not become a label.
func TestLabelsAreFew(t *testing.T) {
	o, m := newTally(), desk()
	b := newBench(t, live.Options{Observer: o}, m)
	for _, garbage := range []string{"a", "b", "c", strings.Repeat("x", 150)} {
		b.say(`{"type":"subscribe","id":1,"router":"`+garbage+`"}`, `{"type":"subscribe","id":2,"channel":"`+garbage+`"}`,
			`{"type":"call","id":3,"router":"memos","verb":"`+garbage+`"}`, `{"type":"`+garbage+`","id":4}`)
		b.ask(http.MethodGet, "/live/"+garbage, "", "Origin", "https://"+garbage+".example")
	}
	for name := range o.counts {
		if _, label, _ := strings.Cut(name, " "); len(label) == 1 || len(label) > 30 {
			t.Errorf("told of %q", name)
		}
	}
	o.want(t, "refusals unknown_router", 4)
	o.want(t, "refusals unknown_type", 4)
}
