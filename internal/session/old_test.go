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
// late. The client holds it until the row changes again.
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
