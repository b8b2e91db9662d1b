package checker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/swampline/live/broker"
)

// The transports.
const (
	WebSocket = "websocket"
	SSE       = "sse"
	LongPoll  = "longpoll"
	ShortPoll = "shortpoll"
)

// Transports are all of them.
var Transports = []string{WebSocket, SSE, LongPoll, ShortPoll}

// link is one answer of a hub's: a WebSocket, a stream, or one round of a poll. The client's lock guards what is not set when it is
// made.
type link struct {
	number    int
	transport string
	lost      int64 // how often the hub had lost the log when it began
	handle    *handle
	began     broker.Position // where the hub was when it began
	queries   map[string][]*subscription
	standing  map[*subscription]*standing
	over      bool // the client has ended it
}

// lifeHeader tells in an answer which hub gave it: between the time at which a client begins a link, and that at which it is answered, another
// one may have come in the place of the one that was there.
const lifeHeader = "Checker-Life"

// answered notes which hub answered a link.
func (c *client) answered(l *link, header http.Header) {
	h := c.world.lifeOf(header.Get(lifeHeader))
	c.mu.Lock()
	defer c.mu.Unlock()
	if h != nil && h != l.handle {
		l.handle, l.lost, l.began = h, 0, h.first()
	}
}

// standing is where a subscription is on one link.
type standing struct {
	sent     string // the cursor that it asked with
	answered bool
	query    string
	last     string // the cursor after which everything must come
	stamp    int64  // of the table's clock when it asked
}

// connection is a client's way to a hub over one transport.
type connection struct {
	client    *client
	transport string
	url       string
	node      *node
	cancel    context.CancelFunc
	done      chan struct{}
	socket    *websocket.Conn
	link      *link // of a WebSocket
}

// open connects. What comes is taken on a goroutine of its own, until the connection ends.
func (c *client) open(ctx context.Context, transport string, n *node) (*connection, error) {
	ctx, cancel := context.WithCancel(ctx)
	k := &connection{client: c, transport: transport, url: c.url(), node: n, cancel: cancel, done: make(chan struct{})}
	c.world.tally.Connections.Add(1)
	if transport == WebSocket {
		if err := k.dial(ctx); err != nil {
			cancel()
			return nil, err
		}
	}
	go func() {
		defer close(k.done)
		defer cancel()
		err := k.run(ctx)
		if k.socket != nil {
			_ = k.socket.CloseNow()
		}
		c.world.debug("%s: %s ends: %v", c.name, transport, err)
	}()
	return k, nil
}

// close ends it, and returns when nothing of it runs any more.
func (k *connection) close(polite bool) {
	k.client.mu.Lock()
	if k.link != nil {
		k.link.over = true
	}
	k.client.mu.Unlock()
	if polite && k.socket != nil {
		go func() { _ = k.socket.Close(websocket.StatusNormalClosure, "") }()
		select {
		case <-k.done:
		case <-time.After(50 * time.Millisecond):
		}
	}
	k.cancel()
	<-k.done
}

func (k *connection) run(ctx context.Context) error {
	switch k.transport {
	case WebSocket:
		return k.listen(ctx)
	case SSE:
		return k.stream(ctx)
	}
	for {
		idle, err := k.round(ctx)
		if err != nil {
			return err
		}
		if idle && k.transport == ShortPoll {
			select {
			case <-time.After(time.Duration(5+k.client.draw(20)) * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// dial opens a WebSocket and subscribes.
func (k *connection) dial(ctx context.Context) error {
	c := k.client
	dialing, cancel := context.WithTimeout(ctx, c.world.patience())
	defer cancel()
	socket, answer, err := websocket.Dial(dialing, k.url, &websocket.DialOptions{HTTPClient: c.http})
	if answer != nil && answer.StatusCode != http.StatusSwitchingProtocols {
		c.refused(answer.StatusCode)
	}
	if err != nil {
		return err
	}
	socket.SetReadLimit(-1)
	k.socket = socket
	l, texts := c.begin(k)
	c.answered(l, answer.Header)
	k.link = l
	if err := k.say(ctx, texts...); err != nil {
		_ = socket.CloseNow()
		return err
	}
	return nil
}

// say sends messages over a WebSocket.
func (k *connection) say(ctx context.Context, texts ...string) error {
	if len(texts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.client.world.patience())
	defer cancel()
	return k.socket.Write(ctx, websocket.MessageText, []byte(strings.Join(texts, "\n")))
}

// listen takes what comes over a WebSocket. A hub that says nothing for longer than it pings is gone.
func (k *connection) listen(ctx context.Context) error {
	for {
		reading, cancel := context.WithTimeout(ctx, k.client.world.patience())
		_, data, err := k.socket.Read(reading)
		cancel()
		if err != nil {
			return err
		}
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			if err := k.client.take(k.link, line); err != nil {
				return err
			}
		}
	}
}

// post sends the subscriptions.
func (k *connection) post(ctx context.Context, url, accept string) (*http.Response, *link, error) {
	c := k.client
	l, texts := c.begin(k)
	if len(texts) == 0 {
		return nil, nil, errors.New("nothing to ask for")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(strings.Join(texts, "\n")))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Accept", accept)
	if c.compressed {
		r.Header.Set("Accept-Encoding", "gzip")
	} else {
		r.Header.Set("Accept-Encoding", "identity")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	c.answered(l, answer.Header)
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		c.refused(answer.StatusCode)
		return nil, nil, fmt.Errorf("HTTP status %d", answer.StatusCode)
	}
	if answer.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(answer.Body)
		if err != nil {
			answer.Body.Close()
			return nil, nil, err
		}
		answer.Body = unzipped{plain, answer.Body}
	}
	return answer, l, nil
}

// unzipped is the body of an answer that came compressed.
type unzipped struct {
	io.Reader
	io.Closer
}

// stream takes the events of an SSE stream. The first timer is for the answer, the others for the time between two signs of life.
func (k *connection) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := k.client.world.patience()
	alive := time.AfterFunc(patience, cancel)
	defer alive.Stop()
	answer, l, err := k.post(ctx, k.url, "text/event-stream")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewReaderSize(answer.Body, 16<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		alive.Reset(patience)
		if data, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("data: ")); ok {
			if err := k.client.take(l, data); err != nil {
				return err
			}
		}
	}
}

// round makes one request and takes its answer. It reports whether that brought nothing.
func (k *connection) round(ctx context.Context) (idle bool, err error) {
	url := k.url
	if k.transport == LongPoll {
		url += "?wait=1"
	}
	ctx, cancel := context.WithTimeout(ctx, k.client.world.patience()+time.Second)
	defer cancel()
	before := k.client.taken.Load()
	answer, l, err := k.post(ctx, url, "application/x-ndjson")
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	body, failed := io.ReadAll(answer.Body)
	if failed != nil { // what was cut off is none, but what came whole before counts
		body = body[:bytes.LastIndexByte(body, '\n')+1]
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")) {
		if err := k.client.take(l, line); err != nil {
			return false, err
		}
	}
	return k.client.taken.Load() == before, failed
}
