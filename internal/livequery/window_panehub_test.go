package livequery

import (
	"slices"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where"
)

// paneHub is a hub: it has resolved a prefix of the log.
type paneHub struct {
	name    int
	stream  *Stream
	entries []*Entry
	base    int
	// began is where it began to follow the log.
	began  int
	wanted []*Query
	// waiting are the windows with strangers.
	waiting []waiting
	read    []refill
}

// waiting is a window with strangers, who are told when all that was committed by then is on the log.
type waiting struct {
	query     *Query
	committed int
}

// refill is a page that was read and has not arrived.
type refill struct {
	query *Query
	page  Page
}

// begin begins a hub where the log ends.
func (w *panes) begin(name int) *paneHub {
	h := &paneHub{name: name, stream: newStream(w.t), base: len(w.log), began: len(w.log)}
	h.stream.Fetch, h.stream.Publishing = func(q *Query) { h.wanted = append(h.wanted, q) }, publishing
	h.stream.Wait = func(q *Query) { h.waiting = append(h.waiting, waiting{q, w.committed}) }
	for i := range w.log {
		h.entries = append(h.entries, &Entry{Position: at(i + 1)})
	}
	return h
}

// restart ends a hub, and begins another in its place.
func (w *panes) restart() {
	i := w.rand.IntN(len(w.hubs))
	for _, p := range w.clients {
		if p.hub == w.hubs[i] {
			w.leave(p)
		}
	}
	w.hubs[i] = w.begin(i)
	w.note("hub %d begins at %d", i, len(w.log))
}

func (h *paneHub) position() broker.Position { return at(len(h.entries)) }

// follow has a hub take the next entry of the log.
func (h *paneHub) follow(w *panes) bool {
	if len(h.entries) == len(w.log) {
		return false
	}
	e := &Entry{Position: at(len(h.entries) + 1)}
	for i := range w.log[len(h.entries)] {
		c, err := h.stream.Resolve(&w.log[len(h.entries)][i], e.Position)
		if err != nil {
			w.t.Fatal(err)
		}
		e.Changes = append(e.Changes, c)
	}
	deliveries := h.stream.Match(e, at(h.base), nil)
	h.entries = append(h.entries, e)
	w.note("hub %d takes @%d", h.name, len(h.entries))
	for _, d := range deliveries {
		w.deliver(h, d)
	}
	for _, p := range w.clients {
		if p.hub == h && p.live {
			p.upto = len(h.entries)
			p.feed().Cursor = e.Position.String()
		}
	}
	return true
}

// deliver tells the members of a window.
func (w *panes) deliver(h *paneHub, d *Delivery) {
	if d == nil {
		return
	}
	for _, p := range w.clients {
		if p.hub != h || !p.live || p.query != d.Query {
			continue
		}
		if d.Strangers != 0 {
			if p.stranger == 0 || p.stranger > d.Strangers || at(p.upto).After(d.Position) {
				continue
			}
			p.stranger = 0
		}
		if d.Fills() && at(p.upto).After(d.Position) || !d.Fills() && !d.Position.After(at(p.upto)) {
			continue
		}
		w.tell(p, d)
	}
}

// greet tells strangers who have waited long enough what their window is.
func (w *panes) greet(h *paneHub) bool {
	if len(h.waiting) == 0 || len(h.entries) < len(w.log) || len(w.unsent) > 0 && w.unsent[0].number < h.waiting[0].committed {
		return false
	}
	q := h.waiting[0].query
	h.waiting = h.waiting[1:]
	w.note("hub %d greets the strangers of %s", h.name, q.ID)
	w.deliver(h, h.stream.Greet(q, h.position()))
	return true
}

// since are the entries after a position, if they are in memory.
func (h *paneHub) since(p broker.Position) ([]*Entry, bool) {
	if int(p.Major) < h.base {
		return nil, false
	}
	return h.entries[p.Major:], true
}

// matching are the rows of the database in a window's order.
func (w *panes) matching(q *Query) []Read {
	h := &hub{t: w.t, stream: q.stream}
	var rows []Read
	for _, r := range w.rows {
		read := h.reads(r)[0]
		read.Values = q.stream.Schema.Values(r.fields())
		if q.Predicate.Match(read.Row) {
			rows = append(rows, read)
		}
	}
	slices.SortFunc(rows, func(a, b Read) int { return q.window.compare(a.Row, b.Row) })
	return rows
}

// list reads so many rows after a place.
func (w *panes) list(h *paneHub, q *Query, from where.Row, limit int) (page Page, mark string) {
	p := Page{At: h.position(), From: from}
	rows := w.matching(q)
	if from != nil {
		rows = slices.DeleteFunc(rows, func(r Read) bool { return q.window.compare(r.Row, from) <= 0 })
	}
	if len(rows) > limit {
		rows = rows[:limit]
		p.Last = rows[limit-1].Row
	}
	for i := range rows { // a version that nobody changes
		version := *rows[i].Version
		rows[i].Version = &version
	}
	p.Rows = rows
	return p, h.stream.Prime(q, rows, h.stream.Reading(p.At))
}

// refill reads a page that a window wants, or lets one arrive.
func (w *panes) refill(h *paneHub) {
	if n := len(h.read); n > 0 && (len(h.wanted) == 0 || w.rand.IntN(2) == 0) {
		i := w.rand.IntN(n)
		r := h.read[i]
		h.read = slices.Delete(h.read, i, i+1)
		since, ok := h.since(r.page.At)
		w.note("hub %d: a page of %d at %d arrives", h.name, len(r.page.Rows), r.page.At.Major)
		if !ok {
			h.stream.Unfilled(r.query)
			return
		}
		w.deliver(h, h.stream.Refill(r.query, r.page, since, h.position()))
		return
	}
	if len(h.wanted) == 0 {
		return
	}
	q := h.wanted[0]
	h.wanted = h.wanted[1:]
	if from, n, ok := h.stream.Wanted(q); ok {
		page, _ := w.list(h, q, from, n)
		h.read = append(h.read, refill{q, page})
		w.note("hub %d reads on after %v", h.name, from)
	}
}
