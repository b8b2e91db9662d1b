package session

import (
	"context"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// Dialect is another protocol than this module's own, as one session speaks it: what it may ask for, and how it is told. Its funcs but App's
// are called under the session's lock: they do not wait, and call nothing of the session.
type Dialect struct {
	// App answers what the session asks for, in place of the hub's.
	App App
	// MaxSubscriptions bounds those of the session. Zero: as many as any other.
	MaxSubscriptions int
	// Answer makes of a frame that is no delivery, such as a snapshot or a refusal, what the client is told; nil for nothing. None of that can
	// be dropped.
	Answer func(f *transport.Frame) []*transport.Frame
	// Deliver makes of a delivery to the subscription of an id what the client is told; nil for nothing. What is firm cannot be dropped when
	// the client is slow, as anything else is, to be made anew of what is read from the log again. The frames may be others', too; the slice is not
	// kept.
	Deliver func(id int64, d *livequery.Delivery) (frames []*transport.Frame, firm bool)
}

// app answers what the session asks for.
func (s *Session) app() App {
	if s.Dialect != nil {
		return s.Dialect.App
	}
	return s.env.App
}

func (s *Session) maxSubscriptions() int {
	if s.Dialect != nil && s.Dialect.MaxSubscriptions > 0 {
		return s.Dialect.MaxSubscriptions
	}
	return s.env.MaxSubscriptions
}

// translate queues what an answer is in the session's dialect. A snapshot is past recall then: what is said of it may be nothing. The caller
// holds the lock.
func (s *Session) translate(i item) {
	for _, frame := range s.Dialect.Answer(i.frame) {
		s.enqueue(item{frame: frame})
	}
	if i.kind == rows {
		i.sub.taken()
	}
}

// translateDelivery queues what a delivery is in the session's dialect. The caller holds the lock.
func (s *Session) translateDelivery(sub *subscription, d *livequery.Delivery, before broker.Position) {
	frames, firm := s.Dialect.Deliver(sub.id, d)
	if len(frames) == 0 {
		return
	}
	kind := answer
	if !firm {
		kind = data
		sub.note(d, before)
	}
	for _, frame := range frames {
		s.enqueue(item{frame: frame, sub: sub, kind: kind})
	}
}

// Say queues a frame as it is, behind what is queued.
func (s *Session) Say(frames ...*transport.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range frames {
		if !s.closed {
			s.enqueue(item{frame: f})
		}
	}
}

// Room waits while too much is queued for the client, as Receive does. The error is ctx's, or transport.ErrClosed.
func (s *Session) Room(ctx context.Context) error { return s.room(ctx, s.env.MaxQueueBytes+chatter) }

// Charge counts a message of the client's that Receive does not see; it returns after which time another may come if there were too many.
func (s *Session) Charge() (wait time.Duration) { return s.Messages.take() }

// CloseWith ends the session for a reason, behind a last frame that is sent as it is; nil for none. What is queued is sent before.
func (s *Session) CloseWith(reason *transport.ClosedError, last *transport.Frame) {
	s.finishWith(func() {
		if s.reason = reason; last != nil {
			s.enqueue(item{frame: last})
		}
	}, nil, wire.NewProblem(0, reason.Code, "").Label())
}
