package session

import (
	"context"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// Shard owns a part of a hub's sessions: one goroutine that does, in order, what concerns them. So a subscription goes
// live between two entries of the log and never in the middle of one, and no lock is shared by all sessions. Nothing that
// a shard does waits: it appends to queues.
type Shard struct {
	index int
	wake  chan struct{}
	done  chan struct{}

	mu   sync.Mutex
	work []task
	// touched are parked sessions that have something to say, or to do. Turning says that the shard is at work, and will look at both again
	// before it waits.
	touched                []*Session
	turning, stopped, over bool

	// upto is the position up to which members were told, zero while nobody can say; begin, that at which the log began anew
	// the last time. Both are of the shard's goroutine.
	upto, begin broker.Position
	// cursorAt is the position of the last cursor that was told, for those that are told the same.
	cursorAt    broker.Position
	cursorFrame *transport.Frame
	// Told is how many deliveries members were told since parked sessions were offered what is queued. These are of the shard's goroutine, too.
	told      int
	batches   batches
	spareWork []task
	spare     []*Session
	labels    labels
	// run are deliveries of one query that its members are to be told of, and passed the position up to which they will have been told then.
	run    []*livequery.Delivery
	passed broker.Position
}

// task is what a shard is asked to do: to call do, or to tell of deliveries, up to a position unless that is zero.
type task struct {
	do         func()
	deliveries []*livequery.Delivery
	upto       broker.Position
}

// breath is how many deliveries a shard tells of until it offers parked sessions what is queued, even if it has more to do: what many
// sessions hold meanwhile would be much.
const breath = 64

// NewShard returns the shard of an index. Run must be called for it to do anything.
func NewShard(index int) *Shard {
	return &Shard{index: index, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Run does the shard's work until Stop.
func (sh *Shard) Run() {
	defer close(sh.done)
	sh.label("")
	for range sh.wake {
		for sh.turn() {
		}
		if sh.end() {
			return
		}
	}
}

// turn does what was asked, and then offers parked sessions what that, or anybody, has queued for them. It reports whether there was anything.
func (sh *Shard) turn() bool {
	sh.mu.Lock()
	work := sh.work
	sh.work = sh.spareWork[:0]
	sh.turning = len(work)+len(sh.touched) > 0
	found := sh.turning
	sh.mu.Unlock()
	for i := range work {
		sh.perform(&work[i])
	}
	sh.tell()
	clear(work)
	sh.spareWork = work
	sh.offer()
	return found
}

// perform does what was asked, or puts it off for as long as what follows is of the same query.
func (sh *Shard) perform(t *task) {
	if t.do != nil {
		sh.tell()
		t.do()
		return
	}
	for _, d := range t.deliveries {
		if len(sh.run) > 0 && (sh.run[0].Query != d.Query || len(sh.run) == breath) {
			sh.tell()
		}
		sh.run = append(sh.run, d)
	}
	if !t.upto.IsZero() {
		sh.passed = t.upto
	}
}

// end reports whether the shard has stopped and nothing is left to be done.
func (sh *Shard) end() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.over = sh.stopped && len(sh.work)+len(sh.touched) == 0
	return sh.over
}

// offer offers the touched sessions' connections what is queued.
func (sh *Shard) offer() {
	sh.mu.Lock()
	touched := sh.touched
	sh.touched = sh.spare[:0]
	sh.mu.Unlock()
	for _, s := range touched {
		s.offer()
	}
	sh.label("")
	clear(touched)
	sh.spare, sh.told = touched, 0
	sh.batches.forget()
}

// touch has the shard come to a parked session at the end of its turn. The session's lock is held.
func (sh *Shard) touch(s *Session) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.over {
		go s.resume()
		return
	}
	sh.touched = append(sh.touched, s)
	if !sh.turning {
		sh.signal()
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
func (sh *Shard) Do(f func()) bool { return sh.add(task{do: f}) }

func (sh *Shard) add(t task) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.stopped {
		return false
	}
	sh.work = append(sh.work, t)
	if !sh.turning {
		sh.signal()
	}
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
	sh.Do(func() { sh.upto, sh.passed, sh.begin = broker.Position{}, broker.Position{}, begin })
}

// cursor returns the cursor of a position: most sessions of a shard are at the same. It runs on the shard's goroutine.
func (sh *Shard) cursor(at broker.Position) *transport.Frame {
	if sh.cursorFrame == nil || sh.cursorAt != at {
		sh.cursorAt, sh.cursorFrame = at, wire.Cursor(at.String())
	}
	return sh.cursorFrame
}

// Deliver tells the shard's members what entries up to a position mean to their queries.
func (sh *Shard) Deliver(deliveries []*livequery.Delivery, upto broker.Position) {
	sh.add(task{deliveries: deliveries, upto: upto})
}

// Tell tells the shard's members what was read meanwhile, as of a position up to which they were told.
func (sh *Shard) Tell(d *livequery.Delivery) { sh.add(task{deliveries: []*livequery.Delivery{d}}) }

// tell tells members what was put off: each of all of it, since to come to one costs more than to tell it.
func (sh *Shard) tell() {
	if run := sh.run; len(run) > 0 {
		query := run[0].Query
		// Backwards: a member that leaves meanwhile is replaced by one that has been told.
		for i := len(query.Members(sh.index)) - 1; i >= 0; i-- {
			if members := query.Members(sh.index); i < len(members) {
				members[i].Deliver(run)
			}
		}
		sh.told += len(run)
		clear(run)
		sh.run = run[:0]
	}
	sh.upto = sh.passed
	if sh.told >= breath {
		sh.offer()
	}
}
