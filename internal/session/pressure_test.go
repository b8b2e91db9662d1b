package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

const bound = 20_000

// A client that reads nothing, whatever it asks for, costs no more than its bound and a little; and whatever it did not take comes
// when it reads again.
func TestFrozenClient(t *testing.T) {
	const rows, little = 20, 64 << 10
	ping := func(i int) string { return `{"type":"ping","id":1}` }
	for name, say := range map[string]func(i int) string{
		"silent": func(int) string { return "" },
		"pings":  ping,
		"wrong":  func(int) string { return "nonsense" },
		"ends":   func(i int) string { return fmt.Sprintf(`{"type":"unsubscribe","id":%d}`, 1000+i) },
		"lists":  func(i int) string { return fmt.Sprintf(`{"type":"subscribe","id":%d,"router":"things"}`, 10+i) },
		"calls":  func(i int) string { return fmt.Sprintf(`{"type":"call","id":%d,"router":"things","verb":"x"}`, 10+i) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{queue: bound, subscriptions: 2000}, func(t *testing.T, h *hub) {
				for i := range int64(rows) {
					h.mustPut(i, 1)
				}
				c := h.client()
				feed := c.subscribe(1, `{}`)
				c.drain()
				frozen, most := make(chan struct{}), int64(0)
				watch := func() { most = max(most, h.env.Queued.Load()) }
				ctx, cancel := context.WithCancel(t.Context())
				go func() { // the transport's reader; its writer came for frames and is stuck with the first
					defer close(frozen)
					for i := range 1000 {
						if text := say(i); text == "" || c.session.Receive(ctx, []byte(text)) != nil {
							return
						}
					}
				}()
				for i := range int64(1000) {
					h.mustPut(i%rows, i)
					synctest.Wait()
					watch()
				}
				if most > bound+little {
					t.Errorf("%d bytes are queued", most)
				}
				select {
				case <-frozen:
					if name != "silent" {
						t.Error("everything was read from a client that reads nothing")
					}
				default:
				}
				go func() { <-frozen; cancel() }()
				for i := 0; i < 1000 && ctx.Err() == nil; i++ {
					c.drain()
				}
				<-frozen
				c.drain()
				h.agrees(t, feed, `{}`)
				resyncs(t, feed)
				c.session.Close()
				if n := h.env.Queued.Load(); n != 0 {
					t.Errorf("%d bytes are queued for nobody", n)
				}
			})
		})
	}
}

// What a transport has taken counts until it comes again: it holds it, and the client does not.
func TestFramesInFlightCount(t *testing.T) {
	inBubble(t, options{queue: bound}, func(t *testing.T, h *hub) {
		c := h.client()
		feed := c.subscribe(1, `{}`)
		c.drain()
		for i := range int64(200) {
			h.mustPut(i, 1)
			synctest.Wait()
			if i == 20 {
				frames, err := c.session.Next(t.Context())
				if err != nil || len(frames) != 21 {
					t.Fatal(len(frames), err)
				}
				c.take(frames)
			}
		}
		if n := h.env.Queued.Load(); n > bound+1000 {
			t.Errorf("%d bytes are held", n)
		}
		c.drain()
		h.agrees(t, feed, `{}`)
	})
}

// Rows that are loaded anew wait as long as the client takes nothing, however often the log is lost. What was queued is dropped each
// time, since rights may have changed meanwhile; so as many are loaded as may be at once, and no more.
func TestReloadsWaitForRoom(t *testing.T) {
	inBubble(t, options{queue: bound, subscriptions: 100}, func(t *testing.T, h *hub) {
		for i := range int64(100) { // a snapshot is half of the bound
			h.mustPut(i, 1)
		}
		synctest.Wait()
		c := h.client()
		for id := range int64(50) {
			c.subscribe(1+id, `{}`)
		}
		c.drain()
		var loads atomic.Int64
		h.onLoad = func(wire.Message) error { loads.Add(1); return nil }
		for i := range int64(10) {
			h.broker.Reset()
			h.mustPut(1, i)
			time.Sleep(time.Minute)
		}
		if n := loads.Load(); n == 0 || n > 10*16 {
			t.Errorf("%d snapshots were loaded for a client that reads nothing", n)
		}
		c.drain()
		for id := range int64(50) {
			h.agrees(t, c.Feeds[1+id], `{}`)
		}
	})
}

func TestTooSlow(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.subscribe(1, `{}`)
		c.drain()
		h.mustPut(1, 1)
		synctest.Wait()
		c.told()
		c.session.TooSlow()
		err := c.end()
		var closed *transport.ClosedError
		if !errors.As(err, &closed) || closed.Code != "too_slow" || c.told() != "reconnect" {
			t.Errorf("ended with %v", err)
		}
		c.session.Close()
		if n := h.env.Queued.Load(); n != 0 {
			t.Errorf("%d bytes are queued", n)
		}
	})
}

// keep holds the hub's sessions to a budget.
func (h *hub) keep(t *testing.T, limit int) {
	h.env.Budget = session.NewBudget(limit)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	t.Cleanup(func() { cancel(); <-over })
	go func() {
		defer close(over)
		h.env.Keep(ctx, func() (open []*session.Session) {
			for s := range h.sessions() {
				open = append(open, s)
			}
			return open
		})
	}()
}

// The queue of one session is well below the budget, as it is in a hub: one that alone, by reading on, is over it may be sent away.
func TestBudgetDropsTheDataOfTheLongestQueues(t *testing.T) {
	inBubble(t, options{queue: 50_000}, func(t *testing.T, h *hub) {
		const limit = 100_000
		h.keep(t, limit)
		var idle []*client
		for i := range 5 {
			c := h.client()
			for id := range int64(i + 1) {
				c.subscribe(1+id, `{}`)
			}
			c.drain()
			idle = append(idle, c)
		}
		most := int64(0)
		for i := range int64(300) {
			h.mustPut(i%10, i)
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			most = max(most, h.env.Queued.Load())
		}
		if most > limit {
			t.Errorf("%d bytes are queued", most)
		}
		if most < limit*3/4 {
			t.Errorf("%d bytes are queued at most: more was dropped than had to be", most)
		}
		for _, c := range idle {
			c.drain()
			for _, feed := range c.Feeds {
				h.agrees(t, feed, `{}`)
				resyncs(t, feed)
			}
		}
	})
}

func TestBudgetEndsThoseWhoHoldMost(t *testing.T) {
	inBubble(t, options{queue: 1 << 20}, func(t *testing.T, h *hub) {
		h.keep(t, 100_000)
		small, data := h.client(), h.client()
		data.subscribe(1, `{}`)
		data.drain()
		var large []*client
		for i := range 3 {
			c := h.client()
			for range 40 * (4 - i) { // answers cannot be dropped; before the first Next nothing waits
				c.send("nonsense")
			}
			large = append(large, c)
		}
		small.send("nonsense")
		for i := range int64(20) {
			h.mustPut(i, 1)
		}
		time.Sleep(time.Minute)
		ended := func(c *client) string {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for {
				frames, err := c.session.Next(ctx)
				var closed *transport.ClosedError
				if errors.As(err, &closed) {
					return closed.Code
				} else if err != nil {
					return ""
				}
				c.take(frames)
			}
		}
		if code := ended(large[0]); code != "overloaded" || large[0].told() != "reconnect" {
			t.Errorf("the largest ended with %q", code)
		}
		for _, c := range []*client{large[2], small, data} {
			if code := ended(c); code != "" {
				t.Errorf("another ended with %q", code)
			}
		}
		h.agrees(t, data.Feeds[1], `{}`)
		if !strings.Contains(data.told(), "change") {
			t.Error("data that was dropped did not come")
		}
	})
}

// A client that goes while its rows are read is nobody's error.
func TestClientThatGoesWhileLoadingIsNotLogged(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		var log strings.Builder
		h.env.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c := h.client()
		h.onContext = func(ctx context.Context) { <-ctx.Done() }
		h.onSubscribe = func(wire.Message) error { return fmt.Errorf("the database: %w", context.Canceled) }
		c.subscribe(1, `{}`)
		synctest.Wait()
		c.session.Close()
		synctest.Wait()
		if log.Len() > 0 {
			t.Error(log.String())
		}
	})
}
