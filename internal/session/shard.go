package session

import (
	"context"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
)

// Shard owns a part of a hub's sessions: one goroutine that does, in order, what concerns them. So a subscription goes
// live between two entries of the log and never in the middle of one, and no lock is shared by all sessions. Nothing that
// a shard does waits: it appends to queues.
type Shard struct {
	index int
	wake  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	work    []func()
	stopped bool

	// upto is the position up to which members were told, zero while nobody can say; begin, that at which the log began anew
	// the last time. Both are of the shard's goroutine.
	upto, begin broker.Position
}

// NewShard returns the shard of an index. Run must be called for it to do anything.
func NewShard(index int) *Shard {
	return &Shard{index: index, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Run does the shard's work until Stop.
func (sh *Shard) Run() {
	defer close(sh.done)
	for range sh.wake {
		sh.mu.Lock()
		work, stopped := sh.work, sh.stopped
		sh.work = nil
		sh.mu.Unlock()
		for _, f := range work {
			f()
		}
		if stopped {
			return
		}
	}
}

// Stop ends Run once it has done what was asked before, and waits for it.
func (sh *Shard) Stop() {
	sh.mu.Lock()
	sh.stopped = true
	sh.mu.Unlock()
	sh.signal()
	<-sh.done
}

// Do has f run by the shard, after everything that was asked before. F must not wait. After Stop it does nothing and
// reports false.
func (sh *Shard) Do(f func()) bool {
	sh.mu.Lock()
	if sh.stopped {
		sh.mu.Unlock()
		return false
	}
	sh.work = append(sh.work, f)
	sh.mu.Unlock()
	sh.signal()
	return true
}

func (sh *Shard) signal() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// call has f run by the shard and waits until it has. It returns false if ctx ended first (f may still run) or the shard
// has stopped.
func (sh *Shard) call(ctx context.Context, f func()) bool {
	ran := sh.ask(f)
	return ran != nil && sh.await(ctx, ran)
}

// ask has f run by the shard; what it returns is closed when it has, and nil when the shard has stopped.
func (sh *Shard) ask(f func()) <-chan struct{} {
	ran := make(chan struct{})
	if !sh.Do(func() { f(); close(ran) }) {
		return nil
	}
	return ran
}

// await waits for what was asked of the shard.
func (sh *Shard) await(ctx context.Context, ran <-chan struct{}) bool {
	select {
	case <-ran:
		return true
	case <-ctx.Done():
		return false
	case <-sh.done:
	}
	select {
	case <-ran: // just before the end
		return true
	default:
		return false
	}
}

// Suspend says that the log was lost or replaced, and begins anew at a position. Until the next Deliver no subscription
// goes live and no cursor is told.
func (sh *Shard) Suspend(begin broker.Position) {
	sh.Do(func() { sh.upto, sh.begin = broker.Position{}, begin })
}

// Deliver tells the shard's members what entries up to a position mean to their queries.
func (sh *Shard) Deliver(deliveries []*livequery.Delivery, upto broker.Position) {
	sh.Do(func() {
		for _, d := range deliveries {
			sh.tell(d)
		}
		sh.upto = upto
	})
}

// Tell tells the shard's members what was read meanwhile, as of a position up to which they were told.
func (sh *Shard) Tell(d *livequery.Delivery) { sh.Do(func() { sh.tell(d) }) }

func (sh *Shard) tell(d *livequery.Delivery) {
	// Backwards: a member that leaves meanwhile is replaced by one that has been told.
	for i := len(d.Query.Members(sh.index)) - 1; i >= 0; i-- {
		if members := d.Query.Members(sh.index); i < len(members) {
			members[i].Deliver(d)
		}
	}
}
