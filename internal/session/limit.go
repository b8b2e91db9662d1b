package session

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/swampline/live/internal/wire"
)

// Allowance takes n tokens, or none: then it returns after which time it makes sense to ask again. Nil allows everything.
type Allowance func(n int) (wait time.Duration, ok bool)

// take takes one token; it returns how long there is none, zero if there was one.
func (a Allowance) take() time.Duration {
	if a == nil {
		return 0
	}
	wait, _ := a(1)
	return wait
}

// received is one line of what a client sent: a message, or what is wrong with it.
type received struct {
	message wire.Message
	problem *wire.Problem
}

// batch reads the messages that came together. Too many are refused at once; those beyond the limit are not even read.
func (s *Session) batch(data []byte) ([]received, *wire.Problem) {
	var batch []received
	others := 0
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(batch) == s.env.MaxSubscriptions+s.env.MaxBatch {
			return nil, wire.BatchTooLarge(s.env.MaxBatch)
		}
		m, problem := wire.Parse(line, s.env.MaxDepth)
		if problem != nil || m.Type != wire.Subscribe {
			others++
		}
		if others > s.env.MaxBatch {
			return nil, wire.BatchTooLarge(s.env.MaxBatch)
		}
		batch = append(batch, received{m, problem})
	}
	return batch, nil
}

// limiter takes tokens for the messages that came together. Once there is none, none of those that follow is accepted either: what is refused
// is not overtaken by what came behind it.
type limiter struct {
	session *Session
	wait    time.Duration
}

// refuses counts a message, and returns what it is answered if there have been too many. To end a subscription is never refused.
func (l *limiter) refuses(r received) *wire.Problem {
	if r.problem == nil && r.message.Type == wire.Subscribe && l.session.Whole {
		return nil
	}
	if l.wait == 0 {
		l.wait = l.session.Messages.take()
	}
	if l.wait == 0 || r.problem == nil && r.message.Type == wire.Unsubscribe {
		return nil
	}
	return wire.RateLimited("messages", l.wait)
}

// pay takes the token of a subscription that is answered from the beginning, once.
func (s *Session) pay(sub *subscription) error {
	if sub.paid {
		return nil
	}
	if wait := s.Subscribes.take(); wait > 0 {
		return wire.RateLimited("subscriptions", wait)
	}
	sub.paid = true
	return nil
}

// noMessagePause is how long a client on which nothing was heard is asked to stay away.
const noMessagePause = 5 * time.Second

// Expect ends the session when nothing came from the client within a time. It is called once, before the first message.
func (s *Session) Expect(within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.silence = time.AfterFunc(within, func() {
		s.Expel(wire.NewProblem(http.StatusRequestTimeout, "no_message", fmt.Sprintf("no message came in %v", within)), noMessagePause)
	})
}

// heard notes that something came from the client.
func (s *Session) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silence != nil {
		s.silence.Stop()
		s.silence = nil
	}
}
