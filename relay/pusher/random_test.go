package pusher_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/relay/pusher"
)

// Nodes come, end, lose the log and find it again, and the service fails: whatever happens, all that was published arrives, for the first time in
// order, and what comes again comes from somewhere before. Where nobody loses anything, nothing comes again.
func TestRandomNodes(t *testing.T) {
	first, only := seed.First(t)
	for round := range uint64(8) {
		for _, gentle := range []bool{true, false} {
			t.Logf("seed %d", first+round)
			inBubble(t, func(w *world) { w.play(rand.New(rand.NewPCG(first+round, 3)), gentle) })
		}
		if only || t.Failed() {
			return
		}
	}
}

func (w *world) play(random *rand.Rand, gentle bool) {
	var mu sync.Mutex
	broken := rand.New(rand.NewPCG(random.Uint64(), 4))
	failures := map[string]int{} // one after the other, by channel: a relay that ends has only so much time
	w.service.set(func(_ string, events []got) (int, http.Header) {
		mu.Lock()
		defer mu.Unlock()
		if broken.IntN(5) == 0 && failures[events[0].channel] < 3 {
			failures[events[0].channel]++
			return []int{500, 502, 429, -1}[broken.IntN(4)], nil
		}
		failures[events[0].channel] = 0
		return 0, nil
	})
	const channels = 3
	publisher := w.start(func(n *node, o *pusher.Options) {
		relayChat(n, o)
		o.Name = "nobody"
		o.Client = &http.Client{Transport: nowhere{}}
	})
	nodes := []*node{w.start(relayChat)}
	sent := 0
	for range 60 {
		switch n := nodes[random.IntN(len(nodes))]; random.IntN(6) {
		case 0:
			if len(nodes) < 4 {
				nodes = append(nodes, w.start(relayChat))
			}
		case 1:
			if len(nodes) > 1 && !n.broker.isCut() {
				n.end()
				nodes = without(nodes, n)
			}
		case 2:
			if gentle {
				break
			}
			if n.broker.isCut() {
				n.broker.mend()
			} else {
				n.broker.sever()
			}
		default:
			for range random.IntN(40) {
				sent++
				publisher.publish(fmt.Sprintf("chat:%d", sent%channels), sent)
			}
		}
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
	}
	for _, n := range nodes {
		if n.broker.isCut() {
			n.broker.mend()
		}
	}
	w.until(func() bool { return w.complete(sent, channels) })
	time.Sleep(time.Minute)
	synctest.Wait()
	w.judge(sent, channels, gentle)
}

func without(nodes []*node, n *node) (rest []*node) {
	for _, other := range nodes {
		if other != n {
			rest = append(rest, other)
		}
	}
	return rest
}

// complete reports whether all has arrived.
func (w *world) complete(sent, channels int) bool {
	there := map[string]bool{}
	for c := range channels {
		for _, e := range w.service.of(fmt.Sprintf("private-chat-%d", c)) {
			there[e] = true
		}
	}
	return len(there) == sent
}

// judge looks at what each channel was told.
func (w *world) judge(sent, channels int, once bool) {
	w.t.Helper()
	for c := range channels {
		next, again := c, 0
		if c == 0 {
			next = channels
		}
		for _, e := range w.service.of(fmt.Sprintf("private-chat-%d", c)) {
			n, err := strconv.Atoi(strings.TrimPrefix(e, "message "))
			switch {
			case err != nil || n > next:
				w.t.Fatalf("channel %d: %s came when %d was next", c, e, next)
			case n == next:
				next += channels
			default:
				again++
			}
		}
		if next <= sent || once && again > 0 {
			w.t.Errorf("channel %d: up to %d of %d came, %d of them again", c, next-channels, sent, again)
		}
	}
}
