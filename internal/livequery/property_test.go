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
)

// world is a database, writers that publish later than they commit, hubs that follow one log, and clients.
type world struct {
	t    *testing.T
	rand *rand.Rand
	kind kind

	rows     map[int64]thing // the database
	versions map[int64]int64
	born     map[int64]int64 // the version of each row's creation
	unsent   []record.Change // committed, not published
	log      [][]record.Change
	hubs     []*node
	clients  []*client
	resyncs  int
	trace    []string // what happened, printed when it ends badly
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// who names a client in the trace.
func (w *world) who(c *client) string {
	return fmt.Sprintf("client %d %s", slices.Index(w.clients, c), c.filter)
}

// kind says how disorderly the world is.
type kind struct {
	name string
	lag  int  // how far a publish may overtake others; 1 keeps the order of the commits
	put  bool // publishers often do not know what the row was
	hubs int
	// fresh says that a key is never used for a second row.
	fresh bool
	// restarts says that hubs end, and others begin where the log ends.
	restarts bool
	// resyncs says whether any may be needed.
	resyncs bool
}

var kinds = []kind{
	{name: "in order", lag: 1, hubs: 1},
	{name: "in order on two hubs", lag: 1, hubs: 2},
	{name: "in order without was", lag: 1, put: true, hubs: 1, resyncs: true},
	{name: "in order on hubs that begin", lag: 1, hubs: 2, restarts: true, resyncs: true},
	{name: "in order without was on hubs that begin", lag: 1, put: true, hubs: 2, restarts: true, resyncs: true},
	{name: "out of order with fresh keys", lag: 4, hubs: 1, fresh: true, resyncs: true},
	{name: "out of order", lag: 4, hubs: 1, resyncs: true},
	{name: "out of order with fresh keys on two hubs", lag: 4, hubs: 2, fresh: true, resyncs: true},
	{name: "out of order on two hubs", lag: 4, hubs: 2, resyncs: true},
	{name: "out of order without was", lag: 4, put: true, hubs: 1, resyncs: true},
}

// publishing is more time than a world takes.
const publishing = time.Hour

// node is a hub: it has resolved a prefix of the log.
type node struct {
	stream  *Stream
	entries []*Entry
	base    int // entries before it are not in memory
}

func (n *node) position() broker.Position { return at(len(n.entries)) }

// client is one client with one subscription, on its way.
type client struct {
	feed   *mirror.Feed
	all    *mirror.Client
	filter string
	node   *node // nil when it is away
	query  *Query
	mark   string // of its snapshot
	unsure bool
	live   bool
	held   map[string]struct{}
	old    *Backfill
	upto   int // the entries that it was told
	list   []thing
	listed int // 0: no snapshot is under way; 1: acquired; 2: read
	listAt int
	// reading is when the list began to be read.
	reading Reading
}

var filters = []string{`{}`, `{"box":0}`, `{"box":1}`, `{"box":{"in":[1,2]}}`, `{"box":{"gt":1}}`, `{"box":2,"id":{"lt":3}}`}

func TestEveryClientEndsWithTheDatabase(t *testing.T) {
	seed, only := seed.First(t)
	rounds, long := 250, time.Duration(0)
	if testing.Short() {
		rounds = 50
	}
	if os.Getenv("LIVE_TEST_LONG") != "" {
		long = 30 * time.Second
	}
	if only {
		rounds, long = 1, 0
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			resyncs, until := 0, time.Now().Add(long)
			played := 0
			for ; played < rounds || time.Now().Before(until); played++ {
				w := &world{t: t, rand: rand.New(rand.NewPCG(seed+uint64(played), 1)), kind: k}
				w.run(30 + w.rand.IntN(120))
				if resyncs += w.resyncs; t.Failed() {
					if only {
						t.Log(strings.Join(w.trace, "\n"))
					}
					t.Fatalf("run it again with LIVE_TEST_SEED=%d", seed+uint64(played))
				}
			}
			if resyncs > 0 && !k.resyncs {
				t.Errorf("%d resyncs, and history reached back to every cursor", resyncs)
			}
			t.Logf("%d resyncs in %d rounds", resyncs, played)
		})
	}
}

// FuzzStream lets the fuzzer choose what happens.
func FuzzStream(f *testing.F) {
	for i := range kinds {
		f.Add(uint8(i), seed.Some(uint64(i), 600))
	}
	f.Fuzz(func(t *testing.T, of uint8, choices []byte) {
		k := kinds[int(of)%len(kinds)]
		w := &world{t: t, rand: rand.New(seed.From(choices)), kind: k}
		w.run(min(len(choices), 300))
		if w.resyncs > 0 && !k.resyncs {
			t.Errorf("%d resyncs, and history reached back to every cursor", w.resyncs)
		}
		if t.Failed() {
			t.Log(k.name + "\n" + strings.Join(w.trace, "\n"))
		}
	})
}

// run plays a number of steps, and lets all come to rest.
func (w *world) run(steps int) {
	w.rows, w.versions, w.born = map[int64]thing{}, map[int64]int64{}, map[int64]int64{}
	for range w.kind.hubs {
		w.hubs = append(w.hubs, w.begin())
	}
	for range 4 {
		w.clients = append(w.clients, &client{filter: filters[w.rand.IntN(len(filters))]})
	}
	for range steps {
		w.step()
	}
	for len(w.unsent) > 0 {
		w.publish()
	}
	for _, n := range w.hubs {
		for n.follow(w) {
		}
	}
	for _, c := range w.clients {
		for c.node == nil || !c.live {
			w.advance(c)
		}
		w.check(c)
	}
}

// begin begins a hub where the log ends.
func (w *world) begin() *node {
	n := &node{stream: newStream(w.t), base: len(w.log)}
	n.stream.Publishing = publishing
	for i := range w.log {
		n.entries = append(n.entries, &Entry{Position: at(i + 1)})
	}
	return n
}

// restart ends a hub, and begins another in its place.
func (w *world) restart() {
	i := w.rand.IntN(len(w.hubs))
	for _, c := range w.clients {
		if c.node == w.hubs[i] {
			w.leave(c)
		}
	}
	w.hubs[i] = w.begin()
	w.note("hub %d begins at %d", i, len(w.log))
}

func (w *world) step() {
	switch w.rand.IntN(10) {
	case 0, 1, 2:
		w.commit()
	case 3, 4:
		if len(w.unsent) > 0 {
			w.publish()
		}
	case 5:
		w.hubs[w.rand.IntN(len(w.hubs))].follow(w)
	case 6:
		if w.kind.restarts && w.rand.IntN(3) == 0 {
			w.restart()
			return
		}
		n := w.hubs[w.rand.IntN(len(w.hubs))]
		n.base = max(n.base, len(n.entries)-w.rand.IntN(12))
		w.note("hub %d has base %d", slices.Index(w.hubs, n), n.base)
	default:
		c := w.clients[w.rand.IntN(len(w.clients))]
		if c.live && w.rand.IntN(4) == 0 {
			w.disturb(c)
		} else {
			w.advance(c)
		}
	}
}

// commit changes the database.
func (w *world) commit() {
	id := 1 + w.rand.Int64N(4)
	was, exists := w.rows[id]
	for !exists && w.kind.fresh && w.versions[id] > 0 {
		id += 4
		was, exists = w.rows[id]
	}
	w.versions[id]++
	now := thing{id, w.rand.Int64N(4), w.versions[id], fmt.Sprint("n", w.rand.IntN(3))}
	if exists && w.rand.IntN(2) == 0 {
		now.box = was.box
	}
	blind := w.kind.put && w.rand.IntN(2) == 0
	switch {
	case exists && w.rand.IntN(6) == 0:
		delete(w.rows, id)
		w.versions[id]-- // a delete carries the version that it saw
		gone := deleted(was)
		if blind {
			gone.Was = nil
		}
		if w.kind.lag > 1 && !w.kind.put && w.rand.IntN(4) == 0 { // it was loaded before others changed it
			*gone.Version = max(*gone.Version-w.rand.Int64N(3), w.born[id])
		}
		w.unsent = append(w.unsent, gone)
		w.note("commit %s", describe(gone))
		return
	case exists && blind || !exists && w.kind.put && w.rand.IntN(3) == 0:
		w.unsent = append(w.unsent, put(now))
	case exists:
		w.unsent = append(w.unsent, updated(was, now))
	default:
		w.unsent = append(w.unsent, created(now))
	}
	if !exists {
		w.born[id] = now.version
	}
	w.rows[id] = now
	w.note("commit %s", describe(w.unsent[len(w.unsent)-1]))
}

// publish appends one or two of the oldest unsent changes to the log.
func (w *world) publish() {
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

func describe(c record.Change) string {
	box := func(f record.Fields) string {
		if f == nil {
			return "-"
		}
		return string(f["box"])
	}
	return fmt.Sprintf("%s %s v%d: %s to %s", c.Op, c.Key, *c.Version, box(c.Was), box(c.Now))
}

// follow has a hub take the next entry of the log.
func (n *node) follow(w *world) bool {
	if len(n.entries) == len(w.log) {
		return false
	}
	e := &Entry{Position: at(len(n.entries) + 1)}
	for i := range w.log[len(n.entries)] {
		c, err := n.stream.Resolve(&w.log[len(n.entries)][i], e.Position)
		if err != nil {
			w.t.Fatal(err)
		}
		e.Changes = append(e.Changes, c)
	}
	deliveries := n.stream.Match(e, at(n.base), nil)
	n.entries = append(n.entries, e)
	w.note("hub %d takes @%d", slices.Index(w.hubs, n), len(n.entries))
	for _, d := range deliveries {
		for _, c := range w.clients {
			if c.node == n && c.live && c.query == d.Query {
				w.tell(c, d, c.unsure)
			}
		}
	}
	for _, c := range w.clients {
		if c.node == n && c.live {
			c.upto = len(n.entries)
			c.feed.Cursor = e.Position.String()
		}
	}
	return true
}

// disturb takes a live client away, or lets it overflow.
func (w *world) disturb(c *client) {
	if w.rand.IntN(2) == 0 {
		c.live = false
		w.note("%s is slow at %d", w.who(c), c.upto)
		return // it reads on from where it is
	}
	w.note("%s leaves at %d", w.who(c), c.upto)
	w.leave(c)
}

func (w *world) leave(c *client) {
	if c.unsure {
		c.node.stream.Unsure(c.query, -1)
	}
	c.node.stream.Release(c.query)
	c.node, c.live, c.unsure, c.held, c.old, c.listed = nil, false, false, nil, nil, 0
}

// advance brings a client one step on its way.
func (w *world) advance(c *client) {
	switch {
	case c.node == nil && c.feed != nil && w.rand.IntN(5) > 0:
		w.resume(c)
	case c.node == nil || c.listed > 0:
		w.snapshot(c)
	case !c.live && c.upto < len(c.node.entries):
		w.replay(c)
	case !c.live:
		if c.old.Used() && !c.unsure {
			c.unsure = true
			c.node.stream.Unsure(c.query, 1)
		}
		c.live, c.held, c.old = true, nil, nil
		w.note("%s is live at %d", w.who(c), c.upto)
	}
}

func (w *world) resume(c *client) {
	n := w.hubs[w.rand.IntN(len(w.hubs))]
	cursor, _ := broker.ParsePosition(c.feed.Cursor)
	if int(cursor.Major) > len(n.entries) {
		return
	}
	c.node, c.upto = n, int(cursor.Major)
	c.query = n.stream.Acquire(Spec{Predicate: n.stream.bind(w.t, c.filter)}, n.position)
	c.feed.Query = c.query.ID
	if c.unsure = !n.stream.Knows(c.query, cursor, c.mark); c.unsure {
		n.stream.Unsure(c.query, 1)
	}
	w.note("%s resumes at %d, unsure %v", w.who(c), c.upto, c.unsure)
}

// snapshot subscribes in three steps, between which anything may happen.
func (w *world) snapshot(c *client) {
	switch c.listed {
	case 0:
		c.node = w.hubs[w.rand.IntN(len(w.hubs))]
		c.query = c.node.stream.Acquire(Spec{Predicate: c.node.stream.bind(w.t, c.filter)}, c.node.position)
		c.listAt = len(c.node.entries)
		c.listed = 1
	case 1:
		c.list, c.reading = nil, c.node.stream.Reading(at(c.listAt))
		for _, r := range w.rows {
			if w.sees(c, r) {
				c.list = append(c.list, r)
			}
		}
		c.listed = 2
		w.note("%s read %v", w.who(c), c.list)
	case 2:
		h := &hub{t: w.t, stream: c.node.stream}
		c.mark = c.node.stream.Prime(c.query, h.reads(c.list...), c.reading)
		c.feed = &mirror.Feed{Answered: true, Query: c.query.ID, Cursor: at(c.listAt).String(), Rows: map[string]mirror.Row{}}
		c.all = mirror.New()
		c.all.Feeds[1] = c.feed
		c.held = map[string]struct{}{}
		for _, r := range c.list {
			(&watcher{feed: c.feed}).hold(r)
			c.held[r.key()] = struct{}{}
		}
		c.upto, c.listed = c.listAt, 0
		w.note("%s has a snapshot at %d", w.who(c), c.listAt)
	}
}

func (w *world) sees(c *client, r thing) bool {
	h := &hub{t: w.t, stream: c.node.stream}
	return c.query.Predicate.Match(h.reads(r)[0].Row)
}

// replay tells a client that catches up the next entry: from memory, or from the broker.
func (w *world) replay(c *client) {
	e := c.node.entries[c.upto]
	if c.upto < c.node.base {
		if c.old == nil {
			c.old = c.node.stream.Backfill()
		}
		e = &Entry{Position: e.Position}
		for i := range w.log[c.upto] {
			change, err := c.old.Resolve(c.node.stream, &w.log[c.upto][i], e.Position)
			if err != nil {
				w.t.Fatal(err)
			}
			e.Changes = append(e.Changes, change)
		}
	}
	c.upto++
	if d := c.query.Replay(e, Knowledge{Held: c.held, Sure: !c.unsure, Old: c.old}); d != nil {
		w.tell(c, d, true)
	}
	if c.node != nil && c.listed == 0 {
		c.feed.Cursor = e.Position.String()
	}
}

// tell hands a delivery to a client; it subscribes anew when nobody knows what happened.
func (w *world) tell(c *client, d *Delivery, unsure bool) {
	if d.Unreadable || d.Unknown && unsure {
		w.resyncs++
		w.note("%s resyncs at %d", w.who(c), d.Position.Major)
		w.leave(c)
		c.feed = nil
		return
	}
	if d.Empty() {
		return
	}
	w.note("%s is told %s", w.who(c), d.Frame(c.query.ID).Data)
	if c.held != nil {
		d.Keys(func(key string) { c.held[key] = struct{}{} })
	}
	if err := c.all.Receive(d.Frame(c.query.ID).Data); err != nil {
		w.t.Fatal(err)
	}
}

// check compares what a client holds with the database.
func (w *world) check(c *client) {
	var rows []thing
	for _, r := range w.rows {
		if w.sees(c, r) {
			rows = append(rows, r)
		}
	}
	(&watcher{Client: c.all, feed: c.feed, query: c.query}).holds(w.t, rows...)
}
