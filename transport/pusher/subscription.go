package pusher

import (
	"context"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// subscription is a connection's to one channel. To the session it is one to the hub's channel, which is told nothing before the other one has
// begun that some have: to who is there, or to the rows of an offer. The connection's lock guards it.
type subscription struct {
	name string
	kind kind
	// main and side are the ids of the session's subscriptions; side is 0 where there is none.
	main, side int64
	members    *roster    // of a presence channel
	offer      *Offer     // of an offered one
	told       bool       // that it has succeeded
	begins     *beginning // of the side; nil without one
	stop       func()     // ends what joined began; nil before, and where there is nothing to end
	counted    bool       // the census knows of it: of the shard's goroutine
}

// beginning is what the main subscription waits for.
type beginning struct {
	done    chan struct{}
	over    bool
	problem *wire.Problem // why there is no side
}

// settle says that the side has begun, or with a problem, that it never will; the first time counts. The connection's lock is held.
func (s *subscription) settle(p *wire.Problem) {
	if w := s.begins; w != nil && !w.over {
		w.over, w.problem = true, p
		close(w.done)
	}
}

// wait waits until the side has begun.
func (s *subscription) wait(ctx context.Context) error {
	if s.begins == nil {
		return nil
	}
	select {
	case <-s.begins.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.begins.problem != nil {
		return s.begins.problem
	}
	return nil
}

// succeeded tells the client that it is subscribed. The connection's lock is held.
func (s *subscription) succeeded() *transport.Frame {
	data := "{}"
	if s.members != nil {
		data = s.members.JSON()
	}
	return say("pusher_internal:subscription_succeeded", s.name, data)
}

// subscriptions are those of a connection: few, for the most part.
type subscriptions []*subscription

// of returns the one that a subscription of the session's belongs to, nil when there is none any more.
func (all subscriptions) of(id int64) *subscription {
	for _, s := range all {
		if id == s.main || id == s.side && id != 0 {
			return s
		}
	}
	return nil
}

// named returns the one to a channel, nil when there is none.
func (all subscriptions) named(channel string) *subscription {
	for _, s := range all {
		if s.name == channel {
			return s
		}
	}
	return nil
}

func (all *subscriptions) remove(s *subscription) {
	for i, other := range *all {
		if other == s {
			*all = append((*all)[:i:i], (*all)[i+1:]...)
			return
		}
	}
}
