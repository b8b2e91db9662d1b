package livequery

import (
	"encoding/json"
	"slices"
	"sort"
	"strconv"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/where"
)

// Window is the first rows of a query in an order: what all subscriptions with the same limit share. It holds these rows
// and some beyond them, so that for a row that leaves the next one is at hand; when that store runs low, it is filled up by one
// query of the database, however many watch. It takes changes as a client does, in the order of the log, and tells what
// they do to the first rows.
//
// A client's state is its rows and its bound: it holds every row of the predicate up to that place in the order. So any hub can
// bring it up to date from its cursor by the predicate and the bound alone, and then tell it what this window has beyond.
// The stream's lock guards all fields but the first ones.
type Window struct {
	order   []where.Order
	compare func(a, b where.Row) int
	limit   int
	list    string // names what other windows are on the same list

	loaded bool
	rows   []*placed // in order; the first limit are the window
	byKey  map[string]*placed
	// bound is the place up to which every row that matches is in rows; nil when no row is beyond.
	bound where.Row
	// from is the place from which on they are; nil from the first. It is set for a page that is being read on.
	from where.Row
	// more is what members were told of rows beyond the window.
	more    bool
	filling bool
	// told numbers what members were told; it begins with 1.
	told uint64
	// fills is how often a list took its place: who joins with another is a stranger.
	fills     uint64
	strangers strangers
}

// placed is a row in a window. It is replaced when the row changes.
type placed struct {
	key     string
	version []byte // as JSON
	number  *int64 // the model's own version
	row     where.Row
	values  []json.RawMessage
	shown   bool // to members
	// paged says that a list returned it and the log has not told it since: the database may have been ahead of the log, and
	// members that came by the log may hold the row as it was, or not at all.
	paged bool
}

func newWindow(s *Schema, order []where.Order, limit int) *Window {
	return &Window{order: order, compare: s.Where.Comparer(order), limit: limit, byKey: map[string]*placed{}, told: 1}
}

// spare is how many rows beyond the window are kept.
func (w *Window) spare() int { return 8 + w.limit/2 }

// edge is the place up to which a member holds every row, after what it was told last; nil when it holds all.
func (w *Window) edge() where.Row {
	if len(w.rows) >= w.limit {
		return w.rows[w.limit-1].row
	}
	return w.bound
}

// reaches reports whether the window knows all rows up to a place, nil for all, or as many as members hold.
func (w *Window) reaches(edge where.Row) bool {
	return w.bound == nil || len(w.rows) >= w.limit || edge != nil && w.compare(edge, w.bound) <= 0
}

// visible are the rows that members hold.
func (w *Window) visible() []*placed { return w.rows[:min(w.limit, len(w.rows))] }

// beyond reports whether rows that match come after the window.
func (w *Window) beyond() bool { return w.bound != nil || len(w.rows) > w.limit }

// covers reports whether a row's place is one of those of which the window knows all rows.
func (w *Window) covers(row where.Row) bool {
	return (w.bound == nil || w.compare(row, w.bound) <= 0) && (w.from == nil || w.compare(row, w.from) > 0)
}

// unload forgets the rows: nobody knows what they are.
func (w *Window) unload() {
	w.loaded, w.rows, w.bound, w.more = false, nil, nil, false
	w.byKey = map[string]*placed{}
}

// rank is a row's place in the order.
func (w *Window) rank(row where.Row) int {
	return sort.Search(len(w.rows), func(i int) bool { return w.compare(w.rows[i].row, row) >= 0 })
}

func (w *Window) insert(p *placed) {
	w.rows = slices.Insert(w.rows, w.rank(p.row), p)
	w.byKey[p.key] = p
}

func (w *Window) remove(p *placed) {
	at := w.rank(p.row)
	for w.rows[at] != p { // only equal keys compare equal
		at++
	}
	w.rows = slices.Delete(w.rows, at, at+1)
	delete(w.byKey, p.key)
}

// take applies one change, as docs/protocol.md has it for clients, and reports whether it meant anything.
func (w *Window) take(c *Change, v Verdict) bool {
	was := w.byKey[c.key]
	if was != nil && older(c.number, was.number) {
		return false
	}
	if was != nil {
		w.remove(was)
	}
	enters := (v == Create || v == Enter || v == Update) && w.covers(c.now)
	if enters {
		w.insert(&placed{key: c.key, version: c.version, number: c.number, row: c.now, values: own(c.values)})
	}
	return was != nil || enters
}

// own copies a row's values: they are parts of an entry of the log, which may be large and is not to stay for as long as the row
// does.
func own(values []json.RawMessage) []json.RawMessage {
	size := 0
	for _, v := range values {
		size += len(v)
	}
	b, copies := make([]byte, 0, size), make([]json.RawMessage, len(values))
	for i, v := range values {
		from := len(b)
		b = append(b, v...)
		copies[i] = b[from:len(b):len(b)]
	}
	return copies
}

// touch is what an entry did to one row of a window.
type touch struct {
	was, now *placed
	change   *Change
	verdict  Verdict
	times    int
	// taken says that the window took one of the changes: it did not hold a newer version.
	taken bool
	// seen says that the row was in the window as the log has it.
	seen bool
}

// visible reports whether the row is in the window now.
func (t *touch) visible(w *Window) bool { return t.now != nil && w.rank(t.now.row) < w.limit }

// shown reports whether it was.
func (t *touch) shown() bool { return t.was != nil && t.was.shown }

// unsure reports whether members may hold the row in another state than the window did: it came from a list, and was not what the
// log says that it was, or not all members were given that list.
func (t *touch) unsure(q *Query) bool {
	if t.was == nil || !t.was.paged {
		return false
	}
	return t.times > 1 || t.change.listed || !slices.Equal(t.change.was, t.was.row) || t.change.list != 0 && !q.stream.holds(q, t.change.list)
}

// apply takes what an entry means to the predicate, and leaves in the delivery what it means to the window.
func (w *Window) apply(d *Delivery) {
	parts := d.parts
	d.parts = nil
	if !w.loaded {
		return // nobody is a member before it was
	}
	if d.Unreadable || d.Bulk {
		w.unload()
		return
	}
	edge := w.edge()
	within := func(row where.Row) bool { return edge == nil || w.compare(row, edge) <= 0 }
	var touched []*touch
	for _, p := range parts {
		t := touchOf(&touched, p.change.key)
		if t.change == nil {
			t.was = w.byKey[p.change.key]
		}
		holds := within
		if held := w.byKey[p.change.key]; held == nil || older(p.change.number, held.number) {
			holds = w.covers // the database was ahead of the log: who came by the log may hold more than the window shows
		}
		taken := w.take(p.change, p.verdict)
		if was, other, _ := p.change.seen(holds); was || other {
			t.seen = true
		}
		t.now, t.taken = w.byKey[p.change.key], t.taken || taken
		if t.change == nil || !older(p.change.number, t.change.number) { // what is late says nothing that members would take
			t.change, t.verdict = p.change, p.verdict
		}
		t.times++
	}
	again := w.tell(d, touched)
	w.trim()
	w.say(d, again)
}

// touchOf returns the touch of a key: entries change few rows.
func touchOf(touched *[]*touch, key string) *touch {
	for _, t := range *touched {
		if t.change.key == key {
			return t
		}
	}
	t := &touch{}
	*touched = append(*touched, t)
	return t
}

// tell finds out what members must be told: of the rows that were touched, of those that were pushed out by them, and of
// those that came in for them. What leaves stands before what enters, and that in the window's order. It reports whether members
// must look again at which rows are beyond, because some may hold others than the window thought.
func (w *Window) tell(d *Delivery, touched []*touch) (again bool) {
	whole := false
	for _, t := range touched {
		if t.visible(w) || !t.shown() && !t.seen {
			continue
		}
		whole = whole || !t.shown() // the database was ahead of the log: who came by the log held it, and lacks another
		op := Leave
		if t.now == nil && t.verdict == Delete {
			op = Delete
		}
		d.items = append(d.items, item{verdict: op, change: t.change})
	}
	for i := w.limit; i < len(w.rows) && i <= w.limit+len(touched); i++ {
		if p := w.rows[i]; p.shown {
			p.shown = false
			d.items = append(d.items, item{verdict: Leave, row: p})
		}
	}
	entered := len(d.items)
	for _, t := range touched {
		if !t.taken || !t.visible(w) {
			continue
		}
		unsure := t.unsure(d.Query)
		again = again || unsure
		t.now.shown = true
		i := t.item(w.rank(t.now.row), w.compare, unsure)
		if i.change == nil || i.change.within(d.Query.View, i.verdict) != Nothing {
			d.items = append(d.items, i)
		}
	}
	for i := max(0, w.limit-len(touched)-1); i < len(w.visible()); i++ {
		if p := w.rows[i]; !p.shown {
			p.shown = true
			d.items = append(d.items, item{verdict: Enter, row: p, rank: i, moved: true})
		}
	}
	if whole {
		d.items, d.whole = w.whole(d.items, entered), true
	}
	slices.SortFunc(d.items[entered:], func(a, b item) int { return a.rank - b.rank })
	return again || whole
}

// whole adds to what enters, from a place in the items on, all other rows of the window. What has changed says so as for who lacks it.
func (w *Window) whole(items []item, entered int) []item {
	told := make(map[*placed]bool, len(w.visible()))
	for n := entered; n < len(items); n++ {
		i := &items[n]
		if told[i.row] = true; i.verdict == Update {
			i.verdict, i.moved = Enter, true
		}
	}
	for i, p := range w.visible() {
		if !told[p] {
			items = append(items, item{verdict: Enter, row: p, rank: i, moved: true})
		}
	}
	return items
}

// item says what happened to a touched row that is in the window now.
func (t *touch) item(rank int, compare func(a, b where.Row) int, unsure bool) item {
	i := item{verdict: Enter, change: t.change, row: t.now, rank: rank, moved: true}
	switch {
	case t.times > 1:
		i.change, i.by = nil, t.change.by // several changes of one row: the row as it is now
	case t.shown() && !unsure && t.verdict == Update:
		i.verdict, i.moved = Update, compare(t.was.row, t.now.row) != 0
	case !t.shown() && t.verdict == Create:
		i.verdict = Create
	}
	return i
}

// trim drops spare rows when they are many.
func (w *Window) trim() {
	keep := w.limit + w.spare()
	if len(w.rows) <= keep+w.spare() {
		return
	}
	for _, p := range w.rows[keep:] {
		delete(w.byKey, p.key)
	}
	clear(w.rows[keep:])
	w.rows = w.rows[:keep]
	w.bound = w.rows[keep-1].row
}

// low reports whether rows must be fetched.
func (w *Window) low() bool {
	return w.loaded && !w.filling && w.bound != nil && len(w.rows) < w.limit+w.spare()/2
}

// say ends a delivery: it adds whether there are rows beyond the window, if that is news or must be said, and numbers it.
func (w *Window) say(d *Delivery, always bool) {
	more := w.beyond()
	if always || more != w.more {
		d.more = &more
	}
	w.more = more
	if d.OfWindow() {
		w.told++
	}
	d.Told = w.told
}

// item is one row of a window's delivery: a change, or a row that the window held.
type item struct {
	verdict Verdict
	change  *Change // nil when the row is told as it is
	row     *placed
	by      json.RawMessage // who made the last of several changes of which the row is told as it is
	rank    int             // its place in the window
	moved   bool            // that it was not at before
}

// append appends the item as it stands in a message.
func (i item) append(b []byte, q *Query) []byte {
	if i.change != nil {
		b = append(b, i.change.fragment(q.View, i.verdict)...)
	} else {
		var whole []json.RawMessage
		if i.verdict == Enter {
			whole = i.row.values
		}
		b = q.View.AppendRow(b, ops[i.verdict], i.row.key, i.row.version, whole, nil)
		b = appendBy(b, i.by)
	}
	if i.moved {
		b = append(b[:len(b)-1], `,"at":`...)
		b = append(strconv.AppendInt(b, int64(i.rank), 10), '}')
	}
	return b
}

// versionOf returns a row's version as JSON.
func versionOf(number *int64, cursor string) []byte { return record.AppendVersion(nil, number, cursor) }
