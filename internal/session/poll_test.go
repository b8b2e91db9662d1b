package session_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/turnstile"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// round is one poll with a session of its own, as polls are; it returns how long it took.
func (c *client) round(wait time.Duration, subscribe func()) time.Duration {
	c.t.Helper()
	c.reconnect()
	subscribe()
	start := time.Now()
	c.poll(wait)
	c.session.Close()
	return time.Since(start)
}

func TestPoll(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		synctest.Wait()
		c := h.client()
		things := func() { c.subscribe(1, `{}`) }
		expect := func(what string, took, want time.Duration, told string) {
			t.Helper()
			if got := c.told(); took != want || got != told {
				t.Errorf("%s took %v and told %s; want %v and %s", what, took, got, want, told)
			}
			if feed := c.Feeds[1]; feed != nil && feed.Cursor != h.engine.Position().String() {
				t.Errorf("%s: the cursor is %s, the log at %s", what, feed.Cursor, h.engine.Position())
			}
		}
		expect("nothing asked", c.round(0, func() {}), 0, "cursor")
		expect("a first poll", c.round(25*time.Second, things), 0, "snapshot cursor")
		expect("nothing new, without waiting", c.round(0, things), 0, "resumed cursor")
		expect("nothing new", c.round(25*time.Second, things), 25*time.Second, "resumed cursor")
		h.mustPut(2, 1)
		synctest.Wait()
		expect("something is there", c.round(25*time.Second, things), 0, "resumed change cursor")
		time.AfterFunc(7*time.Second, func() { h.mustPut(3, 1) })
		expect("something comes", c.round(25*time.Second, things), 7*time.Second, "resumed change cursor")
		time.AfterFunc(7*time.Second, func() { h.say(context.Background(), "chat", "1") })
		expect("something else comes", c.round(25*time.Second, things), 25*time.Second, "resumed cursor")
		h.agrees(t, c.Feeds[1], `{}`)
		ping := func() { things(); c.send(`{"type":"ping","id":5}`) }
		if took := c.round(25*time.Second, ping); took > 0 || len(c.types) != 3 || c.types[2] != "cursor" {
			t.Errorf("an answer took %v and told %s", took, c.told())
		}
		c.told()
		call := func() {
			things()
			c.send(`{"type":"call","id":6,"router":"things","verb":"put","data":{"id":1,"box":9}}`)
		}
		c.round(0, call)
		h.agrees(t, c.Feeds[1], `{}`)
		c.told()
		gate := make(chan struct{})
		h.onSubscribe = func(wire.Message) error { <-gate; return nil }
		time.AfterFunc(time.Minute, func() { close(gate) })
		expect("a slow answer", c.round(0, things), time.Minute, "resumed cursor")
		h.onSubscribe = func(wire.Message) error { return errors.New("no") }
		c.round(25*time.Second, things)
		if told := c.told(); told != "error cursor" {
			t.Errorf("a refusal told %s", told)
		}
	})
}

// A round ends although more is there than fits: the next ones bring the rest, and no cursor leads past it.
func TestPollsOfALongHistory(t *testing.T) {
	for _, window := range []int{1000, 4} {
		inBubble(t, options{queue: 1000, window: window}, func(t *testing.T, h *hub) {
			c := h.client()
			subscribe := func() { c.subscribe(1, `{}`); c.channel(2, "chat"); c.subscribe(3, `{"box":-1}`) }
			c.round(0, subscribe)
			for i := range int64(300) {
				h.mustPut(i%20, i)
				h.say(t.Context(), "chat", fmt.Sprint(i))
			}
			synctest.Wait()
			rounds := 0
			for ; c.Feeds[1].Cursor != h.engine.Position().String() || len(c.Feeds[2].Messages) < 300; rounds++ {
				// The round before may have been cut short just behind the last message: then there is only a cursor to wait for.
				if took := c.round(25*time.Second, subscribe); took > 0 && len(c.Feeds[2].Messages) < 300 {
					t.Fatalf("a round took %v with %d messages of 300", took, len(c.Feeds[2].Messages))
				}
			}
			h.agrees(t, c.Feeds[1], `{}`)
			if len(c.Feeds[2].Messages) != 300 || rounds < 10 {
				t.Errorf("%d messages in %d rounds", len(c.Feeds[2].Messages), rounds)
			}
			for id, f := range c.Feeds {
				if f.Ignored > 0 {
					t.Errorf("%d: %d came twice", id, f.Ignored)
				}
				resyncs(t, f)
			}
		})
	}
}

// A change wakes all who wait for it; a few at once go on, and all say it with the same bytes.
func TestManyPollsAreWokenAtOnce(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.env.Rounds = turnstile.New(2)
		h.mustPut(1, 1)
		synctest.Wait()
		const polls = 100
		frames := make([][]*transport.Frame, polls)
		var answered, taken atomic.Int64
		var all sync.WaitGroup
		leaving, leave := context.WithCancel(t.Context())
		for i := range polls {
			s, ctx := h.session(i), t.Context()
			if i == 0 {
				ctx = leaving
			}
			if err := s.Receive(ctx, fmt.Appendf(nil, `{"type":"subscribe","id":1,"router":"things","cursor":"%s"}`, h.engine.Position())); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				defer s.Close()
				var err error
				if frames[i], err = s.Poll(ctx, time.Hour); err == nil {
					taken.Add(1)
				}
				answered.Add(1)
			})
		}
		synctest.Wait()
		if n := h.env.Parked.Load(); n != polls || answered.Load() != 0 {
			t.Fatalf("%d polls wait, %d are answered", n, answered.Load())
		}
		for range 2 { // somebody else is at it
			if err := h.env.Rounds.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		h.mustPut(1, 1)
		synctest.Wait()
		if n := h.env.Rounds.Waiting(); n != polls || answered.Load() != 0 {
			t.Errorf("%d of %d wait for their turn, %d did not", n, polls, answered.Load())
		}
		leave()
		synctest.Wait()
		if n := h.env.Rounds.Waiting(); n != polls-1 || answered.Load() != 1 || taken.Load() != 0 {
			t.Errorf("a client has gone: %d wait for their turn, %d are answered", n, answered.Load())
		}
		h.env.Rounds.Leave()
		all.Wait()
		h.env.Rounds.Leave()
		if n := taken.Load(); n != polls-1 {
			t.Fatalf("%d of %d are answered", n, polls-1)
		}
		made := map[string]map[*transport.Frame]bool{"change": {}, "cursor": {}}
		for _, round := range frames[1:] {
			if len(round) != 3 || round[1].Type != "change" || round[2].Type != "cursor" {
				t.Fatalf("a round of %d frames", len(round))
			}
			for _, f := range round[1:] {
				made[f.Type][f] = true
			}
		}
		if len(made["change"]) != 1 || len(made["cursor"]) > len(h.engine.Shards()) {
			t.Errorf("%d polls: %d changes and %d cursors were made", polls, len(made["change"]), len(made["cursor"]))
		}
	})
}

// While rows are loaded anew, a cursor must not lead past what the client was not told.
func TestNoCursorPastAResyncThatIsUnderWay(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		gate := make(chan struct{})
		h.onLoad = func(wire.Message) error { <-gate; return nil }
		h.broker.Append(t.Context(), []byte("unreadable"))
		for i := range int64(5) {
			h.mustPut(i, 1)
		}
		synctest.Wait()
		c.session.Cursor()
		c.drain()
		if len(all.Rows) != 0 {
			t.Fatal("the rows came through the gate")
		}
		c.session.Close() // what was told so far is all that it gets
		close(gate)
		synctest.Wait()
		h.onLoad = nil
		c.session = h.session(3)
		c.subscribe(1, `{}`)
		c.drain()
		h.agrees(t, all, `{}`)
	})
}

func TestNoCursorPastWhatIsNotReadYet(t *testing.T) {
	inBubble(t, options{queue: 500, window: 4}, func(t *testing.T, h *hub) {
		c := h.client()
		feeds := map[int64]*mirror.Feed{1: c.subscribe(1, `{}`), 2: c.subscribe(2, `{"box":-1}`)}
		c.drain()
		for i := range int64(100) {
			h.mustPut(i, 1)
			if i%10 == 0 {
				synctest.Wait()
				c.session.Cursor()
			}
		}
		synctest.Wait()
		for range 3 { // take a part, with cursors, and come again
			c.session.Cursor()
			synctest.Wait()
			frames, err := c.session.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.take(frames)
			c.reconnect()
			c.subscribe(1, `{}`)
			c.subscribe(2, `{"box":-1}`)
			synctest.Wait()
		}
		c.drain()
		h.agrees(t, feeds[1], `{}`)
		for id, f := range feeds {
			if resyncs(t, f); f.Ignored > 0 {
				t.Errorf("%d: %d came twice", id, f.Ignored)
			}
		}
	})
}

// Poll's context may end, or the hub, at the very moment at which the round is collected.
func TestPollThatIsCutShort(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		for i := range 300 {
			c := h.client()
			c.subscribe(1, `{}`)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for range i % 50 {
					runtime.Gosched()
				}
				cancel()
			}()
			frames, err := c.session.Poll(ctx, 0)
			if err != nil && (!errors.Is(err, context.Canceled) || frames != nil) {
				t.Fatalf("%v, %v", frames, err)
			}
			c.take(frames)
			c.session.Close()
		}
	})
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, options{})
			synctest.Wait()
			c := h.client()
			all := c.subscribe(1, `{}`)
			c.drain()
			h.mustPut(1, 1)
			synctest.Wait()
			h.stop()
			c.poll(time.Hour)
			if len(all.Rows) != 1 {
				t.Errorf("what was queued when the hub went is lost: told %s", c.told())
			}
			c.session.Finish(wire.Reconnect(1, nil))
			if err := c.end(); err != transport.ErrClosed || c.types[len(c.types)-1] != "reconnect" {
				t.Errorf("%v; told %s", err, c.told())
			}
			h.close()
		})
	}
}
