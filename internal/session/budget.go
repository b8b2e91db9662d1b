package session

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/swampline/live/internal/wire"
)

// Budget bounds what the sessions of a hub hold for their clients together. Frames that several sessions share count in each queue: so
// it is memory that they can cost, not what they do cost.
type Budget struct {
	// Max is the bound in bytes; zero for none.
	Max int64
	// leaving is what closed sessions hold that their transports are sending, or find out that they cannot.
	leaving atomic.Int64
	over    chan struct{}
}

// NewBudget returns a budget of so many bytes.
func NewBudget(limit int) *Budget { return &Budget{Max: int64(limit), over: make(chan struct{}, 1)} }

// relief is the least time between two looks at all sessions.
const relief = 100 * time.Millisecond

// hold counts what the session holds for its client, in its own sum and, unless that is soon known anyway, in that of all sessions. The
// caller holds the lock.
func (s *Session) hold(n int) {
	s.bytes += n
	if n < 0 {
		s.free()
	}
	if s.parked == nil && !s.offering {
		s.count()
	}
}

// count brings the sum of all sessions up to date. The caller holds the lock.
func (s *Session) count() {
	n := int64(s.bytes - s.counted)
	if n == 0 {
		return
	}
	s.counted = s.bytes
	total, b := s.env.Queued.Add(n), s.env.Budget
	if b == nil {
		return
	}
	if s.closed {
		b.leaving.Add(n)
	}
	if n > 0 && total > b.Max && s.env.living() > b.Max {
		select {
		case b.over <- struct{}{}:
		default: // it is known
		}
	}
}

// living is what the sessions hold that are not closed.
func (e *Env) living() int64 { return e.Queued.Load() - e.Budget.leaving.Load() }

// Keep holds the sessions to the budget until ctx ends. They are looked at only while they are over it.
func (e *Env) Keep(ctx context.Context, open func() []*Session) {
	for {
		select {
		case <-e.Budget.over:
		case <-ctx.Done():
			return
		}
		e.relieve(ctx, open())
		select {
		case <-time.After(relief):
		case <-ctx.Done():
			return
		}
	}
}

// relieve brings what is queued down to three quarters of the budget. The longest queues go first: their data, which is read from the
// log again when there is room. If what cannot be dropped, answers, snapshots and what is being sent, is over the budget all the same,
// those sessions end that hold most.
func (e *Env) relieve(ctx context.Context, open []*Session) {
	enough := e.Budget.Max - e.Budget.Max/4
	for _, s := range largest(open, func(s *Session) int { return s.data }) {
		if e.living() <= enough || !s.shard.call(ctx, s.shed) && ctx.Err() != nil {
			return
		}
	}
	if e.living() <= e.Budget.Max {
		return
	}
	for _, s := range largest(open, func(s *Session) int { return s.bytes }) {
		if e.living() <= enough {
			return
		}
		s.Expel(wire.NewProblem(http.StatusServiceUnavailable, "overloaded", "the server has more to send than it can hold"),
			time.Second+rand.N(4*time.Second))
	}
}

// largest returns the sessions that have any, those that have most first.
func largest(open []*Session, of func(*Session) int) []*Session {
	type sized struct {
		*Session
		size int
	}
	var all []sized
	for _, s := range open {
		s.mu.Lock()
		if n := of(s); n > 0 && !s.closed {
			all = append(all, sized{s, n})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b sized) int { return cmp.Compare(b.size, a.size) })
	out := make([]*Session, len(all))
	for i, s := range all {
		out[i] = s.Session
	}
	return out
}

// shed drops the data that is queued, as an overflow of this queue alone would. It runs on the shard's goroutine.
func (s *Session) shed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.overflow()
		s.signal() // who waits for frames has something to read on
	}
}
