package session

import (
	"time"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// The statuses with which a WebSocket is closed for a problem.
const (
	policyViolation = 1008
	tryAgainLater   = 1013
)

// Why a session ends when there is no problem.
const (
	gone      = "gone"      // the client is, or was answered
	reconnect = "reconnect" // the hub goes
)

// Close ends the session. Whoever calls it takes nothing any more.
func (s *Session) Close() {
	s.finishWith(nil, nil, gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned, s.parked = true, nil
	s.empty()
	s.inFlight = 0
	s.hold(-s.bytes)
	s.count()
}

// Finish ends the session with a last frame, which asks the client to connect again.
func (s *Session) Finish(last *transport.Frame) { s.finishWith(nil, last, reconnect) }

// Leave asks the client of a stream to connect again after a while. The session goes on, until Gone, so that the client can let the new
// connection overlap with this one.
func (s *Session) Leave(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams && !s.closed { // the answer to a round would tell it to come again at once
		s.left = true
		s.append(item{frame: wire.Reconnect(after.Milliseconds(), nil)})
	}
}

// Gone ends the session of a client that was asked to leave.
func (s *Session) Gone() {
	s.mu.Lock()
	told := s.left
	s.mu.Unlock()
	if told {
		s.Finish(nil)
	} else {
		s.Finish(wire.Reconnect(0, nil))
	}
}

// Expel ends the session because of what its client did, or did not do, and asks it to come back after a while. Of one that does not
// take what waits for it, or for which there is no memory, nothing else is sent any more.
func (s *Session) Expel(p *wire.Problem, after time.Duration) {
	s.finishWith(func() {
		if s.reason = (&transport.ClosedError{Status: closeStatus(p), Code: p.Code}); s.reason.Status == tryAgainLater {
			s.drop(func(item) bool { return true })
		}
	}, wire.Reconnect(after.Milliseconds(), p), p.Label())
}

// closeStatus is the status with which a WebSocket is closed for a problem.
func closeStatus(p *wire.Problem) int {
	switch p.Code {
	case "too_slow", "overloaded":
		return tryAgainLater
	}
	return policyViolation
}

// closedError is what a transport is told once it has the last frame. The session's lock is held.
func (s *Session) closedError() error {
	if s.reason != nil {
		return s.reason
	}
	return transport.ErrClosed
}

// finishWith ends the session for a reason, as it is counted; before says the last words to its subscriptions, under the lock.
func (s *Session) finishWith(before func(), last *transport.Frame, why string) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if before != nil {
		before()
	}
	if last != nil {
		s.append(item{frame: last})
	}
	s.count()
	s.closed = true
	if s.env.Budget != nil {
		s.env.Budget.leaving.Add(int64(s.bytes))
	}
	if s.silence != nil {
		s.silence.Stop()
	}
	subs, how := s.subs, wire.Lost
	if s.signedOut {
		how = wire.Refused
	}
	s.subs = nil
	s.env.Subscriptions.Add(int64(-len(subs)))
	for _, sub := range subs {
		s.end(sub, how)
	}
	s.signal()
	s.mu.Unlock()
	s.cancel()
	s.onClose()
	s.env.Watch.Count(observe.ClosedSessions, why, 1)
}
