package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// testApp is the app of most tests; its key and secret are those of the protocol's test vectors.
var testApp = App{ID: "3", Key: "278d425bdf160c739803", Secret: "7ad3773142a6692b25b8", ClientEvents: true, SubscriptionCount: true}

// node is a hub that serves Pusher's protocol.
type node struct {
	*testing.T
	hub    *live.Hub
	server *Server
	url    string
	over   *http.Client // nil for the usual one
	hooks  *recordedHooks
}

// startNode starts one; broker is what it shares with others, nil for its own.
func startNode(t *testing.T, log broker.Broker, h live.Options, o Options, endpoints ...live.Endpoint) *node {
	t.Helper()
	if log == nil {
		log = memory.New(memory.Options{})
	}
	h.Broker = log
	hub := live.New(h)
	hub.Register(endpoints...)
	if o.Apps == nil && o.Find == nil {
		o.Apps = []App{silent}
	}
	n := &node{T: t, hub: hub, hooks: &recordedHooks{}}
	n.server = newServer(hub, o, n.hooks)
	srv := httptest.NewServer(n.server)
	n.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil && !errors.Is(err, live.ErrShutdown) {
			t.Errorf("shutdown: %v", err)
		}
		srv.Close()
	})
	return n
}

func (n *node) app() *App { return &n.server.options.Apps[0] }

// trigger publishes an event as the HTTP API does.
func (n *node) trigger(channel, name, data string, except ...string) {
	n.Helper()
	e := outgoing{name: name, data: data, channels: []string{channel}, except: strings.Join(except, "")}
	if err := n.server.trigger(n.Context(), n.app(), []outgoing{e}); err != nil {
		n.Fatal(err)
	}
}

// recordedHooks are webhooks that are kept.
type recordedHooks struct {
	mu   sync.Mutex
	kept []hook
}

func (r *recordedHooks) happened(_ *App, h hook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, h)
}

func (r *recordedHooks) all() []hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hook(nil), r.kept...)
}

// client is a connection of Pusher's.
type client struct {
	*testing.T
	conn   *ws.Conn
	socket string
}

// frame is what a client is sent. Data is as it came.
type frame struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	UserID  string          `json:"user_id"`
}

// text is the frame's data, which is a string.
func (f frame) text() string {
	var text string
	if json.Unmarshal(f.Data, &text) != nil {
		return "no string: " + string(f.Data)
	}
	return text
}

func (f frame) String() string {
	s := f.Event + " " + f.Channel + " " + string(f.Data)
	if f.UserID != "" {
		s += " of " + f.UserID
	}
	return s
}

const query = "?protocol=7&client=js&version=8.6.0&flash=false"

// dialRaw opens a WebSocket.
func (n *node) dialRaw(path string) *client {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := ws.Dial(ctx, n.url+path, &ws.DialOptions{HTTPClient: n.over})
	if err != nil {
		n.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	n.Cleanup(func() { conn.CloseNow() })
	return &client{T: n.T, conn: conn}
}

// dial connects to the node's app.
func (n *node) dial() *client {
	n.Helper()
	c := n.dialRaw("/app/" + testApp.Key + query)
	f := c.next()
	var d struct {
		SocketID string `json:"socket_id"`
		Timeout  int    `json:"activity_timeout"`
	}
	if err := json.Unmarshal([]byte(f.text()), &d); f.Event != "pusher:connection_established" || err != nil || d.Timeout <= 0 {
		n.Fatalf("first came %v", f)
	}
	c.socket = d.SocketID
	return c
}

// read returns the next frame, or why there is none.
func (c *client) read() (f frame, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(data, &f)
}

func (c *client) next() frame {
	c.Helper()
	f, err := c.read()
	if err != nil {
		c.Fatal(err)
	}
	return f
}

// want checks the next frame; what says all of it as frame.String does.
func (c *client) want(what string) frame {
	c.Helper()
	f := c.next()
	if f.String() != what {
		c.Fatalf("got  %v\nwant %s", f, what)
	}
	return f
}

// wantError checks that the next frame is an error of a code; null for none.
func (c *client) wantError(code string) {
	c.Helper()
	f := c.next()
	var d struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
	}
	if err := json.Unmarshal(f.Data, &d); f.Event != "pusher:error" || err != nil || string(d.Code) != code || d.Message == "" {
		c.Fatalf("got %v, want an error of code %s", f, code)
	}
}

// wantRefused checks that the next frame refuses a subscription.
func (c *client) wantRefused(channel string, status int) {
	c.Helper()
	f := c.next()
	var d struct {
		Status      int
		Type, Error string
	}
	if err := json.Unmarshal(f.Data, &d); f.Event != "pusher:subscription_error" || f.Channel != channel || err != nil || d.Status != status || d.Error == "" || d.Type == "" {
		c.Fatalf("got %v, want %s refused with %d", f, channel, status)
	}
}

// wantClosed checks that the connection is closed with a status; frames that come before are skipped.
func (c *client) wantClosed(status int) {
	c.Helper()
	for {
		if _, err := c.read(); err != nil {
			if ws.CloseStatus(err) != ws.StatusCode(status) {
				c.Fatalf("closed with %v, want status %d", err, status)
			}
			return
		}
	}
}

// sync checks that nothing came before the answer to a ping.
func (c *client) sync() {
	c.Helper()
	c.send(`{"event":"pusher:ping","data":{}}`)
	c.want(`pusher:pong  "{}"`)
}

// send sends a text as it is.
func (c *client) send(text string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.conn.Write(ctx, ws.MessageText, []byte(text)); err != nil {
		c.Fatal(err)
	}
}

// authOf is what an app's own endpoint answers.
func authOf(text string) string {
	return testApp.Key + ":" + signed(&testApp, text)
}

func quote(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

// ask sends a subscribe with the right signature.
func (c *client) ask(channel string) {
	c.Helper()
	c.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":%q,"channel":%q}}`, authOf(textOfChannel(c.socket, channel, nil)), channel))
}

// askAs is ask with channel_data.
func (c *client) askAs(channel, channelData string) {
	c.Helper()
	c.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":%q,"channel":%q,"channel_data":%s}}`,
		authOf(textOfChannel(c.socket, channel, &channelData)), channel, quote(channelData)))
}

// follow subscribes, and waits for the success.
func (c *client) follow(channel string) {
	c.Helper()
	c.ask(channel)
	c.want(`pusher_internal:subscription_succeeded ` + channel + ` "{}"`)
}

// until waits for something that nobody tells of.
func (n *node) until(what string, is func() bool) {
	n.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			n.Fatal("not in 30 s: " + what)
		}
	}
}

// catchUp waits until the node has followed the log to its end.
func (n *node) catchUp() {
	n.Helper()
	if err := n.server.hub.CatchUp(n.Context()); err != nil {
		n.Fatal(err)
	}
}

// pipes is a net.Listener without a network, for tests on a virtual clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// bubbleNode is a node in a synctest bubble, until stop.
func bubbleNode(t *testing.T, o Options) (n *node, stop func()) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	hub := live.New(live.Options{})
	n = &node{T: t, hub: hub, server: New(hub, o), url: "ws://pipe"}
	srv := &http.Server{Handler: n.server}
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.Serve(p)
	}()
	n.over = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		p.conns <- far
		return near, nil
	}}}
	return n, func() {
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		close(p.done)
		srv.Close()
		<-served
	}
}
