package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// counts are what an outlet did since it was asked last.
func (o *outlet) counts() string {
	return fmt.Sprintf("%d offers, %d goroutines", o.offers.Swap(0), o.drained.Swap(0))
}

// rest takes all that came and wants that nobody serves the connection, and that nothing counts as queued.
func (c *client) rest() {
	c.t.Helper()
	c.settle()
	c.outlet.idle(c.t)
	if n := c.hub.env.Queued.Load(); n != 0 {
		c.t.Errorf("%d bytes count as queued, and nothing is", n)
	}
}

// What concerns a parked session is offered by its shard, and no goroutine is needed.
func TestParked(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.parked()
		all := c.subscribe(1, `{}`)
		c.rest()
		c.told()
		c.outlet.counts()
		for i := range int64(5) {
			h.mustPut(i, 1)
			synctest.Wait()
			c.send(`{"type":"ping","id":7}`)
			synctest.Wait()
		}
		c.session.Cursor()
		c.rest()
		if told := c.told(); told != strings.Repeat("change pong ", 5)+"cursor" {
			t.Errorf("told %s", told)
		}
		if counts := c.outlet.counts(); counts != "11 offers, 0 goroutines" {
			t.Errorf("for 11 things to say: %s", counts)
		}
		c.send(`{"type":"call","id":8,"router":"things","verb":"put","data":{"id":1,"box":2}}`)
		c.rest()
		if told := c.told(); told != "change result" {
			t.Errorf("a call is told as %s", told)
		}
		if counts := c.outlet.counts(); counts != "2 offers, 0 goroutines" && counts != "1 offers, 0 goroutines" {
			t.Errorf("a call: %s", counts)
		}
		h.agrees(t, all, `{}`)
	})
}

// What is asked of a parked session needs the goroutine as long as it reads on, and no longer.
func TestASubscriptionBeginsWhileParked(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		for i := range int64(20) {
			h.mustPut(i, 1)
		}
		c := h.parked()
		c.rest()
		c.outlet.counts()
		one := c.subscribe(1, `{}`)
		c.rest()
		if counts := c.outlet.counts(); counts != "0 offers, 1 goroutines" {
			t.Errorf("a subscription: %s", counts)
		}
		two := c.channel(2, "chat")
		c.rest()
		if _, err := h.say(t.Context(), "chat", `1`); err != nil {
			t.Fatal(err)
		}
		c.rest()
		c.reconnect()
		c.subscribe(1, `{}`) // it resumes, and there is nothing to read on
		c.rest()
		h.mustPut(3, 2)
		if _, err := h.say(t.Context(), "chat", `2`); err != nil {
			t.Fatal(err)
		}
		c.rest()
		h.agrees(t, one, `{}`)
		if !slices.Equal(two.Messages, []string{"1"}) {
			t.Errorf("messages %v", two.Messages)
		}
		c.send(`{"type":"unsubscribe","id":1}`)
		c.rest()
		c.told()
		h.mustPut(3, 3)
		c.rest()
		if told := c.told(); told != "" {
			t.Errorf("who follows nothing is told %s", told)
		}
	})
}

// A connection that takes a part keeps the rest, and what comes meanwhile is behind it.
func TestOfferFallsShort(t *testing.T) {
	for room := range 4 {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				c := h.parked()
				all := c.subscribe(1, `{}`)
				c.rest()
				c.told()
				c.outlet.allow(room)
				hold := make(chan struct{})
				c.session.Shard().Do(func() { <-hold })
				synctest.Wait() // so that what comes now is one turn
				for i := range int64(3) {
					h.mustPut(i, 1)
				}
				synctest.Wait()
				close(hold)
				synctest.Wait()
				if room < 3 && h.env.Queued.Load() == 0 {
					t.Error("what the connection did not take does not count as queued")
				}
				c.take(c.outlet.received())
				if told := strings.Fields(c.told()); len(told) != room {
					t.Errorf("a connection with room for %d was told %v", room, told)
				}
				h.mustPut(5, 1)
				h.mustPut(6, 1)
				c.rest()
				h.agrees(t, all, `{}`)
				c.outlet.counts()
				h.mustPut(7, 1)
				c.rest()
				if counts := c.outlet.counts(); counts != "1 offers, 0 goroutines" {
					t.Errorf("it has gone on: %s", counts)
				}
				h.agrees(t, all, `{}`)
			})
		})
	}
}

// A parked client that is stuck overflows as any other, reads on from the log when it takes something again, and may be sent away.
func TestAParkedClientIsStuck(t *testing.T) {
	inBubble(t, options{queue: 3000}, func(t *testing.T, h *hub) {
		c := h.parked()
		all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
		c.rest()
		c.outlet.allow(0)
		for i := range int64(100) {
			h.mustPut(i%10, i)
			if _, err := h.say(t.Context(), "chat", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := h.env.Queued.Load(); n > 2*3000 {
				t.Fatalf("%d bytes are queued", n)
			}
		}
		c.rest()
		h.agrees(t, all, `{}`)
		if len(chat.Messages) != 100 || all.Ignored > 0 || len(all.Resyncs) > 0 {
			t.Errorf("%d messages, %d came twice, resyncs %v", len(chat.Messages), all.Ignored, all.Resyncs)
		}
		c.outlet.allow(0)
		h.mustPut(1, 1)
		h.mustPut(2, 1)
		synctest.Wait()
		c.told()
		c.session.TooSlow()
		c.settle()
		var closed *transport.ClosedError
		if !errors.As(c.outlet.err(), &closed) || closed.Code != "too_slow" {
			t.Errorf("it ended with %v", c.outlet.err())
		}
		if told := c.told(); !strings.HasSuffix(told, "reconnect") {
			t.Errorf("its last words are %s", told)
		}
	})
}

// A client that takes all that it is offered does not overflow, however much comes in one turn of its shard.
func TestAFastParkedClientDoesNotOverflow(t *testing.T) {
	o := &told{counts: map[string]int{}, measured: map[string][]time.Duration{}}
	inBubble(t, options{queue: 2000, observer: o}, func(t *testing.T, h *hub) {
		var clients []*client
		for range 4 {
			c := h.parked()
			c.session.Transport = "parked"
			c.subscribe(1, `{}`)
			c.rest()
			clients = append(clients, c)
		}
		hold := make(chan struct{})
		for _, sh := range h.engine.Shards() {
			sh.Do(func() { <-hold })
		}
		synctest.Wait() // so that what comes now is one turn
		for i := range int64(200) {
			h.mustPut(i%10, i)
		}
		synctest.Wait()
		close(hold)
		for _, c := range clients {
			c.outlet.counts()
			c.rest()
			h.agrees(t, c.Feeds[1], `{}`)
			if n := c.outlet.drained.Load(); n > 0 {
				t.Errorf("%d goroutines were needed", n)
			}
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if n := o.counts[observe.Overflows.String()+" parked"]; n > 0 {
			t.Errorf("%d overflows", n)
		}
		if n := o.counts[observe.Deliveries.String()+" parked"]; n < 4*200 {
			t.Errorf("%d deliveries are counted", n)
		}
	})
}

// Sessions that have the same to say are offered the same batch, once for each shard.
func TestBatchesAreShared(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		shards := len(h.engine.Shards())
		encoded := map[string]int{}
		encode := func(frames []*transport.Frame) []byte {
			var told []string
			for _, f := range frames {
				told = append(told, string(f.Data))
			}
			encoded[strings.Join(told, "\n")]++ // of one shard at a time, see below
			return nil
		}
		var clients []*client
		for i := range 4 * shards {
			c := h.client()
			c.session = h.session(i)
			c.park()
			c.outlet.onOffer = func(b *transport.Batch) { b.Bytes("test", encode) }
			c.subscribe(1, `{"box":1}`)
			if i/shards%2 == 1 {
				c.subscribe(2, `{"id":1}`)
			}
			c.rest()
			clients = append(clients, c)
		}
		for i := range shards {
			clear(encoded)
			hold := make([]chan struct{}, shards)
			for k, sh := range h.engine.Shards() {
				hold[k] = make(chan struct{})
				sh.Do(func() { <-hold[k] })
			}
			synctest.Wait() // so that what comes now is one turn
			h.mustPut(1, int64(1+i%2))
			h.mustPut(2, int64(1+i%2))
			synctest.Wait()
			for k := range shards {
				clear(encoded)
				close(hold[k])
				synctest.Wait()
				if len(encoded) != 2 {
					t.Errorf("%d different things were said, want what two kinds of clients are told", len(encoded))
				}
				for said, n := range encoded {
					if n != 1 {
						t.Errorf("%d times: %s", n, said)
					}
				}
			}
		}
		for _, c := range clients {
			c.rest()
			h.agrees(t, c.Feeds[1], `{"box":1}`)
		}
	})
}

// Sessions that are told the same cursor are told it by one batch.
func TestCursorsAreShared(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		told := map[*transport.Batch]int{}
		var clients []*client
		for range 3 {
			c := h.client()
			c.session = h.session(0)
			c.park()
			c.subscribe(1, `{}`)
			c.rest()
			c.outlet.onOffer = func(b *transport.Batch) { told[b]++ }
			clients = append(clients, c)
		}
		hold := make(chan struct{})
		clients[0].session.Shard().Do(func() { <-hold })
		synctest.Wait() // so that what comes now is one turn
		for _, c := range clients {
			c.session.Cursor()
		}
		close(hold)
		for _, c := range clients {
			c.rest()
			if !strings.HasSuffix(c.told(), " cursor") {
				t.Error("no cursor was told")
			}
		}
		if len(told) != 1 {
			t.Errorf("%d batches for one cursor", len(told))
		}
	})
}

// Whatever ends a parked session or takes back what it was to be told, the client hears of.
func TestTheEndOfAParkedSession(t *testing.T) {
	problem := wire.NewProblem(http.StatusForbidden, "banned", "go")
	for name, c := range map[string]struct {
		end  func(c *client)
		want string
	}{
		"finish": {func(c *client) { c.session.Finish(wire.Reconnect(5, nil)) }, "change reconnect"},
		"expel":  {func(c *client) { c.session.Expel(problem, time.Second) }, "change reconnect"},
		"end":    {func(c *client) { c.session.End(problem, wire.Reconnect(0, problem)) }, "closed reconnect"},
		"leave":  {func(c *client) { c.session.Leave(time.Second) }, "change reconnect"},
		"gone":   {func(c *client) { c.session.Leave(time.Second); c.session.Gone() }, "change reconnect"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				cl := h.parked()
				cl.subscribe(1, `{}`)
				cl.rest()
				cl.told()
				hold := make(chan struct{})
				cl.session.Shard().Do(func() { <-hold })
				synctest.Wait() // so that what comes now is one turn
				h.mustPut(9, 9)
				synctest.Wait()
				cl.session.Shard().Do(func() { c.end(cl) }) // in the turn in which something is queued
				close(hold)
				cl.rest()
				if told := cl.told(); told != c.want {
					t.Errorf("told %s, want %s", told, c.want)
				}
				if ended := cl.outlet.err(); (ended == nil) != (name == "leave") || ended != nil && !errors.Is(ended, transport.ErrClosed) {
					t.Errorf("ended with %v", ended)
				}
			})
		})
	}
}

// After Close a connection is offered nothing, and it is not told that the session is closed: it knows.
func TestAParkedSessionIsClosed(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.parked()
		c.subscribe(1, `{}`)
		c.rest()
		c.outlet.counts()
		hold := make(chan struct{})
		c.session.Shard().Do(func() { <-hold })
		synctest.Wait() // so that what comes now is one turn
		h.mustPut(1, 1)
		synctest.Wait()
		c.close()
		close(hold)
		synctest.Wait()
		if counts := c.outlet.counts(); counts != "0 offers, 0 goroutines" {
			t.Errorf("after the end: %s", counts)
		}

		c = h.parked() // closed in the middle of an Offer
		c.subscribe(1, `{}`)
		c.rest()
		c.outlet.onOffer = func(*transport.Batch) { c.close() }
		h.mustPut(1, 2)
		synctest.Wait()
		h.mustPut(1, 3)
		synctest.Wait()
		if n := h.env.Queued.Load(); n != 0 {
			t.Errorf("%d bytes count as queued", n)
		}
	})
}

// What is queued for a parked session when its rights are evaluated anew is not offered.
func TestAParkedSessionIsRechecked(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		c := h.parked()
		all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
		c.rest()
		recheck := func() {
			t.Helper()
			if _, err := h.engine.Append(context.Background(), record.Entry{Recheck: []string{""}}); err != nil {
				t.Fatal(err)
			}
		}
		recheck() // all may see what they saw
		c.rest()
		h.mustPut(2, 1)
		h.allow(`{"box":1}`)
		recheck()
		c.rest()
		resyncs(t, all, "rights")
		h.mustPut(3, 1)
		h.mustPut(2, 2)
		if _, err := h.say(t.Context(), "chat", `1`); err != nil {
			t.Fatal(err)
		}
		c.rest()
		h.agrees(t, all, `{"box":1}`)
		h.onSubscribe = forbid
		recheck()
		c.rest()
		if all.Ended == nil || chat.Ended == nil {
			t.Error("who may see nothing was not told so")
		}
		if !slices.Equal(chat.Messages, []string{"1"}) {
			t.Errorf("messages %v", chat.Messages)
		}
	})
}

// The log is replaced under parked sessions.
func TestAParkedSessionIsResynced(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		c := h.parked()
		all := c.subscribe(1, `{}`)
		c.rest()
		h.broker.Reset()
		h.mustPut(2, 1)
		c.rest()
		resyncs(t, all, "epoch")
		h.mustPut(3, 1)
		c.rest()
		h.agrees(t, all, `{}`)
	})
}

// Old history needs a goroutine while it is read, and none when it is: not even where the last of it says nothing to the client.
func TestWhoReadOldHistoryIsParked(t *testing.T) {
	inBubble(t, options{window: 30, queue: 1000}, func(t *testing.T, h *hub) {
		c := h.parked()
		c.subscribe(1, `{"box":1}`)
		c.rest()
		c.outlet.leave()
		for i := range int64(20) { // more than is queued at once
			h.mustPut(i, 1)
		}
		for i := range int64(100) {
			h.mustPut(100+i, 5)
		}
		synctest.Wait()
		c.session = h.session(0)
		c.park()
		one := c.subscribe(1, `{"box":1}`)
		c.rest()
		h.mustPut(2, 1)
		c.rest()
		resyncs(t, one)
		h.agrees(t, one, `{"box":1}`)
	})
}

// What the hub's end leaves parked finds out.
func TestTheHubEndsWithParkedSessions(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.parked()
		c.subscribe(1, `{}`)
		c.rest()
		h.stop()
		<-h.gone
		c.session.Finish(wire.Reconnect(0, nil))
		c.settle()
		if err := c.outlet.err(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A long answer is nobody's but the client's: its goroutine makes it ready.
func TestALongAnswerIsNotOffered(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.parked()
		c.rest()
		c.outlet.counts()
		c.session.Tell(&transport.Frame{Type: "status", Data: fmt.Appendf(nil, `{"type":"status","degraded":false,"x":%q}`, strings.Repeat("x", 20<<10))})
		synctest.Wait()
		if counts := c.outlet.counts(); counts != "0 offers, 1 goroutines" {
			t.Errorf("20 KiB: %s", counts)
		}
		c.rest()
	})
}
