package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/seed"
)

// disorder says what happens in a round of TestRandom.
type disorder struct {
	name          string
	hubs          int
	reset         bool // the broker loses its log
	trim          bool // history is short
	put           bool // publishers often do not know what the row was
	overtake      bool // writers share rows, and publish in another order than they commit
	fail          bool // the broker cannot be reached, from time to time
	rights        bool // rights change
	window, queue int
}

var disorders = []disorder{
	{name: "quiet", hubs: 2, window: 1000, queue: 1 << 20},
	{name: "slow clients", hubs: 2, window: 1000, queue: 400},
	{name: "small windows", hubs: 2, window: 3, queue: 400},
	{name: "failures", hubs: 2, window: 10, queue: 1000, fail: true},
	{name: "short history", hubs: 2, window: 5, queue: 600, trim: true},
	{name: "resets", hubs: 2, window: 20, queue: 1000, reset: true},
	{name: "puts", hubs: 1, window: 20, queue: 1000, put: true},
	{name: "overtaking", hubs: 1, window: 50, queue: 1000, overtake: true},
	{name: "overtaking puts", hubs: 1, window: 1000, queue: 1000, overtake: true, put: true},
	{name: "everything", hubs: 1, window: 20, queue: 500, reset: true, trim: true, put: true, overtake: true, fail: true},
}

// TestRandom runs writers and clients that do anything they may, at random and at once, and checks the contract at the end:
// each client holds what the database holds, messages are in order and complete, nothing came twice, and nobody was
// resynced without need. What goroutines do between two steps is not in the seed's hand, so a seed repeats a round nearly.
func TestRandom(t *testing.T) {
	budget := 4 * time.Second
	if os.Getenv("LIVE_TEST_LONG") != "" {
		budget = 3 * time.Minute
	} else if testing.Short() {
		budget = time.Second
	}
	first, fixed := seed.First(t)
	for _, d := range disorders {
		t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) {
			rounds := 0
			for until := time.Now().Add(budget / time.Duration(len(disorders))); rounds < 1 || time.Now().Before(until); rounds++ {
				of := first
				if !fixed {
					of += uint64(rounds)
				}
				synctest.Test(t, func(t *testing.T) {
					defer again(t, of)
					newChaos(t, d, of).run()
				})
			}
			t.Logf("%d rounds", rounds)
		})
	}
}

// chaos is one round.
type chaos struct {
	disorder
	t    *testing.T
	seed uint64
	hubs []*hub
	// said counts the messages of each writer on each channel.
	mu   sync.Mutex
	said map[string]int
	// scope is what everybody may see in the end; empty for all.
	scope string
}

const (
	writers = 3
	actors  = 5
	steps   = 60
)

func newChaos(t *testing.T, d disorder, seed uint64) *chaos {
	return &chaos{disorder: d, t: t, seed: seed, said: map[string]int{}}
}

// rand is the source of one goroutine.
func (c *chaos) rand(of int) *rand.Rand { return rand.New(rand.NewPCG(c.seed, uint64(of))) }

func (c *chaos) run() {
	o := options{window: c.window, queue: c.queue}
	if c.trim {
		o.broker = memory.Options{MaxEntries: 40}
	}
	first := newHub(c.t, o)
	c.hubs = append(c.hubs, first)
	for len(c.hubs) < c.disorder.hubs {
		c.hubs = append(c.hubs, newHubOn(c.t, first.broker, first.store, o))
	}
	synctest.Wait()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { c.write(w) })
	}
	var walkers []*walker
	for a := range actors {
		w := &walker{chaos: c, rand: c.rand(100 + a), filters: map[int64]string{}}
		w.client = c.hubs[a%len(c.hubs)].client()
		w.park()
		walkers = append(walkers, w)
		all.Go(w.walk)
	}
	if c.reset || c.fail {
		all.Go(c.disturb)
	}
	all.Wait()
	first.broker.fail(nil)
	time.Sleep(time.Minute)
	for _, w := range walkers {
		w.check()
	}
	for _, h := range c.hubs {
		h.close()
		h.unused(c.t)
		if n := h.env.Queued.Load(); n != 0 {
			c.t.Errorf("%d bytes are counted as queued, and there is no session", n)
		}
	}
}

// pause lets others go on.
func pause(r *rand.Rand) {
	switch r.IntN(4) {
	case 0:
		time.Sleep(time.Duration(r.IntN(50)) * time.Microsecond) // of the bubble
	case 1:
		runtime.Gosched()
	}
}

// write is a writer: it changes rows of its own, or such that others change too, and publishes on channels.
func (c *chaos) write(w int) {
	r := c.rand(w)
	h := c.hubs[w%len(c.hubs)]
	for range steps {
		pause(r)
		if r.IntN(4) == 0 {
			c.say(h, w, "ab"[r.IntN(2):][:1])
			continue
		}
		id := r.Int64N(6)
		if !c.overtake {
			id = id*writers + int64(w)
		}
		change := h.commit(id, func(row thing) *thing {
			if r.IntN(6) == 0 {
				return nil
			}
			if r.IntN(2) == 0 {
				row.box = r.Int64N(4)
			}
			return &row
		})
		if change != nil && c.put && r.IntN(2) == 0 {
			change.Was, change.Changed = nil, nil
			if change.Op != record.Delete {
				change.Op = record.Put
			}
		}
		if c.overtake {
			pause(r)
		}
		for {
			if _, err := h.publish(change); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func (c *chaos) say(h *hub, w int, channel string) {
	c.mu.Lock()
	key := fmt.Sprint(channel, w)
	n := c.said[key]
	c.said[key]++
	c.mu.Unlock()
	for {
		if _, err := h.say(context.Background(), channel, fmt.Sprintf("[%d,%d]", w, n)); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// disturb resets the broker, or makes it fail for a while.
func (c *chaos) disturb() {
	r := c.rand(99)
	b := c.hubs[0].broker
	for range 3 {
		time.Sleep(time.Duration(r.IntN(800)) * time.Microsecond)
		if c.reset && r.IntN(2) == 0 {
			b.Reset()
		}
		if c.fail {
			b.fail(errBroken)
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			b.fail(nil)
		}
	}
}

// walker is a client that does anything a client may.
type walker struct {
	*chaos
	*client
	rand    *rand.Rand
	filters map[int64]string // of the things, and the channels' names
	next    int64
}

var boxes = []string{`{}`, `{"box":0}`, `{"box":1}`, `{"box":{"in":[1,2]}}`, `{"box":{"gt":1}}`, `{"id":{"lt":4}}`, "a", "b"}

func (w *walker) walk() {
	for range steps {
		pause(w.rand)
		switch w.rand.IntN(10) {
		case 0, 1:
			w.begin()
		case 2:
			if w.rand.IntN(2) == 0 {
				w.leave()
			}
		case 3:
			w.move()
		case 4:
			w.client.session.Cursor()
		case 5:
			w.client.send(`{"type":"ping","id":1}`)
		default:
			w.read()
		}
	}
}

// begin subscribes to something.
func (w *walker) begin() {
	if len(w.filters) == 6 {
		return
	}
	w.next++
	w.filters[w.next] = boxes[w.rand.IntN(len(boxes))]
	w.ask(w.next)
}

func (w *walker) ask(id int64) {
	if filter := w.filters[id]; filter[0] == '{' {
		w.client.subscribe(id, filter)
	} else {
		w.client.channel(id, filter)
	}
}

func (w *walker) leave() {
	for id := range w.filters {
		delete(w.filters, id)
		delete(w.client.Feeds, id)
		w.client.send(`{"type":"unsubscribe","id":%d}`, id)
		return
	}
}

// move loses the connection and comes again, perhaps elsewhere, with its cursors.
func (w *walker) move() {
	w.client.hub = w.hubs[w.rand.IntN(len(w.hubs))]
	w.client.close()
	w.client.session = w.client.hub.session(w.rand.IntN(8))
	w.client.outlet = nil
	w.park()
	w.again()
}

// park has the session parked, or not.
func (w *walker) park() {
	if w.rand.IntN(2) == 0 {
		w.client.park()
	}
}

// again subscribes to what the client had, after its cursors.
func (w *walker) again() {
	for id := range w.filters {
		w.ask(id)
	}
}

// read takes what is there, by one way or another.
func (w *walker) read() {
	if w.client.outlet != nil {
		w.client.outlet.allow([]int{0, 1, 3, unlimited}[w.rand.IntN(4)])
		pause(w.rand)
		w.client.take(w.client.outlet.received())
	} else if w.rand.IntN(6) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Microsecond)
		defer cancel()
		if frames, err := w.client.session.Poll(ctx, time.Duration(w.rand.IntN(30))*time.Microsecond); err == nil {
			w.client.take(frames)
		}
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Microsecond)
		defer cancel()
		if frames, err := w.client.session.Next(ctx); err == nil {
			w.client.take(frames)
		}
	}
	w.restore()
}

// restore subscribes again to what was refused because the broker could not be reached.
func (w *walker) restore() {
	for id := range w.filters {
		if w.client.Feeds[id] == nil {
			w.ask(id)
		}
	}
}

// check lets the client come to rest and holds it to the contract.
func (w *walker) check() {
	for range 5 {
		w.client.drain()
		w.restore()
		time.Sleep(5 * time.Second)
	}
	for id, filter := range w.filters {
		feed := w.client.Feeds[id]
		if feed == nil || !feed.Answered {
			w.chaos.t.Errorf("%s has no answer", filter)
			continue
		}
		if filter[0] == '{' {
			visible := filter
			if w.scope != "" {
				visible = `[{"not":[{"not":` + filter + `},{"not":` + w.scope + `}]}]`
			}
			w.client.hub.agrees(w.chaos.t, feed, visible)
		} else {
			w.messages(feed, filter)
		}
		if feed.Ignored > 0 {
			w.chaos.t.Errorf("%s: %d came twice", filter, feed.Ignored)
		}
		for _, reason := range feed.Resyncs {
			if !w.needed(reason) {
				w.chaos.t.Errorf("%s: a resync, %s", filter, reason)
			}
		}
	}
	if w.client.outlet != nil {
		w.client.outlet.idle(w.chaos.t)
	}
	w.client.close()
}

// needed tells whether a resync can be right.
func (w *walker) needed(reason string) bool {
	switch reason {
	case "epoch":
		return w.reset
	case "rights":
		return w.rights
	case "history", "overflow":
		return w.trim
	}
	return w.put || w.overtake
}

// messages checks that those of each writer follow each other, to the last. After a resync some may be missing.
func (w *walker) messages(feed *mirror.Feed, channel string) {
	last := map[int]int{}
	for _, m := range feed.Messages {
		var writer, n int
		fmt.Sscanf(m, "[%d,%d]", &writer, &n)
		before, ok := last[writer]
		if ok && (n <= before || n > before+1 && len(feed.Resyncs) == 0) {
			w.chaos.t.Errorf("channel %s: %d of writer %d comes after %d", channel, n, writer, before)
		}
		last[writer] = n
	}
	for writer, n := range last {
		if said := w.said[fmt.Sprint(channel, writer)]; n != said-1 && !slices.Contains(feed.Resyncs, "epoch") && len(feed.Resyncs) == 0 {
			w.chaos.t.Errorf("channel %s: the last of writer %d is %d of %d", channel, writer, n, said)
		}
	}
}
