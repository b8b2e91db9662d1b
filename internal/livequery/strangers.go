package livequery

import "github.com/swampline/live/broker"

// strangers are the members of a window who joined it with rows that came from elsewhere, or by another list than the window's. The database may
// have been ahead of the log when either was read. So a stranger may hold a row that the window lacks, in place of another, until the log has told
// of what the lists had read; and by what members are told meanwhile, it may come to miss a row, or to hold one of whose end nobody tells it. When
// the log has all of it, strangers are told the window whole, once.
//
// They are numbered by who is told together: some while the others who came after them still have to wait.
type strangers struct {
	// last is the number of who came last, and due of who is told next; zero when nobody waits.
	last, due uint64
}

// join returns the number of one who joins, and whether somebody waits now where nobody did.
func (g *strangers) join() (number uint64, first bool) {
	if g.due == 0 {
		g.last++
		g.due = g.last
		return g.due, true
	}
	g.last = g.due + 1
	return g.last, false
}

// next returns the number up to which strangers are told, and whether others wait.
func (g *strangers) next() (number uint64, more bool) {
	number, g.due = g.due, 0
	if g.last > number {
		g.due = g.last
	}
	return number, g.due != 0
}

// strange takes note of a stranger. The lock is held.
func (s *Stream) strange(q *Query) (number uint64) {
	if s.Publishing == 0 || s.Wait == nil {
		return 0
	}
	number, first := q.window.strangers.join()
	if first {
		s.Wait(q)
	}
	return number
}

// Greet returns what strangers are told who have waited for as long as Publishing says; nil when nobody is left to be told. The engine holds
// still, at a position.
func (s *Stream) Greet(q *Query, at broker.Position) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := q.window
	number, more := w.strangers.next()
	if q.refs == 0 {
		w.strangers.due = 0
		return nil
	}
	if more {
		s.Wait(q)
	}
	if !w.loaded { // all members are given new rows
		return nil
	}
	d := &Delivery{Query: q, Position: at, Strangers: number, whole: true, items: w.whole(nil, 0)}
	w.say(d, true)
	return d
}
