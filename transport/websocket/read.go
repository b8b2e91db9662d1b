package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/pace"
)

// patience is how many times the limit a message may measure before reading to its end is given up.
const patience = 16

var errTooLarge = errors.New("message over the limit")

// read hands the session what arrives, first what came with the request. It must be at it all the time: the library sees pongs and
// close frames only while somebody reads.
//
// When the session is closed it ends without a word: the writer finds out too, and has last frames to send.
func (c *conn) read() {
	if len(c.options.Body) > 0 && !c.receive(c.options.Body) {
		return
	}
	for {
		data, err := c.message()
		if err == errTooLarge {
			c.session.TooLarge()
			continue
		}
		if err != nil {
			c.stop(0) // unless there was a reason to give
			return
		}
		if !c.receive(data) {
			return
		}
	}
}

// receive waits for the session to accept the messages. It reports false when it will not any more.
func (c *conn) receive(data []byte) bool {
	c.receiving.Store(true)
	defer c.receiving.Store(false)
	return c.session.Receive(c.ctx, data) == nil
}

// message reads one. A message over the limit is read to its end and thrown away, so that the next one can be read.
func (c *conn) message() ([]byte, error) {
	// Without a context: one that ends would close the socket before the writer has said goodbye.
	kind, r, err := c.socket.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	if kind != ws.MessageText {
		c.stop(ws.StatusUnsupportedData)
		return nil, errors.New("binary message")
	}
	r = &listener{r, c}
	if c.options.ReceiveTimeout > 0 { // what trickles in is a sign of life for ever
		patience := time.AfterFunc(c.options.ReceiveTimeout, func() { c.sendAway(&transport.ClosedError{Status: int(ws.StatusTryAgainLater), Code: "too_slow"}) })
		defer patience.Stop()
	}
	limit := c.options.MaxMessageBytes
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) <= limit {
		return data, nil
	}
	rest := (patience - 1) * limit
	n, err := io.Copy(io.Discard, io.LimitReader(r, rest))
	if err != nil {
		return nil, err
	}
	if n == rest {
		c.stop(ws.StatusMessageTooBig)
		return nil, ws.ErrMessageTooBig
	}
	return nil, errTooLarge
}

// sip is how much is read at once: the library returns only when it has all that it was asked for.
const sip = 256

// listener notes that the client is sending.
type listener struct {
	io.Reader
	c *conn
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p[:min(len(p), sip)])
	l.c.heard.Add(1)
	return n, err
}

// hijacker keeps the connection that the library takes over, so that a close handshake that the client does not answer can be cut short.
type hijacker struct {
	http.ResponseWriter
	timeout time.Duration
	conn    net.Conn
}

// able reports whether Hijack can work. The library must not find out after it has promised to switch protocols.
func (h *hijacker) able() bool {
	w := h.ResponseWriter
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &paced{conn, pace.New(conn.Write, conn.SetWriteDeadline, h.timeout)}
	return h.conn, bufio.NewReadWriter(rw.Reader, bufio.NewWriter(h.conn)), nil
}

// paced is a connection to a client that may be slow.
type paced struct {
	net.Conn
	writer *pace.Writer
}

func (p *paced) Write(data []byte) (int, error) { return p.writer.Write(data) }
