package session_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/seed"
)

// schedules are the worlds in which a schedule is played: those of TestRandom, and such in which rights change.
var schedules = append([]disorder{
	{name: "rights", hubs: 2, window: 20, queue: 500, rights: true},
	{name: "rights and a short history", hubs: 2, window: 3, queue: 300, rights: true, trim: true},
}, disorders...)

// TestSchedules plays one step after the other, so that a schedule does nearly the same each time: what goroutines do between two steps is
// theirs, unless the schedule waits for them.
func TestSchedules(t *testing.T) {
	first, only := seed.First(t)
	rounds, long := uint64(20), time.Duration(0)
	if os.Getenv("LIVE_TEST_LONG") != "" {
		long = 20 * time.Second
	}
	if only {
		rounds, long = 1, 0
	}
	for i, d := range schedules {
		t.Run(d.name, func(t *testing.T) {
			n, until := uint64(0), time.Now().Add(long)
			for ; n < rounds || time.Now().Before(until); n++ {
				synctest.Test(t, func(t *testing.T) {
					defer again(t, first+n)
					play(t, d, seed.Some(first+n+uint64(i)<<32, 500))
				})
			}
			t.Logf("%d rounds", n)
		})
	}
}

// again says how a round that failed is played again. Its bubble ends the test.
func again(t *testing.T, seed uint64) {
	if t.Failed() {
		t.Logf("run it again with LIVE_TEST_SEED=%d", seed)
	}
}

// FuzzSchedule lets the fuzzer choose the steps.
func FuzzSchedule(f *testing.F) {
	for i := range schedules {
		f.Add(uint8(i), seed.Some(uint64(i), 500))
	}
	f.Fuzz(func(t *testing.T, of uint8, choices []byte) {
		d := schedules[int(of)%len(schedules)]
		synctest.Test(t, func(t *testing.T) { play(t, d, choices) })
		if t.Failed() {
			t.Log(d.name)
		}
	})
}

// game is a world in which one thing happens after the other.
type game struct {
	*chaos
	rand    *rand.Rand
	walkers []*walker
	unsent  []*record.Change
	// passed is how many changes overtook the oldest that is unsent.
	passed int
}

// play plays a schedule and holds everybody to the contract at its end.
func play(t *testing.T, d disorder, steps []byte) {
	choices := seed.From(steps)
	g := &game{chaos: newChaos(t, d, 0), rand: rand.New(choices)}
	o := options{window: d.window, queue: d.queue}
	if d.trim {
		o.broker = memory.Options{MaxEntries: 40}
	}
	g.hubs = append(g.hubs, newHub(t, o))
	for len(g.hubs) < d.hubs {
		g.hubs = append(g.hubs, newHubOn(t, g.hubs[0].broker, g.hubs[0].store, o))
	}
	synctest.Wait()
	for i := range 3 {
		w := &walker{chaos: g.chaos, rand: g.rand, filters: map[int64]string{}}
		w.client = g.hubs[i%len(g.hubs)].client()
		w.park()
		g.walkers = append(g.walkers, w)
	}
	for played := 0; choices.Left() > 0 && played < 400; played++ {
		g.step()
	}
	g.hubs[0].broker.fail(nil)
	for len(g.unsent) > 0 {
		g.publish()
	}
	time.Sleep(time.Minute)
	for _, w := range g.walkers {
		w.check()
	}
	for _, h := range g.hubs {
		h.close()
		h.unused(t)
	}
}

func (g *game) step() {
	h := g.hubs[g.rand.IntN(len(g.hubs))]
	w := g.walkers[g.rand.IntN(len(g.walkers))]
	switch g.rand.IntN(20) {
	case 0, 1, 2, 3:
		g.write()
	case 4, 5:
		g.publish()
	case 6:
		channel := "ab"[g.rand.IntN(2):][:1]
		if g.hubs[0].broker.state() == nil {
			g.say(h, 0, channel)
		}
	case 7, 8:
		w.begin()
	case 9:
		w.leave()
	case 10:
		w.move()
	case 11:
		w.client.session.Cursor()
	case 12, 13, 14:
		w.read()
	case 15:
		w.client.drain()
	case 16, 17:
		synctest.Wait()
	case 18:
		time.Sleep(time.Duration(1+g.rand.IntN(3)) * time.Second)
	default:
		g.disturb()
	}
}

// write changes a row; what is committed is published at once or later, in the order of the commits unless writers may overtake.
func (g *game) write() {
	remove, stays := g.rand.IntN(6) == 0, g.rand.IntN(2) == 0
	box := g.rand.Int64N(4)
	c := g.hubs[0].commit(g.rand.Int64N(8), func(row thing) *thing {
		if remove {
			return nil
		}
		if !stays {
			row.box = box
		}
		return &row
	})
	if c == nil {
		return
	}
	if g.put && g.rand.IntN(2) == 0 {
		c.Was, c.Changed = nil, nil
		if c.Op != record.Delete {
			c.Op = record.Put
		}
	}
	g.unsent = append(g.unsent, c)
	if g.rand.IntN(3) > 0 {
		g.publish()
	}
}

// publish appends what was committed first, or soon after.
func (g *game) publish() {
	if len(g.unsent) == 0 || g.hubs[0].broker.state() != nil {
		return
	}
	i := 0
	if g.overtake && g.passed < 5 && g.followed() { // who comes much too late is not known to
		i = g.rand.IntN(min(3, len(g.unsent)))
	}
	if g.passed++; i == 0 {
		g.passed = 0
	}
	c := g.unsent[i]
	g.unsent = append(g.unsent[:i:i], g.unsent[i+1:]...)
	if _, err := g.hubs[g.rand.IntN(len(g.hubs))].publish(c); err != nil {
		g.t.Fatal(err)
	}
}

// A change whose successor came by on the log before a hub began to follow it is taken for new (docs/architecture.md, "When a cursor is not
// enough"). A hub that finds the log cut or replaced begins at its end. So where that happens, nobody overtakes while a hub
// has yet to see what there is, and nothing is left unsent when it happens.

// followed reports whether a change may overtake another.
func (g *game) followed() bool {
	if !g.reset && !g.trim {
		return true
	}
	head, err := g.hubs[0].broker.Head(g.t.Context())
	return err == nil && !slices.ContainsFunc(g.hubs, func(h *hub) bool { return h.engine.Position() != head })
}

// settle publishes everything, where changes overtake, and reports whether it could.
func (g *game) settle() bool {
	for g.overtake && len(g.unsent) > 0 {
		if g.hubs[0].broker.state() != nil {
			return false
		}
		g.publish()
	}
	return true
}

// disturb does what belongs to the disorder.
func (g *game) disturb() {
	b := g.hubs[0].broker
	var can []func()
	if g.trim {
		can = append(can, func() {
			if g.settle() {
				b.Trim(g.rand.IntN(10))
			}
		})
	}
	if g.reset {
		can = append(can, func() {
			if g.settle() {
				b.Reset()
			}
		})
	}
	if g.fail {
		can = append(can, func() { b.fail(errBroken) }, func() { b.fail(nil) })
	}
	if g.rights {
		can = append(can, g.recheck)
	}
	if len(can) > 0 {
		can[g.rand.IntN(len(can))]()
	}
}

// recheck changes, or does not change, what everybody may see, and says so on the log.
func (g *game) recheck() {
	scopes := []string{`{}`, `{"box":{"lt":2}}`, `{"box":{"gt":0}}`, ""}
	if scope := scopes[g.rand.IntN(len(scopes))]; scope != "" {
		g.scope = scope
		for _, h := range g.hubs {
			h.allow(scope)
		}
	}
	refused := g.rand.IntN(6) == 0
	synctest.Wait() // nobody looks at the hooks
	for _, h := range g.hubs {
		if h.onSubscribe = nil; refused {
			h.onSubscribe = forbid
		}
	}
	say := func() {
		if _, err := g.hubs[0].engine.Append(context.Background(), record.Entry{Recheck: []string{""}}); err != nil {
			g.t.Fatal(err)
		}
	}
	say()
	if refused { // for a moment
		synctest.Wait()
		for _, h := range g.hubs {
			h.onSubscribe = nil
		}
		say()
	}
}
