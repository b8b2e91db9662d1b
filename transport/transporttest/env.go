package transporttest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take before a case fails. Nothing waits so long when all is well.
const patience = 10 * time.Second

// env is what a case works with: one application on one server.
type env struct {
	transport string
	open      Open

	// To be set before start.
	wrap    func(http.Handler) http.Handler
	timeout time.Duration // WriteTimeout of the server
	tls     bool

	// held are the titles of rows that were there before the case subscribed. A hub may tell of their creation again, when its
	// list was ahead of its log: a client has them, in this version.
	held []string

	app    *App
	server *httptest.Server
	calls  counter
}

// start opens the application and serves it. A case that needs nothing special leaves it to dial.
func (e *env) start(t *testing.T) {
	t.Helper()
	e.app = e.open(t)
	if e.app.MaxMessageBytes == 0 {
		e.app.MaxMessageBytes = 64 << 10
	}
	h := e.app.Handler
	if e.wrap != nil {
		h = e.wrap(h)
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", e.calls.count(h))
	e.server = httptest.NewUnstartedServer(mux)
	e.server.Config.WriteTimeout = e.timeout
	if e.tls {
		e.server.EnableHTTP2 = true
		e.server.StartTLS()
	} else {
		e.server.Start()
	}
	t.Cleanup(e.server.Close)
}

// ctx ends when the case has taken too long.
func (e *env) ctx(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (e *env) url(path string) string { return e.server.URL + "/live/" + path }

// dial opens a client of the transport under test.
func (e *env) dial(t *testing.T) *Client {
	t.Helper()
	return e.dialAs(t, e.transport)
}

func (e *env) dialAs(t *testing.T, transport string) *Client {
	t.Helper()
	if e.server == nil {
		e.start(t)
	}
	c, err := Dial(e.ctx(t), transport, e.url(""), ClientOptions{HTTP: e.server.Client()})
	if err != nil {
		t.Fatalf("%s cannot be opened: %v", transport, err)
	}
	t.Cleanup(c.Drop)
	return c
}

func (e *env) send(t *testing.T, c *Client, messages ...string) {
	t.Helper()
	if err := c.Send(e.ctx(t), messages...); err != nil {
		t.Fatalf("send %.200q: %v", messages, err)
	}
}

// next returns the next message of one of these types. Signs of life are skipped; another message, or the end, fails the case
// with the sentence.
func (e *env) next(t *testing.T, c *Client, sentence string, types ...string) Message {
	t.Helper()
	for {
		m, err := c.Next(e.ctx(t))
		if err != nil {
			broken(t, sentence, "waiting for %v: %v", types, err)
		}
		switch {
		case slices.Contains(types, m.Type):
			return m
		case m.Type == "hello" || m.Type == "cursor" || m.Type == "status":
		default:
			broken(t, sentence, "got %.500s, want %v", m.Raw, types)
		}
	}
}

// subscribe subscribes to a list and returns its snapshot.
func (e *env) subscribe(t *testing.T, c *Client, id, list int64) Message {
	t.Helper()
	e.send(t, c, fmt.Sprintf(`{"type":"subscribe","id":%d,"router":"items","where":{"list_id":%d}}`, id, list))
	m := e.next(t, c, answersSubscribe, "snapshot")
	if m.ID != id || m.Query == "" || m.Cursor == "" {
		broken(t, answered, "the answer to subscribe %d is %.500s", id, m.Raw)
	}
	return m
}

func (e *env) create(t *testing.T, list int64, title string) (key string) {
	t.Helper()
	key, err := e.app.Create(e.ctx(t), list, title)
	if err != nil {
		t.Fatalf("the application cannot create %q: %v", title, err)
	}
	return key
}

// createAll creates rows n, n+1, … and returns their titles.
func (e *env) createAll(t *testing.T, list int64, from, to int) (titles []string) {
	t.Helper()
	for i := from; i < to; i++ {
		titles = append(titles, fmt.Sprintf("item %d", i))
		e.create(t, list, titles[len(titles)-1])
	}
	return titles
}

// created reads changes until they have brought so many new rows, and returns their titles.
func (e *env) created(t *testing.T, c *Client, n int) (titles []string) {
	t.Helper()
	last := ""
	for len(titles) < n {
		m := e.next(t, c, exact, "change")
		if m.Cursor == "" || last != "" && !after(m.Cursor, last) {
			broken(t, exact, "after the cursor %s comes %.500s", last, m.Raw)
		}
		last = m.Cursor
		for _, change := range m.Changes {
			if change.Op != "create" && change.Op != "enter" {
				broken(t, exact, "new rows come as create or enter, got %.500s", m.Raw)
			}
		}
		titles = append(titles, e.news(m)...)
	}
	return titles
}

// news are the titles of a change that are not held.
func (e *env) news(m Message) []string {
	return slices.DeleteFunc(titlesOf(m), func(title string) bool { return slices.Contains(e.held, title) })
}

// expect reads as many new rows as there are titles, which must be these, in order.
func (e *env) expect(t *testing.T, c *Client, titles []string) {
	t.Helper()
	got := e.created(t, c, len(titles))
	for i := range titles {
		if got[i] != titles[i] {
			broken(t, exact, "change %d of %d is %q, want %q", i+1, len(titles), got[i], titles[i])
		}
	}
}

// rows are the titles of a snapshot or resync, in the order in which they were created.
func rows(m Message) (titles []string) {
	for _, row := range m.Rows {
		titles = append(titles, fmt.Sprint(row.Fields["title"]))
	}
	slices.SortFunc(titles, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		if a < b {
			return -1
		}
		return 1
	})
	return titles
}

// counter counts the requests that are being handled, and those that were begun. A transport may go on with one after it was handled.
type counter struct {
	mu         sync.Mutex
	changed    sync.Cond
	now, begun int
}

func (c *counter) count(h http.Handler) http.Handler {
	c.changed.L = &c.mu
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.add(1, 1)
		defer c.add(-1, 0)
		h.ServeHTTP(w, r)
	})
}

func (c *counter) add(now, begun int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.begun = c.now+now, c.begun+begun
	c.changed.Broadcast()
}

// another returns what waits, once called, until one more request is begun than there were by now, or the context ends.
func (c *counter) another() func(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.begun
	return func(ctx context.Context) { c.wait(ctx, func() bool { return c.begun > before }) }
}

// none waits until no request is being handled. It reports false when the context ended first.
func (c *counter) none(ctx context.Context) bool {
	return c.wait(ctx, func() bool { return c.now == 0 })
}

func (c *counter) wait(ctx context.Context, until func() bool) bool {
	stop := context.AfterFunc(ctx, func() { c.add(0, 0) })
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !until() && ctx.Err() == nil {
		c.changed.Wait()
	}
	return until()
}
