package pusher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// word is what nodes say to each other on the log, on the relay's channel.
type word struct {
	Node string `json:"node"`
	// Hello is random in the first word of a node, which claims nothing: it marks where on the log the node came.
	Hello string `json:"hello,omitempty"`
	// Term counts the claims: of several with the same one the first on the log holds.
	Term uint64 `json:"term,omitempty"`
	// Lasts is for how long nobody else may relay, in milliseconds; zero gives the lease back.
	Lasts int64 `json:"lasts,omitempty"`
	// At is up to where the log was relayed.
	At string `json:"at,omitempty"`
	// Sent is when it was said, by a clock of that node's own, in nanoseconds.
	Sent int64 `json:"sent,omitempty"`
}

// heard is a word with its place on the log.
type heard struct {
	at   broker.Position
	word word
}

// lease is who may relay, as this node knows it from the log, which tells all nodes the same in the same order. Whoever relays says so anew in
// time. The others count from when they hear it, and he from when he said it, so that he stops before they begin.
type lease struct {
	channel, node string
	began         time.Time // the node's own clock

	mu      sync.Mutex
	changed chan struct{} // closed at the next change

	hello string // that waits for its place on the log; empty when nobody joins
	known bool   // what was said before is known
	since broker.Position
	wait  []heard // what is heard while that is read

	term   uint64
	taken  uint64 // the highest term that was ever heard
	holder string
	over   time.Time // when others may claim
	until  time.Time // when this node stops, if it is the holder
	at     broker.Position
	hasAt  bool
}

func newLease(channel string) *lease {
	return &lease{channel: channel, node: rand.Text()[:12], began: time.Now(), changed: make(chan struct{})}
}

// words are those of an entry.
func (l *lease) words(e *record.Entry) (words []word) {
	for _, m := range e.Messages {
		var w word
		if m.Channel == l.channel && json.Unmarshal(m.Data, &w) == nil && w.Node != "" {
			words = append(words, w)
		}
	}
	return words
}

// seen takes what the hub follows.
func (l *lease) seen(at broker.Position, e *record.Entry) {
	if e == nil || len(e.Messages) == 0 {
		return
	}
	words := l.words(e)
	if len(words) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range words {
		switch {
		case l.known && at.After(l.since):
			l.apply(w)
		case l.hello != "":
			l.wait = append(l.wait, heard{at, w})
		}
	}
}

// anew takes that the hub begins anew: what was said meanwhile it did not hear.
func (l *lease) anew(broker.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
}

// reset forgets who relays, but not up to where: it may be that nobody else knows. The lock is held.
func (l *lease) reset() {
	l.hello, l.known, l.wait = "", false, nil
	l.term, l.holder, l.over, l.until = 0, "", time.Time{}, time.Time{}
	l.notify()
}

// join returns the first word of a node that comes, or comes back.
func (l *lease) join() word {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
	l.hello = rand.Text()
	return word{Node: l.node, Hello: l.hello}
}

// leave ends the listening.
func (l *lease) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
}

// joined takes what was said before the hello, and where that stands. It reports false when the hub has begun anew meanwhile.
func (l *lease) joined(hello string, at broker.Position, before []word) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hello != hello {
		return false
	}
	wait := l.wait
	l.hello, l.wait, l.known, l.since = "", nil, true, at
	for _, w := range before {
		l.apply(w)
	}
	for _, h := range wait {
		if h.at.After(at) {
			l.apply(h.word)
		}
	}
	if !l.hasAt { // nobody has ever relayed
		l.at, l.hasAt = at, true
	}
	l.notify()
	return true
}

// apply takes a word, in the order of the log. The lock is held.
func (l *lease) apply(w word) {
	if w.Term == 0 || w.Term < l.term || w.Term == l.term && w.Node != l.holder {
		return
	}
	lasts := time.Duration(w.Lasts) * time.Millisecond
	l.taken = max(l.taken, w.Term)
	l.term, l.holder, l.over, l.until = w.Term, w.Node, time.Now().Add(lasts), time.Time{}
	if w.Node == l.node {
		l.until = l.began.Add(time.Duration(w.Sent) + lasts)
	}
	// A claim may have been said before the last word of the one who relayed until then.
	if at, err := broker.ParsePosition(w.At); err == nil && (!l.hasAt || at.Epoch != l.at.Epoch || at.After(l.at)) {
		l.at, l.hasAt = at, true
	}
	l.notify()
}

// notify wakes who waits for a change. The lock is held.
func (l *lease) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// standing is what a node may do now.
type standing struct {
	known bool
	// leads says that it relays, until then.
	leads bool
	until time.Time
	term  uint64
	// vacant says that nobody does, so that it may claim to, by the next term; else it waits until over.
	vacant bool
	next   uint64
	over   time.Time
	at     broker.Position
	// changed is closed when this does not stand any more.
	changed <-chan struct{}
}

// await waits until it is another one, but not for longer than that.
func (s standing) await(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.changed:
	case <-timer.C:
	}
}

func (l *lease) standing() standing {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return standing{
		known: l.known, leads: l.known && l.holder == l.node && now.Before(l.until), until: l.until, term: l.term,
		vacant: l.known && !now.Before(l.over), next: l.taken + 1, over: l.over, at: l.at, changed: l.changed,
	}
}

// say returns a word with the time.
func (l *lease) say(term uint64, lasts time.Duration, at broker.Position) word {
	return word{Node: l.node, Term: term, Lasts: lasts.Milliseconds(), At: at.String(), Sent: int64(time.Since(l.began))}
}
