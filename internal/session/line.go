package session

import (
	"context"
	"slices"

	"github.com/swampline/live/transport"
)

// unanswered is how many messages of one session are worked on at once; further ones wait.
const unanswered = 16

// line lets so many in at once, the others in the order in which they came. The session's lock guards it. The zero line is empty.
type line struct {
	in      int
	waiting []chan struct{} // closed when it is their turn
}

// enter waits for a place; each enter without an error is paid back by one exit. The error is ctx's, or ErrClosed.
func (s *Session) enter(ctx context.Context, l *line) error {
	s.mu.Lock()
	if l.in < unanswered {
		l.in++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	s.mu.Unlock()
	var err error
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.ctx.Done():
		err = transport.ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	} else { // it was its turn just now
		l.next()
	}
	return err
}

// exit lets the next one in.
func (s *Session) exit(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.next()
}

func (l *line) next() {
	if len(l.waiting) == 0 {
		l.in--
		return
	}
	close(l.waiting[0])
	if l.waiting = slices.Delete(l.waiting, 0, 1); len(l.waiting) == 0 {
		l.waiting = nil
	}
}

// outlast waits for something that was done before; it reports false if the session is over first. Usually it was, and the session's context
// need not tell when it ends.
func (s *Session) outlast(before <-chan struct{}) bool {
	select {
	case <-before:
		return true
	default:
	}
	select {
	case <-before:
		return true
	case <-s.ctx.Done():
		return false
	}
}
