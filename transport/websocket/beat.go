package websocket

import (
	"context"
	"strconv"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/outlet"
)

// ping is one that may not have been answered yet.
type ping struct {
	awaited bool
	heard   uint32 // what the client had said before it
	deaf    bool   // nobody was listening
}

// beat finds out, from time to time, whether the client is still there, and moves its cursor. A pong that does not come proves nothing
// while the reader was not listening, because the session would take no more or because the client was sending something long, or while
// something that is being written kept the ping from leaving: that has a deadline of its own.
func (c *conn) beat() {
	c.mu.Lock()
	last := c.ping
	c.ping.awaited = false
	closed := c.status != 0
	c.mu.Unlock()
	if closed {
		return
	}
	excused := last.deaf || c.receiving.Load() || c.heard.Load() != last.heard || c.out.Writing()
	switch {
	case last.awaited && !excused && c.silent != 0:
		c.stop(ws.StatusCode(c.silent), "no pong")
	case last.awaited && !excused:
		c.over()
	case last.awaited:
		c.rest()
	default:
		c.sendPing()
	}
}

// rest waits until it is time for the next ping.
func (c *conn) rest() {
	next := transport.Options{PingInterval: c.pingInterval}.NextPing()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == 0 {
		c.timer.Reset(next)
	}
}

func (c *conn) sendPing() {
	c.out.Session().Cursor()
	c.mu.Lock()
	if c.status != 0 {
		c.mu.Unlock()
		return
	}
	c.pings++
	c.ping = ping{awaited: true, heard: c.heard.Load(), deaf: c.receiving.Load()}
	c.timer.Reset(c.pongTimeout)
	n := name(c.pings)
	c.mu.Unlock()
	if err := c.out.Send(append(appendHeader(nil, opPing, len(n)), n...)); err != nil && err != outlet.ErrLast {
		c.over()
	}
}

// pong is called by the library for one that came.
func (c *conn) pong(_ context.Context, payload []byte) {
	c.mu.Lock()
	answered := c.ping.awaited && string(payload) == name(c.pings)
	if answered {
		c.ping.awaited = false
	}
	c.mu.Unlock()
	if answered {
		c.rest()
	}
}

// name tells a ping from those before it.
func name(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
