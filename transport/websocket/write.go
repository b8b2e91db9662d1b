package websocket

import (
	"errors"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/buffer"
	"github.com/swampline/live/transport/internal/pace"
)

// write sends what the session has until the session is closed or the socket is to be.
func (c *conn) write() {
	for {
		frames, err := c.session.Next(c.ctx)
		for len(frames) > 0 {
			n := batch(frames)
			if c.send(frames[:n]) != nil {
				c.stop(0)
				return
			}
			frames = frames[n:]
		}
		if errors.Is(err, transport.ErrClosed) {
			c.sendAway(err)
		}
		if err != nil {
			return
		}
	}
}

// sendAway ends the socket because the session has: with the reason, if there is one.
func (c *conn) sendAway(err error) {
	var sent *transport.ClosedError
	if !errors.As(err, &sent) {
		c.stop(ws.StatusGoingAway)
		return
	}
	c.reason.Store(&sent.Code)
	c.stop(ws.StatusCode(sent.Status))
}

// batch counts the frames that go into one text message: as many as fit, and one at least.
func batch(frames []*transport.Frame) int {
	size := 0
	for i, f := range frames {
		size += len(f.Data) + 1
		if size > buffer.Size && i > 0 {
			return i
		}
	}
	return len(frames)
}

// send writes frames as one text message. The connection finds out when the client does not take it.
func (c *conn) send(frames []*transport.Frame) (err error) {
	c.writing.Store(true)
	defer func() {
		c.writing.Store(false)
		if errors.Is(err, pace.ErrTooSlow) {
			c.session.TooSlow()
		}
	}()
	if len(frames) == 1 {
		return c.socket.Write(c.ctx, ws.MessageText, frames[0].Data)
	}
	b := buffer.Get()
	defer buffer.Put(b)
	for i, f := range frames {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.Write(f.Data)
	}
	return c.socket.Write(c.ctx, ws.MessageText, b.Bytes())
}
