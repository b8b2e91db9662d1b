package session

import (
	"context"
	"time"

	"github.com/swampline/live/transport"
)

// Poll is one round.
func (s *Session) Poll(ctx context.Context, wait time.Duration) ([]*transport.Frame, error) {
	s.drained(false)
	over := wait <= 0
	var timeIsUp <-chan time.Time
	if !over {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		timeIsUp = timer.C
		s.env.Parked.Add(1)
		defer s.env.Parked.Add(-1)
	}
	for {
		if err := s.catchUp(ctx); err != nil {
			return nil, err
		}
		if frames, ok := s.collect(ctx, over); ok {
			s.took(frames)
			return frames, nil
		}
		select {
		case <-s.wake:
		case <-timeIsUp:
			over = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// round is what a round comes to. The session's lock guards it.
type round struct {
	frames          []*transport.Frame
	over, abandoned bool
}

// collect takes a round's frames if the round is over. It does so on the shard's goroutine, where the position belongs to
// what is queued.
func (s *Session) collect(ctx context.Context, timeIsUp bool) ([]*transport.Frame, bool) {
	s.mu.Lock()
	ready := s.closed || s.roundOver(timeIsUp)
	s.mu.Unlock()
	if !ready {
		return nil, false
	}
	if !timeIsUp && s.env.Rounds != nil { // a change may have woken many
		if s.env.Rounds.Enter(ctx) != nil {
			return nil, false
		}
		defer s.env.Rounds.Leave()
	}
	var r round
	ran := s.shard.call(ctx, func() { s.finishRound(&r, timeIsUp) })
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nothing may be taken from now on that nobody returns.
	r.abandoned = true
	if !ran && !r.over && ctx.Err() == nil { // the hub is gone
		return s.take(), true
	}
	return r.frames, r.over
}

// finishRound takes what is queued, with a cursor at the end. It runs on the shard's goroutine.
func (s *Session) finishRound(r *round, timeIsUp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.abandoned:
	case s.closed:
		r.frames, r.over = s.take(), true
	case s.roundOver(timeIsUp):
		r.frames, r.over = s.take(), true
		if frame := s.cursor(); frame != nil {
			r.frames = append(r.frames, frame)
		}
	}
}

// roundOver tells whether a round can be answered: everything received is answered, what follows the cursors is read as
// far as it can be, and there is something to say or the time is up. The caller holds the lock.
func (s *Session) roundOver(timeIsUp bool) bool {
	if s.busy > 0 || s.readable() != nil {
		return false
	}
	if timeIsUp {
		return true
	}
	for _, i := range s.queue {
		if !i.frame.Quiet {
			return true
		}
	}
	return false
}
