package session

import (
	"context"
	"net/http"
	"time"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// Data that a client does not take is dropped, and read from the log again. Answers and snapshots cannot be dropped, so where frames
// are taken while messages are received, as on a WebSocket, what makes them waits while the queue is over its bound: calls and
// subscriptions before they begin, of which up to unanswered begin together, and small answers such as pong, which need no work, by
// taking no more messages. What that leaves unread waits in the client's own socket.
//
// An event stream takes nothing before all of its body is received, and a round nothing before all is answered: to wait would be to
// wait for ever. There the bound is what one body may ask for. What a stream loads later, when frames are taken, does wait.

// chatter is how far small answers may take the queue over its bound until no more messages are taken.
const chatter = 32 << 10

// room waits until no more than so much waits for the client. The error is ctx's, or ErrClosed.
func (s *Session) room(ctx context.Context, bound int) error {
	for {
		s.mu.Lock()
		closed, enough := s.closed, !s.streams || s.bytes <= bound
		if !closed && !enough && s.freed == nil {
			s.freed = make(chan struct{})
		}
		freed := s.freed
		s.mu.Unlock()
		switch {
		case closed:
			return transport.ErrClosed
		case enough:
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return transport.ErrClosed
		}
	}
}

// free wakes whoever waits for room. The caller holds the lock.
func (s *Session) free() {
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

// TooSlow ends the session because its client took nothing of what was written to it.
func (s *Session) TooSlow() {
	s.Expel(wire.NewProblem(http.StatusRequestTimeout, "too_slow", "you do not take what you are sent"), time.Second)
}
