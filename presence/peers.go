package presence

import (
	"maps"
	"slices"
	"time"
)

// word is what nodes tell each other, on a channel that nobody else can follow.
type word struct {
	Node string `json:"node"`
	// Hello asks all others to tell whom they know: the node has just begun to follow the log.
	Hello bool `json:"hello,omitempty"`
	// Answers names nodes whose hello this is the answer to: with it goes who is on the node.
	Answers []string `json:"answers,omitempty"`
	// Ready says that it has heard the answers: who comes to it with a cursor from before this may hold what it never heard of.
	Ready bool `json:"ready,omitempty"`
	// Ask names nodes that have not been heard for long: they are to give a sign of life.
	Ask []string `json:"ask,omitempty"`
	// Beat is that.
	Beat bool `json:"beat,omitempty"`
	// Renewed are members of other nodes of which this one heard, with how long ago that was, in milliseconds.
	Renewed map[string]int64 `json:"renewed,omitempty"`
	// Left are members who went at their own wish: nobody is to put them back. Whom the node does not know, another one may.
	Left map[string]leaving `json:"left,omitempty"`
	// Bye says that the node stops.
	Bye bool `json:"bye,omitempty"`
	// Locks goes alone.
	Locks *lockWord `json:"locks,omitempty"`
}

// leaving is the wish of a member to go: of whoever has the proof, at a time in milliseconds since 1970, which is no version older than what was
// known of it then.
type leaving struct {
	Proof string `json:"proof"`
	At    int64  `json:"at"`
	told  chan struct{}
}

func (w *word) empty() bool {
	return !w.Hello && !w.Ready && !w.Beat && !w.Bye && w.Ask == nil && w.Renewed == nil && w.Answers == nil
}

// peer is another node.
type peer struct {
	heard time.Time // last
	asked time.Time // when the log came to a question for it; zero when it answered, or was not asked
	asks  bool      // it is to be asked, or was
	over  bool      // it said good-bye
	tried time.Time // when its members were to be buried
	// answers is when it answered the hello of each node, until who does not is vouched for.
	answers map[string]time.Time
}

// beat is the time between two signs of life.
func (p *Presence) beat() time.Duration { return p.options.Lease / 3 }

// words takes what there is to say to the other nodes. The lock is held.
func (p *Presence) words(now time.Time) word {
	w := p.say
	p.say = word{}
	if w.Beat = w.Beat || p.owes(now); w.Beat || w.Bye {
		for id, at := range p.touched {
			if w.Renewed == nil {
				w.Renewed = map[string]int64{}
			}
			w.Renewed[id] = now.Sub(at).Milliseconds()
		}
		clear(p.touched)
	}
	return w
}

// unsaid takes back what could not be said. The lock is held.
func (p *Presence) unsaid(w word) {
	now := time.Now()
	for id, age := range w.Renewed {
		if at := now.Add(-time.Duration(age) * time.Millisecond); p.touched[id].Before(at) {
			p.touched[id] = at
		}
	}
	p.say.Hello, p.say.Beat, p.say.Bye = p.say.Hello || w.Hello, p.say.Beat || w.Beat, p.say.Bye || w.Bye
	p.say.Ready = p.say.Ready || w.Ready && !p.say.Hello
	p.say.Ask, p.say.Answers = append(p.say.Ask, w.Ask...), append(p.say.Answers, w.Answers...)
}

// owes reports whether it is time for a sign of life. A node for which nobody waits gives none. The lock is held.
func (p *Presence) owes(now time.Time) bool {
	return p.rounds(now) && now.Sub(p.beaten) >= p.beat()
}

// rounds notes signs of life of the members of other nodes that are in a round of a poll here; it reports whether anybody waits for this
// node's. The lock is held.
func (p *Presence) rounds(now time.Time) bool {
	waited := len(p.replica.nodes[p.node]) > 0
	for id, o := range p.clients {
		switch {
		case !o.others:
			waited = true
		case len(o.origins) > 0 && o.want.Leased:
			p.touched[id] = now
		}
	}
	return waited || len(p.touched) > 0 || len(p.own) > len(p.clients)
}

// peerOf returns what is known of another node. The lock is held.
func (p *Presence) peerOf(node string) *peer {
	o := p.peers[node]
	if o == nil {
		o = &peer{heard: time.Now()}
		p.peers[node] = o
	}
	return o
}

// hear takes what a node said at a time of its own clock. The lock is held.
func (p *Presence) hear(w word, said time.Time) {
	now := time.Now()
	for id, age := range w.Renewed {
		at := now.Add(-time.Duration(age) * time.Millisecond)
		if p.replica.signs[id].Before(at) && p.replica.rows[id] != nil {
			p.replica.signs[id] = at
		}
		if o := p.own[id]; o != nil && o.sign.Before(at) {
			o.sign = at
		}
	}
	for id, l := range w.Left {
		p.hearLeft(id, l)
	}
	if w.Node == p.node {
		p.hearSelf(w, now)
		return
	}
	p.heardOf(w, now)
	p.watching.heard[w.Node] = now
	if w.Hello {
		p.answer(w.Node, now, said)
	}
	if slices.Contains(w.Ask, p.node) {
		p.say.Beat, p.urgent = true, true
		p.wakeUp()
	}
}

// heardOf notes that another node gave a sign of life. The lock is held.
func (p *Presence) heardOf(w word, now time.Time) {
	is := &peer{heard: now, over: w.Bye}
	if was := p.peers[w.Node]; was != nil {
		is.answers = was.answers
	}
	for _, node := range w.Answers {
		if is.answers == nil {
			is.answers = map[string]time.Time{}
		}
		is.answers[node] = now
	}
	p.peers[w.Node] = is
}

// hearLeft takes the wish of a member to go, told by a node that did not know it or knew less of it. The lock is held.
func (p *Presence) hearLeft(id string, l leaving) {
	o := p.own[id]
	if o == nil || o.others || o.left || o.gone || !proves(o.want.Proof, l.Proof) || o.came.UnixMilli() > l.At {
		return
	}
	o.left, o.claim = true, false
	l.told = make(chan struct{})
	p.taskOf(id).leave = &l
	p.need(id)
}

// hearSelf takes what this node said itself: the log has come to it. The lock is held.
func (p *Presence) hearSelf(w word, now time.Time) {
	for _, node := range w.Ask {
		if peer := p.peers[node]; peer != nil && peer.asks {
			peer.asked = now
			p.wakeUp() // its time runs
		}
	}
}

// vouchAfter is how long the members of a node that does not answer wait for it to do so before others tell of them, one after the other.
const (
	vouchAfter = 60 * time.Millisecond
	vouchStep  = 40 * time.Millisecond
)

// answer tells a node that has just begun, and asked at a time, of the members of this one, and later of those whose node does not. The lock is
// held.
func (p *Presence) answer(node string, now, asked time.Time) {
	for id := range p.replica.nodes[p.node] {
		p.taskOf(id).say(asked)
	}
	for id, o := range p.own { // and those for whom it has begun to speak, which the log may not say yet
		if !o.others && !o.left && !o.gone {
			p.taskOf(id).say(asked)
		}
	}
	p.asked = earlier(p.asked, asked)
	p.say.Answers, p.urgent = append(p.say.Answers, node), true
	p.say.Beat = true
	p.askers[node] = now
	p.helloed, p.vouch = now, now.Add(vouchAfter+time.Duration(p.rank())*vouchStep)
	p.wakeUp()
}

// tickPeers does what time demands of the other nodes. The lock is held.
func (p *Presence) tickPeers(now time.Time) {
	if !p.settle.IsZero() && !now.Before(p.settle) {
		p.settle = time.Time{}
		p.say.Ready, p.urgent = true, true
	}
	if !p.orphans.IsZero() && !now.Before(p.orphans) {
		p.orphans = time.Time{}
		p.adopt()
	}
	if !p.vouch.IsZero() && !now.Before(p.vouch) {
		p.vouch = time.Time{}
		p.vouchFor()
	}
	for _, node := range slices.Sorted(maps.Keys(p.peers)) {
		peer := p.peers[node]
		members := p.replica.nodes[node]
		switch dead := p.dies(node, peer); {
		case len(members) == 0:
			if now.Sub(peer.heard) > p.options.Lease {
				delete(p.peers, node)
				delete(p.watching.heard, node)
			}
		case !now.Before(dead):
			peer.tried = now
			p.buryAll(members, now)
		case !peer.over && !peer.asks && !now.Before(p.suspected(peer)):
			peer.asks = true
			p.say.Ask = append(p.say.Ask, node)
		}
	}
}

// suspected is when a node that has members and is not heard is asked whether it is there.
func (p *Presence) suspected(peer *peer) time.Time { return peer.heard.Add(2 * p.beat()) }

// never is a time that does not come.
var never = time.Unix(1<<40, 0)

// stagger is the time between two nodes that could bury the members of a third.
const stagger = 500 * time.Millisecond

// dies is when the members of a node are to be taken out, unless it is heard. Whoever did not hear it must have asked it, and have followed
// the log beyond that: the fault may be his own. The lock is held.
func (p *Presence) dies(node string, peer *peer) time.Time {
	after := peer.heard.Add(p.options.Lease)
	switch {
	case peer.over:
		after = peer.heard.Add(p.options.Linger)
	case peer.asked.IsZero():
		return never
	default:
		after = later(after, peer.asked.Add(p.beat()*3/4))
	}
	return later(after.Add(time.Duration(p.rank())*stagger), peer.tried.Add(retryAfter))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rank is how many nodes that are there come before this one. The lock is held.
func (p *Presence) rank() int {
	n := 0
	for node, peer := range p.peers {
		if node < p.node && !peer.over && !peer.asks {
			n++
		}
	}
	return n
}

// buryAll takes out the members of a node that is not there any more, but for those that poll and have been heard of. The lock is held.
func (p *Presence) buryAll(members map[string]*row, now time.Time) {
	for id, r := range members {
		o := p.own[id]
		sign := p.replica.signs[id]
		if at, ok := p.touched[id]; ok && at.After(sign) {
			sign = at
		}
		switch {
		case o != nil && o.others && len(o.origins) > 0: // it is here
			p.claim(o)
		case r.Leased && now.Sub(sign) < p.lease(r):
			want := *r
			want.Node = p.node
			o = &own{want: want, sign: sign, said: now, claim: true}
			p.own[id], p.clients[id] = o, o
			delete(p.touched, id)
		default:
			p.taskOf(id).bury = true
			continue
		}
		p.taskOf(id)
	}
}

// buries reports whether a member is to be taken out because of its node. The lock is held.
func (p *Presence) buries(r *row) bool {
	peer := p.peers[r.Node]
	return peer != nil && !peer.tried.IsZero()
}

// vouchFor tells of the members of nodes that were asked by a new one, and did not answer: they may have died, and somebody has to know
// whom they leave behind. The lock is held.
func (p *Presence) vouchFor() {
	for node, members := range p.replica.nodes {
		since, asked := p.askers[node] // which may not know what it is said to have
		if !asked && (node == p.node || p.answered(node)) {
			continue
		}
		if !asked {
			since = p.helloed
		}
		for id := range members {
			if !p.replica.told[id].After(since) { // else somebody was faster; a sign of life tells nothing of him
				p.taskOf(id).say(p.asked)
			}
		}
	}
	for _, peer := range p.peers {
		peer.answers = nil
	}
	clear(p.askers)
	p.asked = time.Time{}
}

// answered reports whether a node has told all who asked of its members. That it is heard says nothing: it may follow the log late. The lock is held.
func (p *Presence) answered(node string) bool {
	peer := p.peers[node]
	if peer == nil || peer.over {
		return false
	}
	for asker, at := range p.askers {
		if answer, ok := peer.answers[asker]; !ok || answer.Before(at) {
			return false
		}
	}
	return true
}

// orphansAfter is how long the nodes that spoke for members before the log began anew have to do so again.
const orphansAfter = time.Second

// adopt speaks for the members that are here, and for which the node that spoke for them does not any more, since the log began anew. The
// lock is held.
func (p *Presence) adopt() {
	for id, o := range p.own {
		if o.others && !o.left && len(o.origins) > 0 && p.replica.rows[id] == nil {
			p.claim(o)
			p.taskOf(id)
		}
	}
}

// nextOfPeers names the times at which tickPeers has something to do. The lock is held.
func (p *Presence) nextOfPeers(at func(time.Time)) {
	at(p.settle)
	at(p.vouch)
	at(p.orphans)
	for node, peer := range p.peers {
		if len(p.replica.nodes[node]) == 0 {
			continue
		}
		if !peer.over && !peer.asks {
			at(p.suspected(peer))
		} else {
			at(p.dies(node, peer))
		}
	}
}
