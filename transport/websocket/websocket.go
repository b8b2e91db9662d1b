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
//	1007 invalid payload  a text that is not UTF-8
//	1009 too big          a message so far over the limit that reading on is no use
//
// Origins are not checked here: the hub has done that, for all transports alike, before a transport is asked.
//
// The library does the handshake, reads, and answers pings. Data is written as whole frames past it, and what it writes itself, which are control
// frames only, goes out between them: see package outlet, which has the connection.
package websocket

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/outlet"
)

// Transport is the WebSocket transport. The zero value speaks this module's protocol.
type Transport struct {
	// Each makes every message of the session's a text message of its own.
	Each bool
	// Silent is the status with which a socket is closed whose client does not answer a ping. Zero: without a goodbye, which it would not hear.
	Silent int
}

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

// Serve accepts the WebSocket and drains the session until either side closes. With Options.Hold it returns once the WebSocket is open,
// otherwise after the last of its goroutines.
func (t Transport) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	c, err := t.accept(w, r, s, o)
	if err != nil {
		s.Close()
		return
	}
	c.run(o)
	c.out.Wait()
}

// conn is one socket.
type conn struct {
	out    outlet.Outlet
	socket *ws.Conn

	limit                                    int64
	pingInterval, pongTimeout, receiveWithin time.Duration

	// Of the reader: where it is between frames, and whether what comes is thrown away, for the session takes no more.
	bound bound
	mute  bool
	// See Transport.
	each   bool
	silent uint16
	// What the ping needs to know about the reader, see beat: heard grows with everything that the client says, and receiving is while the
	// session is waited for.
	heard     atomic.Uint32
	receiving atomic.Bool

	mu     sync.Mutex
	timer  *time.Timer // of the next beat
	pings  uint32
	ping   ping
	status ws.StatusCode // to close with, 0 while the socket is open, gone when there is nobody to tell
	reason string
}

// gone is the status of a socket whose client is not there.
const gone ws.StatusCode = -1

// accept does the handshake. What goes wrong in it has been answered.
func (t Transport) accept(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) (*conn, error) {
	if !outlet.Able(w) {
		transport.Unavailable(w, http.StatusNotImplemented,
			"a WebSocket cannot be opened here: it needs HTTP/1.1, and a ResponseWriter with Hijack or Unwrap")
		return nil, http.ErrNotSupported
	}
	c := &conn{
		each: t.Each, silent: uint16(t.Silent),
		limit:        o.MaxMessageBytes,
		pingInterval: o.PingInterval, pongTimeout: o.PongTimeout, receiveWithin: o.ReceiveTimeout,
	}
	socket, err := ws.Accept(&hijacker{w, c, s, o}, r, &ws.AcceptOptions{
		InsecureSkipVerify: true, // the hub has checked the origin
		CompressionMode:    ws.CompressionDisabled,
		OnPongReceived:     c.pong,
	})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(-1) // the library closes on its limit; ours is in read.go
	c.socket = socket
	return c, nil
}

// hijacker gives the library a connection that is the outlet's.
type hijacker struct {
	http.ResponseWriter
	c *conn
	s transport.Session
	o transport.Options
}

// Hijack implements http.Hijacker. The buffers hold a frame's header: what is read comes out of a buffer of the outlet's, and data is not
// written through them.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, early, err := outlet.Hijack(h.ResponseWriter)
	if err != nil {
		return nil, nil, err
	}
	h.c.out.Open(conn, early, h.c, h.c.form(), h.s, h.o.WriteTimeout, h.o.Hold)
	l := &link{Conn: conn, c: h.c}
	return l, bufio.NewReadWriter(bufio.NewReaderSize(l, maxHeader), bufio.NewWriterSize(l, maxHeader)), nil
}

// link is the connection as the library has it.
type link struct {
	net.Conn
	c    *conn
	part []byte // of a control frame
}

// Read returns outlet.ErrIdle between two messages when nothing is there, so that no goroutine waits in it. The library passes that on, and is
// called again. Of io.EOF between two fragments it would make the end of their message: the end of the connection is io.ErrUnexpectedEOF.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.c.out.Read(p, l.c.bound.between())
	l.c.bound.pass(p[:n])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Write takes control frames, which come in parts when they are long. The one that closes is waited for: the library closes the connection then.
// Behind one of ours, to which the client has not answered yet, a pong is left out.
func (l *link) Write(p []byte) (n int, err error) {
	frame := p
	if l.part != nil || !whole(p) {
		l.part = append(l.part, p...)
		frame = l.part
	}
	if !whole(frame) {
		return len(p), nil
	}
	l.part = nil
	if frame[0]&0xf == opClose {
		if l.c.bound.garbled { // the library would send it back; RFC 6455, section 8.1
			frame = closeFrame(ws.StatusInvalidFramePayloadData, "")
		}
		err = l.c.out.Finish(frame)
	} else if err = l.c.out.Send(frame); err == outlet.ErrLast {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// whole reports whether a control frame is.
func whole(frame []byte) bool { return len(frame) > 1 && len(frame) == 2+int(frame[1]) }

// Close closes the connection.
func (l *link) Close() error {
	l.c.out.Close()
	return nil
}

// run begins.
func (c *conn) run(o transport.Options) {
	c.mu.Lock()
	c.timer = time.AfterFunc(o.NextPing(), func() { c.out.Do(c.beat) })
	c.mu.Unlock()
	c.out.CutWith(o.Cut, c)
	c.out.Drain()
	body := o.Body
	c.out.Go(func() {
		if len(body) > 0 {
			c.receive(body)
		}
		c.Arrived()
	})
}

// stop has the socket closed with a status, for a reason. The first call counts. The client has a while to take what is being sent to it and to
// answer to the goodbye.
func (c *conn) stop(status ws.StatusCode, reason string) {
	c.mu.Lock()
	if c.status == 0 {
		c.status, c.reason = status, reason
		c.timer.Stop()
		c.timer = time.AfterFunc(c.pongTimeout, func() { c.out.Do(c.over) })
	}
	c.mu.Unlock()
	c.out.Stop()
}

// over closes the socket, whatever goes on.
func (c *conn) over() {
	c.mu.Lock()
	if c.status == 0 {
		c.status = gone
	}
	c.timer.Stop()
	c.mu.Unlock()
	c.socket.CloseNow()
}

// Cut implements outlet.Cutter.
func (c *conn) Cut() { c.over() }
