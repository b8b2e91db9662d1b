package sse

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/outlet"
	"github.com/swampline/live/transport/internal/pace"
)

// conn is a stream whose connection was taken over from the server, so that nothing of the request is kept, and no goroutine waits where
// the system permits it. What the server has begun goes on as it was: a body in chunks, so that its end can be told from a connection that
// broke.
type conn struct {
	out    outlet.Outlet
	single bool

	pingInterval time.Duration
	mu           sync.Mutex
	timer        *time.Timer // of the next sign of life; nil at the end
}

// form begins the name of what Append makes: behind it is the tag behind the ids of events.
const form = "sse~"

// takeOver goes on with a stream of which everything that was said has been flushed. It reports whether it could: then the session is closed when
// the connection is.
func takeOver(w http.ResponseWriter, s transport.Session, o transport.Options) bool {
	netConn, early, err := outlet.Hijack(w)
	if err != nil {
		return false
	}
	c := &conn{single: o.Single, pingInterval: o.PingInterval}
	c.mu.Lock() // which Ended waits for
	c.out.Open(netConn, early, c, form+o.Tag, s, o.WriteTimeout, o.Hold)
	c.out.Drain() // before it can be closed: it is Ended that closes the session
	c.out.CutWith(o.Cut, c)
	c.timer = time.AfterFunc(o.NextPing(), c.beat)
	c.mu.Unlock()
	c.out.Go(c.Arrived)
	c.out.Wait()
	return true
}

// beat has the session queue a sign of life. A timer costs less than a pulse, and the outlet waits for what runs.
func (c *conn) beat() {
	c.out.Do(func() {
		c.out.Session().Cursor()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer != nil {
			c.timer.Reset(transport.Options{PingInterval: c.pingInterval}.NextPing())
		}
	})
}

// tag is what stands behind the ids of events.
func (c *conn) tag() string { return c.out.Form()[len(form):] }

// Append implements outlet.Owner: it appends the frames' events as one chunk.
func (c *conn) Append(to []byte, frames []*transport.Frame) []byte {
	size := 0
	for _, f := range frames {
		size += len(f.Data) + heads
	}
	to = slices.Grow(to, size)
	start := len(to)
	for _, f := range frames {
		to = event(to, f, c.tag())
	}
	var length [18]byte
	prefix := chunk(length[:0], len(to)-start)
	return append(slices.Insert(to, start, prefix...), "\r\n"...)
}

// Around implements outlet.Owner.
func (c *conn) Around(f *transport.Frame) (before, data, behind []byte) {
	if lineEnd(f.Data) >= 0 {
		return c.Append(nil, []*transport.Frame{f}), nil, nil
	}
	head := append(head(nil, f, c.tag()), "data: "...)
	before = append(chunk(nil, len(head)+len(f.Data)+len("\n\n")), head...)
	return before, f.Data, []byte("\n\n\r\n")
}

// chunk appends the beginning of a chunk of so many bytes.
func chunk(to []byte, size int) []byte {
	return append(strconv.AppendInt(to, int64(size), 16), "\r\n"...)
}

// Last implements outlet.Owner.
func (c *conn) Last(frames []*transport.Frame) bool { return refusal(frames) != nil && c.single }

// Arrived implements outlet.Owner. A client has nothing more to say here: reading is to find out that it is gone.
func (c *conn) Arrived() {
	var scrap [256]byte
	var err error
	for err == nil {
		_, err = c.out.Read(scrap[:], true)
	}
	if err == outlet.ErrIdle {
		c.out.Watch()
	} else {
		c.out.Close()
	}
}

// Cut implements outlet.Cutter.
func (c *conn) Cut() { c.out.Close() }

// Ended implements outlet.Owner.
func (c *conn) Ended(err error) {
	c.mu.Lock()
	c.timer.Stop()
	c.timer = nil
	c.mu.Unlock()
	if errors.Is(err, pace.ErrTooSlow) {
		c.out.Session().TooSlow()
	}
	c.out.Session().Close()
	if err == nil || errors.Is(err, transport.ErrClosed) {
		_ = c.out.Finish([]byte("0\r\n\r\n")) // the client may be gone
	}
	c.out.Close()
}
