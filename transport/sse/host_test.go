package sse

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
)

// overlong is how long anything may take before a test has failed. Nothing waits so long when all is well.
const overlong = 30 * time.Second

// host serves one session over TCP, as a hub does.
type host struct {
	*httptest.Server
	session  *script.Session
	serves   transport.Session // the same, unless a test has put another before it
	options  transport.Options
	wrap     func(w http.ResponseWriter) http.ResponseWriter // middleware; nil for none
	requests func(r *http.Request)
	held     atomic.Int32
	returned chan struct{} // Serve has
	released chan error    // what was held is
}

func newHost(t testing.TB, s *script.Session) *host {
	h := &host{session: s, serves: s, options: script.Options(), returned: make(chan struct{}, 1), released: make(chan error, 1)}
	h.options.PingInterval = time.Hour // unless it is what a test is about
	h.options.Hold = func() (release func(error)) {
		h.held.Add(1)
		return func(failure error) { h.released <- failure }
	}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.requests != nil {
			h.requests(r)
		}
		if h.wrap != nil {
			w = h.wrap(w)
		}
		Transport{}.Serve(w, r, h.serves, h.options)
		h.returned <- struct{}{}
	}))
	t.Cleanup(h.Close)
	return h
}

// client is one that has asked for events.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	res  *http.Response
	body strings.Builder
}

const plainRequest = "GET /live/ HTTP/1.1\r\nHost: x\r\n\r\n"

// open starts the server and asks it for events.
func (h *host) open(t testing.TB, request string) *client {
	t.Helper()
	h.Start()
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(overlong))
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	io.WriteString(conn, request)
	c.res, err = http.ReadResponse(c.in, nil)
	if err != nil || c.res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", c.res, err)
	}
	return c
}

// until reads until the stream says something, and returns it from its beginning.
func (c *client) until(said string) string {
	c.t.Helper()
	data := make([]byte, 64<<10)
	for from := 0; !strings.Contains(c.body.String()[from:], said); {
		from = max(0, c.body.Len()-len(said))
		n, err := c.res.Body.Read(data)
		c.body.Write(data[:n])
		if err != nil && !strings.Contains(c.body.String(), said) {
			c.t.Fatalf("the stream ended before %.100q, with %v, after %d bytes", said, err, c.body.Len())
		}
	}
	return c.body.String()
}

// end reads to the end of the stream, which must be a good one, and to that of the connection if it was announced. What the client said
// meanwhile may reset it.
func (c *client) end() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.res.Body)
	c.body.Write(rest)
	if err != nil {
		c.t.Errorf("the stream ended with %v", err)
	}
	if !c.res.Close {
		return c.body.String()
	}
	if more, err := io.ReadAll(c.in); errors.Is(err, os.ErrDeadlineExceeded) || len(more) > 0 {
		c.t.Errorf("behind its end came %q, %v", more, err)
	}
	return c.body.String()
}

// over waits for the end of the session, whose connection was taken over.
func (h *host) over(t testing.TB) {
	t.Helper()
	select {
	case failure := <-h.released:
		if failure != nil {
			t.Error(failure)
		}
	case <-time.After(overlong):
		t.Error("the session is held for ever")
	}
	if !h.session.Closed() {
		t.Error("the session is open after its client has gone")
	}
}
