package livequery

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// pane is one client with one window.
type pane struct {
	name   int
	filter string
	order  []where.Order
	limit  int

	all   *mirror.Client
	hub   *paneHub // nil when it is away
	query *Query
	edge  where.Row
	fills uint64 // of the window, with its own list
	// stranger is its number while it is one.
	stranger uint64
	// tries is how often its window was read for it in vain.
	tries  int
	upto   int
	unsure bool
	live   bool
	// missed is what it was not told since it was live, and reached is up to where; nil while it is told.
	missed  *Missed
	reached int
	// told is how many things the members of its window were told with what it took last as one of them.
	told uint64
	held map[string]struct{}
	old  *Backfill
	page *Page // that was read and is not yet told
	// mark is that of its snapshot, and next that of the page.
	mark, next string
}

func (p *pane) feed() *mirror.Feed { return p.all.Feeds[1] }

func (p *pane) String() string {
	return fmt.Sprintf("client %d (%s by %s, %d)", p.name, p.filter, orderOf(p.order), p.limit)
}

func orderOf(order []where.Order) string {
	var parts []string
	for _, by := range order {
		parts = append(parts, by.String())
	}
	return strings.Join(parts, ",")
}

func (w *panes) disturb(p *pane) {
	p.live = false
	if w.rand.IntN(2) == 0 {
		w.note("%s is slow at %d", p, p.upto)
		p.missed, p.reached = &Missed{}, p.upto
		return
	}
	w.note("%s leaves at %d", p, p.upto)
	w.leave(p)
}

func (w *panes) leave(p *pane) {
	if p.unsure {
		p.hub.stream.Unsure(p.query, -1)
	}
	p.hub.stream.Release(p.query)
	p.hub, p.live, p.unsure, p.held, p.old, p.page, p.missed = nil, false, false, nil, nil, nil, nil
}

// advance brings a client one step on its way.
func (w *panes) advance(p *pane) {
	switch {
	case p.hub == nil && p.all != nil && w.rand.IntN(5) > 0:
		w.resume(p)
	case p.hub == nil:
		p.hub = w.hubs[w.rand.IntN(len(w.hubs))]
		w.acquire(p)
		w.load(p)
	case p.page != nil:
		w.snapshot(p)
	case !p.live && *p.at() < len(p.hub.entries):
		w.replay(p)
	case !p.live:
		w.join(p)
	}
}

func (w *panes) acquire(p *pane) {
	p.query = p.hub.stream.Acquire(Spec{Predicate: p.hub.stream.bind(w.t, p.filter), Order: p.order, Limit: p.limit}, p.hub.position)
}

// load reads the list of a client's window.
func (w *panes) load(p *pane) {
	page, mark := w.list(p.hub, p.query, nil, p.limit+p.query.Spare())
	p.page, p.next = &page, mark
}

// fill gives a window the page that a client read; it is read again where the log has outrun it.
func (w *panes) fill(p *pane) {
	for {
		if since, ok := p.hub.since(p.page.At); ok {
			if d, ok := p.hub.stream.Fill(p.query, *p.page, since, p.hub.position()); ok {
				w.deliver(p.hub, d)
				return
			}
		}
		w.load(p)
	}
}

// snapshot gives a client its first rows.
func (w *panes) snapshot(p *pane) {
	w.fill(p)
	p.fills = p.hub.stream.Fills(p.query)
	rows, edge := p.page.Rows, p.page.Last
	more := edge != nil || len(rows) > p.limit
	if len(rows) >= p.limit {
		rows = rows[:p.limit]
		edge = rows[p.limit-1].Row
	}
	p.all = mirror.New()
	p.all.Feeds[1] = &mirror.Feed{Window: mirror.Window{Limit: p.limit}}
	p.held, p.edge, p.upto = map[string]struct{}{}, edge, int(p.page.At.Major)
	joined := []byte{}
	for i, r := range rows {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = p.query.View.AppendRow(joined, "", r.Key, fmt.Append(nil, *r.Version), r.Values, nil)
		p.held[r.Key] = struct{}{}
	}
	p.page, p.mark = nil, p.next
	frame := wire.Snapshot(wire.Listing{ID: 1, Query: p.query.ID, Cursor: at(p.upto).String(), Order: orderOf(p.order), More: &more, Rows: joined})
	w.note("%s has %s", p, frame.Data)
	if err := p.all.Receive(frame.Data); err != nil {
		w.t.Fatal(err)
	}
}

// resume continues somewhere with the cursor and the bound.
func (w *panes) resume(p *pane) {
	h := w.hubs[w.rand.IntN(len(w.hubs))]
	cursor, _ := broker.ParsePosition(p.feed().Cursor)
	if int(cursor.Major) > len(h.entries) {
		return
	}
	p.hub, p.upto, p.edge, p.fills = h, int(cursor.Major), nil, 0
	w.acquire(p)
	if bound := p.feed().Bound; bound != nil {
		values := make([][]byte, len(bound))
		for i := range bound {
			values[i] = bound[i]
		}
		var err error
		if p.edge, err = h.stream.Schema.Where.RowJSON(p.order, values); err != nil {
			w.t.Fatal(err)
		}
	}
	if !h.stream.Loaded(p.query) && !h.stream.Seed(p.query) {
		w.load(p)
		w.fill(p)
		p.page = nil
	}
	p.feed().Query = p.query.ID
	if p.unsure = !h.stream.Knows(p.query, cursor, p.mark); p.unsure {
		h.stream.Unsure(p.query, 1)
	}
	w.note("%s resumes at %d on hub %d, unsure %v, up to %v", p, p.upto, h.name, p.unsure, p.edge)
}

// replay tells a client that catches up the next entry.
func (w *panes) replay(p *pane) {
	at := p.at()
	e := p.hub.entries[*at]
	if *at < p.hub.base {
		if p.old == nil {
			p.old = p.hub.stream.Backfill()
			remember(w.log, p.old, p.hub.stream, max(p.hub.began, *at-lookback), *at)
		}
		e = &Entry{Position: e.Position}
		for i := range w.log[*at] {
			change, err := p.old.Resolve(p.hub.stream, &w.log[*at][i], e.Position)
			if err != nil {
				w.t.Fatal(err)
			}
			e.Changes = append(e.Changes, change)
		}
	}
	*at++
	knows := Knowledge{Held: p.held, Sure: !p.unsure, Edge: p.edge, Old: p.old}
	if p.missed != nil {
		knows.Edge = nil
	}
	d := p.query.Replay(e, knows)
	if d != nil {
		d.Unreadable = d.Unreadable || d.Unknown
	}
	switch {
	case d != nil && (p.missed == nil || d.Unreadable || d.Bulk):
		if !w.tell(p, d) {
			return
		}
	case d != nil:
		p.missed.Add(d)
	}
	if p.missed == nil {
		p.feed().Cursor = e.Position.String()
	}
}

// at is the number of the entries that a client was told, or that were read for it and not told.
func (p *pane) at() *int {
	if p.missed != nil {
		return &p.reached
	}
	return &p.upto
}

// join makes a client a member, and gives it what the window has beyond its bound.
func (w *panes) join(p *pane) {
	d, ok := p.hub.stream.Align(p.query, p.edge, p.fills, p.hub.position())
	if p.missed != nil {
		d, ok = p.hub.stream.Whole(p.query, p.hub.position())
	}
	if !ok && p.tries < 3 { // rows left it since this client was let in, and what follows has yet to be read
		p.tries++
		w.load(p)
		w.fill(p)
		p.page = nil
		return
	} else if !ok {
		w.resync(p, "the window is not loaded")
		return
	}
	p.tries = 0
	lacks := true
	if p.missed != nil {
		if lacks = d.Told != p.told; lacks {
			p.missed.Tell(d)
		}
		p.upto, p.missed = p.reached, nil
	}
	if lacks {
		p.stranger = d.Stranger
	}
	if p.old.Used() && !p.unsure {
		p.unsure = true
		p.hub.stream.Unsure(p.query, 1)
	}
	w.note("%s is live at %d, lacks something: %v", p, p.upto, lacks)
	if !lacks || w.tell(p, d) {
		p.live, p.held, p.old = true, nil, nil
	}
}

func (w *panes) resync(p *pane, why string) {
	w.resyncs++
	w.note("%s resyncs: %s", p, why)
	if !w.kind.resyncs {
		w.t.Errorf("%s resyncs: %s", p, why)
	}
	w.leave(p)
	p.all = nil
}

// tell hands a delivery to a client.
func (w *panes) tell(p *pane, d *Delivery) bool {
	if d.Bulk || d.Unreadable || d.Unknown && p.unsure {
		w.resync(p, fmt.Sprintf("at %d", d.Position.Major))
		return false
	}
	if d.Empty() {
		return true
	}
	frame := d.Frame(p.query.ID)
	w.note("%s is told %s", p, frame.Data)
	if d.Told > 0 {
		p.told = d.Told
	}
	if p.held != nil {
		d.Keys(func(key string) { p.held[key] = struct{}{} })
	}
	if err := p.all.Receive(frame.Data); err != nil {
		w.t.Fatal(err)
	}
	return true
}

// check compares what a client shows with the database.
func (w *panes) check(p *pane) {
	show := func(keys []string, more bool) string { return fmt.Sprint(keys, " more: ", more) }
	var want, got []string
	rows := w.matching(p.query)
	for _, r := range rows[:min(p.limit, len(rows))] {
		want = append(want, fmt.Sprintf("%s@%d%s", r.Key, *r.Version, r.Values))
	}
	for _, r := range p.feed().Shown() {
		var values []json.RawMessage
		for _, f := range p.query.stream.Schema.Fields {
			values = append(values, r.Fields[f.Name])
		}
		got = append(got, fmt.Sprintf("%s@%s%s", r.Key, r.Version, values))
	}
	if want, got := show(want, len(rows) > p.limit), show(got, p.feed().More); want != got {
		w.t.Errorf("%s shows %s, want %s", p, got, want)
	}
}
