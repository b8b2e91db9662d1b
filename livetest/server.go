package livetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// Config says how a test's server differs from the usual. The zero value is that of [New].
type Config struct {
	// Options are the hub's. Without a Broker there is one in memory, without a Logger the hub writes to the test's log.
	Options live.Options

	// Middleware puts the application's own handlers around the hub: func(hub http.Handler) http.Handler { return
	// requireUser(hub) }, or a whole mux with the hub at Path. Nil means none. The values of [As] are in the request's context
	// before it is called.
	Middleware func(hub http.Handler) http.Handler

	// Path is where the hub is mounted. Empty means "/live/".
	Path string

	// Patience is how long the test waits for anything before it fails. Zero means 5 s; a test whose own deadline is
	// nearer waits less.
	Patience time.Duration
}

// Server is an application with a hub, on a port of this machine. The end of the test shuts it down. Its methods may be
// called by any goroutine.
type Server struct {
	// Hub is the hub, with everything registered that New was given.
	Hub *live.Hub
	// URL is where the hub is mounted, with a slash at the end: srv.URL + "todos?done=false" is what curl would get.
	URL string

	broker   broker.Broker
	http     *http.Client
	patience time.Duration

	mu      sync.Mutex
	clients map[string]*Client
	last    int
}

// New starts a server with a hub of its own and a broker in memory, and registers routers and channels. A declaration that
// Register refuses fails the test.
func New(t testing.TB, endpoints ...live.Endpoint) *Server {
	t.Helper()
	return Config{}.New(t, endpoints...)
}

// New starts a server as configured, and registers routers and channels.
func (c Config) New(t testing.TB, endpoints ...live.Endpoint) *Server {
	t.Helper()
	log := &testLog{t: t}
	o := c.Options
	if o.Broker == nil {
		o.Broker = memory.New(memory.Options{})
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	o.Transports = observe(o.Transports)
	if o.DrainWindow == 0 { // nobody reconnects after a test
		o.DrainWindow = time.Millisecond
	}
	s := &Server{
		Hub: live.New(o), broker: o.Broker, clients: map[string]*Client{},
		patience: cmp.Or(c.Patience, 5*time.Second),
	}
	server := httptest.NewServer(s.identify(c.handler(s.Hub)))
	t.Cleanup(func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), s.patience)
		defer cancel()
		if err := s.Hub.Shutdown(ctx); err != nil && err != live.ErrShutdown {
			t.Errorf("livetest: the hub did not end within %v: is a func of a router still running?", s.patience)
		}
		server.Close()
		log.close()
	})
	s.URL, s.http = server.URL+c.path(), server.Client()
	if err := register(s.Hub, endpoints); err != "" {
		t.Fatal(err)
	}
	return s
}

func (c Config) path() string { return cmp.Or(c.Path, "/live/") }

// handler mounts the hub.
func (c Config) handler(hub http.Handler) http.Handler {
	app := hub
	if c.Middleware != nil {
		app = c.Middleware(hub)
	}
	mux := http.NewServeMux()
	mux.Handle(c.path(), app)
	if c.Middleware != nil && c.path() != "/" {
		mux.Handle("/", app) // what else the application serves
	}
	return mux
}

// register returns the sentence with which Register panics.
func register(hub *live.Hub, endpoints []live.Endpoint) (refused string) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		sentence, ok := p.(string)
		if !ok || !strings.HasPrefix(sentence, "live: ") {
			panic(p)
		}
		refused = sentence
	}()
	hub.Register(endpoints...)
	return ""
}

// clientHeader says whose request it is.
const clientHeader = "Livetest-Client"

type clientKey struct{}

// identify puts the client, and what it is known as, into a request's context.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		c := s.clients[r.Header.Get(clientHeader)]
		s.mu.Unlock()
		if c != nil {
			ctx := context.WithValue(r.Context(), clientKey{}, c)
			for _, v := range c.values {
				ctx = context.WithValue(ctx, v.key, v.value)
			}
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// admit numbers a client.
func (s *Server) admit(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	number := strconv.Itoa(s.last)
	s.clients[number] = c
	c.header.Set(clientHeader, number)
	if c.name == "" {
		c.name = "client " + number
	}
}

func (s *Server) forget(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c.header.Get(clientHeader))
}

// wait returns a context for one wait of a test, and how long that is.
func (s *Server) wait(t testing.TB) (context.Context, context.CancelFunc, time.Duration) {
	patience := within(t, s.patience)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	return ctx, cancel, patience
}

// within shortens a wait so that it ends before the test is killed.
func within(t testing.TB, patience time.Duration) time.Duration {
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, set := d.Deadline(); set {
			left := time.Until(deadline)
			patience = max(min(patience, left-left/10), 0)
		}
	}
	return patience.Round(time.Millisecond)
}

// testLog is the test's log, as long as the test runs: testing panics when somebody writes to it later.
type testLog struct {
	mu     sync.Mutex
	t      testing.TB
	closed bool
}

// Write takes one line of the hub's log.
func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		fmt.Fprintf(l.t.Output(), "%s\n", bytes.TrimSpace(line))
	}
	return len(line), nil
}

func (l *testLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}
