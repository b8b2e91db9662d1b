package presence

import (
	"encoding/json"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// Began forgets what is known: the log begins anew, and what stood on it before nobody here has seen. Package live calls it.
func (p *Presence) Began(at broker.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchAnew()
	p.replica = newReplica()
	p.peers, p.louds = map[string]*peer{}, map[string]int64{}
	p.settle, p.vouch, p.say.Ready = time.Time{}, time.Time{}, false
	p.forgetLocks(at)
	if p.known() {
		p.ready = make(chan struct{})
	}
	p.introduce()
}

// known reports whether everybody is known. The lock is held.
func (p *Presence) known() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// introduce puts the own members on the log anew and asks the other nodes for theirs. The lock is held.
func (p *Presence) introduce() {
	for id, o := range p.own {
		if o.sent = nil; !o.others && !o.left {
			p.claim(o)
		}
		p.taskOf(id)
	}
	p.say.Hello, p.urgent = true, true
	p.wakeUp()
}

// Seen follows the log; package live calls it.
func (p *Presence) Seen(at broker.Position, e *record.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e == nil { // it may have been of anybody
		for id := range p.replica.nodes[p.node] {
			p.taskOf(id).tell = true
		}
		p.forgetLocks(at)
		p.introduce()
		return
	}
	var words []word
	left := map[string]bool{}
	for _, m := range e.Messages {
		var w word
		if m.Channel != p.channel || json.Unmarshal(m.Data, &w) != nil {
			continue
		}
		words = append(words, w)
		for id := range w.Left {
			left[id] = true
		}
	}
	for i := range e.Changes {
		if c := &e.Changes[i]; c.Router == p.options.Name {
			p.follow(c, left[c.Key])
		}
	}
	for _, w := range words {
		p.hear(w, time.UnixMilli(e.Sent))
		if w.Node == p.node {
			p.begins(at, w)
		}
	}
	p.lockSeen(at, e, words)
}

// begins takes what this node said itself when it began: first it asks the others, and then it says that it has heard them. The lock is held.
func (p *Presence) begins(at broker.Position, w word) {
	now := time.Now()
	if w.Hello {
		p.settle, p.say.Ready = now.Add(2*p.options.Batch+vouchAfter+vouchStep), false
		p.wakeUp()
	}
	if w.Ready && p.settle.IsZero() {
		p.since, p.orphans = at, now.Add(orphansAfter)
		if !p.known() {
			close(p.ready)
			p.watchKnown(now)
		}
		p.wakeUp()
	}
}

// follow takes what happened to one member. The lock is held.
func (p *Presence) follow(c *record.Change, left bool) {
	now := time.Now()
	if c.Now == nil {
		switch known := p.replica.rows[c.Key]; {
		case p.replica.remove(c.Key, c.Version, now, p.options.Lease):
			p.saw(c.Key, known, nil)
			p.removed(c, left)
		case known != nil:
			p.correct(c.Key, nil)
		default:
			p.saw(c.Key, nil, nil)
		}
		return
	}
	r, err := decode(c.Now)
	if err != nil {
		p.host.Logger().Error("presence: a member on the log cannot be read", "member", c.Key, "error", err)
		return
	}
	if r.Node != p.node {
		p.peerOf(r.Node)
	}
	known := p.replica.rows[r.ID]
	said, loud := p.louds[r.ID]
	if loud = loud && c.Op == record.Create && said == r.Version; loud {
		delete(p.louds, r.ID)
	}
	if p.replica.put(r, now) {
		p.saw(r.ID, known, r)
		if p.stands(r); known == nil && c.Op != record.Create && p.known() {
			// Clients have been shown a list without it here. Where they are now, it may be old hat, of which they are told the difference.
			p.taskOf(r.ID).loud = true
			p.wakeUp()
		}
	} else {
		p.correct(r.ID, r)
		if loud && known != nil { // somebody said something newer at that moment, as of one that everybody knows: nobody was told
			p.taskOf(r.ID).loud = true
		}
	}
}

// correct answers a word that is older than what is known: whoever said it knows less, or his clock is slow. So he is told. The lock is held.
func (p *Presence) correct(id string, r *row) {
	t := p.taskOf(id)
	if dead, gone := p.replica.gone[id]; gone && r != nil {
		stray := *r
		stray.Version = dead.version
		t.stray = &stray
	}
	if o := p.own[id]; o != nil {
		o.sent = nil
	}
	t.tell = true
	p.wakeUp()
}

// claim has this node speak for a member from now on. The lock is held.
func (p *Presence) claim(o *own) {
	o.others, o.claim, o.said = false, true, time.Now()
	o.want.Node = p.node
}

// doubt notes a member that this node is said to speak for, and does not know. It may have gone over to another node at that moment, which
// will say so, or hears from its client before long; if not, it is taken out: see tickDoubts. The lock is held.
func (p *Presence) doubt(r *row) {
	if p.doubts[r.ID].IsZero() {
		p.doubts[r.ID] = time.Now().Add(p.options.Linger)
		p.wakeUp()
	}
}

// stands goes on with a member of which the log says something new. The lock is held.
func (p *Presence) stands(r *row) {
	o := p.own[r.ID]
	if o == nil {
		if r.Node == p.node {
			p.doubt(r) // it is said to be here, and is not
		}
		return
	}
	if r.Node == p.node && o.left {
		p.need(r.ID)
	}
	said := o.sent != nil && o.sent.Version == r.Version && o.sent.same(r)
	if o.sent != nil && o.sent.Version <= r.Version {
		o.sent = nil
	}
	switch {
	case r.Node == p.node: // also of who went over to another node, if somebody who did not know that has said something of him since
		if o.claim, o.others = false, false; !said && o.sent == nil && p.todo[r.ID] == nil { // else what was put on the log here comes after it
			o.want.State, o.want.Away, o.want.Wants = r.State, r.Away, r.Wants // its client spoke to another node
		}
		if r.Lock != p.lockOf(r, r) { // who put it did not know yet
			p.lockRow(r.ID)
		}
	case o.claim || len(o.origins) > 0 && !o.others && !o.left && o.want.later(r): // who says so knows less
		o.claim = true
		p.need(r.ID)
	case o.gone:
		p.disown(r.ID)
	default: // it went over to another node
		o.others = true
		p.settleOwn(r.ID, o)
	}
}

// removed goes on with an own member that is not on the log any more: it is put back, unless it wanted to go. The lock is held.
func (p *Presence) removed(c *record.Change, left bool) {
	id := c.Key
	o := p.own[id]
	if o == nil {
		return
	}
	o.sent = nil
	switch {
	case left && (c.Version == nil || o.came.UnixMilli() <= *c.Version): // or it came again
		o.left, o.claim = true, false
	case o.gone || o.left:
	case len(o.origins) > 0 || !o.others: // somebody took this node for dead, or let go of a member that is here
		p.claim(o)
		p.need(id)
		return
	}
	p.settleOwn(id, o)
}
