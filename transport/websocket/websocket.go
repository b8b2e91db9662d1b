// Package websocket is the WebSocket transport: one connection, both ways, over HTTP/1.1.
//
// A text message from the client holds one or more messages of the protocol, separated by newlines, and so does each that the
// server sends. The server answers what it cannot accept where it can: a message over the limit is thrown away and the socket goes
// on. It closes with
//
//	1001 going away       the hub closed the session: connect again
//	1008 policy violation the hub ended the session because of what the client did; the reason is the problem's code
//	1013 try again later  the same, because of what the client did not do in time, or because there is too much to do
//	1003 unsupported      a binary message
//	1009 too big          a message so far over the limit that reading on is no use
//
// Origins are not checked here: the hub has done that, for all transports alike, before a transport is asked.
package websocket

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/pulse"
)

// Transport is the WebSocket transport.
type Transport struct{}

// Name is "websocket".
func (Transport) Name() string { return "websocket" }

// Accepts takes a GET that asks to become a WebSocket.
func (Transport) Accepts(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, header := range r.Header.Values("Upgrade") {
		for token := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "websocket") {
				return true
			}
		}
	}
	return false
}

// Serve accepts the WebSocket and drains the session until either side closes. It returns after the last of its goroutines.
func (Transport) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	defer s.Close()
	c, err := accept(w, r, s, o)
	if err != nil {
		return
	}
	c.run()
}

// conn is one socket: a goroutine reads, the handler's writes, and a timer pings.
type conn struct {
	socket  *ws.Conn
	net     net.Conn
	session transport.Session
	options transport.Options

	ctx    context.Context // ends when the socket is to be closed; never the request's, which ends with hijacking
	cancel context.CancelFunc
	end    atomic.Int64 // the status to close with; 0 when there is nobody to tell
	reason atomic.Pointer[string]

	// What the ping needs to know about the others, see ping.
	heard     atomic.Uint64 // grows with everything that the client sends
	receiving atomic.Bool   // the reader waits for the session
	writing   atomic.Bool   // the writer is in the middle of a message
}

// accept does the handshake. What goes wrong in it has been answered.
func accept(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) (*conn, error) {
	h := &hijacker{ResponseWriter: w, timeout: o.WriteTimeout}
	if !h.able() {
		transport.Unavailable(w, http.StatusNotImplemented,
			"a WebSocket cannot be opened here: it needs HTTP/1.1, and a ResponseWriter with Hijack or Unwrap")
		return nil, http.ErrNotSupported
	}
	socket, err := ws.Accept(h, r, &ws.AcceptOptions{
		InsecureSkipVerify: true, // the hub has checked the origin
		CompressionMode:    ws.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(-1) // the library closes on its limit; ours is in read.go
	c := &conn{socket: socket, net: h.conn, session: s, options: o}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// run works until the socket is to be closed, and closes it.
func (c *conn) run() {
	var reader sync.WaitGroup
	reader.Go(c.read)
	pings := pulse.Start(c.options.NextPing, c.ping)
	uncut := c.options.OnCut(func() { c.cancel(); c.net.Close() })
	defer uncut()
	c.write()
	c.session.Close()
	c.cancel()
	pings.Stop()
	c.close()
	reader.Wait()
}

// stop ends the socket with a status, or with 0 when the client is gone. The first call counts.
func (c *conn) stop(status ws.StatusCode) {
	c.end.CompareAndSwap(0, int64(status))
	c.cancel()
}

// close tells the client, if it is there, and waits for its answer as long as for a pong.
func (c *conn) close() {
	if status := ws.StatusCode(c.end.Load()); status != 0 {
		impatience := time.AfterFunc(c.options.PongTimeout, func() { c.net.Close() })
		reason := ""
		if said := c.reason.Load(); said != nil {
			reason = *said
		}
		c.socket.Close(status, reason)
		impatience.Stop()
	}
	c.socket.CloseNow()
}

// ping finds out whether the client is still there, and moves its cursor. A pong that does not come proves nothing while the reader was
// not listening, because the session would take no more or because the client was sending something long, or while a message
// that is being written kept the ping from leaving: that has a deadline of its own.
func (c *conn) ping() bool {
	c.session.Cursor()
	heard, deaf := c.heard.Load(), c.receiving.Load()
	ctx, cancel := context.WithTimeout(c.ctx, c.options.PongTimeout)
	defer cancel()
	err := c.socket.Ping(ctx)
	if c.ctx.Err() != nil {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) && (deaf || c.receiving.Load() || c.writing.Load() || c.heard.Load() != heard) {
		return true
	}
	if err != nil {
		c.stop(0)
		return false
	}
	return true
}
