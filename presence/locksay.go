package presence

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/swampline/live/internal/extend"
)

// flushLocks puts on the log what there is to say of locks. What fails is to be said again.
func (p *Presence) flushLocks(ctx context.Context) error {
	p.mu.Lock()
	words, unsaid := p.lockWords(time.Now())
	p.mu.Unlock()
	if len(words) == 0 {
		return nil
	}
	err := p.hub.Batch(extend.NowOrNever(ctx), func(ctx context.Context) error {
		for _, w := range words {
			if err := p.hub.Publish(ctx, p.channel, word{Node: p.node, Locks: &w}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.mu.Lock()
		unsaid()
		p.mu.Unlock()
	}
	return err
}

// lockWords takes what there is to say of locks; unsaid takes it back. The lock is held, for both.
func (p *Presence) lockWords(now time.Time) (words []lockWord, unsaid func()) {
	l := &p.locks
	first := lockWord{Ask: l.ask}
	if l.none = l.none && !l.told.After(l.asked); l.none {
		first.None = l.at.String()
	}
	if first.Ask || first.None != "" {
		l.tried = now
	}
	told := l.known && l.tell
	if told {
		words = l.chaptersOf()
		l.tell = false
	}
	var said []*wait
	back := l.back
	if l.known {
		clock := max(now.UnixMicro(), l.newest+1)
		for _, id := range l.line {
			if w := l.waits[id]; w != nil && !w.said {
				w.said, w.Clock = true, clock
				said, first.Claims = append(said, w), append(first.Claims, w.claim)
			}
		}
		first.Claims = append(first.Claims, back...)
		l.back = nil
	}
	l.line = slices.DeleteFunc(l.line, func(id string) bool { return l.waits[id] == nil })
	l.ask, l.none = false, false
	if !first.empty() {
		words = append(words, first)
	}
	return words, func() {
		l.tell = l.tell || told
		if l.known {
			l.back = append(l.back, back...)
		}
		for _, w := range said {
			w.said = false
		}
	}
}

// chaptersOf is the book as it is told.
func (l *locking) chaptersOf() (words []lockWord) {
	places := slices.Sorted(maps.Keys(l.locks))
	for {
		some := places[:min(len(places), locksAtOnce)]
		places = places[len(some):]
		c := &chapter{At: l.at.String(), Told: l.told.String(), Last: l.last, Locks: []lock{}, More: len(places) > 0}
		for _, place := range some {
			c.Locks = append(c.Locks, l.locks[place])
		}
		if words = append(words, lockWord{Book: c}); !c.More {
			return words
		}
	}
}

// claimed puts a claim on the log and waits for what becomes of it.
func (p *Presence) claimed(ctx context.Context, c claim) (verdict, error) {
	w := &wait{claim: c, done: make(chan verdict, 1)}
	p.mu.Lock()
	l := &p.locks
	l.made++
	w.ID = p.node + "-" + strconv.Itoa(l.made)
	l.waits[w.ID], l.line = w, append(l.line, w.ID)
	l.wanted++
	p.hurry()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		l.wanted--
		delete(l.waits, w.ID)
	}()
	select {
	case v := <-w.done:
		return v, nil
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
}

// learnLocks waits until the locks are known.
func (p *Presence) learnLocks(ctx context.Context) error {
	for {
		p.mu.Lock()
		l := &p.locks
		known, ready := l.known, l.ready
		if !known {
			l.wanted++
			p.wakeUp()
		}
		p.mu.Unlock()
		if known {
			return nil
		}
		var err error
		select {
		case <-ready:
		case <-ctx.Done():
			err = ctx.Err()
		}
		p.mu.Lock()
		l.wanted--
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// decided tells who waits for a claim of this node what became of it. A lock that nobody waits for, or whose member has gone meanwhile, is
// given back. The lock is held.
func (p *Presence) decided(c claim, v verdict) {
	w := p.locks.waits[c.ID]
	delete(p.locks.waits, c.ID)
	if v.fresh && c.Member != "" && (w == nil || p.placeOf(c.Member) != c.Place) {
		p.giveBack(v.lock)
	}
	if w != nil {
		w.done <- v
	}
}

// giveBack frees a lock unless it has gone over to somebody meanwhile. The lock is held.
func (p *Presence) giveBack(held lock) {
	p.locks.back = append(p.locks.back, claim{Place: held.Place, Of: held.Token})
	p.hurry()
}

// placeOf is where a member is, as far as it is known here; "" for nowhere. The lock is held.
func (p *Presence) placeOf(id string) string {
	if o := p.own[id]; o != nil && !o.others {
		if o.left || o.gone {
			return ""
		}
		return o.want.Place
	}
	if cur := p.current(id); cur != nil {
		return cur.Place
	}
	return ""
}

// lockOf is the token that the row of a member shows. While the locks are not known it is what it was. The lock is held.
func (p *Presence) lockOf(r *row, was *row) string {
	switch held := p.locks.locks[r.Place]; {
	case !p.locks.known:
		if was == nil {
			return ""
		}
		return was.Lock
	case held.Member == r.ID:
		return held.Token
	}
	return ""
}

// showLock has a row that is about to be put on the log show whether its member has the lock. The lock is held.
func (p *Presence) showLock(now, was *row) {
	now.Lock = p.lockOf(now, was)
	now.Wants = now.Wants && now.Lock == ""
}

// lockRow has the row of a member show whether it has the lock, if this node speaks for it. The lock is held.
func (p *Presence) lockRow(id string) {
	o := p.own[id]
	if o == nil || o.others || o.left {
		return
	}
	if token := p.lockOf(&o.want, nil); token != "" {
		o.want.Wants = false
	}
	p.need(id)
}

// lockRows is lockRow for each whose row is wrong. The lock is held.
func (p *Presence) lockRows() {
	for id := range p.own {
		if cur := p.current(id); cur != nil && cur.Lock != p.lockOf(cur, cur) {
			p.lockRow(id)
		}
	}
}

// hurry has what there is to say said at once. The lock is held.
func (p *Presence) hurry() {
	p.urgent = true
	p.wakeUp()
}
