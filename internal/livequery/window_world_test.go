package livequery

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/seed"
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
	unsent   []commit
	// committed is how many changes were.
	committed int
	log       [][]record.Change
	hubs      []*paneHub
	clients   []*pane
	resyncs   int
	trace     []string
}

// commit is a change of the database that is not on the log.
type commit struct {
	number int
	change record.Change
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
			for w.greet(h) {
			}
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
		if h := w.hubs[w.rand.IntN(len(w.hubs))]; w.rand.IntN(2) == 0 && w.greet(h) {
			return
		}
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
		w.committing(gone)
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
	w.committing(c)
}

func (w *panes) committing(c record.Change) {
	w.unsent = append(w.unsent, commit{w.committed, c})
	w.committed++
	w.note("commit %s", describe(c))
}

func (w *panes) publish() {
	var entry []record.Change
	for range 1 + w.rand.IntN(2) {
		if n := min(w.kind.lag, len(w.unsent)); n > 0 {
			i := w.rand.IntN(n)
			entry = append(entry, w.unsent[i].change)
			w.unsent = slices.Delete(w.unsent, i, i+1)
		}
	}
	w.log = append(w.log, entry)
	for _, c := range entry {
		w.note("publish @%d %s", len(w.log), describe(c))
	}
}
