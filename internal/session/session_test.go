package session_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/wire"
)

func TestSnapshotThenChanges(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		synctest.Wait()
		c := h.client()
		one, all, chat := c.subscribe(1, `{"box":1}`), c.subscribe(2, `{}`), c.channel(3, "chat")
		c.drain()
		h.agrees(t, one, `{"box":1}`)
		h.agrees(t, all, `{}`)
		c.told()
		h.mustPut(2, 1)
		h.mustPut(1, 2)
		h.mustPut(1, 3)
		if _, err := h.remove(2); err != nil {
			t.Fatal(err)
		}
		if _, err := h.say(t.Context(), "chat", `"hi"`); err != nil {
			t.Fatal(err)
		}
		c.drain()
		h.agrees(t, one, `{"box":1}`)
		h.agrees(t, all, `{}`)
		if want := []string{"create 2", "leave 1", "delete 2"}; !slices.Equal(one.Ops, want) {
			t.Errorf("told %v, want %v", one.Ops, want)
		}
		if want := []string{"create 2", "update 1", "update 1", "delete 2"}; !slices.Equal(all.Ops, want) {
			t.Errorf("told %v, want %v", all.Ops, want)
		}
		if len(chat.Messages) != 1 || one.Ignored+all.Ignored+chat.Ignored > 0 {
			t.Errorf("messages %v; ignored %d %d %d", chat.Messages, one.Ignored, all.Ignored, chat.Ignored)
		}
	})
}

func TestNoGapAgainstAWriterThatNeverStops(t *testing.T) {
	for _, window := range []int{1000, 8} {
		inBubble(t, options{window: window}, func(t *testing.T, h *hub) {
			var all sync.WaitGroup
			for w := range int64(3) {
				all.Go(func() {
					for i := range int64(700) {
						h.put(10*w+i%7, i%3)
						h.say(context.Background(), "chat", fmt.Sprintf("[%d,%d]", w, i))
					}
				})
			}
			var clients []*client
			for i := range 20 {
				for range i * 20 { // let the writers go on
					<-time.After(0)
				}
				c := h.client()
				clients = append(clients, c)
				c.subscribe(1, `{}`)
				c.subscribe(2, fmt.Sprintf(`{"box":%d}`, i%3))
				c.channel(3, "chat")
				c.drain()
			}
			all.Wait()
			for i, c := range clients {
				c.drain()
				h.agrees(t, c.Feeds[1], `{}`)
				h.agrees(t, c.Feeds[2], fmt.Sprintf(`{"box":%d}`, i%3))
				following(t, c.Feeds[3].Messages)
				if c.Feeds[1].Ignored+c.Feeds[2].Ignored+c.Feeds[3].Ignored > 0 {
					t.Errorf("client %d got what it had", i)
				}
			}
		})
	}
}

// following checks that for each writer the numbers of its messages follow each other, to the last.
func following(t *testing.T, messages []string) {
	t.Helper()
	last := map[int]int{}
	for _, m := range messages {
		var w, i int
		fmt.Sscanf(m, "[%d,%d]", &w, &i)
		if before, ok := last[w]; ok && i != before+1 {
			t.Errorf("writer %d: %d comes after %d", w, i, before)
		}
		last[w] = i
	}
	for w, i := range last {
		if i != 699 {
			t.Errorf("writer %d: the last is %d", w, i)
		}
	}
}

func TestResumeFromEveryCursor(t *testing.T) {
	for _, window := range []int{1000, 5} {
		inBubble(t, options{window: window}, func(t *testing.T, h *hub) {
			c := h.client()
			c.subscribe(1, `{"box":1}`)
			c.channel(2, "chat")
			c.drain()
			var seen []map[int64]*mirror.Feed
			for i := range int64(60) {
				copies := map[int64]*mirror.Feed{}
				for id, f := range c.Feeds {
					copied := *f
					copied.Rows, copied.Messages = maps.Clone(f.Rows), slices.Clone(f.Messages)
					copies[id] = &copied
				}
				seen = append(seen, copies)
				switch i % 4 {
				case 0, 1:
					h.mustPut(i%5, i%3)
				case 2:
					h.say(t.Context(), "chat", fmt.Sprint(i))
				case 3:
					h.remove((i + 1) % 5)
				}
				c.drain()
			}
			for i, feeds := range seen {
				again := h.client()
				again.Feeds = feeds
				again.subscribe(1, `{"box":1}`)
				again.channel(2, "chat")
				again.drain()
				h.agrees(t, feeds[1], `{"box":1}`)
				if !slices.Equal(feeds[2].Messages, c.Feeds[2].Messages) {
					t.Errorf("from %d: messages %v, want %v", i, feeds[2].Messages, c.Feeds[2].Messages)
				}
				if n := len(feeds[1].Resyncs) + len(feeds[2].Resyncs); n > 0 {
					t.Errorf("from %d: %d resyncs", i, n)
				}
			}
		})
	}
}

func TestASlowSubscriptionHoldsUpNobody(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		gate := make(chan struct{})
		h.onSubscribe = func(m wire.Message) error {
			if m.ID == 1 {
				<-gate
			}
			return nil
		}
		c := h.client()
		slow := c.subscribe(1, `{}`)
		quick := c.subscribe(2, `{"box":1}`)
		c.drain()
		h.mustPut(1, 1)
		c.drain()
		h.agrees(t, quick, `{"box":1}`)
		c.session.Cursor()
		c.drain()
		if told := c.told(); told != "snapshot change cursor" {
			t.Errorf("told %s", told)
		}
		close(gate)
		c.drain()
		h.agrees(t, slow, `{}`)
	})
}

// Data names its query and not the subscription, so two subscriptions of one query in one session must not be told of
// different places in the log under one name.
func TestTwoOfAKindInOneSession(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		for i := range int64(5) {
			h.mustPut(i, 1)
		}
		c := h.client()
		early := c.subscribe(1, `{}`)
		c.drain()
		old := *early
		old.Rows = maps.Clone(early.Rows)
		for i := range int64(5) {
			h.mustPut(i, 2)
		}
		c.drain()
		c.Feeds[2] = &old
		second := c.subscribe(2, `{}`) // is behind
		synctest.Wait()
		for i := range int64(5) {
			h.mustPut(i, 3) // goes to the first at once
		}
		synctest.Wait()
		third := c.subscribe(3, `{}`)
		c.drain()
		for _, f := range []*mirror.Feed{early, second, third} {
			h.agrees(t, f, `{}`)
			if f.Ignored > 0 {
				t.Errorf("%d came twice", f.Ignored)
			}
		}
		c.send(`{"type":"unsubscribe","id":1}`)
		delete(c.Feeds, 1)
		h.mustPut(1, 4)
		fourth := c.subscribe(4, `{}`)
		c.drain()
		for _, f := range []*mirror.Feed{second, third, fourth} {
			h.agrees(t, f, `{}`)
		}
	})
}

func TestAResultComesBehindTheChangesThatItCaused(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.subscribe(1, `{}`)
		c.channel(2, "chat")
		c.drain()
		c.told()
		for i := range 50 {
			c.send(`{"type":"call","id":%d,"router":"things","verb":"put","data":{"id":1,"box":%d}}`, 100+i, i)
			c.drain()
			if told := c.told(); told != "change result" {
				t.Fatalf("told %s", told)
			}
			if result := c.Answers[len(c.Answers)-1]; result.Cursor != c.Feeds[1].Cursor {
				t.Fatalf("the result is of %s, the change of %s", result.Cursor, c.Feeds[1].Cursor)
			}
		}
		c.send(`{"type":"publish","id":3,"channel":"chat","data":{}}`)
		c.drain()
		if told := c.told(); told != "message result" {
			t.Errorf("told %s", told)
		}
	})
}

func TestHello(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.session.Hello()
		c.drain()
		if c.told() != "hello" || c.session.ID() == "" {
			t.Error("no greeting")
		}
		if _, err := c.session.Next(canceled()); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := c.session.Poll(canceled(), 0); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestTooManyUnanswered(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		gate := make(chan struct{})
		h.onSubscribe = func(wire.Message) error { <-gate; return nil }
		c := h.client()
		for id := range int64(16) {
			c.subscribe(id+1, `{}`)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.session.Receive(ctx, []byte(`{"type":"call","id":50,"router":"things","verb":"x"}`))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a message over the limit was taken at once: %v", err)
		}
		close(gate)
		c.send(`{"type":"call","id":51,"router":"things","verb":"x"}`)
		c.drain()
		if len(c.Answers) != 1 || c.Answers[0].ID != 51 {
			t.Errorf("answers %+v", c.Answers)
		}
	})
}
