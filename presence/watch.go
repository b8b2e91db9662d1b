package presence

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live/internal/extend"
)

// watching is who is told of members, and what he has been told.
type watching struct {
	watchers []extend.Watcher
	running  int // how many of them have been started
	// before are those that were there when the log began anew, as the watchers know them, and have not been heard of since: the nodes that speak for them will say so.
	before map[string]*row
	// gone is when those that are left are taken for gone; zero for not.
	gone time.Time
	// heard is when each other node said something last, on whatever log.
	heard map[string]time.Time
}

// Watch has somebody told of all members, from who is there now on. It is for other packages of this module.
func (p *Presence) Watch(w extend.Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known() {
		for _, rows := range []map[string]*row{p.replica.rows, p.watching.before} {
			for _, id := range slices.Sorted(maps.Keys(rows)) {
				w.Saw(nil, p.seenAs(rows[id]))
			}
		}
		w.Known()
	}
	p.watching.watchers = append(p.watching.watchers, w)
	p.wakeUp()
}

// runWatchers starts the watchers that have not been.
func (p *Presence) runWatchers(ctx context.Context, running *sync.WaitGroup) {
	p.mu.Lock()
	started := p.watching.watchers[p.watching.running:]
	p.watching.running = len(p.watching.watchers)
	p.mu.Unlock()
	for _, w := range started {
		running.Go(func() { w.Run(ctx) })
	}
}

// watched is the watchers that there are.
func (p *Presence) watched() []extend.Watcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.watching.watchers)
}

// seenAs is a member as watchers are told of it; nil of none. The lock is held.
func (p *Presence) seenAs(r *row) *extend.Member {
	if r == nil {
		return nil
	}
	return &extend.Member{
		ID: r.ID, Place: extend.ParsePlace(r.Place), Person: r.Person, State: r.State, Own: r.Node == p.node, Heard: p.watching.heard[r.Node],
	}
}

// saw tells the watchers what the log says of a member that was known, or not, and is, or not. The lock is held.
func (p *Presence) saw(id string, was, now *row) {
	if len(p.watching.watchers) == 0 || !p.known() {
		return
	}
	if before := p.watching.before[id]; before != nil {
		delete(p.watching.before, id)
		was = before
	}
	if was == nil && now == nil || was != nil && now != nil && was.Place == now.Place && was.Person == now.Person && bytes.Equal(was.State, now.State) {
		return
	}
	before, after := p.seenAs(was), p.seenAs(now)
	for _, w := range p.watching.watchers {
		w.Saw(before, after)
	}
}

// watchAnew notes who was there, for the log begins anew. The lock is held.
func (p *Presence) watchAnew() {
	w := &p.watching
	if len(w.watchers) > 0 && p.known() {
		before := maps.Clone(p.replica.rows)
		maps.Copy(before, w.before)
		w.before = before
	}
	w.gone = time.Time{}
	maps.DeleteFunc(w.heard, func(_ string, at time.Time) bool { return time.Since(at) > forgetAfter*p.options.Lease })
}

// forgetAfter is how many leases a node is remembered that nobody hears.
const forgetAfter = 10

// watchKnown tells the watchers who is there since the log began anew. The lock is held.
func (p *Presence) watchKnown(now time.Time) {
	w := &p.watching
	if len(w.watchers) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(p.replica.rows)) {
		p.saw(id, nil, p.replica.rows[id])
	}
	for _, w := range w.watchers {
		w.Known()
	}
	if len(w.before) > 0 {
		w.gone = now.Add(p.options.Linger)
	}
}

// tickWatchers takes those for gone of whom nobody spoke since the log began anew. The lock is held.
func (p *Presence) tickWatchers(now time.Time) {
	w := &p.watching
	if w.gone.IsZero() || now.Before(w.gone) {
		return
	}
	w.gone = time.Time{}
	for _, id := range slices.Sorted(maps.Keys(w.before)) {
		p.saw(id, nil, nil)
	}
}
