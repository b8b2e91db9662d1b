package presence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/presence"
	"github.com/swampline/live/where"
)

// article is what people look at. Those of an empty Reader everybody sees.
type article struct {
	ID      int64  `live:"id,key"`
	Title   string `live:"title,write"`
	Reader  string `live:"reader,scope"`
	Version int64  `live:"version,version"`
}

type personKey struct{}

// table is a database that the hubs of a world share.
type table struct {
	mu   sync.Mutex
	rows map[int64]article
}

func (tb *table) get(id int64) (article, bool) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	a, ok := tb.rows[id]
	return a, ok
}

// world is some hubs on one log, inside of a bubble.
type world struct {
	t     *testing.T
	log   *memory.Broker
	table *table
	nodes []*node
	// options are those of presence, of each node that starts.
	options presence.Options
	hub     live.Options
	// barred are channels that nobody may follow.
	mu     sync.Mutex
	barred map[string]bool
	// broken is what channels say to everybody, nil for nothing.
	broken error
}

// node is one hub.
type node struct {
	*world
	number   int
	hub      *live.Hub
	presence *presence.Presence
	articles *live.Router[article]
	broker   *flaky
	born     time.Time
}

// inWorld runs a test in a bubble, with some nodes.
func inWorld(t *testing.T, nodes int, o presence.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, log: memory.New(memory.Options{}), options: o, barred: map[string]bool{},
			table: &table{rows: map[int64]article{1: {ID: 1, Title: "one", Version: 1}, 2: {ID: 2, Title: "two", Version: 1}, 3: {ID: 3, Title: "three", Reader: "ann", Version: 1}}},
		}
		for range nodes {
			w.start()
		}
		defer func() { // also of a test that gives up
			for _, n := range w.nodes {
				n.kill()
			}
		}()
		test(t, w)
	})
}

func person(ctx context.Context) string { name, _ := ctx.Value(personKey{}).(string); return name }

// start starts one more node.
func (w *world) start() *node {
	n := &node{world: w, number: len(w.nodes), broker: &flaky{Broker: w.log, cut: make(chan struct{})}, born: time.Now()}
	o := w.hub
	o.Broker, o.Logger = n.broker, slog.New(slog.NewTextHandler(io.Discard, nil))
	o.DrainWindow = time.Second
	o.PingInterval = 24 * time.Hour // https://go.dev/issue/78156: what many timers of a bubble run breaks the race detector
	o.Identity = person
	n.hub = live.New(o)
	n.articles = &live.Router[article]{
		Name: "articles",
		Scope: func(ctx context.Context) (where.Where, error) {
			return where.In("reader", "", person(ctx)), nil
		},
		List: func(context.Context, live.Query) ([]article, error) {
			w.table.mu.Lock()
			defer w.table.mu.Unlock()
			var all []article
			for _, a := range w.table.rows {
				all = append(all, a)
			}
			return all, nil
		},
		Get: func(_ context.Context, key live.Key) (article, error) {
			var id int64
			fmt.Sscan(string(key), &id)
			a, ok := w.table.get(id)
			if !ok {
				return a, live.ErrNotFound
			}
			return a, nil
		},
	}
	n.hub.Register(n.articles, &live.Channel{Name: "chat:*", Subscribe: func(_ context.Context, name string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.barred[name] {
			return live.ErrNotFound
		}
		return w.broken
	}})
	po := w.options
	if po.Person == nil {
		po.Person = func(ctx context.Context) (presence.Person, error) {
			name := person(ctx)
			if name == "" {
				return presence.Person{}, nil
			}
			return presence.Person{ID: "id-" + name, Name: name, Info: map[string]string{"color": "#c00"}}, nil
		}
	}
	n.presence = presence.New(n.hub, po)
	w.nodes = append(w.nodes, n)
	return n
}

// kill ends a node as a crash does: nothing reaches the log any more.
func (n *node) kill() {
	if !n.broker.isCut() {
		n.broker.sever()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.hub.Shutdown(ctx)
	synctest.Wait()
}

// change stores an article and tells it.
func (n *node) change(a article) {
	n.t.Helper()
	n.table.mu.Lock()
	was := n.table.rows[a.ID]
	a.Version = was.Version + 1
	n.table.rows[a.ID] = a
	n.table.mu.Unlock()
	if err := n.articles.Updated(n.t.Context(), was, a); err != nil {
		n.t.Fatal(err)
	}
}

// client is one tab of a person.
type client struct {
	*world
	name string

	mu     sync.Mutex
	mirror *mirror.Client
	feeds  map[int64]*mirror.Feed // those that have ended, too
	raw    []string
	leave  context.CancelFunc
	done   chan struct{}
}

func (w *world) client(name string) *client {
	return &client{world: w, name: name, mirror: mirror.New(), feeds: map[int64]*mirror.Feed{}}
}

func (c *client) request(ctx context.Context, url, body string) *http.Request {
	r := httptest.NewRequestWithContext(context.WithValue(ctx, personKey{}, c.name), "POST", url, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-ndjson")
	return r
}

// take handles what came.
func (c *client) take(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, line)
	if err := c.mirror.Receive([]byte(line)); err != nil {
		c.t.Errorf("%s: %s: %v", c.name, line, err)
	}
}

// stream is a ResponseWriter that hands each event to a client at once.
type stream struct {
	c      *client
	header http.Header
	rest   []byte
}

func (s *stream) Header() http.Header              { return s.header }
func (s *stream) WriteHeader(int)                  {}
func (s *stream) Flush()                           {}
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) Write(data []byte) (int, error) {
	s.rest = append(s.rest, data...)
	for {
		line, rest, ok := bytes.Cut(s.rest, []byte("\n"))
		if !ok {
			return len(data), nil
		}
		s.rest = rest
		if text, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			s.c.take(string(text))
		}
	}
}

// stream opens an event stream with some subscriptions; hangUp ends it.
func (c *client) stream(n *node, subscribes ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c.leave, c.done = cancel, done
	r := c.request(ctx, "/live/", c.prepare(subscribes))
	r.Header.Set("Accept", "text/event-stream")
	go func() {
		defer close(done)
		n.hub.ServeHTTP(&stream{c: c, header: http.Header{}}, r)
	}()
}

// hangUp ends the stream, as a browser does that is closed.
func (c *client) hangUp() {
	c.leave()
	<-c.done
	synctest.Wait()
}

// prepare makes feeds for subscriptions, and gives them the cursors that the client has.
func (c *client) prepare(messages []string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, text := range messages {
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			c.t.Fatal(err)
		}
		if m["type"] == "subscribe" {
			id := int64(m["id"].(float64))
			feed := c.mirror.Feeds[id]
			if feed == nil || feed.Ended != nil {
				feed = &mirror.Feed{}
				c.mirror.Feeds[id], c.feeds[id] = feed, feed
			}
			if feed.Answered && feed.Cursor != "" {
				m["cursor"], m["tag"] = feed.Cursor, feed.Tag
				if feed.Tag == "" {
					delete(m, "tag")
				}
			}
			feed.Query, feed.Answered = "", false
		}
		data, _ := json.Marshal(m)
		lines = append(lines, string(data))
	}
	return strings.Join(lines, "\n")
}

// poll is one round, which waits for so many seconds.
func (c *client) poll(n *node, wait int, messages ...string) {
	rec := httptest.NewRecorder()
	url := "/live/"
	if wait > 0 {
		url = fmt.Sprintf("/live/?wait=%d", wait)
	}
	n.hub.ServeHTTP(rec, c.request(context.Background(), url, c.prepare(messages)))
	for line := range strings.SplitSeq(strings.TrimSpace(rec.Body.String()), "\n") {
		if line != "" {
			c.take(line)
		}
	}
}

// call says something in a request of its own and returns the last line of the answer.
func (c *client) call(n *node, message string) string {
	rec := httptest.NewRecorder()
	n.hub.ServeHTTP(rec, c.request(context.Background(), "/live/", message))
	return strings.TrimSpace(rec.Body.String())
}

// people says who a client sees, in one subscription: name, state and whether away, of each member.
func (c *client) people(id int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	feed := c.feeds[id]
	if feed == nil {
		return "no subscription"
	}
	if feed.Ended != nil {
		return "ended: " + string(feed.Ended)
	}
	var all []string
	for _, r := range feed.Rows {
		var name, state string
		var away bool
		_ = json.Unmarshal(r.Fields["name"], &name)
		var s struct{ State string }
		_ = json.Unmarshal(r.Fields["state"], &s)
		_ = json.Unmarshal(r.Fields["away"], &away)
		if state = s.State; state != "" {
			name += " " + state
		}
		if away {
			name += " away"
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// sees checks who a client sees.
func (c *client) sees(id int64, want string) {
	c.t.Helper()
	if got := c.people(id); got != want {
		c.t.Errorf("%s sees %q, want %q", c.name, got, want)
	}
}

// lines returns what came since the last call.
func (c *client) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw := c.raw
	c.raw = nil
	return raw
}

// member names the n-th tab.
func member(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func token(n int) string { return fmt.Sprintf("token-of-the-member-no-%04d", n) }

// at is a subscribe message to who is at an article.
func at(id int, key string, presence string) string {
	return fmt.Sprintf(`{"type":"subscribe","id":%d,"router":"articles","key":%q,"presence":%s}`, id, key, presence)
}

// on is a subscribe message to who is on a channel.
func on(id int, channel string, presence string) string {
	return fmt.Sprintf(`{"type":"subscribe","id":%d,"channel":%q,"presence":%s}`, id, channel, presence)
}

// as is the presence of the n-th tab, in a state.
func as(n int, state string) string {
	return fmt.Sprintf(`{"member":%q,"token":%q,"state":{"state":%q}}`, member(n), token(n), state)
}

// set is what the n-th tab says of itself.
func set(n int, more string) string {
	return fmt.Sprintf(`{"type":"call","id":90,"router":"presence","verb":"set","data":{"member":%q,"token":%q%s}}`, member(n), token(n), more)
}

func leave(n int) string {
	return fmt.Sprintf(`{"type":"call","id":91,"router":"presence","verb":"leave","data":{"member":%q,"token":%q}}`, member(n), token(n))
}

// has reports whether a line says something.
func has(line, text string) bool { return strings.Contains(line, text) }

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// logged counts the entries of the log that have a text.
func (w *world) logged(t *testing.T, text string) (n int) {
	t.Helper()
	done := errors.New("that is all")
	head, err := w.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = w.log.Follow(t.Context(), broker.Position{}, func(entries []broker.Entry) error {
		for _, e := range entries {
			if bytes.Contains(e.Data, []byte(text)) {
				n++
			}
			if e.Position == head {
				return done
			}
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	return n
}
