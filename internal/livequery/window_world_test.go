package livequery

import (
	"encoding/json"
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
	name string
	lag  int
	put  bool
	hubs int
	// restarts says that hubs end, and others begin where the log ends.
	restarts bool
	resyncs  bool // may be needed
}

var paneKinds = []paneKind{
	{name: "in order", lag: 1, hubs: 1},
	{name: "in order on two hubs", lag: 1, hubs: 2},
	{name: "in order without was", lag: 1, put: true, hubs: 1, resyncs: true},
	{name: "in order without was on two hubs", lag: 1, put: true, hubs: 2, resyncs: true},
	{name: "in order on hubs that begin", lag: 1, hubs: 2, restarts: true, resyncs: true},
	{name: "in order without was on hubs that begin", lag: 1, put: true, hubs: 2, restarts: true, resyncs: true},
	{name: "out of order", lag: 3, hubs: 1, resyncs: true},
	{name: "out of order on two hubs", lag: 3, hubs: 2, resyncs: true},
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
		w.hubs = append(w.hubs, w.begin(i))
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
		if w.kind.restarts && w.rand.IntN(3) == 0 {
			w.restart()
			return
		}
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
