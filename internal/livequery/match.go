package livequery

import (
	"slices"

	"github.com/swampline/live/broker"
)

// telling is an entry on its way to the queries that it concerns.
type telling struct {
	entry  *Entry
	change *Change // the one that is being matched
	found  func(q *Query, was, now bool)
	out    []*Delivery
	cursor string
	// room is for deliveries to come: those of one entry are short-lived, and together.
	room []Delivery
	made int
}

// maxRoom is how many deliveries are allocated at once.
const maxRoom = 64

// deliver begins a delivery. There is room for as many as came before: so whom an entry concerns alone costs what it needs.
func (t *telling) deliver(q *Query) *Delivery {
	if len(t.room) == 0 {
		t.room = make([]Delivery, min(max(t.made, 1), maxRoom))
	}
	if t.cursor == "" {
		t.cursor = t.entry.Position.String()
	}
	d := &t.room[0]
	t.room = t.room[1:]
	t.made++
	d.Query, d.Position, d.cursor = q, t.entry.Position, t.cursor
	t.out = append(t.out, d)
	return d
}

// Match tells the queries that an entry concerns. It is called once for each entry, in order, after Resolve. Oldest is the
// oldest position whose changes may still be followed by ones that were published too late.
func (s *Stream) Match(e *Entry, oldest broker.Position, out []*Delivery) []*Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.telling
	*t = telling{entry: e, out: out, found: t.found}
	if e.Unreadable {
		s.resolved = e.Position
		for q := range s.all {
			if q.touched = e.Position; q.counter != nil {
				s.recount(q)
				continue
			}
			t.deliver(q).Unreadable = true
		}
	}
	for _, c := range e.Changes {
		if c.stream == s {
			s.match(c)
		}
	}
	for _, d := range t.out[len(out):] {
		d.Query.telling = nil
		if w := d.Query.window; w != nil {
			w.apply(d)
			s.fetch(d.Query)
		}
	}
	s.rows.sweep(func(st *state) bool {
		return st.position.After(oldest) || !st.doubt && s.watched(st.row) ||
			slices.ContainsFunc(st.ahead, func(a reading) bool { return s.watched(a.row) })
	})
	out = t.out
	*t = telling{found: t.found}
	return out
}

// tell notes what a change means to a query.
func (s *Stream) tell(q *Query, c *Change, v Verdict) {
	switch {
	case q.window == nil: // a window takes all of it, and tells what is left
		if v == Update && c.list != 0 && !s.holds(q, c.list) {
			v = Enter
		}
		v = c.within(q.View, v)
	case v == Nothing && c.stale: // the row may have been in the window, and the newer one beyond it was not worth telling
		if was, other, _ := c.matches(q.Predicate); was || other {
			v = Leave
		}
	}
	if v == Nothing || q.counter != nil && v == Update {
		return
	}
	q.touched = s.telling.entry.Position
	if q.counter != nil {
		s.recount(q)
		return
	}
	if q.telling == nil {
		q.telling = s.telling.deliver(q)
	}
	q.telling.add(c, v)
}

func (s *Stream) match(c *Change) {
	s.telling.change = c
	if c.bulk != nil {
		for q := range s.all {
			s.tell(q, c, c.overlap(q.Predicate))
		}
		return
	}
	if c.others != nil {
		// Rare: publisher, hub and lists differ on what the row was. Judge each candidate by all rows.
		seen := map[*Query]struct{}{}
		collect := func(q *Query, _, _ bool) { seen[q] = struct{}{} }
		s.index.Match(c.was, c.now, collect)
		for _, row := range c.others {
			s.index.Match(row, nil, collect)
		}
		for q := range seen {
			s.tell(q, c, c.verdict(q.Predicate))
		}
		return
	}
	s.index.Match(c.was, c.now, s.telling.found)
	if c.wasUnknown {
		for q := range s.unsure {
			if v := c.verdict(q.Predicate); v == Unknown {
				s.tell(q, c, v)
			}
		}
	}
}
