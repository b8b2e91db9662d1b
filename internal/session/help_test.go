package session_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

// thing is a row of the tests' model. Note cannot be filtered on.
type thing struct {
	id, box, version int64
	note             string
}

func (r thing) key() string { return strconv.FormatInt(r.id, 10) }

func (r thing) fields() record.Fields {
	return record.Fields{
		"id": json.RawMessage(r.key()), "box": fmt.Appendf(nil, "%d", r.box),
		"note": fmt.Appendf(nil, "%q", r.note), "version": fmt.Appendf(nil, "%d", r.version),
	}
}

// flaky is a broker that can be made to fail.
type flaky struct {
	*memory.Broker
	mu     sync.Mutex
	broken error
	under  map[*context.CancelFunc]struct{} // the calls of Follow that are under way
	reads  atomic.Int64
}

// fail makes every call fail, and cuts those that are under way; nil heals it.
func (b *flaky) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken = err; err == nil {
		return
	}
	for cut := range b.under {
		(*cut)()
	}
}

func (b *flaky) state() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

func (b *flaky) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if err := b.state(); err != nil {
		return broker.Position{}, err
	}
	return b.Broker.Append(ctx, data)
}

func (b *flaky) Head(ctx context.Context) (broker.Position, error) {
	if err := b.state(); err != nil {
		return broker.Position{}, err
	}
	return b.Broker.Head(ctx)
}

func (b *flaky) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	b.reads.Add(1)
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	b.mu.Lock()
	if b.broken != nil {
		defer b.mu.Unlock()
		return b.broken
	}
	if b.under == nil {
		b.under = map[*context.CancelFunc]struct{}{}
	}
	b.under[&cancel] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.under, &cancel)
	}()
	err := b.Broker.Follow(following, after, deliver)
	if ctx.Err() == nil && following.Err() != nil {
		return cmp.Or(b.state(), errBroken)
	}
	return err
}

var errBroken = errors.New("broken")

// options are those of a test's hub.
type options struct {
	window, queue, subscriptions int
	broker                       memory.Options
}

// store is a database.
type store struct {
	mu   sync.Mutex
	rows map[int64]thing
	last int64 // version
}

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

	// Hooks of the app, nil for none.
	onSubscribe func(wire.Message) error
	onLoad      func(wire.Message) error
}

func newHub(t testing.TB, o options) *hub {
	t.Helper()
	return newHubOn(t, &flaky{Broker: memory.New(o.broker)}, &store{rows: map[int64]thing{}}, o)
}

// newHubOn starts a hub on a broker and a database.
func newHubOn(t testing.TB, b *flaky, db *store, o options) *hub {
	t.Helper()
	h := &hub{store: db, t: t, broker: b, open: map[*session.Session]struct{}{}, gone: make(chan struct{})}
	h.engine = engine.New(engine.Options{
		Broker: h.broker, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		WindowEntries: cmp.Or(o.window, 1000), WindowBytes: 1 << 20,
		Lost:     func(reason string) { h.each(func(s *session.Session) { s.Resync(reason) }) },
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
		App: h, Log: h.engine, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Running: &h.ended,
		MaxQueueBytes: cmp.Or(o.queue, 1<<20), MaxSubscriptions: cmp.Or(o.subscriptions, 100), MaxMessageBytes: 1 << 10,
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() {
		defer close(h.gone)
		h.engine.Run(ctx)
	}()
	return h
}

// close stops the hub. Inside a bubble of synctest, a goroutine that it leaves behind fails the test.
func (h *hub) close() {
	for s := range h.sessions() {
		s.Close()
	}
	h.stop()
	<-h.gone
	h.ended.Wait()
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
func (h *hub) Subscribe(_ context.Context, m wire.Message) (session.Source, error) {
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
	q := h.stream.Acquire(p, h.engine.Position)
	return session.Source{
		Query: q, Release: func() { h.stream.Release(q) },
		Load: func(_ context.Context, at broker.Position) ([]byte, []string, error) {
			if err := hook(h.onLoad, m); err != nil {
				return nil, nil, err
			}
			return h.load(q, p, at)
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
		rows = h.stream.Schema.AppendRow(rows, "", r.key(), fmt.Appendf(nil, "%d", r.version), h.values(r), nil)
		keys = append(keys, r.key())
		row, err := h.stream.Schema.Row(h.values(r))
		if err != nil {
			return nil, nil, err
		}
		reads = append(reads, livequery.Read{Key: r.key(), Version: &r.version, Row: row})
	}
	h.stream.Prime(q, reads, at)
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

// commit changes a row and returns the record that tells of it.
func (db *store) commit(id int64, change func(thing) *thing) *record.Change {
	db.mu.Lock()
	defer db.mu.Unlock()
	was, exists := db.rows[id]
	was.id = id
	now := change(was)
	c := &record.Change{Router: "things", Key: was.key(), Op: record.Create}
	if exists {
		c.Op, c.Was = record.Update, was.fields()
		delete(c.Was, "note")
	}
	if now == nil {
		if !exists {
			return nil
		}
		c.Op, c.Version = record.Delete, &was.version
		delete(db.rows, id)
		return c
	}
	db.last++
	now.version, now.note = db.last, fmt.Sprint("n", db.last)
	db.rows[id] = *now
	c.Now, c.Version = now.fields(), &now.version
	if exists {
		c.Changed = []string{}
		for name, value := range now.fields() {
			if string(was.fields()[name]) != string(value) {
				c.Changed = append(c.Changed, name)
			}
		}
	}
	return c
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

// client is a client with a session.
type client struct {
	*mirror.Client
	t       testing.TB
	hub     *hub
	session *session.Session
	types   []string // of the messages, in order
}

func (h *hub) client() *client {
	return &client{Client: mirror.New(), t: h.t, hub: h, session: h.session(len(h.sessions()))}
}

// send hands a message to the session.
func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if err := c.session.Receive(context.Background(), fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// subscribe subscribes to a filter, after the cursor that the client holds under the id, if it does.
func (c *client) subscribe(id int64, filter string) *mirror.Feed {
	c.t.Helper()
	return c.follow(id, `"router":"things","where":`+filter)
}

func (c *client) channel(id int64, name string) *mirror.Feed {
	c.t.Helper()
	return c.follow(id, `"channel":"`+name+`"`)
}

func (c *client) follow(id int64, what string) *mirror.Feed {
	feed := c.Feeds[id]
	if feed == nil {
		feed = &mirror.Feed{}
		c.Feeds[id] = feed
	}
	feed.Answered = false
	cursor := ""
	if feed.Cursor != "" {
		cursor = `,"cursor":"` + feed.Cursor + `"`
	}
	c.send(`{"type":"subscribe","id":%d,%s%s}`, id, what, cursor)
	return feed
}

// take hands frames to the mirror.
func (c *client) take(frames []*transport.Frame) {
	c.t.Helper()
	for _, f := range frames {
		c.types = append(c.types, f.Type)
		if err := c.Receive(f.Data); err != nil {
			c.t.Errorf("%v: %s", err, f.Data)
		}
	}
}

// drain takes everything that comes until nothing more does. It is for a bubble.
func (c *client) drain() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	for {
		frames, err := c.session.Next(ctx)
		if err != nil {
			return
		}
		c.take(frames)
	}
}

// poll is one round.
func (c *client) poll(wait time.Duration) {
	c.t.Helper()
	frames, err := c.session.Poll(context.Background(), wait)
	if err != nil {
		c.t.Fatal(err)
	}
	c.take(frames)
}

// reconnect goes on with a session of its own, from the cursors.
func (c *client) reconnect() {
	c.session.Close()
	c.session = c.hub.session(len(c.types))
}

// told returns the types of the messages since the last call.
func (c *client) told() string {
	told := strings.Join(c.types, " ")
	c.types = nil
	return told
}

// agrees compares a feed with the database.
func (h *hub) agrees(t testing.TB, feed *mirror.Feed, filter string) {
	t.Helper()
	p, err := h.bind(json.RawMessage(filter))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, r := range h.list(p) {
		want = append(want, fmt.Sprint(r.key(), " in ", r.box, " v", r.version, " ", r.note))
	}
	for key, r := range feed.Rows {
		var note string
		_ = json.Unmarshal(r.Fields["note"], &note)
		got = append(got, fmt.Sprint(key, " in ", string(r.Fields["box"]), " v", string(r.Fields["version"]), " ", note))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds\n%s\nthe database\n%s", filter, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
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
