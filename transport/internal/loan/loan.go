// Package loan borrows the connection of a request from net/http's server while the answer waits, and gives it back behind the answer: for the
// next request it is a connection like any other, of the same server and its handlers. What net/http keeps for a request, two buffers, the
// request itself and the stack of a goroutine that was deep in the application, is 20 KiB and more, several times what waiting needs.
//
// HTTP/2 has no connection to lend, and middleware that wraps the ResponseWriter without an Unwrap hides it: there the handler waits.
package loan

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/transport/internal/pace"
)

// Conn is a borrowed connection, and the http.ResponseWriter of the one answer that it was borrowed for. Its methods are for one goroutine,
// which calls Return or Close in the end.
type Conn struct {
	conn   net.Conn
	server *http.Server
	early  []byte // of what follows the request

	header http.Header
	status int
	body   []byte

	watched chan struct{} // closed when nobody reads any more; nil before Watch
	one     [1]byte
	read    int
	readErr error
}

// Take borrows the connection of a request whose body was read to its end. It returns nil when there is none to borrow, and nothing has
// happened then. What was set in the header of w goes out with the answer. The request's context ends when its handler returns.
func Take(w http.ResponseWriter, r *http.Request) *Conn {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.Close || r.Method == http.MethodHead {
		return nil
	}
	header := w.Header()
	if header.Get("Content-Encoding") != "" { // somebody means to compress what is written to w
		return nil
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	c := &Conn{conn: conn, server: server, header: header}
	if n := buffered.Reader.Buffered(); n > 0 {
		early, _ := buffered.Reader.Peek(n)
		c.early = slices.Clone(early)
	}
	if again, ok := conn.(*preceded); ok { // of a loan before this one
		c.conn, c.early = again.Conn, append(c.early, again.early...)
	}
	return c
}

// Watch calls gone, on a goroutine of its own, when the client is gone, or the connection is closed. When a client has sent its next request before
// the answer to this one, nobody finds out any more whether it is still there.
func (c *Conn) Watch(gone func()) {
	if len(c.early) > 0 {
		return
	}
	c.watched = make(chan struct{})
	go func() {
		defer close(c.watched)
		if c.read, c.readErr = c.conn.Read(c.one[:]); c.read == 0 && !c.calledOff() {
			gone()
		}
	}()
}

// calledOff reports whether it was unwatch that ended the reading.
func (c *Conn) calledOff() bool { return errors.Is(c.readErr, os.ErrDeadlineExceeded) }

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// unwatch ends the watching. It reports whether the client is still there, as far as anybody knows.
func (c *Conn) unwatch() bool {
	if c.watched == nil {
		return true
	}
	_ = c.conn.SetReadDeadline(past)
	<-c.watched
	c.early = append(c.early, c.one[:c.read]...)
	return c.read > 0 || c.calledOff()
}

// Header is the answer's.
func (c *Conn) Header() http.Header { return c.header }

// WriteHeader sets the answer's status.
func (c *Conn) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

// Write adds to the answer's body.
func (c *Conn) Write(data []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	c.body = append(c.body, data...)
	return len(data), nil
}

// Pace returns what writes to the client, who may be slow.
func (c *Conn) Pace(timeout time.Duration) *pace.Writer {
	return pace.New(c.conn.Write, c.conn.SetWriteDeadline, timeout)
}

// Finish sends the answer.
func (c *Conn) Finish(w *pace.Writer) error {
	_, err := w.Write(c.answer())
	return err
}

// answer is the answer as it is sent.
func (c *Conn) answer() []byte {
	if _, set := c.header["Date"]; !set {
		c.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	c.header.Del("Transfer-Encoding") // this is no net/http: what it would make of such a header nobody does
	c.header.Set("Content-Length", strconv.Itoa(len(c.body)))
	var b strings.Builder
	b.Grow(len(c.body) + 256)
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", c.status, http.StatusText(c.status))
	_ = c.header.Write(&b)
	b.WriteString("\r\n")
	b.Write(c.body)
	return []byte(b.String())
}

// Close closes the connection.
func (c *Conn) Close() {
	_ = c.conn.Close()
	if c.watched != nil {
		<-c.watched
	}
}

// Return gives the connection back behind the answer. If the server serves no more, or the client is gone, or the answer says so, it is closed.
func (c *Conn) Return() {
	if !c.unwatch() || strings.EqualFold(c.header.Get("Connection"), "close") || c.conn.SetDeadline(time.Time{}) != nil {
		c.Close()
		return
	}
	l := &listener{conn: c.conn, address: c.conn.LocalAddr()}
	if len(c.early) > 0 {
		l.conn = &preceded{Conn: c.conn, early: c.early}
	}
	_ = c.server.Serve(l) // which says that the listener ended, or that the server has
	if l.conn != nil {
		c.Close()
	}
}

// listener is a net.Listener that accepts one connection.
type listener struct {
	conn    net.Conn
	address net.Addr
}

// Accept returns the connection, and then an error.
func (l *listener) Accept() (conn net.Conn, err error) {
	if conn, l.conn = l.conn, nil; conn == nil {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close does nothing.
func (l *listener) Close() error { return nil }

// Addr is where the connection was accepted.
func (l *listener) Addr() net.Addr { return l.address }

// preceded is a connection of which some was read before.
type preceded struct {
	net.Conn
	early []byte
}

// Read returns what was read before, and then what comes.
func (p *preceded) Read(data []byte) (int, error) {
	if len(p.early) == 0 {
		return p.Conn.Read(data)
	}
	n := copy(data, p.early)
	p.early = p.early[n:]
	return n, nil
}
