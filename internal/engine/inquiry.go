package engine

import (
	"context"
	"sync"

	"github.com/swampline/live/broker"
)

// inquiries are the questions to the broker whether it holds a position that are under way. A client that resumes asks for each of its
// subscriptions, and most of these are of one position: they share an answer. The zero inquiries have none.
type inquiries struct {
	mu    sync.Mutex
	asked map[broker.Position]*inquiry
}

// inquiry is one question. What came of it is there when done is closed.
type inquiry struct {
	done chan struct{}
	held bool
	err  error
	// abandoned says that who asked gave up, or panicked: that is no answer for the others.
	abandoned bool
}

// ask returns what the broker says of a position to ask, which one of those asks that want to know it at the same time. If that one is given up,
// another does.
func (i *inquiries) ask(ctx context.Context, p broker.Position, ask func() (bool, error)) (bool, error) {
	for {
		i.mu.Lock()
		q, others := i.asked[p], true
		if q == nil {
			q, others = &inquiry{done: make(chan struct{})}, false
			if i.asked == nil {
				i.asked = map[broker.Position]*inquiry{}
			}
			i.asked[p] = q
		}
		i.mu.Unlock()
		if !others {
			return i.lead(ctx, q, p, ask)
		}
		select {
		case <-q.done:
			if !q.abandoned { // also when the broker failed: who asks again one after the other waits for it as often
				return q.held, q.err
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// lead asks, for all who want to know.
func (i *inquiries) lead(ctx context.Context, q *inquiry, p broker.Position, ask func() (bool, error)) (bool, error) {
	q.abandoned = true // should it panic
	defer func() {
		i.mu.Lock()
		delete(i.asked, p)
		i.mu.Unlock()
		close(q.done)
	}()
	q.held, q.err = ask()
	q.abandoned = ctx.Err() != nil
	return q.held, q.err
}
