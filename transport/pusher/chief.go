package pusher

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/swampline/live/internal/extend"
)

// self is this node as the others see it.
type self struct {
	name    string
	kept    extend.Kept // nil before everybody is known
	stopped bool
}

// newSelf draws a name that is behind those of the nodes before it: so the first by name is the one that lives longest, and a node that joins changes
// nothing.
func newSelf() self { return self{name: uuid.Must(uuid.NewV7()).String()} }

// stop says that this node goes; saying is held.
func (s *self) stop() {
	if s.stopped = true; s.kept != nil {
		s.kept.Set(json.RawMessage(`{"stops":true}`))
	}
}

// enlist says that this node lives, once it knows what the others know.
func (r *registry) enlist() {
	r.saying.Lock()
	defer r.saying.Unlock()
	r.mu.Lock()
	known := r.known
	r.mu.Unlock()
	if known && r.self.kept == nil && !r.self.stopped {
		r.self.kept = r.presence.Keep(extend.Member{Place: extend.Place{Channel: nodesAt}, Person: r.self.name, State: json.RawMessage(`{}`)})
	}
}

// chiefs say which node tells the webhooks: the first by name of those that live. Who lives stands on the log, so of each thing that happens every node knows whose
// it was to tell. What another node was to tell is remembered for a while: when the log says that it died, the next chief tells what
// happened since it was heard of last.
//
// So when a chief stops, nothing is lost or doubled, and of what happens after a change-over everybody knows whose it is. The next one may see the good-bye
// sooner than the one that says it, and would tell what came after it before that tells what was before: who went and came again would be there, and then
// gone. So it waits for its turn. When the one that stops is behind the log by more than slack, or its webhooks are not taken, the order may still be wrong.
//
// When a chief dies, what it told between its last sign of life (every third of a lease, 15 s) and its death is told once more, and what happens until the log
// says that it died is told then, after a lease. Lost is what it had taken and its webhooks had not delivered yet, and what nobody remembers any more: beyond
// maxRecent or maxAge, or because all nodes that saw it have gone before the death was known. When all die at once, nobody is told what was vacated.
//
// A chief that is cut off from the log, and taken for dead, tells what it sees of that time once it is back, which doubles it. Of what happens while the log
// begins anew, each node tells what it takes for new while it believes to be the first, which it may do alone for a fraction of a second: that can be
// doubled, too.
type chiefs struct {
	me    string
	nodes map[string]bool // those that live, and whether they have something to tell still
	// recent is what somebody else is to tell, or nobody, in its order.
	recent []happening
	// turn is when this node begins to tell: until then the one that was the chief before, and stops, tells what is left. Zero for at once.
	turn time.Time
}

const (
	// maxRecent is how much of what others are to tell is remembered, and for how long: a death is known within a lease and a few seconds.
	maxRecent = 10_000
	maxAge    = 5 * time.Minute
	// slack is how far a node may be behind the log when it gives a sign of life, or says good-bye.
	slack = time.Second
)

// first is the chief; empty when there is none.
func (c *chiefs) first() (name string) {
	for n := range c.nodes {
		if name == "" || n < name {
			name = n
		}
	}
	return name
}

// remember notes what is another's to tell.
func (c *chiefs) remember(h happening) {
	drop := 0
	for drop < len(c.recent) && (len(c.recent)-drop >= maxRecent || h.at.Sub(c.recent[drop].at) > maxAge) {
		c.recent[drop] = happening{}
		drop++
	}
	c.recent = append(c.recent[drop:], h)
}

// inherit hands what a node that died may not have told since a time, or what is nobody's when dead is empty, to the next one; it returns what is to be told here.
func (c *chiefs) inherit(dead string, since, now time.Time) (mine []happening) {
	first := c.first()
	var others []happening
	for _, h := range c.recent {
		if dead != "" && h.chief == dead && h.at.Before(since) {
			continue // it lived on, so it has told it
		}
		if h.chief == dead {
			h.chief, h.at = first, now
		}
		if h.chief == c.me {
			mine = append(mine, h)
		} else {
			others = append(others, h)
		}
	}
	c.recent = others
	return mine
}

// sawNode takes what the log says of a node. The lock is held.
func (r *registry) sawNode(name string, was, now *extend.Member) {
	c := &r.chiefs
	before, at := c.first(), time.Now()
	since := at.Add(1) // everything that was its to tell it has told, or will
	var s struct{ Stops bool }
	switch {
	case now == nil:
		if !was.Own { // this one, taken for dead, tells what it was to
			since = was.Heard.Add(-slack)
		}
		delete(c.nodes, name)
	case json.Unmarshal(now.State, &s) == nil && s.Stops:
		delete(c.nodes, name)
	default:
		c.nodes[name] = true
	}
	after := c.first()
	if before == after {
		return
	}
	if _, lives := c.nodes[before]; lives {
		return // it tells what was its to tell, and another one goes on
	}
	if before == "" {
		since = time.Time{} // of what nobody was to tell
	}
	if r.due = append(r.due, c.inherit(before, since, at)...); after == c.me {
		if s.Stops {
			c.turn = at.Add(slack)
		}
		r.recountSince(since)
		r.wakeUp()
	}
}
