package session_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
)

// greets has the hub's windows greet strangers as a router does.
func (h *hub) greets() {
	h.env.App = windowed{hub: h}
	h.stream.Wait = func(q *livequery.Query) {
		time.AfterFunc(h.stream.Publishing, func() {
			h.engine.Settle(func(at broker.Position) *livequery.Delivery { return h.stream.Greet(q, at) })
		})
	}
}

// Who resumes a window is told it whole when all that the lists had read is on the log, once; who was given the window's list is not. What he
// holds and the window does not have is gone: here a row whose deletion nobody published.
func TestAStrangerToAWindowIsToldItWhole(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.greets()
		for id := range int64(5) {
			h.mustPut(id+1, 0)
		}
		synctest.Wait()
		c, stays := h.client(), h.client()
		feed := c.window(1, 3)
		c.drain()
		c.reconnect()
		h.commit(2, func(thing) *thing { return nil })
		stays.window(1, 3)
		stays.drain()
		c.window(1, 3)
		c.drain()
		stays.told()
		if got := shows(feed); !slices.Contains(got, "2") {
			t.Fatalf("it shows %v, and is to hold the row that is gone", got)
		}
		c.told()
		for _, want := range []string{"change", "", ""} {
			time.Sleep(h.stream.Publishing)
			synctest.Wait()
			c.drain()
			stays.drain()
			if got := c.told(); got != want {
				t.Errorf("the first is told %q, want %q", got, want)
			}
			if got := stays.told(); (got == "") != (want == "change") {
				t.Errorf("the other is told %q", got)
			}
			if got := shows(feed); !slices.Equal(got, []string{"1", "3", "4"}) {
				t.Errorf("the stranger shows %v", got)
			}
			stays.reconnect() // another is a stranger
			stays.window(1, 3)
			stays.drain()
			stays.told()
		}
	})
}

// A stranger that reads nothing while he is greeted is told the window whole when he does, though nothing happened to it.
func TestAStrangerThatIsSlow(t *testing.T) {
	inBubble(t, options{queue: 2000}, func(t *testing.T, h *hub) {
		h.greets()
		for id := range int64(5) {
			h.mustPut(id+1, 0)
		}
		synctest.Wait()
		c := h.client()
		feed := c.window(1, 3)
		c.drain()
		c.reconnect()
		h.commit(2, func(thing) *thing { return nil })
		h.client().window(1, 3)
		c.window(1, 3)
		c.drain()
		for range 100 { // more than the queue takes
			h.mustPut(1, 0)
		}
		synctest.Wait()
		time.Sleep(h.stream.Publishing)
		for range 100 {
			h.mustPut(1, 0)
		}
		synctest.Wait()
		c.drain()
		if got := shows(feed); !slices.Equal(got, []string{"1", "3", "4"}) || len(feed.Resyncs) > 0 {
			t.Errorf("it shows %v after the resyncs %v", got, feed.Resyncs)
		}
	})
}

// A window that is larger than a client's queue reaches a stranger all the same, and then no more.
func TestAStrangerToAWindowThatIsLargerThanHisQueue(t *testing.T) {
	inBubble(t, options{queue: 100}, func(t *testing.T, h *hub) {
		h.greets()
		for id := range int64(5) {
			h.mustPut(id+1, 0)
		}
		synctest.Wait()
		c := h.client()
		feed := c.window(1, 3)
		c.drain()
		c.reconnect()
		h.commit(2, func(thing) *thing { return nil })
		h.client().window(1, 3)
		c.window(1, 3)
		c.drain()
		for step := range 4 { // he may be told with those who came next
			time.Sleep(h.stream.Publishing)
			synctest.Wait()
			c.drain()
			if got := c.told(); step > 1 && got != "" {
				t.Errorf("he is told %q again", got)
			}
			if got := shows(feed); step > 0 && !slices.Equal(got, []string{"1", "3", "4"}) || len(feed.Resyncs) > 0 {
				t.Errorf("he shows %v after the resyncs %v", got, feed.Resyncs)
			}
		}
	})
}
