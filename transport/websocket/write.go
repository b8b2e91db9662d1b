package websocket

import (
	"errors"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/outlet"
	"github.com/swampline/live/transport/internal/pace"
)

// Ended implements outlet.Owner: the session is closed, and the client told so, if it is there. The reader sees its answer. Where the library
// is saying goodbye, nothing may come between, and the reader, on whose goroutine that is, ends it.
func (c *conn) Ended(err error) {
	if err == outlet.ErrLast {
		c.out.Session().Close()
		return
	}
	c.goodbye(err)
	c.out.Session().Close()
	c.mu.Lock()
	status, reason := c.status, c.reason
	c.mu.Unlock()
	if status > 0 {
		err = c.out.Finish(closeFrame(status, reason))
	}
	if status <= 0 || err != nil && err != outlet.ErrLast {
		c.over()
	}
}

// goodbye decides how the socket is closed, unless that has been.
func (c *conn) goodbye(err error) {
	var sent *transport.ClosedError
	switch {
	case errors.As(err, &sent):
		c.stop(ws.StatusCode(sent.Status), sent.Code)
	case errors.Is(err, transport.ErrClosed):
		c.stop(ws.StatusGoingAway, "")
	case errors.Is(err, pace.ErrTooSlow):
		c.out.Session().TooSlow()
		c.stop(gone, "")
	default: // writing failed, or it was stopped
		c.stop(gone, "")
	}
}
