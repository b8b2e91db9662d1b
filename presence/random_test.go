package presence_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/presence"
)

// tab is one tab of a person, as the truth has it.
type tab struct {
	*client
	number int
	place  string // the key of an article, or a channel
	node   *node  // that its stream is on; nil for none
	left   bool   // it went at its own wish
	leftAt time.Time
	maybe  bool // it wished to, and was not told whether that is known
	old    *client
	oldOn  *node
	polls  *polling // nil when it does not
}

// polling is a tab without a stream, which asks every ten seconds, each time a node that is alive.
type polling struct {
	mu    sync.Mutex
	nodes []*node // that it may ask
	state string
	over  bool
	done  chan struct{}
}

func (p *polling) next(r *rand.Rand) (n *node, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || len(p.nodes) == 0 {
		return nil, p.state
	}
	return p.nodes[r.IntN(len(p.nodes))], p.state
}

// change has the next rounds be others.
func (p *polling) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// poll has a tab poll, one node or any of two.
func (x *random) poll(tb *tab) {
	p := &polling{state: "polling", nodes: []*node{x.anywhere(), x.anywhere()}, done: make(chan struct{})}
	x.say("tab %d polls at %d and %d", tb.number, p.nodes[0].number, p.nodes[1].number)
	tb.polls, tb.left, tb.maybe = p, false, false
	c, subscribe, r := tb.client, tb.subscribe, rand.New(rand.NewPCG(x.r.Uint64(), 1))
	go func() {
		defer close(p.done)
		for {
			n, state := p.next(r)
			if n == nil {
				return
			}
			c.poll(n, 0, subscribe(as(tb.number, state)))
			time.Sleep(10 * time.Second)
		}
	}()
}

// stopPolling ends it without a word.
func (tb *tab) stopPolling() {
	if p := tb.polls; p != nil {
		p.change(func() { p.over = true })
		<-p.done
		tb.polls = nil
		tb.client = tb.world.client(tb.name)
	}
}

func (tb *tab) subscribe(presence string) string {
	if strings.HasPrefix(tb.place, "chat") {
		return on(1, tb.place, presence)
	}
	return at(1, tb.place, presence)
}

// random is a world in which anything can happen.
type random struct {
	*world
	r        *rand.Rand
	tabs     []*tab
	watchers []*tab
	alive    []*node
	log      []string
	lost     time.Time // when the log was
	cuts     bool      // nodes are cut off from the log, and come back
	halted   map[*node]func()
}

// Whatever happens to members, nodes and the log: when it is quiet again everybody sees who is there, and nobody else. Under LIVE_TEST_LONG nodes
// are cut off, too, which finds what is rarer.
func TestRandomHistories(t *testing.T) {
	first, only := seed.First(t)
	rounds := 40
	if os.Getenv("LIVE_TEST_LONG") != "" {
		rounds = 2000
	}
	if only {
		rounds = 1
	}
	for round := range rounds {
		s := first + uint64(round)
		if !t.Run(fmt.Sprint("LIVE_TEST_SEED=", s), func(t *testing.T) { history(t, s) }) {
			return
		}
	}
}

func history(t *testing.T, seed uint64) {
	inWorld(t, 3, presence.Options{}, func(t *testing.T, w *world) {
		x := &random{world: w, r: rand.New(rand.NewPCG(seed, 1)), alive: slices.Clone(w.nodes), cuts: os.Getenv("LIVE_TEST_LONG") != "", halted: map[*node]func(){}}
		for i := range 6 {
			x.tabs = append(x.tabs, &tab{client: w.client(fmt.Sprint("p", i/2)), number: i + 1, place: []string{"1", "2", "chat:7"}[i%3]})
		}
		for i := range 3 {
			x.watchers = append(x.watchers, &tab{client: w.client(fmt.Sprint("w", i)), place: []string{"1", "2", "chat:7"}[i]})
		}
		for range 40 {
			x.step()
			if x.r.IntN(4) == 0 {
				pass([]time.Duration{time.Millisecond, 60 * time.Millisecond, 2 * time.Second, 7 * time.Second, 50 * time.Second}[x.r.IntN(5)])
			}
		}
		x.quiet()
		if t.Failed() {
			t.Log(strings.Join(x.log, "\n"))
		}
	})
}

func (x *random) say(format string, args ...any) {
	x.log = append(x.log, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

func (x *random) anywhere() *node { return x.alive[x.r.IntN(len(x.alive))] }

// step does something.
func (x *random) step() {
	tb := x.tabs[x.r.IntN(len(x.tabs))]
	n := x.anywhere()
	switch x.r.IntN(16) {
	case 0, 1, 2:
		x.connect(tb, n)
	case 3:
		x.say("tab %d hangs up", tb.number)
		tb.disconnect()
	case 4:
		if tb.node == nil && tb.polls == nil {
			x.poll(tb)
		}
	case 5, 6:
		x.say("tab %d says something at %d", tb.number, n.number)
		tb.call(n, set(tb.number, fmt.Sprintf(`,"state":{"state":"s%d"},"away":%v`, x.r.IntN(9), x.r.IntN(3) == 0)))
	case 7:
		tb.stopPolling()
		x.say("tab %d leaves at %d", tb.number, n.number)
		there := tb.answered() && time.Since(x.lost) > 5*time.Second // else the wish may have been lost with the log
		if got := tb.call(n, leave(tb.number)); there && strings.Contains(got, `"result"`) {
			tb.left, tb.leftAt = true, time.Now()
		} else {
			tb.maybe = true
		}
	case 8, 9:
		w := x.watchers[x.r.IntN(len(x.watchers))]
		x.say("watcher %s looks at %d", w.name, n.number)
		w.disconnect()
		w.client.stream(n, w.subscribe("{}"))
		w.node = n
	case 10:
		if len(x.alive) > 1 {
			x.say("node %d dies", n.number)
			x.gone(n)
			x.goOn(n)
			n.kill()
		}
	case 11:
		if len(x.alive) < 4 {
			m := x.start()
			x.say("node %d starts", m.number)
			x.alive = append(x.alive, m)
		}
	case 12:
		if n.broker.isHalted() {
			x.goOn(n)
		} else if !n.broker.isCut() {
			x.say("node %d is shown nothing more of the log", n.number)
			x.halted[n] = n.broker.stop()
		}
	case 13:
		if !x.cuts || n.broker.isHalted() {
			pass(time.Second)
		} else if n.broker.isCut() {
			x.say("node %d is back", n.number)
			n.broker.mend()
		} else {
			x.say("node %d is cut off", n.number)
			n.broker.sever()
		}
	case 14:
		if x.r.IntN(4) == 0 {
			x.say("the log is lost")
			x.world.log.Reset()
			x.lost = time.Now()
			for _, tb := range x.tabs { // what was heard just now, some nodes had not yet followed
				tb.maybe = tb.maybe || tb.left && time.Since(tb.leftAt) < time.Second
			}
		}
	case 15:
		if x.r.IntN(4) == 0 {
			x.say("the log is trimmed")
			x.world.log.Trim(0)
		}
	}
}

// goOn has a node follow the log again.
func (x *random) goOn(n *node) {
	if goOn := x.halted[n]; goOn != nil {
		x.say("node %d goes on", n.number)
		delete(x.halted, n)
		goOn()
	}
}

// connect opens a stream; sometimes before the one before is closed, which is then closed later.
func (x *random) connect(tb *tab, n *node) {
	tb.stopPolling()
	tb.dropOld()
	if tb.node != nil && x.r.IntN(2) == 0 {
		x.say("tab %d comes to %d, and is still at %d", tb.number, n.number, tb.node.number)
		tb.old, tb.oldOn = tb.client, tb.node
		tb.client = x.client(tb.name)
	} else {
		x.say("tab %d comes to %d", tb.number, n.number)
		tb.disconnect()
	}
	tb.node, tb.left, tb.maybe = n, false, false
	tb.client.stream(n, tb.subscribe(as(tb.number, "here")))
	pass(time.Millisecond)
}

// there reports whether it is to be seen.
func (tb *tab) there() bool { return (tb.node != nil || tb.polls != nil) && !tb.left }

// answered reports whether the tab is not just coming, for then it came before what it says next, and whether its nodes learn from the log
// what it says elsewhere.
func (tb *tab) answered() bool {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return (tb.node == nil || tb.feeds[1].Answered && tb.node.broker.follows()) && (tb.old == nil || tb.oldOn.broker.follows())
}

// refused reports whether the tab's subscription was, because the log was away.
func (tb *tab) refused() bool { return strings.Contains(tb.people(1), `"code":"unavailable"`) }

func (tb *tab) dropOld() {
	if tb.old != nil {
		tb.old.hangUp()
		tb.old = nil
	}
}

func (tb *tab) disconnect() {
	tb.stopPolling()
	tb.dropOld()
	if tb.node != nil {
		tb.hangUp()
		tb.forgets()
		tb.node = nil
	}
}

// forgets drops the cursor of a tab that leaves a node which may have shown whom it alone knew, and told nobody, or not have known everybody:
// docs/presence.md has the bound.
func (tb *tab) forgets() {
	if n := tb.node; !n.broker.follows() || time.Since(n.born) < 2*time.Second {
		tb.client = n.client(tb.name)
	}
}

// gone takes a node out of the truth: its connections break.
func (x *random) gone(n *node) {
	x.alive = slices.DeleteFunc(x.alive, func(m *node) bool { return m == n })
	for _, tb := range append(slices.Clone(x.tabs), x.watchers...) {
		if tb.node == n {
			tb.client.leave()
			tb.forgets()
			tb.node = nil
		}
		if tb.old != nil && tb.oldOn == n {
			tb.old.leave()
			tb.old = nil
		}
		if p := tb.polls; p != nil {
			p.change(func() {
				p.nodes = slices.DeleteFunc(p.nodes, func(m *node) bool { return m == n })
				if len(p.nodes) == 0 {
					p.nodes = append(p.nodes, x.anywhere())
				}
			})
		}
	}
}

// quiet lets everything come to rest and compares what everybody sees with the truth.
func (x *random) quiet() {
	for _, n := range x.alive {
		x.goOn(n)
		if n.broker.isCut() {
			n.broker.mend()
		}
	}
	for _, w := range x.watchers {
		if w.node == nil {
			w.node = x.anywhere()
			w.client.stream(w.node, w.subscribe("{}"))
		}
	}
	for _, tb := range x.tabs {
		tb.dropOld()
	}
	pass(10 * time.Second)
	for _, tb := range x.tabs {
		if tb.node != nil && (tb.maybe || tb.refused()) {
			x.connect(tb, tb.node)
			tb.dropOld()
		}
	}
	for _, w := range x.watchers {
		if w.refused() {
			w.disconnect()
			w.node = x.anywhere()
			w.client.stream(w.node, w.subscribe("{}"))
		}
	}
	x.say("it is quiet")
	pass(7 * time.Minute) // what polls and is away stays for six leases, and what a dead node left for one more
	for _, tb := range x.tabs {
		if tb.node != nil && !tb.left {
			if got := tb.call(x.anywhere(), set(tb.number, `,"state":{"state":"last"},"away":false`)); !strings.Contains(got, `"result"`) {
				x.t.Errorf("tab %d, at node %d: %s", tb.number, tb.node.number, got)
			}
		}
		if p := tb.polls; p != nil {
			p.change(func() { p.state = "last" })
		}
	}
	pass(25 * time.Second)
	for _, place := range []string{"1", "2", "chat:7"} {
		var want []string
		for _, tb := range x.tabs {
			if tb.place == place && tb.there() {
				want = append(want, tb.name+" last")
			}
		}
		slices.Sort(want)
		for _, tb := range append(slices.Clone(x.tabs), x.watchers...) {
			if tb.place == place && (tb.node != nil || tb.polls != nil) {
				tb.sees(1, strings.Join(want, ", "))
			}
		}
		at := presence.Place{Router: "articles", Key: place}
		if strings.HasPrefix(place, "chat") {
			at = presence.Place{Channel: place}
		}
		for _, n := range x.alive {
			var got []string
			for _, m := range n.presence.At(at) {
				got = append(got, m.Name+" last")
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				x.t.Errorf("node %d knows of %q at %s, want %q", n.number, got, place, want)
			}
		}
	}
	for _, tb := range append(slices.Clone(x.tabs), x.watchers...) {
		tb.disconnect()
	}
}
