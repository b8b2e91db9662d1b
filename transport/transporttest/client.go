package transporttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// The four transports that a Client speaks.
const (
	WebSocket = "websocket"
	SSE       = "sse"
	LongPoll  = "longpoll"
	ShortPoll = "shortpoll"
)

// All are the transports that a Client speaks.
var All = []string{WebSocket, SSE, LongPoll, ShortPoll}

// ClientOptions are what a Client may be told. The zero value is usable.
type ClientOptions struct {
	// HTTP makes the requests; http.DefaultClient if nil.
	HTTP *http.Client
	// Header is sent with every request.
	Header http.Header
	// Wait is how many seconds a long-poll asks to wait; 5 if zero.
	Wait int
	// Verbatim has Next return what the cursor rule says to ignore, too, for a test that keeps the rule itself.
	Verbatim bool
}

// Client speaks the protocol over one of the transports, for tests. Whatever the transport, messages go in with Send and come out of Next:
// over SSE and polls it sends its subscriptions with their cursors again and again, and everything else in requests of their own.
// It keeps the cursor rule: data that it has seen does not come out twice. Send is for one goroutine at a time, and so is Next.
type Client struct {
	way way
	url string
	o   ClientOptions

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu         sync.Mutex
	inbox      []Message
	news       chan struct{} // closed at the next push
	err        error         // why nothing more comes
	received   ledger        // where the connection is
	delivered  ledger        // where the test is
	connection int
	proto      string // of the last answer: HTTP/1.1, HTTP/2.0
}

// way is what differs between transports.
type way interface {
	// send sends messages that were not taken for subscriptions; changed says that others were.
	send(ctx context.Context, messages []string, changed bool) error
	// fetch is called while there is nothing to deliver. It pushes, or waits for the channel or ctx.
	fetch(ctx context.Context, news <-chan struct{}) error
	// close ends the connection, politely or not, and then every task ends.
	close(polite bool)
}

// Dial opens a client of the named transport. The URL is where the hub is mounted, or a single router's.
func Dial(ctx context.Context, transport, url string, o ClientOptions) (*Client, error) {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Wait == 0 {
		o.Wait = 5
	}
	c := &Client{url: url, o: o, news: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	switch transport {
	case WebSocket:
		socket, err := dialSocket(ctx, c)
		if err != nil {
			c.cancel()
			return nil, err
		}
		c.way = socket
	case SSE:
		c.way = &stream{c: c}
	case LongPoll:
		c.way = &poll{c: c, url: withQuery(url, fmt.Sprintf("wait=%d", o.Wait))}
	case ShortPoll:
		c.way = &poll{c: c, url: url}
	default:
		return nil, fmt.Errorf("transporttest: the client does not speak %q", transport)
	}
	return c, nil
}

// Send sends messages, as they stand: they may be malformed. Over a WebSocket they travel in one text message. It returns when they
// were sent; over SSE and polls, when those that are not subscriptions were answered.
func (c *Client) Send(ctx context.Context, messages ...string) error {
	_, socket := c.way.(*socket)
	var rest []string
	changed := false
	c.mu.Lock()
	for _, raw := range messages {
		subscribed := c.received.subscribe(raw)
		c.delivered.subscribe(raw)
		id, unsubscribed := c.received.unsubscribe(raw)
		c.delivered.unsubscribe(raw)
		changed = changed || subscribed || unsubscribed
		switch {
		case socket || !subscribed && !unsubscribed:
			rest = append(rest, raw)
		case unsubscribed: // the next request does without it
			c.put(Message{Type: "result", ID: id})
		}
	}
	c.mu.Unlock()
	return c.way.send(ctx, rest, changed)
}

// Next returns the next message. The error is ctx's, or says why no more come.
func (c *Client) Next(ctx context.Context) (Message, error) {
	for {
		c.mu.Lock()
		if len(c.inbox) > 0 {
			m := c.inbox[0]
			c.inbox = c.inbox[1:]
			_ = c.delivered.apply(&m) // as received has, of which no error came
			c.mu.Unlock()
			if m.seen && !c.o.Verbatim {
				continue
			}
			return m, nil
		}
		err, news := c.err, c.news
		c.mu.Unlock()
		if err != nil {
			return Message{}, err
		}
		if err := c.way.fetch(ctx, news); err != nil {
			return Message{}, err
		}
	}
}

// Subscriptions returns the subscribe messages that go on after what Next has returned: to send on another client, of any transport.
func (c *Client) Subscriptions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delivered.messages()
}

// Close says goodbye, where the transport has a word for it, and returns when nothing of the client runs any more.
func (c *Client) Close() { c.end(true) }

// Drop cuts the connection.
func (c *Client) Drop() { c.end(false) }

func (c *Client) end(polite bool) {
	c.fail(errors.New("transporttest: the client was closed"))
	c.way.close(polite)
	c.cancel()
	c.tasks.Wait()
}

// begin numbers a connection.
func (c *Client) begin() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connection++
	return c.connection
}

// push takes one message from the server.
func (c *Client) push(connection int, raw string) {
	m, err := decode(raw)
	if err != nil {
		c.fail(err)
		return
	}
	m.Connection = connection
	c.mu.Lock()
	if err = c.received.apply(&m); err == nil {
		c.put(m)
	}
	c.mu.Unlock()
	if err != nil {
		c.fail(fmt.Errorf("transporttest: the server sent %s: %w", raw, err))
	}
}

func (c *Client) put(m Message) {
	c.inbox = append(c.inbox, m)
	close(c.news)
	c.news = make(chan struct{})
}

// fail notes why nothing more comes. The first reason counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.news)
		c.news = make(chan struct{})
	}
}

// await is the fetch of a connection that others push on.
func await(ctx context.Context, news <-chan struct{}) error {
	select {
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func decode(raw string) (Message, error) {
	m := Message{Raw: raw}
	if strings.Contains(raw, "\n") {
		return m, fmt.Errorf("transporttest: a message with a newline: %q", raw)
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return m, fmt.Errorf("transporttest: the server sent %q: %w", raw, err)
	}
	if m.Type == "" {
		return m, fmt.Errorf("transporttest: a message without a type: %s", raw)
	}
	return m, nil
}

func withQuery(url, query string) string {
	if strings.Contains(url, "?") {
		return url + "&" + query
	}
	return url + "?" + query
}
