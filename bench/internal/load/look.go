//go:build linux

package load

import (
	"errors"
	"syscall"
	"time"
)

// look waits, for so long at most, until something came, and handles it.
func (g *Group) look(wait time.Duration) error {
	for {
		n, err := syscall.EpollWait(g.epoll, g.events, int((wait+time.Millisecond-1)/time.Millisecond))
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, e := range g.events[:max(0, n)] {
			if c := g.byFd[e.Fd]; c != nil {
				g.handle(c, e.Events)
			}
		}
		if g.err != nil || n < len(g.events) {
			g.now = time.Now()
			return g.err
		}
		wait = 0
	}
}

var errEnded = errors.New("the server ended the connection")

func (g *Group) handle(c *client, events uint32) {
	if c.state == connects && events&syscall.EPOLLOUT != 0 {
		if err := syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_MOD, c.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}); err != nil {
			g.err = err
			return
		}
		g.knock(c)
		return
	}
	n, err := syscall.Read(c.fd, g.buffer)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return
	case err != nil:
		g.broken(c, err)
		return
	case n == 0:
		g.broken(c, errEnded)
		return
	}
	g.now = time.Now()
	g.Bytes += int64(n)
	data := g.buffer[:n]
	if len(c.rest) > 0 {
		c.rest = append(c.rest, data...)
		data = c.rest
	}
	left := g.take(c, data)
	if c.fd < 0 {
		return
	}
	c.rest = append(c.rest[:0], left...) // of itself, perhaps: append moves forward
}

// take handles what came as far as it is whole, and returns the rest.
func (g *Group) take(c *client, data []byte) []byte {
	for len(data) > 0 && c.fd >= 0 {
		var left []byte
		var whole bool
		switch {
		case c.state == connects || g.polls():
			left, whole = g.answered(c, data)
		case g.transport == "sse":
			left, whole = g.stream(c, data), false
		default:
			left, whole = g.frame(c, data)
		}
		if !whole {
			return left
		}
		data = left
	}
	return nil
}

func (g *Group) polls() bool { return g.transport == "longpoll" }
