package livequery

import "github.com/swampline/live/broker"

// counter is the number of rows that match a query. The log does not tell it: it would have to be known what the database
// held at a position, and rows come by that the count had counted. So rows are counted anew after a change that may have
// brought or taken one, by one query however many watch, and what is told is what the database said. The stream's lock
// guards it.
type counter struct {
	known bool
	value int64
	// at is a position that the database had reached when it was asked.
	at       broker.Position
	counting bool
}

// stale reports whether a row may have come or gone since the rows were counted.
func (q *Query) stale() bool { return !q.counter.known || q.touched.After(q.counter.at) }

// recount asks for the rows to be counted anew. The lock is held.
func (s *Stream) recount(q *Query) {
	if c := q.counter; !c.counting && q.refs > 0 && s.Fetch != nil {
		c.counting = true
		s.Fetch(q)
	}
}

// Counted takes a count, which was read after a position, and returns it for members, though it may be the same as before: the database may be
// ahead of the log, so two that were read after one position may differ, and who came meanwhile, or came from another hub, may hold another. Nil
// when it is of no use. The engine holds still, at now.
func (s *Stream) Counted(q *Query, value int64, at, now broker.Position) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := q.counter
	c.counting = false
	if c.at.Epoch == at.Epoch && c.at.After(at) {
		return nil // a later one was faster
	}
	c.known, c.value, c.at = true, value, at
	if q.stale() {
		s.recount(q)
		now = at // what came since is not in it
	} else {
		c.at = now
	}
	return &Delivery{Query: q, Position: now, count: &value}
}

// Count is what was counted last, and the position that the database had reached.
func (s *Stream) Count(q *Query) (int64, broker.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.counter.value, q.counter.at
}

// Uncounted says that the rows could not be counted.
func (s *Stream) Uncounted(q *Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.counter.counting = false; q.stale() {
		s.recount(q)
	}
}

// Current reports whether what was told of a count as of a position is the count still: only then may a cursor go beyond that.
func (s *Stream) Current(q *Query, told broker.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !q.stale() && q.touched.Epoch == told.Epoch && !q.touched.After(told)
}

func (c *counter) align(d *Delivery) (*Delivery, bool) {
	if !c.known {
		return nil, false
	}
	value := c.value
	d.count, d.Position = &value, c.at
	return d, true
}
