package presence

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// locking is what a node knows of locks, and wants to.
//
// A node that begins to follow the log knows of none. It asks the others, notes what the log says from its question on, and takes the first book
// that it is told, as it was at a position behind the question: with what it noted after that position it has what they have. When nobody
// answers, and somebody wants a lock here, it says so on the log; then nobody has a lock, also for a node that was only slow. Those that see that
// there is a book now ask for it. So where nobody uses locks there is none, and they cost nothing.
type locking struct {
	book
	known bool
	// used says that it was known once: rows may show locks, and should not for long if there are none any more.
	used  bool
	ready chan struct{} // closed when known
	// The log was followed after since, up to at.
	since, at broker.Position
	// asked is where the own question stands on the log; zero when it has not come by. Until closes is everything noted, and answers are waited
	// for; then nobody has answered.
	asked  broker.Position
	closes time.Time
	noted  []event
	// chapters are the parts of books that are not complete yet, by node.
	chapters map[string]chapter
	// wanted is how many callers wait for the book to be known.
	wanted int
	// ask, none and tell are to be said: a question, that there is no book, and the book.
	ask, none, tell bool
	// tried is when ask or none was said; zero when it has come by.
	tried time.Time
	// waits are the claims whose callers wait, by id; line are their ids in order.
	waits map[string]*wait
	line  []string
	made  int
	// back are locks that are to be given back because nobody waits for them.
	back []claim
	// newest is the number of the newest token that was ever seen here.
	newest int64
	// swept is when it was looked for locks of members that are not there, missed what was found.
	swept  time.Time
	missed map[string]string
}

// wait is a claim whose caller waits.
type wait struct {
	claim
	said bool
	done chan verdict // has room for one
}

func newLocking() locking {
	return locking{book: newBook(), ready: make(chan struct{}), chapters: map[string]chapter{}, waits: map[string]*wait{}, missed: map[string]string{}}
}

const (
	// answersWithin is how long a question for the book waits for answers.
	answersWithin = 2 * time.Second
	// locksAtOnce is how many locks one message tells of, at most.
	locksAtOnce = 500
)

// forgetLocks says that the log is followed only after a position. A question goes on it soon, with the hello. The lock is held.
func (p *Presence) forgetLocks(at broker.Position) {
	l := &p.locks
	if l.known {
		l.ready = make(chan struct{})
	}
	l.book, l.known, l.since, l.at = newBook(), false, at, at
	l.asked, l.closes, l.noted, l.tried = broker.Position{}, time.Time{}, nil, time.Time{}
	l.ask, l.none, l.tell = false, false, false
	l.back, l.missed = nil, map[string]string{}
	clear(l.chapters)
	for _, w := range l.waits {
		w.said = false
	}
}

// lockSeen takes what an entry of the log has to do with locks. The lock is held.
func (p *Presence) lockSeen(at broker.Position, e *record.Entry, words []word) {
	l, now := &p.locks, time.Now()
	l.at = at
	ev := event{at: at}
	if !l.known && now.After(l.closes) {
		l.noted = nil
	}
	if len(l.locks) > 0 || !l.known && !now.After(l.closes) {
		ev.moves = p.moves(e)
	}
	for _, w := range words {
		if w.Locks != nil {
			ev.says = append(ev.says, saying{node: w.Node, lockWord: *w.Locks})
		}
		if ask := w.Hello || w.Locks != nil && w.Locks.Ask; ask && w.Node != p.node {
			l.tell = true
			p.hurry()
		} else if ask {
			l.asked, l.closes, l.noted, l.tried = at, now.Add(answersWithin), nil, time.Time{}
			clear(l.chapters)
			p.wakeUp()
		}
	}
	switch {
	case len(ev.moves)+len(ev.says) == 0:
	case l.known:
		p.lockWrite(ev)
	default:
		p.lockNote(ev, now)
	}
}

// moves lists where an entry says that members are.
func (p *Presence) moves(e *record.Entry) (moves []move) {
	for i := range e.Changes {
		c := &e.Changes[i]
		if c.Router != p.options.Name {
			continue
		}
		m := move{member: c.Key}
		if c.Now != nil && json.Unmarshal(c.Now["place"], &m.place) != nil {
			continue
		}
		moves = append(moves, m)
	}
	return moves
}

// lockNote takes an event of which nobody here knows yet what it means. The lock is held.
func (p *Presence) lockNote(ev event, now time.Time) {
	l := &p.locks
	if !now.After(l.closes) {
		l.noted = append(l.noted, ev)
	}
	for _, s := range ev.says {
		if s.None != "" && s.node == p.node {
			l.tried = time.Time{}
		}
		if at, err := broker.ParsePosition(s.None); s.None != "" && err == nil && l.follows(at) && !l.told.After(at) {
			p.lockKnow(newBook(), []event{ev})
			return
		}
		if s.Book != nil && p.lockRead(s.node, *s.Book) {
			return
		}
		if s.tells() {
			l.told = ev.at
			p.wakeUp()
		}
	}
}

// follows reports whether the log was followed after a position.
func (l *locking) follows(at broker.Position) bool {
	return l.since.IsZero() || l.since.Epoch == at.Epoch && !l.since.After(at)
}

// lockRead takes a part of a book; it reports whether the locks are known by it. The lock is held.
func (p *Presence) lockRead(node string, c chapter) bool {
	l := &p.locks
	at, err := broker.ParsePosition(c.At)
	told, other := broker.ParsePosition(c.Told)
	if err != nil || other != nil || l.noted == nil || at.Epoch != l.asked.Epoch || l.asked.After(at) {
		return false // it is an answer to somebody else, before the own question
	}
	if before, ok := l.chapters[node]; ok && before.At == c.At {
		c.Locks = append(slices.Clip(before.Locks), c.Locks...)
	}
	if l.chapters[node] = c; c.More {
		return false
	}
	b := newBook()
	b.last, b.told = c.Last, told
	for _, held := range c.Locks {
		b.locks[held.Place], b.holds[held.Member] = held, held.Place
	}
	since := slices.IndexFunc(l.noted, func(ev event) bool { return ev.at.After(at) })
	if since < 0 {
		since = len(l.noted)
	}
	p.lockKnow(b, l.noted[since:])
	return true
}

// lockKnow begins with a book, and what happened since. The lock is held.
func (p *Presence) lockKnow(b book, since []event) {
	l := &p.locks
	l.book, l.known, l.used = b, true, true
	l.noted, l.closes, l.tried, l.swept = nil, time.Time{}, time.Time{}, time.Now()
	l.ask, l.none = false, false
	clear(l.chapters)
	close(l.ready)
	for _, ev := range since {
		p.lockWrite(ev)
	}
	p.lockRows()
	p.hurry()
}

// lockWrite takes an event into the book that is known. The lock is held.
func (p *Presence) lockWrite(ev event) {
	l := &p.locks
	l.write(ev, p.lockRow, func(node string, c claim, was lock, v verdict) {
		if v.fresh {
			p.lockRow(was.Member)
			p.lockRow(c.Member)
		}
		if node == p.node {
			p.decided(c, v)
		}
	})
	l.newest = max(l.newest, l.last)
	for _, s := range ev.says {
		if s.None != "" {
			p.lockRows()
		}
	}
}

// tickLocks does what time demands of locks. The lock is held.
func (p *Presence) tickLocks(now time.Time) {
	l := &p.locks
	if at := p.nextAsk(); !at.IsZero() && !now.Before(at) {
		l.none = !l.told.After(l.asked) // else there is a book
		l.ask = !l.none
	}
	if l.known && len(l.locks) > 0 && now.Sub(l.swept) >= p.beat() {
		l.swept = now
		missed := map[string]string{}
		for place, held := range l.locks {
			if p.placeOf(held.Member) == place {
				continue
			}
			if missed[place] = held.Token; l.missed[place] == held.Token {
				p.giveBack(held)
			}
		}
		l.missed = missed
	}
}

// nextAsk is when to go on asking for the book: zero for not, for it is known, or nobody uses locks, or what is to be asked is not said, or
// the first question has not come by. The lock is held.
func (p *Presence) nextAsk() time.Time {
	l := &p.locks
	idle := l.wanted == 0 && !l.used && !l.told.After(l.asked)
	if l.known || idle || l.asked.IsZero() || l.ask || l.none {
		return time.Time{}
	}
	if l.tried.IsZero() {
		return l.closes
	}
	return later(l.closes, l.tried.Add(answersWithin))
}

// nextOfLocks names the times at which tickLocks has something to do. The lock is held.
func (p *Presence) nextOfLocks(at func(time.Time)) {
	at(p.nextAsk())
	if p.locks.known && len(p.locks.locks) > 0 {
		at(p.locks.swept.Add(p.beat()))
	}
}
