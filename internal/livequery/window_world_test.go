package livequery

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// panes is a world whose clients follow windows: a database, writers that publish later than they commit, hubs that follow one log,
// refills that are read at one moment and arrive at another.
type panes struct {
	t    *testing.T
	rand *rand.Rand
	kind paneKind

	rows     map[int64]thing
	versions map[int64]int64
	unsent   []record.Change
	log      [][]record.Change
	hubs     []*paneHub
	clients  []*pane
	resyncs  int
	trace    []string
}

// paneKind says how disorderly the world is.
type paneKind struct {
	name    string
	lag     int
	put     bool
	hubs    int
	resyncs bool // may be needed
}

var paneKinds = []paneKind{
	{name: "in order", lag: 1, hubs: 1},
	{name: "in order on two hubs", lag: 1, hubs: 2},
	{name: "in order without was", lag: 1, put: true, hubs: 1, resyncs: true},
	{name: "out of order", lag: 3, hubs: 1, resyncs: true},
}

// paneHub is a hub: it has resolved a prefix of the log.
type paneHub struct {
	name    int
	stream  *Stream
	entries []*Entry
	base    int
	wanted  []*Query
	read    []refill
}

// refill is a page that was read and has not arrived.
type refill struct {
	query *Query
	page  Page
}

// pane is one client with one window.
type pane struct {
	name   int
	filter string
	order  []where.Order
	limit  int

	all    *mirror.Client
	hub    *paneHub // nil when it is away
	query  *Query
	edge   where.Row
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

func (w *panes) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func TestWindowsEndWithTheDatabase(t *testing.T) {
	first, only := seed.First(t)
	rounds, long := 40, time.Duration(0)
	if os.Getenv("LIVE_TEST_LONG") != "" {
		long = 30 * time.Second
	}
	if only {
		rounds, long = 1, 0
	}
	for _, k := range paneKinds {
		t.Run(k.name, func(t *testing.T) {
			resyncs, until, played := 0, time.Now().Add(long), 0
			for ; played < rounds || time.Now().Before(until); played++ {
				w := &panes{t: t, rand: rand.New(rand.NewPCG(first+uint64(played), 3)), kind: k}
				w.run(50 + w.rand.IntN(250))
				if resyncs += w.resyncs; t.Failed() {
					if only {
						t.Log(strings.Join(w.trace, "\n"))
					}
					t.Fatalf("run it again with LIVE_TEST_SEED=%d", first+uint64(played))
				}
			}
			t.Logf("%d resyncs in %d rounds", resyncs, played)
		})
	}
}

// FuzzWindows lets the fuzzer choose what happens to windows.
func FuzzWindows(f *testing.F) {
	for i := range paneKinds {
		f.Add(uint8(i), seed.Some(uint64(i), 900))
	}
	f.Fuzz(func(t *testing.T, of uint8, choices []byte) {
		w := &panes{t: t, rand: rand.New(seed.From(choices)), kind: paneKinds[int(of)%len(paneKinds)]}
		w.run(min(len(choices), 400))
		if t.Failed() {
			t.Log(w.kind.name + "\n" + strings.Join(w.trace, "\n"))
		}
	})
}

func (w *panes) run(steps int) {
	w.rows, w.versions = map[int64]thing{}, map[int64]int64{}
	for id := range 10 + w.rand.Int64N(maxPaneRows-10) { // rows of which the log tells nothing
		w.versions[id] = 1
		w.rows[id] = thing{id, w.rand.Int64N(4), 1, "n"}
	}
	for i := range w.kind.hubs {
		h := &paneHub{name: i, stream: newStream(w.t)}
		h.stream.Fetch = func(q *Query) { h.wanted = append(h.wanted, q) }
		w.hubs = append(w.hubs, h)
	}
	orders := []string{"box,id", "-box,id", "id", "-version,id"}
	for i := range 4 {
		order, err := where.ParseOrder(orders[w.rand.IntN(len(orders))])
		if err != nil {
			w.t.Fatal(err)
		}
		p := &pane{name: i, filter: []string{`{}`, `{"box":{"in":[1,2]}}`}[w.rand.IntN(2)], order: order, limit: 1 + w.rand.IntN(4)}
		w.clients = append(w.clients, p)
	}
	for range steps {
		w.step()
	}
	for len(w.unsent) > 0 {
		w.publish()
	}
	for _, h := range w.hubs {
		for h.follow(w) {
		}
	}
	for range 5 {
		for _, p := range w.clients {
			for p.hub == nil || !p.live {
				w.advance(p)
			}
		}
		for _, h := range w.hubs {
			w.settle(h)
		}
	}
	for _, p := range w.clients {
		w.check(p)
	}
}

// settle reads and fills what is wanted.
func (w *panes) settle(h *paneHub) {
	for len(h.wanted) > 0 || len(h.read) > 0 {
		w.refill(h)
	}
}

func (w *panes) step() {
	switch w.rand.IntN(12) {
	case 0, 1, 2:
		w.commit(w.rand.Int64N(maxPaneRows), w.rand.IntN(3) == 0)
		if w.rand.IntN(6) == 0 { // a crowd goes, so that windows run low
			for range 12 {
				w.commit(w.rand.Int64N(maxPaneRows), true)
			}
		}
	case 3, 4:
		if len(w.unsent) > 0 {
			w.publish()
		}
	case 5, 6:
		w.hubs[w.rand.IntN(len(w.hubs))].follow(w)
	case 7:
		h := w.hubs[w.rand.IntN(len(w.hubs))]
		h.base = max(h.base, len(h.entries)-w.rand.IntN(12))
		w.note("hub %d has base %d", h.name, h.base)
	case 8:
		w.refill(w.hubs[w.rand.IntN(len(w.hubs))])
	default:
		p := w.clients[w.rand.IntN(len(w.clients))]
		if p.live && w.rand.IntN(4) == 0 {
			w.disturb(p)
		} else {
			w.advance(p)
		}
	}
}

// maxPaneRows is how many rows there can be.
const maxPaneRows = 60

// commit changes a row of the database, or deletes it if it is there.
func (w *panes) commit(id int64, remove bool) {
	was, exists := w.rows[id]
	blind := w.kind.put && w.rand.IntN(2) == 0
	if exists && remove {
		delete(w.rows, id)
		gone := deleted(was)
		if blind {
			gone.Was = nil
		}
		w.unsent = append(w.unsent, gone)
		w.note("commit %s", describe(gone))
		return
	}
	w.versions[id]++
	now := thing{id, w.rand.Int64N(4), w.versions[id], fmt.Sprint("n", w.rand.IntN(3))}
	c := created(now)
	switch {
	case exists && blind || !exists && w.kind.put && w.rand.IntN(3) == 0:
		c = put(now)
	case exists:
		c = updated(was, now)
	}
	w.rows[id] = now
	w.unsent = append(w.unsent, c)
	w.note("commit %s", describe(c))
}

func (w *panes) publish() {
	var entry []record.Change
	for range 1 + w.rand.IntN(2) {
		if n := min(w.kind.lag, len(w.unsent)); n > 0 {
			i := w.rand.IntN(n)
			entry = append(entry, w.unsent[i])
			w.unsent = slices.Delete(w.unsent, i, i+1)
		}
	}
	w.log = append(w.log, entry)
	for _, c := range entry {
		w.note("publish @%d %s", len(w.log), describe(c))
	}
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
		if d.Fills() && at(p.upto).After(d.Position) || !d.Fills() && !d.Position.After(at(p.upto)) {
			continue
		}
		w.tell(p, d)
	}
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
		read.Values = q.stream.Schema.values(r.fields())
		if q.Predicate.Match(read.Row) {
			rows = append(rows, read)
		}
	}
	slices.SortFunc(rows, func(a, b Read) int { return q.window.compare(a.Row, b.Row) })
	return rows
}

// list reads so many rows after a place.
func (w *panes) list(h *paneHub, q *Query, from where.Row, limit int) Page {
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
	h.stream.Prime(q, rows, p.At)
	return p
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
		h.read = append(h.read, refill{q, w.list(h, q, from, n)})
		w.note("hub %d reads on after %v", h.name, from)
	}
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
	page := w.list(p.hub, p.query, nil, p.limit+p.query.Spare())
	p.page = &page
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
	p.page = nil
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
	p.hub, p.upto, p.edge = h, int(cursor.Major), nil
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
	if p.unsure = !h.stream.PrimedBefore(p.query, cursor); p.unsure {
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
	d, ok := p.hub.stream.Align(p.query, p.edge, p.hub.position())
	if p.missed != nil {
		d, ok = p.hub.stream.Whole(p.query, p.hub.position())
	}
	if !ok {
		w.resync(p, "the window is not loaded")
		return
	}
	lacks := true
	if p.missed != nil {
		if lacks = d.Told != p.told; lacks {
			p.missed.Tell(d)
		}
		p.upto, p.missed = p.reached, nil
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
		want = append(want, fmt.Sprint(r.Key, "@", *r.Version))
	}
	for _, r := range p.feed().Shown() {
		got = append(got, fmt.Sprint(r.Key, "@", string(r.Version)))
	}
	if want, got := show(want, len(rows) > p.limit), show(got, p.feed().More); want != got {
		w.t.Errorf("%s shows %s, want %s", p, got, want)
	}
}

// A member that came by the log lacks a row that the window has from a list that was ahead of it. When the log tells of the row, such a
// member must look again at what is beyond: it may lack others, and would take its last row for the place up to which it lacks none.
func TestTheCreationOfAListedRowIsToldWithWhatIsBeyond(t *testing.T) {
	h := newHub(t)
	order, err := where.ParseOrder("id")
	if err != nil {
		t.Fatal(err)
	}
	q := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 2}, h.position)
	one, two := thing{id: 1, version: 1}, thing{id: 2, version: 1}
	page := Page{Rows: h.reads(one, two), At: h.position()}
	for i, r := range []thing{one, two} {
		page.Rows[i].Values = h.stream.Schema.values(r.fields())
	}
	h.stream.Prime(q, page.Rows, h.position())
	if _, ok := h.stream.Fill(q, page, nil, h.position()); !ok {
		t.Fatal("not filled")
	}
	for _, r := range []thing{two, one} {
		rec := created(r)
		h.log = append(h.log, nil)
		c, err := h.stream.Resolve(&rec, h.position())
		if err != nil {
			t.Fatal(err)
		}
		told := h.stream.Match(&Entry{Position: h.position(), Changes: []*Change{c}}, broker.Position{}, nil)
		if len(told) != 1 || told[0].more == nil || len(told[0].items) != 1 {
			t.Errorf("row %d: told %+v", r.id, told)
		}
	}
}

// Between the wish for more rows and the read of them the log may bring enough: then none is read, and not all without a limit.
func TestAWindowThatIsFullAgainWantsNothing(t *testing.T) {
	h := newHub(t)
	wishes := 0
	h.stream.Fetch = func(*Query) { wishes++ }
	order, err := where.ParseOrder("id")
	if err != nil {
		t.Fatal(err)
	}
	q := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 1}, h.position)
	last := thing{id: 100, version: 1}
	page := Page{Rows: h.reads(last), At: h.position()}
	page.Rows[0].Values = h.stream.Schema.values(last.fields())
	page.Last = page.Rows[0].Row
	if _, ok := h.stream.Fill(q, page, nil, h.position()); !ok || wishes != 1 {
		t.Fatalf("%v, %d wishes", ok, wishes)
	}
	if _, n, ok := h.stream.Wanted(q); !ok || n < 1 {
		t.Errorf("%d rows are wanted, %v", n, ok)
	}
	for i := range int64(16) { // as many as it keeps
		h.publish(created(thing{id: i, version: 1}))
	}
	if _, n, ok := h.stream.Wanted(q); ok {
		t.Errorf("%d rows are wanted", n)
	}
	for i := range int64(16) {
		h.publish(deleted(thing{id: i, version: 1}))
	}
	if _, _, ok := h.stream.Wanted(q); !ok || wishes != 2 {
		t.Errorf("it runs low again: %v, %d wishes", ok, wishes)
	}
}

// A member that came by the log holds, in place of what a list did not show any more, a row that the log has yet to tell of. It must be told
// though the row's place is beyond what the window shows by then.
func TestARowThatAWindowLackedLeaves(t *testing.T) {
	h := newHub(t)
	order, err := where.ParseOrder("id")
	if err != nil {
		t.Fatal(err)
	}
	q := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 1}, h.position)
	gone, shown, above := thing{id: 5, version: 1}, thing{id: 18, version: 1}, thing{id: 2, version: 1}
	page := Page{Rows: h.reads(shown), At: h.position()}
	page.Rows[0].Values = h.stream.Schema.values(shown.fields())
	h.stream.Prime(q, page.Rows, h.position())
	if _, ok := h.stream.Fill(q, page, nil, h.position()); !ok {
		t.Fatal("not filled")
	}
	var told []*Delivery
	for _, c := range []record.Change{created(above), deleted(gone)} {
		h.log = append(h.log, nil)
		change, err := h.stream.Resolve(&c, h.position())
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, h.stream.Match(&Entry{Position: h.position(), Changes: []*Change{change}}, broker.Position{}, nil)...)
	}
	if len(told) != 2 || len(told[1].items) == 0 || told[1].items[0].verdict != Delete || told[1].more == nil {
		t.Fatalf("told %+v", told)
	}
}
