package livetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/transport/transporttest"
)

// The transports that a client can be connected over.
const (
	WebSocket = transporttest.WebSocket
	SSE       = transporttest.SSE
	LongPoll  = transporttest.LongPoll
	ShortPoll = transporttest.ShortPoll
)

// Each runs a test for each transport, as a subtest of the transport's name.
func Each(t *testing.T, test func(t *testing.T, transport string)) {
	t.Helper()
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// ConnectOption is something that [Server.Connect] may be told: [As], [Header] or [Over].
type ConnectOption func(*connectOptions)

type connectOptions struct {
	values    []contextValue
	header    http.Header
	transport string
	name      string
}

type contextValue struct{ key, value any }

// As puts a value into the context of every request of the client: what the application's middleware puts there when it has
// found out who the caller is. It may be given several times. The first one that is text, a number or a fmt.Stringer
// names the client in messages.
func As(key, value any) ConnectOption {
	return func(o *connectOptions) {
		o.values = append(o.values, contextValue{key, value})
		switch value.(type) {
		case string, fmt.Stringer, int, int64, live.Key:
			if o.name == "" {
				o.name = fmt.Sprint(value)
			}
		}
	}
}

// Header adds a header to every request of the client, for an application whose own middleware finds out who the caller is:
// see [Config.Middleware].
func Header(name, value string) ConnectOption {
	return func(o *connectOptions) { o.header.Add(name, value) }
}

// Over says which transport the client is on: [WebSocket], which is the default, [SSE], [LongPoll] or [ShortPoll].
func Over(transport string) ConnectOption {
	return func(o *connectOptions) { o.transport = transport }
}

// Client is one connected client: a browser, as the hub sees it. Its methods may be called by any goroutine, those that
// take a testing.TB from the test's only. What it reads, it reads while somebody waits for something: a poll that nobody waits for
// is not made.
type Client struct {
	server *Server
	name   string
	values []contextValue
	header http.Header
	over   atomic.Value // the name of the transport
	drains drains

	asking sync.Mutex // one message of the client's at a time is without an answer

	mu      sync.Mutex
	conn    *transporttest.Client
	mirror  *mirror.Client
	feeds   map[int64]*feed
	answers map[int64]answer
	stray   *live.Error // an error that named no message
	last    int64       // id of a message
	number  int         // of the connection: names of queries hold for one
	reading bool        // somebody waits for the next message, for all
	news    chan struct{}
	lost    error // why no more comes
	broken  error // what the server did wrong
}

// Connect connects a client, until the end of the test.
func (s *Server) Connect(t testing.TB, options ...ConnectOption) *Client {
	t.Helper()
	o := connectOptions{header: http.Header{}, transport: WebSocket}
	for _, option := range options {
		option(&o)
	}
	c := &Client{
		server: s, name: o.name, values: o.values, header: o.header,
		mirror: mirror.New(), feeds: map[int64]*feed{}, answers: map[int64]answer{}, news: make(chan struct{}),
	}
	c.over.Store(o.transport)
	s.admit(c)
	t.Cleanup(func() {
		t.Helper()
		c.close()
		s.forget(c)
		if !t.Failed() {
			c.complain(t)
		}
	})
	conn, err := c.dial(t)
	if err != nil {
		t.Fatalf("livetest: %s: cannot connect: %v", c, err)
	}
	c.conn = conn
	return c
}

func (c *Client) dial(t testing.TB) (*transporttest.Client, error) {
	ctx, cancel, _ := c.server.wait(t)
	defer cancel()
	return transporttest.Dial(ctx, c.over.Load().(string), c.server.URL, transporttest.ClientOptions{
		HTTP: c.server.http, Header: c.header, Verbatim: true,
	})
}

// String names the client and its transport.
func (c *Client) String() string { return c.name + " over " + c.over.Load().(string) }

// Disconnect cuts the connection, as a tunnel does on a train.
func (c *Client) Disconnect(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	conn := c.conn
	if c.lost == nil {
		c.lost = errors.New("the test has disconnected it")
	}
	c.mu.Unlock()
	conn.Drop()
}

// Reconnect connects the client again over a transport, after Disconnect or without, and resumes its subscriptions where they
// are. A subscription whose place in history is gone is resynced: see [Subscription.WantResync].
func (c *Client) Reconnect(t testing.TB, transport string) {
	t.Helper()
	c.asking.Lock()
	defer c.asking.Unlock()
	c.Disconnect(t)
	c.over.Store(transport)
	conn, err := c.dial(t)
	if err != nil {
		t.Fatalf("livetest: %s: cannot reconnect: %v", c, err)
	}
	c.mu.Lock()
	subscriptions := c.conn.Subscriptions()
	c.conn, c.lost = conn, nil
	c.begin(0)
	c.mu.Unlock()
	ctx, cancel, patience := c.server.wait(t)
	defer cancel()
	if len(subscriptions) == 0 {
		return
	}
	if err := conn.Send(ctx, subscriptions...); err != nil {
		t.Fatalf("livetest: %s: cannot resume: %v", c, err)
	}
	defer c.drains.hurry()() // a poll waits for more than the word that it goes on
	if err := c.await(ctx, c.allAnswered); err != nil {
		t.Fatalf("livetest: %s: want its %d subscriptions resumed, %s", c, len(subscriptions), because(err, patience))
	}
}

// allAnswered reports whether all subscriptions stand, or have ended. The lock is held.
func (c *Client) allAnswered() bool {
	for _, f := range c.mirror.Feeds {
		if !f.Answered {
			return false
		}
	}
	return true
}

// close ends the connection.
func (c *Client) close() {
	c.mu.Lock()
	conn := c.conn
	if c.lost == nil {
		c.lost = errors.New("the test is over")
	}
	c.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// complain fails the test for what came and must not have, when nothing has asked for it until the end.
func (c *Client) complain(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		t.Errorf("livetest: %s: %v", c, c.broken)
	}
	for _, id := range slices.Sorted(maps.Keys(c.feeds)) {
		f := c.feeds[id]
		for _, e := range f.pending {
			if e.kind == resynced {
				t.Errorf("livetest: %s: got %s, that nobody wanted: if it is right, expect it with WantResync", f, e)
			}
		}
	}
}

// send hands messages to the connection. The caller holds asking.
func (c *Client) send(ctx context.Context, message map[string]any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	c.mu.Lock()
	conn, lost := c.conn, c.lost
	c.mu.Unlock()
	if lost != nil {
		return lost
	}
	return conn.Send(ctx, string(data))
}

// nextID returns an id for a message. What came without an id before is no answer to that.
func (c *Client) nextID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stray = nil
	c.last++
	return c.last
}

// await receives messages until there is what somebody waits for; ready is called with the lock held. One of those who
// wait receives for all. The error is ctx's, or says why nothing more comes.
func (c *Client) await(ctx context.Context, ready func() bool) error {
	for {
		c.mu.Lock()
		if ready() {
			c.mu.Unlock()
			return nil
		}
		if c.broken != nil || c.lost != nil {
			defer c.mu.Unlock()
			return cmp.Or(c.broken, c.lost)
		}
		if c.reading {
			news := c.news
			c.mu.Unlock()
			select {
			case <-news:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		c.reading = true
		conn := c.conn
		c.mu.Unlock()
		m, err := conn.Next(ctx)
		c.mu.Lock()
		c.reading = false
		switch {
		case conn != c.conn: // reconnected meanwhile
		case err == nil:
			c.take(m)
		case ctx.Err() == nil && c.lost == nil:
			c.lost = fmt.Errorf("the connection ended: %w", err)
		}
		close(c.news)
		c.news = make(chan struct{})
		c.mu.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// begin notes that another connection goes on. The lock is held.
func (c *Client) begin(number int) {
	c.number = number
	for _, f := range c.mirror.Feeds {
		f.Answered = false
	}
}

// take hands one message to the mirror, and what it means to those who wait. The lock is held.
func (c *Client) take(m transporttest.Message) {
	if m.Raw == "" { // an unsubscribe that needs no server
		c.answers[m.ID] = answer{}
		return
	}
	if m.Connection != 0 && m.Connection != c.number {
		c.begin(m.Connection)
	}
	f := c.feeds[m.ID]
	if m.Type == "snapshot" && f != nil && f.begun { // on another connection, which the mirror does not tell apart
		c.broken = fmt.Errorf("the server broke the protocol: a second snapshot, without a reason: %s", m.Raw)
		return
	}
	if err := c.mirror.Receive([]byte(m.Raw)); err != nil {
		c.broken = fmt.Errorf("the server broke the protocol: %w: %s", err, m.Raw)
		return
	}
	c.mirror.Answers = nil
	switch m.Type {
	case "change", "message":
		for _, f := range c.feeds {
			f.collect(m.Cursor)
		}
	case "snapshot", "resync", "resumed":
		if f != nil {
			f.answered(m)
		}
	case "result", "error", "closed":
		if f != nil && f.seen.Ended != nil {
			f.ended(problemOf(m.Problem))
		} else if m.Type != "closed" {
			c.answer(m)
		}
	}
}
