package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

func position(n int) broker.Position { return broker.Position{Epoch: 7, Major: uint64(n)} }

// happening draws what an entry of the log could say of locks, of few places and members.
func happening(r *rand.Rand, at int, b *book) event {
	name := func(kind string) string { return fmt.Sprintf("%s%d", kind, r.IntN(4)) }
	ev := event{at: position(at)}
	switch r.IntN(8) {
	case 0:
		ev.moves = []move{{member: name("m"), place: ""}}
	case 1:
		ev.moves = []move{{member: name("m"), place: name("p")}}
	case 2:
		if r.IntN(4) == 0 {
			ev.says = []saying{{node: name("n"), lockWord: lockWord{None: position(max(1, at-r.IntN(40))).String()}}}
		} else {
			ev.says = []saying{{node: name("n"), lockWord: lockWord{Book: &chapter{More: r.IntN(2) == 0}}}}
		}
	default:
		c := claim{ID: name("c"), Place: name("p"), Clock: int64(at * r.IntN(3))}
		if r.IntN(3) > 0 {
			c.Member, c.Person = name("m"), name("u")
		}
		switch r.IntN(4) {
		case 0:
			c.From = name("m")
		case 1:
			c.Of = b.locks[c.Place].Token
		case 2:
			c.Of = tokenOf(int64(r.IntN(at + 1)))
		}
		ev.says = []saying{{node: name("n"), lockWord: lockWord{Claims: []claim{c}}}}
	}
	return ev
}

func ignored(string)                           {}
func undecidedBy(string, claim, lock, verdict) {}
func alike(a, b *book) bool {
	return maps.Equal(a.locks, b.locks) && maps.Equal(a.holds, b.holds) && a.last == b.last && a.told == b.told
}

// A book that was told as it was, with what happened since, is the book of who told it; and what it says is always sound.
func TestABookAndWhatHappenedSinceIsTheBook(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := newBook()
		var all []event
		copies := map[int]*book{}
		newest := int64(0)
		for at := 1; at <= 120; at++ {
			if r.IntN(10) == 0 {
				c := book{locks: maps.Clone(b.locks), holds: maps.Clone(b.holds), last: b.last, told: b.told}
				copies[at] = &c
			}
			ev := happening(r, at, &b)
			all = append(all, ev)
			reset := len(ev.says) > 0 && ev.says[0].None != ""
			b.write(ev, ignored, func(_ string, c claim, was lock, v verdict) {
				if v.fresh && c.Member != "" && (b.last <= newest || v.lock.Token != tokenOf(b.last) || b.locks[c.Place].Member != c.Member) {
					t.Fatalf("seed %d: %+v gave %+v after %d", seed, c, v, newest)
				}
				if !v.granted && v.lock != was {
					t.Fatalf("seed %d: %+v was refused, and told of %+v instead of %+v", seed, c, v.lock, was)
				}
				if was.Member != "" && was.Member != c.Member && v.granted && c.From != was.Member && c.Of != was.Token {
					t.Fatalf("seed %d: %+v took the lock of %+v", seed, c, was)
				}
			})
			if newest = b.last; reset && len(b.locks) > 0 && b.told != position(at) {
				t.Fatalf("seed %d: what was said of books is not noted", seed)
			}
			if len(b.locks) != len(b.holds) {
				t.Fatalf("seed %d: a member has two locks, or none: %v %v", seed, b.locks, b.holds)
			}
			for place, held := range b.locks {
				if held.Place != place || b.holds[held.Member] != place {
					t.Fatalf("seed %d: %v %v", seed, b.locks, b.holds)
				}
			}
		}
		for at, c := range copies {
			for _, ev := range all[at-1:] {
				c.write(ev, ignored, undecidedBy)
			}
			if !alike(c, &b) {
				t.Fatalf("seed %d: from %d on: %+v, want %+v", seed, at, *c, b)
			}
		}
	}
}

// Who says that there is no book is believed unless one was told of which he did not know.
func TestThereIsNoBookUnlessOneWasTold(t *testing.T) {
	b := newBook()
	says := func(at int, w lockWord) {
		b.write(event{at: position(at), says: []saying{{node: "n", lockWord: w}}}, ignored, undecidedBy)
	}
	says(1, lockWord{Claims: []claim{{Place: "p", Member: "m"}}})
	says(5, lockWord{Book: &chapter{More: true}})
	says(6, lockWord{Book: &chapter{}})
	says(7, lockWord{None: position(5).String()}) // he is answered just now
	if len(b.locks) != 1 {
		t.Error("a book that was told is forgotten")
	}
	says(9, lockWord{None: position(6).String()}) // another said so since, and will be asked
	if len(b.locks) != 1 {
		t.Error("two who find no book forget each other's")
	}
	says(10, lockWord{None: position(9).String()})
	if len(b.locks) != 0 {
		t.Error("who was not answered is not believed")
	}
}

// alone is a node without a hub, that knows that nobody has a lock.
func alone() *Presence {
	p := &Presence{node: "me", locks: newLocking(), own: map[string]*own{}, todo: map[string]*task{}, replica: newReplica(), wake: make(chan struct{}, 1)}
	p.locks.known = true
	return p
}

// A lock that was given to somebody who does not wait for it any more, or is there no more, is given back; that of another one is not.
func TestALockThatNobodyWantsIsGivenBack(t *testing.T) {
	for _, c := range []struct {
		what         string
		waits, there bool
		fresh, back  bool
	}{
		{"who waits has it", true, true, true, false},
		{"nobody waits", false, true, true, true},
		{"the member has gone", true, false, true, true},
		{"it was his before", false, true, false, false},
	} {
		p := alone()
		want := claim{ID: "me-1", Place: "p", Member: "m"}
		if c.waits {
			p.locks.waits["me-1"] = &wait{claim: want, done: make(chan verdict, 1)}
		}
		if c.there {
			p.own["m"] = &own{want: row{ID: "m", Place: "p"}}
		}
		p.decided(want, verdict{lock: lock{Place: "p", Member: "m", Token: "1"}, granted: true, fresh: c.fresh})
		if back := len(p.locks.back) == 1 && p.locks.back[0].Of == "1"; back != c.back {
			t.Errorf("%s: given back: %v", c.what, p.locks.back)
		}
	}
}

// Tokens go on growing when the clock does not.
func TestTokensGrowWhenTheClockGoesBack(t *testing.T) {
	p := alone()
	seen := time.Now().Add(time.Hour).UnixMicro()
	p.lockWrite(event{at: position(1), says: []saying{{node: "n", lockWord: lockWord{Claims: []claim{{Place: "p", Member: "m", Clock: seen}}}}}})
	p.forgetLocks(position(1))
	p.locks.known = true
	p.locks.waits["me-1"], p.locks.line = &wait{claim: claim{ID: "me-1"}}, []string{"me-1"}
	words, _ := p.lockWords(time.Now())
	if len(words) != 1 || len(words[0].Claims) != 1 || words[0].Claims[0].Clock != seen+1 {
		t.Errorf("said: %+v", words)
	}
}

// A row that shows a lock wrongly, because who put it there did not know, is put right by the node that speaks for it.
func TestARowThatShowsAnotherLockIsPutRight(t *testing.T) {
	for _, shown := range []string{"", "1", "2"} {
		p := alone()
		p.locks.decide(claim{Place: "p", Member: "m", Clock: 1})
		token := p.locks.locks["p"].Token
		if shown == "1" {
			shown = token
		}
		r := &row{ID: "m", Place: "p", Node: "me", Lock: shown}
		p.own["m"] = &own{want: *r}
		p.stands(r)
		if _, due := p.todo["m"]; due != (shown != token) {
			t.Errorf("it shows %q, and %q is right: to be told: %v", shown, token, due)
		}
	}
}

// A book of more locks than a message has arrives as it was.
func TestALongBookIsToldInChapters(t *testing.T) {
	l := newLocking()
	l.at = position(9)
	for i := range 2*locksAtOnce + 1 {
		l.decide(claim{Place: fmt.Sprint("p", i), Member: fmt.Sprint("m", i), Person: "u"})
	}
	l.told = position(3)
	words := l.chaptersOf()
	if len(words) != 3 {
		t.Fatalf("%d chapters", len(words))
	}
	p := alone()
	frees := func(at int, place string) event {
		return event{at: position(at), says: []saying{{node: "n", lockWord: lockWord{Claims: []claim{{Place: place, Of: l.locks[place].Token}}}}}}
	}
	p.locks.asked, p.locks.noted = position(8), []event{frees(8, "p0"), frees(9, "p1"), frees(10, "p2")} // the first two are in the book
	for i, w := range words {
		if known := p.lockRead("other", *w.Book); known != (i == 2) {
			t.Fatalf("known after chapter %d: %v", i, known)
		}
	}
	if l.free("p2"); !alike(&p.locks.book, &l.book) {
		t.Error("another book has come")
	}
	q := alone()
	q.locks.asked, q.locks.noted = position(10), []event{{at: position(10)}}
	for _, w := range words {
		if q.lockRead("other", *w.Book) {
			t.Error("a book is taken that is older than the question")
		}
	}
}

// A node that knows of no book believes that there is none only if it can judge that.
func TestWhoBelievesThatThereIsNoBook(t *testing.T) {
	for _, c := range []struct {
		what        string
		since, told int
		known       bool
	}{
		{"it followed all since, and no book was told", 2, 0, true},
		{"it followed all since, and a book was told before", 1, 2, true},
		{"it followed all since, and a book was told of which the other does not know", 1, 4, false},
		{"it began to follow later", 4, 0, false},
	} {
		p := alone()
		p.locks.known, p.locks.since = false, position(c.since)
		if c.told > 0 {
			p.locks.told = position(c.told)
		}
		p.lockNote(event{at: position(5), says: []saying{{node: "n", lockWord: lockWord{None: position(3).String()}}}}, time.Now())
		if p.locks.known != c.known {
			t.Errorf("%s: believed: %v", c.what, p.locks.known)
		}
	}
}
