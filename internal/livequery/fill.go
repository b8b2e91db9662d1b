package livequery

import (
	"bytes"
	"slices"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where"
)

// Page is what a list returned for a window: rows in its order.
type Page struct {
	Rows []Read
	// At is a position that the database had reached when it was read.
	At broker.Position
	// From is the place after which the page begins; nil for the beginning.
	From where.Row
	// Last is the place up to which every row that matches was read; nil when no row is beyond.
	Last where.Row
}

// window makes a window of a page, up to date with the entries that followed it. It reports false when these do not tell what
// the rows are.
func (q *Query) windowOf(p Page, since []*Entry) (*Window, bool) {
	w := newWindow(q.stream.Schema, q.window.order, q.window.limit)
	w.from, w.bound = p.From, p.Last
	for _, r := range p.Rows {
		if w.byKey[r.Key] == nil && w.covers(r.Row) {
			w.insert(&placed{key: r.Key, version: versionOf(r.Version, p.At.String()), number: r.Version, row: r.Row, values: r.Values, paged: true})
		}
	}
	for _, e := range since {
		if e.Unreadable {
			return nil, false
		}
		for _, c := range e.Changes {
			if c.stream != q.stream {
				continue
			}
			if c.bulk != nil {
				if c.overlap(q.Predicate) == Bulk {
					return nil, false
				}
				continue
			}
			was, other, now := c.matches(q.Predicate)
			switch v := c.judge(was, other || w.byKey[c.key] != nil, now); v {
			case Doubt:
				return nil, false
			case Nothing, Unknown: // a row that the page does not hold
			default:
				w.take(c, v)
			}
		}
	}
	return w, true
}

// Fill gives a window the rows that a list returned, and what followed it up to the newest entry that was matched, and returns
// what members must be told: the database may be ahead of what the log has told them. It reports false when page and entries
// do not fit: then the list must be read again. The engine holds still, at a position.
//
// Whoever subscribes reads the list, so that he sees what is, and the window takes it over: so he and the window have the
// same rows, and a row that the application changed without a word is mended for all.
func (s *Stream) Fill(q *Query, p Page, since []*Entry, at broker.Position) (*Delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := q.window
	fresh, ok := q.windowOf(p, since)
	if !ok {
		return nil, false
	}
	d := &Delivery{Query: q, Position: at}
	for _, r := range old.visible() {
		if n := fresh.byKey[r.key]; r.shown && (n == nil || fresh.rank(n.row) >= fresh.limit) {
			d.items = append(d.items, item{verdict: Leave, row: r})
		}
	}
	for i, r := range fresh.visible() {
		r.shown = true
		if o := old.byKey[r.key]; o == nil || !o.shown || !q.View.same(o, r) {
			d.items = append(d.items, item{verdict: Enter, row: r, rank: i, moved: true})
		}
	}
	for i, r := range fresh.rows {
		if o := old.byKey[r.key]; o != nil && o.shown == r.shown && q.View.same(o, r) {
			fresh.rows[i], fresh.byKey[r.key] = o, o
		}
	}
	old.fills++
	old.loaded, old.rows, old.byKey, old.bound = true, fresh.rows, fresh.byKey, fresh.bound
	old.say(d, len(d.items) > 0)
	s.fetch(q)
	if d.more == nil {
		d = nil
	}
	return d, true
}

// same reports whether two states of a row are one to those who see the view. A list has no more fields than these.
func (v *View) same(a, b *placed) bool {
	for i, shown := range v.shown {
		if shown && !bytes.Equal(a.values[i], b.values[i]) {
			return false
		}
	}
	return slices.Equal(a.row, b.row)
}

// Seed gives a window that has no rows those of another on the same list, and reports whether there was one: then only what lies beyond
// must be read. The engine holds still.
func (s *Stream) Seed(q *Query) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := q.window
	if w.loaded {
		return true
	}
	var from *Window
	for _, other := range s.windows[w.list] {
		if other.window.loaded && (from == nil || len(other.window.rows) > len(from.rows)) {
			from = other.window
		}
	}
	if from == nil {
		return false
	}
	w.loaded, w.bound = true, from.bound
	for i, r := range from.rows {
		mine := *r
		mine.shown = i < w.limit
		w.rows = append(w.rows, &mine)
		w.byKey[r.key] = &mine
	}
	w.more = w.beyond()
	s.fetch(q)
	return true
}

// close forgets a window. The lock is held.
func (s *Stream) close(q *Query) {
	list := q.window.list
	s.windows[list] = slices.DeleteFunc(s.windows[list], func(other *Query) bool { return other == q })
	if len(s.windows[list]) == 0 {
		delete(s.windows, list)
	}
}

// Wanted tells what must be read to fill a window up: the rows after a place, so many. It reports false when none must be,
// or when nobody watches.
func (s *Stream) Wanted(q *Query) (from where.Row, count int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := q.window
	if q.refs == 0 {
		w.unload() // whoever comes reads it anew
	}
	w.filling = false
	if !w.low() { // others came meanwhile
		return nil, 0, false
	}
	w.filling = true
	return w.bound, w.limit + 2*w.spare() - len(w.rows), true
}

// Refill adds a page to a window, and what followed it, and returns what members must be told; nil when the window is
// another one by now. The engine holds still, at a position.
func (s *Stream) Refill(q *Query, p Page, since []*Entry, at broker.Position) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := q.window
	w.filling = false
	if !w.loaded {
		return nil
	}
	page, ok := q.windowOf(p, since)
	if !ok || w.bound == nil || w.compare(w.bound, p.From) != 0 {
		s.fetch(q)
		return nil
	}
	for _, r := range page.rows {
		if w.byKey[r.key] == nil { // else the log has yet to say that it moved
			w.insert(r)
		}
	}
	w.bound = page.bound
	d := &Delivery{Query: q, Position: at}
	for i, r := range w.visible() {
		if !r.shown {
			r.shown = true
			d.items = append(d.items, item{verdict: Enter, row: r, rank: i, moved: true})
		}
	}
	w.say(d, len(d.items) > 0)
	s.fetch(q)
	if d.more == nil {
		return nil
	}
	return d
}

// Unfilled says that a page could not be read.
func (s *Stream) Unfilled(q *Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.window.filling = false
	s.fetch(q)
}

// fetch asks for rows when a window runs low. The lock is held.
func (s *Stream) fetch(q *Query) {
	if q.window.low() && s.Fetch != nil {
		q.window.filling = true
		s.Fetch(q)
	}
}

// Reaches reports whether a window knows every row that a member knows of which holds all up to a place, nil for all; true for other queries. One
// that was seeded, or has run low, may not, until it has been filled up: of what lies beyond its bound it tells nobody.
func (s *Stream) Reaches(q *Query, edge where.Row) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.window == nil || q.window.loaded && q.window.reaches(edge)
}

// Fills returns how often a list took a window's place; zero for other queries.
func (s *Stream) Fills(q *Query) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.window == nil {
		return 0
	}
	return q.window.fills
}

// Align returns what a member that holds every row up to a place lacks, when the engine holds still at a position: a window's
// rows beyond it, or the count. Fills is what Fills was when the member was given its list; zero when it brought its rows from elsewhere. It reports
// false when the window is not loaded, or does not reach as far as the member.
func (s *Stream) Align(q *Query, edge where.Row, fills uint64, at broker.Position) (*Delivery, bool) {
	if !s.Reaches(q, edge) {
		return nil, false
	}
	return s.align(q, at, func(w *Window, d *Delivery) {
		for i, r := range w.visible() {
			if edge != nil && w.compare(r.row, edge) > 0 {
				d.items = append(d.items, item{verdict: Enter, row: r, rank: i, moved: true})
			}
		}
		if fills == 0 || fills != w.fills {
			d.Stranger = s.strange(q)
		}
	})
}

// Whole returns what a member lacks of which nobody knows what it holds: a window's rows, and that there are no others. What happened to those,
// Missed tells.
func (s *Stream) Whole(q *Query, at broker.Position) (*Delivery, bool) {
	return s.align(q, at, func(w *Window, d *Delivery) { d.items, d.whole = w.whole(nil, 0), true })
}

func (s *Stream) align(q *Query, at broker.Position, lacks func(*Window, *Delivery)) (*Delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &Delivery{Query: q, Position: at}
	if q.counter != nil {
		if q.stale() { // it became so while nobody watched, or is being counted
			s.recount(q)
		}
		return q.counter.align(d)
	}
	w := q.window
	if !w.loaded {
		return nil, false
	}
	lacks(w, d)
	more := w.beyond()
	d.more, d.Told = &more, w.told
	return d, true
}

// Loaded reports whether a window has its rows, or a counter its count; other queries need none.
func (s *Stream) Loaded(q *Query) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case q.window != nil:
		return q.window.loaded
	case q.counter != nil:
		return q.counter.known
	}
	return true
}
