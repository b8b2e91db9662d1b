package session_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// hub is a small hub.
type hub struct {
	*store
	t      testing.TB
	broker *flaky
	engine *engine.Engine
	stream *livequery.Stream
	env    session.Env
	ended  sync.WaitGroup
	stop   context.CancelFunc
	gone   chan struct{}

	opened sync.Mutex
	open   map[*session.Session]struct{}
	ever   []*session.Session

	// Hooks of the app, nil for none.
	onSubscribe func(wire.Message) error
	onLoad      func(wire.Message) error
	onContext   func(context.Context)
	onCall      func()
	// scope is what everybody may see, as a filter; nil for all.
	scope atomic.Pointer[string]
	// onSeen is called with each entry before the hub follows it.
	onSeen func(broker.Position)
	// onLost is called when the log was lost, before the sessions know.
	onLost func()
}

func newHub(t testing.TB, o options) *hub {
	t.Helper()
	return newHubOn(t, &flaky{Broker: memory.New(o.broker)}, &store{rows: map[int64]thing{}}, o)
}

// newHubOn starts a hub on a broker and a database.
func newHubOn(t testing.TB, b *flaky, db *store, o options) *hub {
	t.Helper()
	h := &hub{store: db, t: t, broker: b, open: map[*session.Session]struct{}{}, gone: make(chan struct{})}
	watch := observe.New(o.observer, slog.Default())
	h.engine = engine.New(engine.Options{
		Broker: h.broker, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Watch: watch,
		WindowEntries: cmp.Or(o.window, 1000), WindowBytes: 1 << 20,
		Lost: func(reason string) {
			if h.onLost != nil {
				h.onLost()
			}
			h.each(func(s *session.Session) { s.Resync(reason) })
		},
		Seen: func(at broker.Position, e *record.Entry) {
			if h.onSeen != nil {
				h.onSeen(at)
			}
			if e != nil && e.Recheck != nil {
				h.each(func(s *session.Session) { s.Recheck(at) })
			}
		},
		Degraded: func(yes bool) { h.each(func(s *session.Session) { s.Tell(wire.Status(yes)) }) },
	})
	matchable, err := where.NewSchema(
		where.Field{Name: "id", Type: where.Int, Filter: true},
		where.Field{Name: "box", Type: where.Int, Filter: true},
		where.Field{Name: "version", Type: where.Int, Filter: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := livequery.NewSchema("things", []livequery.Field{
		{Name: "id", Published: true}, {Name: "box", Published: true}, {Name: "note", Published: true}, {Name: "version", Published: true},
	}, matchable)
	if err != nil {
		t.Fatal(err)
	}
	h.stream = h.engine.AddStream(schema)
	h.env = session.Env{
		App: h, Log: h.engine, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Watch: watch, Running: &h.ended,
		MaxQueueBytes: cmp.Or(o.queue, 1<<20), MaxSubscriptions: cmp.Or(o.subscriptions, 100), MaxMessageBytes: 1 << 10, MaxBatch: cmp.Or(o.batch, 100), MaxDepth: 32,
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() {
		defer close(h.gone)
		h.engine.Run(ctx)
	}()
	return h
}

// close stops the hub. Inside a bubble of synctest, a goroutine that it leaves behind fails the test; so does a sum over all sessions
// that is not zero once there are none.
func (h *hub) close() {
	h.t.Helper()
	for s := range h.sessions() {
		s.Close()
	}
	h.stop()
	<-h.gone
	h.ended.Wait()
	for _, s := range h.ever {
		s.Close()
	}
	for name, n := range map[string]int64{
		"bytes queued": h.env.Queued.Load(), "subscriptions": h.env.Subscriptions.Load(), "parked polls": h.env.Parked.Load(),
	} {
		if n != 0 {
			h.t.Errorf("%s at the end: %d", name, n)
		}
	}
}

func (h *hub) sessions() map[*session.Session]struct{} {
	h.opened.Lock()
	defer h.opened.Unlock()
	return maps.Clone(h.open)
}

func (h *hub) each(f func(*session.Session)) {
	for s := range h.sessions() {
		s.Shard().Do(func() { f(s) })
	}
}

// session opens a session on one of the shards.
func (h *hub) session(shard int) *session.Session {
	shards := h.engine.Shards()
	var s *session.Session
	s = session.New(context.Background(), &h.env, shards[shard%len(shards)], func() {
		h.opened.Lock()
		defer h.opened.Unlock()
		delete(h.open, s)
	})
	h.opened.Lock()
	defer h.opened.Unlock()
	h.open[s] = struct{}{}
	h.ever = append(h.ever, s)
	return s
}

// bind returns a filter's predicate.
func (h *hub) bind(filter json.RawMessage) (*where.Predicate, error) {
	if filter == nil {
		filter = json.RawMessage("{}")
	}
	w, err := where.ParseJSON(filter, where.Limits{})
	if err != nil {
		return nil, err
	}
	return h.stream.Schema.Where.Bind(w)
}

func hook(f func(wire.Message) error, m wire.Message) error {
	if f == nil {
		return nil
	}
	return f(m)
}

// Subscribe is session.App's.
func (h *hub) Subscribe(ctx context.Context, m wire.Message) (session.Source, error) {
	if h.onContext != nil {
		h.onContext(ctx)
	}
	if err := hook(h.onSubscribe, m); err != nil {
		return session.Source{}, err
	}
	if m.Channel != "" {
		q := h.engine.Channels().Acquire(m.Channel, h.engine.Position)
		return session.Source{Query: q, Release: func() { h.engine.Channels().Release(q) }}, nil
	}
	p, err := h.bind(m.Where)
	if err != nil {
		return session.Source{}, err
	}
	if scope := h.scope.Load(); scope != nil {
		allowed, err := h.bind(json.RawMessage(*scope))
		if err != nil {
			return session.Source{}, err
		}
		p = p.And(allowed)
	}
	q := h.stream.Acquire(livequery.Spec{Predicate: p}, h.engine.Position)
	return session.Source{
		Query: q, Release: func() { h.stream.Release(q) },
		Load: func(context.Context, broker.Position, bool) (session.Loaded, error) {
			at := h.engine.Position()
			if err := hook(h.onLoad, m); err != nil {
				return session.Loaded{}, err
			}
			rows, keys, err := h.load(q, p, at)
			return session.Loaded{At: at, Keys: keys, Listing: wire.Listing{Rows: rows}}, err
		},
	}, nil
}

func (h *hub) load(q *livequery.Query, p *where.Predicate, at broker.Position) ([]byte, []string, error) {
	rows := []byte{}
	var keys []string
	var reads []livequery.Read
	for _, r := range h.list(p) {
		if len(rows) > 0 {
			rows = append(rows, ',')
		}
		rows = h.stream.Schema.View("").AppendRow(rows, "", r.key(), fmt.Appendf(nil, "%d", r.version), h.values(r), nil)
		keys = append(keys, r.key())
		row, err := h.stream.Schema.Row(h.values(r))
		if err != nil {
			return nil, nil, err
		}
		reads = append(reads, livequery.Read{Key: r.key(), Version: &r.version, Row: row})
	}
	h.stream.Prime(q, reads, h.stream.Reading(at))
	return rows, keys, nil
}

func (h *hub) values(r thing) []json.RawMessage {
	var values []json.RawMessage
	for _, f := range h.stream.Schema.Fields {
		values = append(values, r.fields()[f.Name])
	}
	return values
}

// list reads the database.
func (h *hub) list(p *where.Predicate) []thing {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.rows))
	h.mu.Unlock()
	slices.SortFunc(all, func(a, b thing) int { return cmp.Compare(a.id, b.id) })
	return slices.DeleteFunc(all, func(r thing) bool {
		row, err := h.stream.Schema.Row(h.values(r))
		return err != nil || !p.Match(row)
	})
}

// Call is session.App's: the verb "put" stores the row {id, box} that data names, "panic" does, and publish publishes.
func (h *hub) Call(ctx context.Context, m wire.Message) (answer wire.Answer, at broker.Position, err error) {
	if h.onCall != nil {
		h.onCall()
	}
	switch {
	case m.Type == wire.Publish:
		at, err = h.say(ctx, m.Channel, string(m.Data))
	case m.Verb == "put":
		var in struct{ ID, Box int64 }
		if err := json.Unmarshal(m.Data, &in); err != nil {
			return answer, at, err
		}
		at, err = h.put(in.ID, in.Box)
	case m.Verb == "panic":
		panic("the app")
	default:
		err = wire.NewProblem(http.StatusMethodNotAllowed, "unknown_verb", m.Verb)
	}
	return answer, at, err
}

func (h *hub) say(ctx context.Context, channel, data string) (broker.Position, error) {
	return h.engine.Append(ctx, record.Entry{Messages: []record.Message{{Channel: channel, Data: json.RawMessage(data)}}})
}

// put stores a row and publishes it.
func (h *hub) put(id, box int64) (broker.Position, error) {
	return h.publish(h.commit(id, func(r thing) *thing { r.box = box; return &r }))
}

func (h *hub) mustPut(id, box int64) broker.Position {
	h.t.Helper()
	at, err := h.put(id, box)
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

func (h *hub) remove(id int64) (broker.Position, error) {
	return h.publish(h.commit(id, func(thing) *thing { return nil }))
}

func (h *hub) publish(changes ...*record.Change) (broker.Position, error) {
	var e record.Entry
	for _, c := range changes {
		if c != nil {
			e.Changes = append(e.Changes, *c)
		}
	}
	if e.Changes == nil {
		return broker.Position{}, nil
	}
	return h.engine.Append(context.Background(), e)
}

// inBubble runs a test with a hub; no goroutine may be left at its end.
func inBubble(t *testing.T, o options, f func(t *testing.T, h *hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, o)
		defer h.close()
		synctest.Wait()
		f(t, h)
	})
}
