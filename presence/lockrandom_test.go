package presence_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/presence"
)

// actor is a member of the random test, as it should be.
type actor struct {
	*client
	number int
	node   *node // nil when it is not there
	place  int
	wants  bool
}

// held is a lock, as it should be.
type held struct {
	by    *actor
	token string
}

// drama is a world at which things happen, and what should come of them.
type drama struct {
	*world
	r      *rand.Rand
	tabs   []*actor
	locks  map[int]held
	newest string
	done   []string
}

const dramaPlaces = 2

func (d *drama) note(format string, args ...any) {
	d.done = append(d.done, fmt.Sprintf(format, args...))
}

func (d *drama) alive() (alive []*node) {
	for _, n := range d.nodes {
		if !n.broker.isCut() {
			alive = append(alive, n)
		}
	}
	return alive
}

func (d *drama) anyNode() *node { alive := d.alive(); return alive[d.r.IntN(len(alive))] }

// goes takes a tab out of the model.
func (d *drama) goes(t *actor) {
	if d.locks[t.place].by == t {
		delete(d.locks, t.place)
	}
	t.node, t.wants = nil, false
}

func (t *actor) come(n *node) {
	t.node = n
	t.stream(n, on(1, fmt.Sprintf("chat:%d", t.place), as(t.number, "viewing")))
}

// got takes the outcome of a call that is to give a lock to a tab.
func (d *drama) got(to *actor, got string) {
	d.t.Helper()
	if got <= d.newest || len(got) != 16 {
		d.t.Fatalf("%s: got %s, want a token after %s", d.done, got, d.newest)
	}
	d.newest, to.wants = got, false
	d.locks[to.place] = held{by: to, token: got}
}

// want checks the outcome of a call.
func (d *drama) want(got, want string) {
	d.t.Helper()
	if got != want {
		d.t.Fatalf("%s: got %s, want %s", d.done, got, want)
	}
}

// step has something happen.
func (d *drama) step() {
	t := d.tabs[d.r.IntN(len(d.tabs))]
	if t.node == nil {
		t.place = d.r.IntN(dramaPlaces)
		d.note("%s comes to %d", t.name, t.place)
		t.come(d.anyNode())
		return
	}
	h, is := d.locks[t.place]
	n := d.anyNode()
	switch d.r.IntN(13) {
	case 0:
		d.note("%s crashes", t.name)
		t.hangUp()
		d.goes(t)
		pass(6 * time.Second)
	case 1:
		d.note("%s leaves", t.name)
		d.want(outcome(d.t, strings.ReplaceAll(t.call(n, leave(t.number)), `"id":91`, `"id":92`)), "done")
		t.hangUp()
		d.goes(t)
	case 2:
		d.note("%s moves", t.name)
		t.hangUp()
		t.come(n)
	case 3:
		d.dies(t.node)
	case 4:
		d.note("%s unlocks", t.name)
		if d.want(t.locks(n, "unlock", t.number), "done"); h.by == t {
			delete(d.locks, t.place)
		}
		t.wants = false
	case 5:
		d.note("%s asks", t.name)
		d.want(t.locks(n, "request", t.number), "done")
		t.wants = h.by != t
	case 6:
		d.note("%s takes over", t.name)
		if got := t.locks(n, "takeover", t.number); h.by == t {
			d.want(got, h.token)
		} else {
			d.got(t, got)
		}
	case 7:
		to := d.tabs[d.r.IntN(len(d.tabs))]
		d.note("%s hands over to %s", t.name, to.name)
		got := t.locks(n, "handover", t.number, fmt.Sprintf(`,"to":%q`, member(to.number)))
		switch {
		case to.node == nil || to.place != t.place:
			d.want(got, "not_found")
		case !is:
			d.want(got, "locked")
		case h.by == to:
			d.want(got, h.token)
		case h.by != t:
			d.want(got, "locked by "+h.by.name)
		default:
			d.got(to, got)
		}
	case 8:
		d.race(t.place)
	case 9:
		d.sleeps(t)
	default:
		d.note("%s locks", t.name)
		switch got := t.locks(n, "lock", t.number); {
		case !is:
			d.got(t, got)
		case h.by == t:
			d.want(got, h.token)
		default:
			d.want(got, "locked by "+h.by.name)
		}
	}
}

// dies has a node die, and another one begin; the clients go to those that are there.
func (d *drama) dies(n *node) {
	d.note("node %d dies", n.number)
	n.kill()
	d.start()
	pass(2 * time.Second) // until it was told who was at the node that died: else it takes them for new, who want nothing
	for _, t := range d.tabs {
		if t.node == n {
			t.hangUp()
			t.come(d.anyNode())
		}
	}
}

// sleeps has the node of a tab cut off while another tab takes its lock over, if there is one; then it hears of that.
func (d *drama) sleeps(t *actor) {
	for _, other := range d.tabs {
		if other.node == nil || other.node == t.node || other.place != t.place || d.locks[t.place].by == other {
			continue
		}
		d.note("node %d sleeps while %s takes over", t.node.number, other.name)
		t.node.broker.sever()
		d.got(other, other.locks(other.node, "takeover", other.number))
		pass(5 * time.Second)
		t.node.broker.mend()
		pass(12 * time.Second) // until it tries again
		return
	}
}

// race has all tabs of a place call lock at once.
func (d *drama) race(place int) {
	d.note("all of %d lock", place)
	var here []*actor
	for _, t := range d.tabs {
		if t.node != nil && t.place == place {
			here = append(here, t)
		}
	}
	got := make([]string, len(here))
	var calls sync.WaitGroup
	for i, t := range here {
		n := d.anyNode()
		calls.Go(func() { got[i] = t.locks(n, "lock", t.number) })
	}
	calls.Wait()
	h, is := d.locks[place]
	if !is {
		i := slices.IndexFunc(got, func(s string) bool { return !strings.HasPrefix(s, "locked") })
		if i < 0 {
			d.t.Fatalf("%s: nobody got it: %q", d.done, got)
		}
		d.got(here[i], got[i])
		h = d.locks[place]
	}
	for i, t := range here {
		if t == h.by {
			d.want(got[i], h.token)
		} else {
			d.want(got[i], "locked by "+h.by.name)
		}
	}
}

// check compares what everybody is shown with what should be so.
func (d *drama) check() {
	d.t.Helper()
	for place := range dramaPlaces {
		var want []string
		text, h := "", d.locks[place]
		for _, t := range d.tabs {
			if t.node != nil && t.place == place && t.wants {
				want = append(want, t.name)
			}
		}
		if h.by != nil {
			text = h.by.name + " " + h.token
		}
		if len(want) > 0 {
			text += ", wanted by " + strings.Join(want, " and ")
		}
		for _, t := range d.tabs {
			if t.node != nil && t.place == place && t.holders(1) != text {
				d.t.Fatalf("%s: %s is shown %q, want %q", strings.Join(d.done, "; "), t.name, t.holders(1), text)
			}
		}
		for _, n := range d.alive() {
			for _, t := range d.tabs {
				err := n.presence.CheckLock(d.as(t.name), presence.Place{Channel: fmt.Sprintf("chat:%d", place)}, h.token)
				if (err == nil) != (h.by == t) {
					d.t.Fatalf("%s: %s saves at node %d: %v, has the lock: %v", d.done, t.name, n.number, err, h.by == t)
				}
			}
		}
	}
}

// What happens one after the other has the outcome that it should have, whatever nodes die; and everybody is shown the same.
func TestLocksAtRandom(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := presence.Options{MayTakeOver: func(context.Context, presence.Place) error { return nil }}
			inWorld(t, 3, o, func(t *testing.T, w *world) {
				d := &drama{world: w, r: rand.New(rand.NewPCG(seed, 6)), locks: map[int]held{}}
				for i := range 6 {
					d.tabs = append(d.tabs, &actor{client: w.client(fmt.Sprintf("p%d", i)), number: i + 1})
				}
				for range 60 {
					d.step()
					pass(soon)
					d.check()
				}
				for _, t := range d.tabs {
					if t.node != nil {
						t.hangUp()
					}
				}
			})
		})
	}
}
