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
	began   int // entries before it it never followed
}

func (n *node) position() broker.Position { return at(len(n.entries)) }

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
				if resyncs += w.resyncs; w.resyncs > 0 && !k.resyncs {
					t.Errorf("%d resyncs, and history reached back to every cursor", w.resyncs)
				}
				if t.Failed() {
					if only {
						t.Log(strings.Join(w.trace, "\n"))
					}
					t.Fatalf("run it again with LIVE_TEST_SEED=%d", seed+uint64(played))
				}
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
	n := &node{stream: newStream(w.t), base: len(w.log), began: len(w.log)}
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
