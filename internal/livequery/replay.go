package livequery

import (
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// Knowledge is what a subscription that catches up knows of the rows that it holds.
type Knowledge struct {
	// Held are the keys of all rows that it may hold; nil when it does not know.
	Held map[string]struct{}
	// Sure says that the stream knows every row that it may hold.
	Sure bool
	// Edge bounds what it holds of a window: every row up to this place, no row beyond; nil for all rows.
	Edge where.Row
	// Old resolved the entries that it was told and that are not in memory; nil when all were.
	Old *Backfill
}

// Replay tells what an entry meant to the query, for a subscription that catches up; nil when it did not concern it.
func (q *Query) Replay(e *Entry, k Knowledge) *Delivery {
	d := &Delivery{Query: q, Position: e.Position, Followed: e.Followed}
	if e.Unreadable {
		d.Unreadable = true
		return d
	}
	for i := range e.Messages {
		if m := &e.Messages[i]; q.stream == nil && m.Channel == q.channel {
			d.messages = append(d.messages, m)
		}
	}
	for _, c := range e.Changes {
		if c.stream == q.stream && q.counter == nil {
			d.add(c, c.within(q.View, c.replay(q, k)))
		}
	}
	if d.Empty() && !d.Unknown && !d.Unreadable && !d.Bulk {
		return nil
	}
	return d
}

// replay judges the change for one subscription that catches up.
func (c *Change) replay(q *Query, k Knowledge) Verdict {
	if c.bulk != nil {
		return c.overlap(q.Predicate)
	}
	match := q.within(k.Edge)
	was, other, now := c.seen(match)
	row, told := k.Old.leave(c)
	sure := k.Sure && !c.private && !k.Old.Used()
	_, held := k.Held[c.key]
	v := c.judge(was, other || held || row != nil && match(row), now)
	switch {
	case v == Unknown && (sure || k.Held != nil || told && !c.stale && !c.doubtful):
		return Nothing // it surely does not hold the row
	case c.again && v == Nothing && was && now && !held:
		return Enter // it may come from a hub that did not know the row
	case v == Update && (told || c.list != 0 && !(sure && q.holds(c.list))):
		return Enter // what it was told may differ from what the stream took the change as a difference to
	}
	return v
}

func (q *Query) holds(list uint64) bool {
	q.stream.mu.Lock()
	defer q.stream.mu.Unlock()
	return q.stream.holds(q, list)
}

// within returns what a subscription holds that catches up: the predicate, in a window up to a place.
func (q *Query) within(edge where.Row) func(where.Row) bool {
	if edge == nil {
		return q.Predicate.Match
	}
	return func(row where.Row) bool { return q.Predicate.Match(row) && q.window.compare(row, edge) <= 0 }
}

// Backfill resolves entries that this hub reads from the broker for one subscription that is far behind. It keeps the
// states of their rows for itself: the stream's are of later.
type Backfill struct {
	stream *Stream

	mu   sync.Mutex
	rows rows
	used bool
}

// Backfill returns a resolver for one subscription's way through old history.
func (s *Stream) Backfill() *Backfill { return &Backfill{stream: s, rows: newRows()} }

// Used reports whether a change was resolved. The subscription that it was for may then hold rows by states that the
// stream does not know.
func (b *Backfill) Used() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Fresh reports whether nothing was resolved or remembered yet; false for a nil one, which resolves nothing.
func (b *Backfill) Fresh() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.used && len(b.rows.states) == 0
}

// Forget takes back what was remembered.
func (b *Backfill) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows, b.used = newRows(), false
}

// Remember takes a record from before the place where the subscription begins to read: so a change that was published later than its
// successor is known as late though only one of the two is still to be told. Whether the subscription holds the row as the record has
// it, nobody knows: it may have been told by a list that was ahead.
func (b *Backfill) Remember(s *Stream, r *record.Change, at broker.Position) {
	if b == nil || b.stream != s || r.Op == record.Bulk {
		return
	}
	c, err := s.change(r, at)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows.resolve(c, r, at)
	b.rows.states[r.Key].before = true // a doubt about it stays: what is still to come of it may be late
}

// Resolve turns a record of old history into a change; nil when it is of another stream.
func (b *Backfill) Resolve(s *Stream, r *record.Change, at broker.Position) (*Change, error) {
	if b == nil || b.stream != s {
		return nil, nil
	}
	c, err := s.change(r, at)
	if err != nil {
		return nil, err
	}
	c.private = true
	s.mu.Lock()
	defer s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.bulk != nil {
		b.rows.bulk(c.bulk, at)
		return c, nil
	}
	// A newer version that went by before this entry is known to the stream, if it was the last. What went by later does
	// not count: the subscription has yet to be told.
	known := s.rows.states[r.Key]
	if known != nil && at.After(known.position) && known.order(r) == late {
		known.late(c, r)
		return c, nil
	}
	b.rows.resolve(c, r, at)
	b.used = true
	if r.Op == record.Delete && !c.stale {
		c.outrank(at)
		c.doubtful = c.doubtful || known.denies(r.Version)
	}
	if known != nil && at == known.position && known.doubted { // the stream doubted this very change
		c.doubtful = true
	}
	return c, nil
}

// leave returns the row as a subscription was told it on its way through old history, and whether it was, when it comes to
// a change of the row that the stream resolved: from the first one on it holds what the stream says. A late one does not count: who
// holds a newer version ignores it.
func (b *Backfill) leave(c *Change) (row where.Row, told bool) {
	if b == nil || c.private {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.rows.states[c.key]
	if s == nil {
		return nil, false
	}
	if !c.stale && !(s.before && c.doubtful) { // what is known here is over, should the way lead through old history again
		b.rows.states[c.key] = &state{before: s.before}
	}
	if s.before {
		return nil, false
	}
	return s.row, true
}
