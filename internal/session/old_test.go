package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
)

// oldHistory gives a client, who follows box 1, a row by old history that the stream has forgotten: the row's creation in box 1 was
// published behind the change by which it left, and when the client reads that from the broker, nobody knows any more that it was
// late: what came before is trimmed. The client holds it until the row changes again.
func oldHistory(t *testing.T, h *hub) *client {
	t.Helper()
	c := h.client()
	c.subscribe(1, `{"box":1}`)
	c.drain()
	created := h.commit(7, func(r thing) *thing { r.box = 1; return &r })
	h.mustPut(7, 2)
	synctest.Wait()
	c.session.Cursor()
	c.drain()
	c.session.Close()
	if _, err := h.publish(created); err != nil {
		t.Fatal(err)
	}
	for i := range int64(2000) { // until the stream sweeps what nobody watches
		h.mustPut(100+i, 5)
	}
	synctest.Wait()
	h.broker.Trim(2001) // all up to the client's cursor
	c.session = h.session(0)
	return c
}

// move changes the row, and says only what it is now.
func move(t *testing.T, h *hub) {
	t.Helper()
	moved := h.commit(7, func(r thing) *thing { r.box = 3; return &r })
	moved.Op, moved.Was, moved.Changed = record.Put, nil, nil
	if _, err := h.publish(moved); err != nil {
		t.Fatal(err)
	}
}

func holdsRow7(t *testing.T, feed *mirror.Feed) {
	t.Helper()
	if _, ok := feed.Rows["7"]; !ok || len(feed.Resyncs) > 0 {
		t.Fatalf("the client was not given the row by old history: %v, resyncs %v", feed.Ops, feed.Resyncs)
	}
}

func TestWhoReadOldHistoryIsUnsure(t *testing.T) {
	inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
		c := oldHistory(t, h)
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		holdsRow7(t, feed)
		move(t, h)
		c.drain()
		resyncs(t, feed, "unknown")
		h.agrees(t, feed, `{"box":1}`)
	})
}

// An overflow drops what is queued, and with it the memory of what the subscription was told by old history before.
func TestOverflowOfWhoReadsOldHistory(t *testing.T) {
	inBubble(t, options{window: 30, queue: 1000}, func(t *testing.T, h *hub) {
		c := oldHistory(t, h)
		for i := range int64(25) {
			h.mustPut(i+10, 1)
		}
		synctest.Wait()
		c.channel(2, "chat")
		c.drain()
		feed := c.subscribe(1, `{"box":1}`)
		for feed.Rows["7"].Key == "" { // all up to here it takes
			frames, err := c.session.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.take(frames)
		}
		holdsRow7(t, feed)
		if len(feed.Rows) > 20 {
			t.Fatal("nothing is left for the queue")
		}
		// A round that does not end, because a subscription hangs, queues more and does not take it.
		hangs := make(chan struct{})
		h.onSubscribe = func(m wire.Message) error {
			if m.ID == 3 {
				<-hangs
			}
			return nil
		}
		c.channel(3, "hangs")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if frames, err := c.session.Poll(ctx, 0); err == nil {
			t.Fatalf("a round of %d frames", len(frames))
		}
		cancel()
		h.say(t.Context(), "chat", fmt.Sprintf("%q", strings.Repeat("x", 1000))) // the queue overflows
		synctest.Wait()
		close(hangs)
		c.drain()
		resyncs(t, feed)
		move(t, h)
		c.drain()
		resyncs(t, feed, "unknown")
		h.agrees(t, feed, `{"box":1}`)
	})
}

// straddle has a client read old history from between two changes of row 7 that were published in the other order: the second committed
// one, by which the row came to a box, before his cursor, and the first one, by which it came to another, after it.
func straddle(t *testing.T, h *hub, newer, older int64) *client {
	t.Helper()
	for i := range int64(200) {
		h.mustPut(100+i%50, 5)
	}
	return straddleNow(t, h, newer, older)
}

// straddleNow does it with nothing before.
func straddleNow(t *testing.T, h *hub, newer, older int64) *client {
	t.Helper()
	h.mustPut(7, 4)
	c := h.client()
	c.subscribe(1, `{"box":1}`)
	c.drain()
	late := h.commit(7, func(r thing) *thing { r.box = older; return &r })
	h.mustPut(7, newer)
	synctest.Wait()
	c.session.Cursor()
	c.drain()
	c.session.Close()
	if _, err := h.publish(late); err != nil {
		t.Fatal(err)
	}
	for i := range int64(2000) { // until the stream sweeps what nobody watches
		h.mustPut(1000+i, 5)
	}
	synctest.Wait()
	c.session = h.session(0)
	return c
}

func TestALateChangeInOldHistoryIsNotTakenForNew(t *testing.T) {
	inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
		c := straddle(t, h, 2, 1)
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		h.agrees(t, feed, `{"box":1}`)
		resyncs(t, feed)
	})
}

// A broker that stumbles where reading begins, and is there a moment later, hides nothing either.
func TestALateChangeInOldHistoryOfABrokerThatStumbles(t *testing.T) {
	for _, reading := range []int{1, 2, 3} { // whether the cursor is one of this log; what was before it; what follows
		inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
			c := straddle(t, h, 2, 1)
			h.broker.mu.Lock()
			h.broker.stumble = reading
			h.broker.mu.Unlock()
			feed := c.subscribe(1, `{"box":1}`)
			c.drain()
			time.Sleep(time.Minute)
			c.drain()
			h.agrees(t, feed, `{"box":1}`)
			resyncs(t, feed)
			h.broker.mu.Lock()
			defer h.broker.mu.Unlock()
			if h.broker.stumble > 0 {
				t.Error("nobody has read that often from the broker")
			}
		})
	}
}

// What this hub had passed before it lost a piece of history tells nothing of what comes behind: that the row was changed before the
// cursor it knows from where it began anew.
func TestALateChangeInOldHistoryBehindHistoryThatWasMissed(t *testing.T) {
	for _, passed := range []int64{0, 1, 70, 300} {
		inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
			for i := range passed {
				h.mustPut(100+i%50, 5)
			}
			synctest.Wait()
			h.broker.fail(errBroken)
			for range 50 {
				if _, err := h.broker.Broker.Append(t.Context(), []byte(`{"v":1}`)); err != nil {
					t.Fatal(err)
				}
			}
			h.broker.Trim(5)
			h.broker.fail(nil)
			time.Sleep(time.Minute)
			c := straddleNow(t, h, 2, 1)
			feed := c.subscribe(1, `{"box":1}`)
			c.drain()
			h.agrees(t, feed, `{"box":1}`)
			resyncs(t, feed)
		})
	}
}

// Who holds the row as it is must be told when it goes, though the late change says that it was somewhere else.
func TestALateChangeInOldHistoryDoesNotHideWhatIsHeld(t *testing.T) {
	inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
		c := straddle(t, h, 1, 2)
		move(t, h)
		for i := range int64(100) {
			h.mustPut(100+i%50, 5)
		}
		feed := c.subscribe(1, `{"box":1}`)
		if _, ok := feed.Rows["7"]; !ok {
			t.Fatal("the client does not hold the row")
		}
		c.drain()
		h.agrees(t, feed, `{"box":1}`)
		resyncs(t, feed)
	})
}

// Where the broker does not hold what was before the cursor any more, old history is read from the cursor.
func TestOldHistoryBehindAHistoryThatWasCutShort(t *testing.T) {
	inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
		c := straddle(t, h, 1, 2)
		h.broker.Trim(2001) // all up to his cursor
		h.mustPut(8, 1)
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		h.agrees(t, feed, `{"box":1}`)
		resyncs(t, feed)
	})
}

// A row that goes and comes again with its key: the words of its new life come in the other order, the second one before the client's cursor.
// Nobody can tell by versions alone what is late there, so the client looks.
func TestALateCreationInOldHistoryOfARowThatWasGone(t *testing.T) {
	inBubble(t, options{window: 30}, func(t *testing.T, h *hub) {
		h.mustPut(7, 4)
		c := h.client()
		c.subscribe(1, `{"box":1}`)
		c.drain()
		if _, err := h.remove(7); err != nil {
			t.Fatal(err)
		}
		created := h.commit(7, func(r thing) *thing { r.box = 1; return &r })
		h.mustPut(7, 2)
		c.drain()
		c.session.Cursor()
		c.drain()
		c.session.Close()
		if _, err := h.publish(created); err != nil {
			t.Fatal(err)
		}
		for i := range int64(2000) {
			h.mustPut(1000+i, 5)
		}
		synctest.Wait()
		c.session = h.session(0)
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		h.agrees(t, feed, `{"box":1}`)
	})
}
