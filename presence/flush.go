package presence

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/swampline/live/internal/extend"
)

// step is what goes on the log for one member: it came when was is nil, and goes when now is; without both there is nothing to say of it but a wish.
type step struct {
	id       string
	was, now *row
	left     *leaving // it goes at its own wish, though nobody here may know it; nil when it does not
}

// chunk is how many members one entry of the log tells of, at most.
const chunk = 500

// flush puts on the log what is to be said. What fails is to be said again.
func (p *Presence) flush(ctx context.Context) (err error) {
	p.flushes.Lock()
	defer p.flushes.Unlock()
	p.mu.Lock()
	todo, w := p.todo, p.words(time.Now())
	p.todo, p.urgent = map[string]*task{}, false
	steps := p.steps(todo)
	p.mu.Unlock()
	for first := true; err == nil && (first && !w.empty() || len(steps) > 0); first = false {
		some := steps[:min(len(steps), chunk)]
		if err = p.put(ctx, some, w); err != nil {
			break
		}
		p.mu.Lock()
		p.told(some, todo, w)
		p.mu.Unlock()
		steps, w = steps[len(some):], word{}
	}
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range steps {
		p.taskOf(s.id).add(todo[s.id])
	}
	p.unsaid(w)
	return err
}

// put puts some steps and a word on the log as one entry.
func (p *Presence) put(ctx context.Context, steps []step, w word) error {
	for _, s := range steps {
		if s.left != nil {
			if w.Left == nil {
				w.Left = map[string]leaving{}
			}
			w.Left[s.id] = *s.left
		}
	}
	return p.hub.Batch(extend.NowOrNever(ctx), func(ctx context.Context) (err error) {
		for _, s := range steps {
			switch {
			case s.was == nil && s.now == nil:
			case s.was == nil:
				err = p.router.Created(ctx, *s.now)
			case s.now == nil:
				err = p.router.Deleted(ctx, *s.was)
			default:
				err = p.router.Updated(ctx, *s.was, *s.now)
			}
			if err != nil {
				return err
			}
		}
		if w.empty() && w.Left == nil {
			return nil
		}
		w.Node = p.node
		return p.hub.Publish(ctx, p.channel, w)
	})
}

// told notes what was put on the log. The lock is held.
func (p *Presence) told(steps []step, todo map[string]*task, w word) {
	for _, s := range steps {
		delete(todo, s.id)
		if s.left != nil {
			close(s.left.told)
		}
		o := p.own[s.id]
		if o == nil {
			continue
		}
		if s.now == nil || !o.others {
			o.sent = s.now
		}
		if cur := p.replica.rows[s.id]; o.sent != nil && cur != nil && cur.Version >= o.sent.Version {
			o.sent = nil // it has come by already
		}
		if dead, gone := p.replica.gone[s.id]; gone && o.sent != nil && dead.version >= o.sent.Version {
			o.sent = nil // and has been taken out since
		}
	}
	if !w.empty() {
		p.beaten = time.Now()
	}
}

// steps makes of what is to be done what is to be said. What has come to nothing is dropped. The lock is held.
func (p *Presence) steps(todo map[string]*task) []step {
	var steps []step
	for _, id := range slices.Sorted(maps.Keys(todo)) {
		if s, ok := p.step(id, todo[id]); ok {
			steps = append(steps, s)
		} else {
			delete(todo, id)
		}
	}
	return steps
}

// step is what there is to say of a member; false for nothing. What is to be loud is said as of one that comes, so that it is told whole, at a
// version that nobody has seen. The lock is held.
func (p *Presence) step(id string, t *task) (step, bool) {
	s, ok := p.plain(id, t)
	if cur := p.current(id); t.aloud() && cur != nil && (s.now != nil || !ok) {
		if s.now == nil || s.now == cur {
			s = p.newer(s, *cur, time.Time{})
		}
		s.was, ok = nil, true
		p.louds[id] = s.now.Version // before it can come by
	}
	return s, ok
}

// plain is step for what is not loud.
func (p *Presence) plain(id string, t *task) (step, bool) {
	o, cur := p.own[id], p.current(id)
	s := step{id: id, was: cur}
	switch {
	case t.leave != nil && (o == nil || o.came.UnixMilli() <= t.leave.At): // else it came again
		s.left, s.was = t.leave, nil
		// Else it came again, unless it did so by this node, which knows better: then it only said something.
		if cur != nil && (cur.Version <= t.leave.At || o != nil && o.left && cur.Node == p.node) {
			gone := *cur // at a version of its own, so that what was said before, and comes later, does not undo it
			gone.Version = max(cur.Version, t.leave.At)
			s.was = &gone
		}
		return s, true
	case o != nil && o.gone:
		p.disown(id)
		return s, cur != nil && (cur.Node == p.node || o.claim)
	case o != nil && !o.others && !o.left:
		now := o.want
		if cur != nil {
			now.Since = cur.Since
		}
		p.showLock(&now, cur)
		if cur == nil || !cur.same(&now) {
			return p.newer(s, now, o.said), true
		}
	case (o == nil || o.left) && cur != nil && cur.Node == p.node: // it is said to be here, and is not
		return s, true
	case cur == nil:
		s.was = t.stray
		return s, t.stray != nil
	case t.bury:
		return s, p.buries(cur)
	}
	if len(t.edits) > 0 {
		now := *cur
		for _, said := range t.edits {
			said.change(&now)
		}
		p.showLock(&now, cur)
		if !now.same(cur) {
			return p.newer(s, now, time.Now()), true
		}
	}
	s.now = cur
	return s, t.tell
}

// newer completes a step to a new state that is of a time, of a version that nobody has seen yet. The lock is held.
func (p *Presence) newer(s step, now row, at time.Time) step {
	now.Version = max(at.UnixMilli(), p.replica.gone[s.id].version+1)
	if s.was != nil {
		now.Version = max(now.Version, s.was.Version+1)
	}
	if now.Info == nil {
		now.Info = json.RawMessage("null")
	}
	s.now = &now
	return s
}

// add puts what was not done to what is to be done.
func (t *task) add(before *task) {
	if before == nil {
		return
	}
	if t.stray == nil {
		t.stray = before.stray
	}
	if t.leave == nil {
		t.leave = before.leave
	}
	t.asked = earlier(t.asked, before.asked)
	t.bury, t.tell, t.loud = t.bury || before.bury, t.tell || before.tell, t.loud || before.loud
	t.edits = append(slices.Clone(before.edits), t.edits...)
}
