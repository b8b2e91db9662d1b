// Package script holds what the tests of the transports share: a session that says what the test tells it to, and connections that
// are pipes, so that tests can run in a testing/synctest bubble.
package script

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live/transport"
)

// Session is a scripted transport.Session.
type Session struct {
	// OnReceive, if set, is called with everything that is received; it may Push, and it may block.
	OnReceive func(ctx context.Context, data string) error
	// Reason, if set, is what Next returns at the end of the closed session.
	Reason *transport.ClosedError
	// OnCursor, if set, queues the cursor frame. Otherwise each is one further than the last.
	OnCursor func()
	// NeverParks has the transport wait in Next all the time.
	NeverParks bool

	turn     sync.Mutex // of offering
	mu       sync.Mutex
	parked   transport.Parked
	taken    int
	left     int
	queue    []*transport.Frame
	closed   bool
	wake     chan struct{} // closed at the next change; nil when nobody waits. It is made in the bubble of who waits
	head     int
	received []string
	large    int
	slow     bool
}

var _ transport.Session = (*Session)(nil)

// New returns a session with these frames to say.
func New(frames ...*transport.Frame) *Session {
	return &Session{queue: frames, head: 100}
}

// ID implements transport.Session.
func (s *Session) ID() string { return "script" }

// Receive implements transport.Session.
func (s *Session) Receive(ctx context.Context, data []byte) error {
	closed := false
	s.change(func() {
		closed = s.closed
		s.received = append(s.received, string(data))
	})
	if closed {
		return transport.ErrClosed
	}
	if s.OnReceive != nil {
		return s.OnReceive(ctx, string(data))
	}
	return nil
}

// TooSlow implements transport.Session.
func (s *Session) TooSlow() {
	s.change(func() { s.slow = true; s.closed = true })
}

// Slow reports whether TooSlow was called.
func (s *Session) Slow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slow
}

// TooLarge implements transport.Session.
func (s *Session) TooLarge() {
	s.change(func() {
		s.large++
		s.queue = append(s.queue, Problem("error", 413, "message_too_large"))
	})
}

// Park implements transport.Session: whoever changes the session offers what is queued.
func (s *Session) Park(p transport.Parked) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.NeverParks || s.closed || len(s.queue) > 0 {
		return false
	}
	s.parked = p
	return true
}

// offer is what a shard of the hub does at the end of its turn.
func (s *Session) offer() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	p, frames, closed := s.parked, s.queue, s.closed
	if p == nil || len(frames) == 0 && !closed {
		s.mu.Unlock()
		return
	}
	s.parked = nil
	if closed {
		s.mu.Unlock()
		p.Resume()
		return
	}
	s.queue = nil
	s.mu.Unlock()
	taken := p.Offer(&transport.Batch{Frames: frames})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !taken {
		s.left++
		return
	}
	s.taken++
	s.parked = p
}

// Parked reports whether nobody waits in Next.
func (s *Session) Parked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parked != nil
}

// Offered returns how many batches were offered and taken at once, and how many were not.
func (s *Session) Offered() (taken, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.left
}

// Next implements transport.Session.
func (s *Session) Next(ctx context.Context) ([]*transport.Frame, error) {
	if err := s.until(ctx, func() bool { return len(s.queue) > 0 || s.closed }); err != nil {
		return nil, err
	}
	frames := s.take()
	switch {
	case len(frames) > 0:
		return frames, nil
	case s.Reason != nil:
		return nil, s.Reason
	}
	return nil, transport.ErrClosed
}

// Poll implements transport.Session.
func (s *Session) Poll(ctx context.Context, wait time.Duration) ([]*transport.Frame, error) {
	round, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_ = s.until(round, func() bool {
		return s.closed || slices.ContainsFunc(s.queue, func(f *transport.Frame) bool { return !f.Quiet })
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.Cursor()
	}
	return s.take(), nil
}

// Cursor implements transport.Session.
func (s *Session) Cursor() {
	if s.OnCursor != nil {
		s.OnCursor()
		return
	}
	s.change(func() {
		s.head++
		s.queue = append(s.queue, Cursor(fmt.Sprintf("e.%d", s.head)))
	})
}

// Close implements transport.Session. What was queued is still said.
func (s *Session) Close() { s.change(func() { s.closed = true }) }

// Push queues frames.
func (s *Session) Push(frames ...*transport.Frame) {
	s.change(func() { s.queue = append(s.queue, frames...) })
}

// Received returns what was received.
func (s *Session) Received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Large returns how often TooLarge was called.
func (s *Session) Large() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.large
}

// Closed reports whether Close was called.
func (s *Session) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Session) take() []*transport.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames := s.queue
	s.queue = nil
	return frames
}

func (s *Session) change(do func()) {
	defer s.offer()
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

func (s *Session) until(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		done := ready()
		if s.wake == nil {
			s.wake = make(chan struct{})
		}
		wake := s.wake
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
