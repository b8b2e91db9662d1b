package livequery

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where"
)

// priming is what the first list of a query on this hub has told: from then on the hub knows every row that a member can hold whom it gave a
// list itself. Whom another hub gave his rows may hold one that this list lacks, because it had left the database and the log did not say so
// yet: of him that is only known when all that the list had read is on the log.
type priming struct {
	// at is the position after which the list was read.
	at broker.Position
	// mark names the list and those that follow it, on all hubs.
	mark string
	// until is when the log has all that the list had read, and settled where the log was then or later; zero before anybody asked.
	until   time.Time
	settled broker.Position
	// first is the number of that list, zero when another was read at the same time, which may have shown less; begun is how many lists there were
	// when the one that began to be read first did.
	first, begun uint64
}

// Reading is when a list began to be read.
type Reading struct {
	// At is a position that the log had reached.
	At broker.Position
	// lists is how many had been noted.
	lists uint64
}

// Reading says that a list begins to be read, where the log is at a position.
func (s *Stream) Reading(at broker.Position) Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Reading{at, s.lists}
}

// run names a Registry among those of all hubs.
func (r *Registry) run() string {
	r.named.Do(func() { r.name = rand.Text()[:10] })
	return r.name
}

// Prime notes the rows that a list for the query returned. It returns a mark of who is given them, for Knows; empty when the log was lost
// meanwhile.
func (s *Stream) Prime(q *Query, list []Read, reading Reading) (mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := reading.At
	s.lists++
	for _, r := range list {
		s.rows.note(r, at, s.lists)
	}
	if !s.began.IsZero() && (s.began.Epoch != at.Epoch || s.began.After(at)) {
		return ""
	}
	if q.primed == nil {
		if s.resolved.After(at) { // what came by meanwhile was resolved without these rows
			at = s.resolved
		}
		q.primed = &priming{
			at: at, mark: s.registry.run() + strconv.FormatUint(s.registry.last.Add(1), 36), first: s.lists, begun: reading.lists,
		}
		if s.Publishing > 0 {
			q.primed.until = time.Now().Add(s.Publishing)
		} else {
			q.primed.settled = at
		}
	}
	p := q.primed
	p.begun = min(p.begun, reading.lists)
	if p.first > reading.lists && p.first != s.lists {
		p.first = 0
	}
	return p.mark
}

// holds reports whether every member of a query holds a row, if it matches, as the list with a number showed it, or newer: what members were
// given was read later, or was that list.
func (s *Stream) holds(q *Query, list uint64) bool {
	p := q.primed
	return p != nil && s.unsure[q] == 0 && (list == p.first || list <= p.begun)
}

// Unsure adds to the number of a query's members that may hold rows which this hub never saw. While there are such, a
// change whose earlier state nobody knows is told to the query as unknown.
func (s *Stream) Unsure(q *Query, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsure[q] += n; s.unsure[q] == 0 {
		delete(s.unsure, q)
	}
}

// Knows reports whether this hub knows every row that a subscription with this cursor can hold, whose last snapshot had the mark: a list was
// loaded before the cursor, all that followed was matched, and nothing that the list had read was still to come, or the snapshot was such a list.
func (s *Stream) Knows(q *Query, cursor broker.Position, mark string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knows(q, cursor, mark)
}

func (s *Stream) knows(q *Query, cursor broker.Position, mark string) bool {
	p := q.primed
	if p == nil || p.at.Epoch != cursor.Epoch || p.at.After(cursor) {
		return false
	}
	if mark == p.mark {
		return true
	}
	if p.settled.IsZero() {
		if time.Now().Before(p.until) {
			return false
		}
		if p.settled = p.at; s.resolved.After(p.at) {
			p.settled = s.resolved
		}
	}
	return !p.settled.After(cursor)
}

// UnchangedSince reports whether it is certain that nothing concerned the query after the position, for who holds what he was given with a
// mark.
func (s *Stream) UnchangedSince(q *Query, p broker.Position, mark string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.since.Epoch != p.Epoch || q.since.After(p) || q.touched.After(p) {
		return false
	}
	if q.counter != nil { // every change that may have taken a row has touched it
		return !q.stale()
	}
	return !s.unknown.After(p) || s.knows(q, p, mark)
}

// Tag names the rows that a query's members may see: the same text for the same view and predicate on every hub, telling nothing of it.
func (q *Query) Tag() string { return Tag(q.stream.Schema, q.View.Name, q.Predicate) }

// Tag names the rows that a predicate matches, in a view.
func Tag(s *Schema, view string, p *where.Predicate) string {
	sum := sha256.Sum256([]byte(s.Router + "\x00" + view + "\x00" + p.String()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// WithMark is a tag as clients hold it: with the mark of the list that they were given, if that has one.
func WithMark(tag, mark string) string {
	if mark == "" {
		return tag
	}
	return tag + "." + mark
}

// CutMark is what WithMark put together.
func CutMark(text string) (tag, mark string) {
	tag, mark, _ = strings.Cut(text, ".")
	return tag, mark
}
