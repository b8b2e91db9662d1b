//go:build linux

package load

import (
	"fmt"
	"syscall"
	"time"
)

// gulp is how long what comes is left to the system, room the bytes that a socket must hold meanwhile for its window never to close, with what the
// system adds to each small packet, and still how many gulps of nothing there are when all has come.
const (
	gulp  = 250 * time.Millisecond
	room  = 2 << 20
	still = 2
)

// Discard has the system throw away what comes while do has the server send it, and not even copy it: so the clients take next to nothing of the processors. Do
// returns when the last is sent, or is about to be, and how many messages each client was sent, of those for everybody; they count as come. It begins and ends when nothing is on its way: a message that
// the clients look at afterwards tells whether the streams are whole. Bytes are counted, deliveries are not.
func (g *Group) Discard(do func() (messages int, err error)) error {
	var messages int
	done := make(chan error, 1)
	go func() {
		var err error
		messages, err = do()
		done <- err
	}()
	for _, c := range g.clients {
		c.discarded = 0
	}
	var limit time.Time // while it is zero, do has not returned
	for quiet := 0; quiet < still || !g.even() && time.Now().Before(limit); {
		select {
		case err := <-done:
			if limit = time.Now().Add(patience); err != nil {
				return err
			}
		case <-time.After(gulp):
		}
		before := g.Bytes
		if err := g.discard(); err != nil {
			return err
		}
		if quiet++; limit.IsZero() || g.Bytes > before {
			quiet = 0
		}
	}
	g.n += messages
	g.newest[0] = g.n
	for _, c := range g.clients {
		c.last = g.n
	}
	return nil
}

// even reports whether all clients were sent as much: who was not is about to be.
func (g *Group) even() bool {
	for _, c := range g.clients {
		if c.discarded != g.clients[0].discarded {
			return false
		}
	}
	return true
}

// discard empties the sockets.
func (g *Group) discard() error {
	for _, c := range g.clients {
		for c.fd >= 0 {
			n, _, errno := syscall.Syscall6(syscall.SYS_RECVFROM, uintptr(c.fd), 0, room, syscall.MSG_TRUNC|syscall.MSG_DONTWAIT, 0, 0)
			if errno == syscall.EAGAIN {
				break
			}
			if errno != 0 {
				return fmt.Errorf("client %d: %w", c.number, errno)
			}
			if n == 0 {
				return fmt.Errorf("client %d: %w", c.number, errEnded)
			}
			g.Bytes += int64(n)
			c.discarded += int64(n)
		}
	}
	return nil
}
