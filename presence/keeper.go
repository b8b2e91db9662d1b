package presence

import (
	"context"
	"sync"
	"time"
)

// task is what is to be put on the log for a member, besides what becomes of it here.
type task struct {
	leave *leaving  // it went at its own wish
	bury  bool      // its node is gone
	tell  bool      // another node does not know it
	asked time.Time // when that one asked; zero when none did
	loud  bool      // nor do clients of this one, which may be anywhere by now
	stray *row      // what somebody may take for it, though it is gone
	edits []said    // what its client said here, of a member of another node
}

// say tells of a member a node that asked at a time.
func (t *task) say(asked time.Time) { t.tell, t.asked = true, earlier(t.asked, asked) }

// tooLate is when the question of a node that has just begun comes, or is answered, too late: it does not wait for the answer any more, and its
// clients, who were not shown the member, may be anywhere by now.
const tooLate = time.Second

// aloud reports whether clients are to be told of a member, too, who may not know it.
func (t *task) aloud() bool { return t.loud || !t.asked.IsZero() && time.Since(t.asked) > tooLate }

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// taskOf returns what is to be done for a member. The lock is held.
func (p *Presence) taskOf(id string) *task {
	t := p.todo[id]
	if t == nil {
		t = &task{}
		p.todo[id] = t
	}
	return t
}

// need has a member's state put on the log. The lock is held.
func (p *Presence) need(id string) {
	p.taskOf(id)
	p.wakeUp()
}

func (p *Presence) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// retryAfter is how long the log is left alone when it could not be reached.
const retryAfter = time.Second

// Run puts on the log what is to be said, lets time pass, and ends when ctx does; package live calls it.
func (p *Presence) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var watchers sync.WaitGroup
	defer watchers.Wait()
	for {
		p.runWatchers(ctx, &watchers)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
			if !p.hurried() {
				select { // for what comes with it
				case <-ctx.Done():
					return
				case <-time.After(p.options.Batch):
				}
			}
		}
		p.tick(time.Now())
		p.work(ctx)
		timer.Reset(p.pause(time.Now()))
	}
}

func (p *Presence) hurried() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.urgent
}

// work flushes what there is to say; what cannot be said is tried again.
func (p *Presence) work(ctx context.Context) {
	p.mu.Lock()
	wait, failing := time.Now().Before(p.retry), !p.retry.IsZero()
	p.mu.Unlock()
	if wait {
		return
	}
	err := p.flush(ctx)
	if err == nil {
		err = p.flushLocks(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retry = (time.Time{}); err != nil && ctx.Err() == nil {
		p.retry = time.Now().Add(retryAfter)
		if !failing {
			p.host.Logger().WarnContext(ctx, "presence: nobody can be told who is where; trying again", "error", err)
		}
	}
}

// tick does what time demands.
func (p *Presence) tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, o := range p.clients {
		if end, ends := p.deadline(o); ends && !now.Before(end) {
			o.gone = true
			p.taskOf(id)
		}
	}
	p.tickDoubts(now)
	p.tickPeers(now)
	p.tickLocks(now)
	p.tickWatchers(now)
}

// tickDoubts ends doubts. A member that polls is not in doubt for as long as its lease lasts: it may be at a node that leaves it to this one to
// speak for it, and to be told now and then that it was there. The lock is held.
func (p *Presence) tickDoubts(now time.Time) {
	for id, end := range p.doubts {
		if now.Before(end) {
			continue
		}
		r := p.replica.rows[id]
		if r != nil && r.Leased && r.Node == p.node {
			if end = p.replica.signs[id].Add(p.lease(r)); now.Before(end) {
				p.doubts[id] = end
				continue
			}
		}
		delete(p.doubts, id)
		p.taskOf(id)
	}
}

// pause is how long there is nothing to do.
func (p *Presence) pause(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.retry.IsZero() { // what time demands can wait until the log is there
		return max(p.retry.Sub(now), time.Millisecond)
	}
	next := now.Add(p.options.Lease)
	if p.rounds(now) {
		next = p.beaten.Add(p.beat())
	}
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	for _, o := range p.clients {
		if end, ends := p.deadline(o); ends {
			sooner(end)
		}
	}
	for _, end := range p.doubts {
		sooner(end)
	}
	p.nextOfPeers(sooner)
	p.nextOfLocks(sooner)
	sooner(p.watching.gone)
	return max(next.Sub(now), time.Millisecond)
}

// Leave tells the other nodes that this one goes; package live calls it. Their clients come to them before long.
func (p *Presence) Leave(ctx context.Context) {
	watchers := p.watched()
	for _, w := range watchers {
		w.Leave()
	}
	p.mu.Lock()
	p.say.Bye = len(p.replica.nodes[p.node]) > 0 || len(p.touched) > 0 || len(p.todo) > 0
	p.mu.Unlock()
	if err := p.flush(ctx); err != nil {
		p.host.Logger().WarnContext(ctx, "presence: the other nodes are not told that this one goes; they find out", "error", err)
	} else if len(watchers) > 0 { // they are told what there was until then
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = p.host.CatchUp(ctx)
	}
}
