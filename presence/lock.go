package presence

import (
	"fmt"

	"github.com/swampline/live/broker"
)

// lock says who has the lock of a place.
type lock struct {
	Place  string `json:"place"`
	Member string `json:"member"`
	Person string `json:"person"`
	// Token is the fencing token: the later the lock was given, the greater.
	Token string `json:"token"`
}

// claim is what a member wants of a lock. Whether he gets it the order of the log decides.
type claim struct {
	// ID is drawn by the node that makes the claim, and waits for what becomes of it.
	ID    string `json:"id"`
	Place string `json:"place"`
	// Member is who wants to have it; empty gives it back.
	Member string `json:"member,omitempty"`
	Person string `json:"person,omitempty"`
	// From is who must have it, Of what token it must have now; with neither, nobody must have it.
	From string `json:"from,omitempty"`
	Of   string `json:"of,omitempty"`
	// Clock is the smallest number that the claimant's node would give to a token.
	Clock int64 `json:"clock,omitempty"`
}

// book is who has which lock. It depends on nothing but what stands on the log, in its order, since it was known last that
// nobody had any: so all nodes that know it have the same.
type book struct {
	locks map[string]lock   // by place
	holds map[string]string // the places, by member
	last  int64             // the number of the newest token
	// told is where on the log a book was told last, or that there is none. The latter counts only when no book was told before it that who said it
	// did not know.
	told broker.Position
}

func newBook() book { return book{locks: map[string]lock{}, holds: map[string]string{}} }

// tokenOf writes a token: sixteen digits, so that tokens are ordered as texts and as numbers, also in JavaScript.
func tokenOf(n int64) string { return fmt.Sprintf("%016d", n) }

// verdict is what became of a claim.
type verdict struct {
	// lock is how it is after the claim; of no member when nobody has it.
	lock lock
	// granted says that it is as the claim wants it; fresh that it was not so before.
	granted, fresh bool
}

// decide takes a claim in its turn.
func (b *book) decide(c claim) verdict {
	now := b.locks[c.Place]
	switch held := now.Member != ""; {
	case held && now.Member == c.Member:
		return verdict{lock: now, granted: true} // he said it twice
	case c.From != "" && now.Member != c.From, c.Of != "" && now.Token != c.Of, c.From == "" && c.Of == "" && held:
		return verdict{lock: now, granted: c.Member == "" && !held}
	}
	b.free(c.Place)
	if c.Member == "" {
		return verdict{granted: true, fresh: true}
	}
	b.free(b.holds[c.Member]) // a member is in one place
	b.last = max(b.last+1, c.Clock)
	now = lock{Place: c.Place, Member: c.Member, Person: c.Person, Token: tokenOf(b.last)}
	b.locks[c.Place], b.holds[c.Member] = now, c.Place
	return verdict{lock: now, granted: true, fresh: true}
}

// free takes the lock of a place from whoever has it.
func (b *book) free(place string) {
	if held, ok := b.locks[place]; ok {
		delete(b.holds, held.Member)
		delete(b.locks, place)
	}
}

// moved takes where a member is now, "" for nowhere: it keeps no lock of another place. It reports whether it had one.
func (b *book) moved(member, place string) bool {
	at, holds := b.holds[member]
	if holds = holds && at != place; holds {
		b.free(at)
	}
	return holds
}

// move is where a member is since an entry of the log.
type move struct{ member, place string }

// event is what an entry of the log has to do with locks.
type event struct {
	at    broker.Position
	moves []move
	says  []saying
}

// saying is what a node says of locks.
type saying struct {
	node string
	lockWord
}

// lockWord is what nodes tell each other of locks.
type lockWord struct {
	Claims []claim `json:"claims,omitempty"`
	// Ask asks the others for their books.
	Ask bool `json:"ask,omitempty"`
	// None says that nobody has a lock: whoever says so has asked, and nobody has told a book since, up to this position.
	None string `json:"none,omitempty"`
	// Book is an answer.
	Book *chapter `json:"book,omitempty"`
}

func (w *lockWord) empty() bool { return w.Claims == nil && !w.Ask && w.None == "" && w.Book == nil }

// chapter is a part of a book as it was at a position of the log.
type chapter struct {
	At    string `json:"at"`
	Told  string `json:"told"`
	Last  int64  `json:"last"`
	Locks []lock `json:"locks"`
	More  bool   `json:"more,omitempty"`
}

// tells reports whether a word is one after which nobody may say that there is no book.
func (w *lockWord) tells() bool { return w.None != "" || w.Book != nil && !w.Book.More }

// write takes what an entry of the log says. Lost is called with each member that moved and so has its lock no more, done with what became of
// each claim.
func (b *book) write(e event, lost func(member string), done func(node string, c claim, was lock, v verdict)) {
	for _, m := range e.moves {
		if b.moved(m.member, m.place) {
			lost(m.member)
		}
	}
	for _, s := range e.says {
		if at, err := broker.ParsePosition(s.None); s.None != "" && err == nil && !b.told.After(at) {
			clear(b.locks)
			clear(b.holds)
			b.last = 0
		}
		if s.tells() {
			b.told = e.at
		}
		for _, c := range s.Claims {
			was := b.locks[c.Place]
			done(s.node, c, was, b.decide(c))
		}
	}
}
