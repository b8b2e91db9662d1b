package session_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/swampline/live/internal/session"
)

// heap is what is in use, when all that is not has been found out.
func heap() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMemory bounds what a parked session costs that follows nothing, and what each subscription costs, of one that follows many things,
// which somebody else follows, too. The second is the difference between sessions that follow many and such that follow few.
func TestMemory(t *testing.T) {
	const sessions, few, more = 300, 8, 72
	ask := func(n int) []byte {
		var b strings.Builder
		for id := range n {
			what := `"router":"things","where":{"box":%d}`
			if id%2 == 1 {
				what = `"channel":"chat:%d"`
			}
			fmt.Fprintf(&b, `{"type":"subscribe","id":%d,`+what+"}\n", id+1, id)
		}
		return []byte(b.String())
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // of more shards, each has few members of a query
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		open := func(n, subscriptions int) int {
			before := heap()
			for i := range n {
				k := &sink{session: h.session(i), world: &sinks{hub: h, moved: make(chan struct{}, 1)}}
				k.Resume()
				if err := k.session.Receive(context.Background(), ask(subscriptions)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			return (heap() - before) / n
		}
		open(1, more)
		idle, some, many := open(sessions, 0), open(sessions, few), open(sessions, more)
		each := (many - some) / (more - few)
		t.Logf("a session costs %d bytes, with %d subscriptions %d, with %d %d: %d each", idle, few, some, more, many, each)
		if idle > 1000 {
			t.Errorf("a session that follows nothing costs %d bytes", idle)
		}
		if session.Size > 512 { // the allocator's next size is 576
			t.Errorf("a session itself has %d bytes", session.Size)
		}
		if each > 250 {
			t.Errorf("a subscription costs %d bytes beyond what those that are the same share", each)
		}
	})
}

// TestAllocations wants that a change which concerns many parked sessions allocates what one allocates that concerns few: nothing for each.
func TestAllocations(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		w := &sinks{hub: h, moved: make(chan struct{}, 1)}
		follow := func(n int) {
			for i := range n {
				k := &sink{session: h.session(i), world: w}
				k.Resume()
				if err := k.session.Receive(t.Context(), []byte(`{"type":"subscribe","id":1,"router":"things"}`)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		one := func() float64 {
			return testing.AllocsPerRun(20, func() {
				h.mustPut(1, 1)
				synctest.Wait()
			})
		}
		follow(10)
		one() // what is kept for the next time
		few := one()
		const more = 1000
		follow(more)
		one()
		many := one()
		t.Logf("a change allocates %.1f times for 10 sessions, %.1f times for %d", few, many, 10+more)
		if many-few > more/50 {
			t.Errorf("%d more sessions allocate %.1f times more", more, many-few)
		}
	})
}
