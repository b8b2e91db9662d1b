package session_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
)

// resyncs checks that a feed had exactly these.
func resyncs(t *testing.T, f *mirror.Feed, want ...string) {
	t.Helper()
	if !slices.Equal(f.Resyncs, want) {
		t.Errorf("resyncs %v, want %v", f.Resyncs, want)
	}
	f.Resyncs = nil
}

func TestHistoryGone(t *testing.T) {
	inBubble(t, options{window: 5}, func(t *testing.T, h *hub) {
		c := h.client()
		all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
		c.drain()
		c.session.Close()
		for i := range int64(20) {
			h.mustPut(i, 1)
		}
		h.broker.Trim(10)
		synctest.Wait()
		c.reconnect()
		c.told()
		c.subscribe(1, `{}`)
		c.channel(2, "chat")
		c.drain()
		resyncs(t, all, "history")
		resyncs(t, chat, "history")
		h.agrees(t, all, `{}`)
		h.mustPut(1, 7)
		c.drain()
		h.agrees(t, all, `{}`)
		resyncs(t, all)
		if told := c.told(); told != "resync resync change" {
			t.Errorf("told %s", told)
		}
	})
}

func TestAnotherEpoch(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		live, away := h.client(), h.client()
		all, chat, old := live.subscribe(1, `{}`), live.channel(2, "chat"), away.subscribe(1, `{}`)
		live.drain()
		away.drain()
		away.session.Close()
		for range 3 {
			live.told()
			h.broker.Reset()
			h.mustPut(1, 2)
			for range 20 {
				live.session.Cursor()
			}
			live.drain()
			resyncs(t, all, "epoch")
			resyncs(t, chat, "epoch")
			h.agrees(t, all, `{}`)
			h.mustPut(2, 1)
			h.say(t.Context(), "chat", "1")
			live.drain()
			h.agrees(t, all, `{}`)
			resyncs(t, all)
		}
		if len(chat.Messages) != 3 {
			t.Errorf("messages %v", chat.Messages)
		}
		away.reconnect()
		away.subscribe(1, `{}`)
		away.drain()
		resyncs(t, old, "epoch")
		h.agrees(t, old, `{}`)
	})
}

// Between the moment at which the log turns out to be another and the resync no cursor of the new one may be told: with
// it the client would never know what it missed.
func TestNoCursorOfALogThatTheClientDoesNotKnow(t *testing.T) {
	for name, lose := range map[string]func(h *hub){
		"epoch": func(h *hub) { h.broker.Reset() },
		"history": func(h *hub) { // passes the hub by while the broker cannot be reached
			for range 50 {
				h.broker.Broker.Append(context.Background(), []byte(`{"v":1}`))
			}
			h.broker.Trim(5)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				c, polled := h.client(), h.client()
				all, other := c.subscribe(1, `{}`), polled.subscribe(1, `{}`)
				c.drain()
				polled.drain()
				cursor := all.Cursor
				h.onLost = func() {
					c.session.Cursor()
					ran := make(chan struct{})
					c.session.Shard().Do(func() { close(ran) })
					<-ran
					polled.poll(0)
				}
				h.broker.fail(errBroken)
				lose(h)
				h.commit(1, func(r thing) *thing { return &r })
				h.broker.fail(nil)
				time.Sleep(time.Minute)
				if other.Cursor != cursor && len(other.Resyncs) == 0 {
					t.Errorf("a poll told the cursor %s before the resync", other.Cursor)
				}
				c.told()
				c.drain()
				if told := c.told(); told != "status resync" && told != "status status resync" {
					t.Errorf("told %s", told)
				}
				resyncs(t, all, name)
				h.agrees(t, all, `{}`)
				h.mustPut(2, 1)
				c.drain()
				polled.drain()
				resyncs(t, other, name)
				h.agrees(t, all, `{}`)
				h.agrees(t, other, `{}`)
			})
		})
	}
}

// A subscription that nothing concerned for longer than history reaches back has missed nothing when it overflows.
func TestOverflowAfterALongSilence(t *testing.T) {
	inBubble(t, options{queue: 1, window: 4, broker: memory.Options{MaxEntries: 10}}, func(t *testing.T, h *hub) {
		c := h.client()
		quiet := c.subscribe(1, `{"box":1000}`)
		c.drain()
		for i := range int64(100) {
			h.mustPut(i, 1)
			synctest.Wait()
		}
		for i := range int64(5) {
			h.mustPut(i, 1000)
		}
		synctest.Wait()
		c.drain()
		resyncs(t, quiet)
		h.agrees(t, quiet, `{"box":1000}`)
	})
}

func TestOverflow(t *testing.T) {
	for name, o := range map[string]options{
		"in memory": {queue: 2000}, "from the broker": {queue: 2000, window: 4}, "nothing fits": {queue: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, o, func(t *testing.T, h *hub) {
				c := h.client()
				all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
				c.drain()
				for round := range 3 {
					for i := range int64(300) {
						h.mustPut(i%20, i)
						h.say(t.Context(), "chat", fmt.Sprint(i))
						if i%50 == 0 { // a cursor that is queued must not outlive the data before it
							synctest.Wait()
							c.session.Cursor()
						}
					}
					synctest.Wait()
					c.drain()
					h.agrees(t, all, `{}`)
					if len(chat.Messages) != 300*(round+1) || chat.Messages[len(chat.Messages)-1] != "299" {
						t.Errorf("%d messages, the last %s", len(chat.Messages), chat.Messages[len(chat.Messages)-1])
					}
				}
				resyncs(t, all)
				resyncs(t, chat)
				if all.Ignored+chat.Ignored > 0 {
					t.Errorf("%d and %d came twice", all.Ignored, chat.Ignored)
				}
			})
		})
	}
}

func TestOverflowBeyondHistory(t *testing.T) {
	inBubble(t, options{queue: 1000, window: 4, broker: memory.Options{MaxEntries: 10}}, func(t *testing.T, h *hub) {
		c := h.client()
		all, quiet := c.subscribe(1, `{"box":{"lt":1000}}`), c.subscribe(2, `{"box":1000}`)
		c.drain()
		for i := range int64(200) {
			h.mustPut(i%20, i)
			synctest.Wait()
		}
		c.drain()
		resyncs(t, all, "overflow")
		resyncs(t, quiet) // it has missed nothing
		h.agrees(t, all, `{"box":{"lt":1000}}`)
		h.mustPut(1, 1000)
		c.drain()
		h.agrees(t, quiet, `{"box":1000}`)
	})
}

func TestAnUnreadableEntry(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON": "x", "another format": `{"v":9}`,
		"a field of another type": `{"v":1,"changes":[{"router":"things","key":"1","op":"put","now":{"box":"text"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{window: 4}, func(t *testing.T, h *hub) {
				h.mustPut(1, 1)
				live, behind := h.client(), h.client()
				all, same, chat, late := live.subscribe(1, `{}`), live.subscribe(2, `{}`), live.channel(3, "chat"), behind.subscribe(1, `{}`)
				live.drain()
				behind.drain()
				behind.session.Close()
				h.commit(1, func(r thing) *thing { r.box = 5; return &r })
				if _, err := h.broker.Append(t.Context(), []byte(data)); err != nil {
					t.Fatal(err)
				}
				live.drain()
				for _, f := range []*mirror.Feed{all, same, chat} {
					resyncs(t, f, "unknown")
				}
				h.agrees(t, all, `{}`)
				h.agrees(t, same, `{}`)
				for i := range int64(10) {
					h.mustPut(2, i)
				}
				behind.reconnect()
				behind.subscribe(1, `{}`)
				behind.drain()
				resyncs(t, late, "unknown")
				h.agrees(t, late, `{}`)
			})
		})
	}
}

// Who reads on finds an entry in memory before the hub as a whole has come to it. When that resyncs him, his list must not be one of
// before: he would come to the entry again.
func TestAResyncIsNotOfBeforeItsReason(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		c.session.Close()
		// A batch of two entries: while the hub is about to take the second, the first is in memory.
		steps := make(chan struct{})
		h.onSeen = func(broker.Position) { <-steps }
		h.mustPut(2, 1)
		synctest.Wait()
		if _, err := h.broker.Append(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		h.mustPut(3, 1)
		steps <- struct{}{}
		steps <- struct{}{}
		synctest.Wait()
		loads := 0
		h.onLoad = func(wire.Message) error {
			if loads++; loads > 3 {
				return errBroken // or it would not end
			}
			return nil
		}
		c.session = h.session(0)
		c.subscribe(1, `{}`)
		for range 3 {
			c.drain()
		}
		close(steps)
		c.drain()
		resyncs(t, all, "unknown")
		h.agrees(t, all, `{}`)
	})
}

func TestARowWhoseEarlierStateIsUnknown(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		c, sure := h.client(), h.client()
		one := c.subscribe(1, `{"box":1}`)
		c.drain()
		c.session.Close()

		other := newHubOn(t, h.broker, h.store, options{}) // it never saw the row
		defer other.close()
		synctest.Wait()
		c.hub, sure.hub = other, other
		c.session, sure.session = other.session(0), other.session(1)
		two := sure.subscribe(1, `{"box":2}`)
		sure.drain()
		c.subscribe(1, `{"box":1}`)
		c.drain()
		resyncs(t, one)
		move := h.commit(1, func(r thing) *thing { r.box = 3; return &r })
		move.Op, move.Was, move.Changed = record.Put, nil, nil
		h.publish(move)
		c.drain()
		sure.drain()
		resyncs(t, one, "unknown")
		resyncs(t, two)
		other.agrees(t, one, `{"box":1}`)
		other.agrees(t, two, `{"box":2}`)
	})
}

func TestTheBrokerFailsForAWhile(t *testing.T) {
	inBubble(t, options{window: 4}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		cursor := all.Cursor
		for i := range int64(10) {
			h.mustPut(i, 1)
		}
		c.drain()
		c.told()
		h.broker.fail(errBroken)
		c.drain()
		if told := c.told(); told != "status" {
			t.Errorf("told %s when the broker broke", told)
		}
		c.send(`{"type":"call","id":7,"router":"things","verb":"put","data":{"id":1,"box":2}}`)
		c.drain()
		if last := c.Answers[len(c.Answers)-1]; last.Type != "error" || !strings.Contains(string(last.Problem), `"unavailable"`) {
			t.Errorf("a publish that failed is answered with %s %s", last.Type, last.Problem)
		}
		late := h.client()
		late.Feeds[1] = &mirror.Feed{Cursor: cursor}
		refused := late.subscribe(1, `{}`)
		late.drain()
		if !strings.Contains(string(refused.Ended), `"unavailable"`) {
			t.Errorf("who resumes beyond memory is answered with %s", refused.Ended)
		}
		time.Sleep(time.Minute) // of the bubble
		c.told()
		h.broker.fail(nil)
		time.Sleep(time.Minute)
		c.drain()
		if told := c.told(); told != "status" {
			t.Errorf("told %s when the broker was back and nothing had come", told)
		}
		h.broker.fail(errBroken)
		time.Sleep(time.Minute)
		c.drain()
		h.broker.fail(nil)
		for i := range int64(10) {
			h.mustPut(i, 2)
		}
		time.Sleep(time.Minute)
		c.drain()
		h.agrees(t, all, `{}`)
		resyncs(t, all)
	})
}

// A subscription that is behind when the broker fails goes on when it is back; polls are answered meanwhile.
func TestTheBrokerFailsDuringCatchUp(t *testing.T) {
	inBubble(t, options{window: 4, queue: 1000}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		for i := range int64(50) {
			h.mustPut(i, 1)
		}
		synctest.Wait() // it has overflowed
		h.broker.fail(errBroken)
		before := h.broker.reads.Load()
		start := time.Now()
		c.poll(3 * time.Second)
		if waited := time.Since(start); waited != 3*time.Second && waited != 0 {
			t.Errorf("the poll took %v", waited)
		}
		if n := h.broker.reads.Load() - before; n > 20 {
			t.Errorf("the broker was asked %d times", n)
		}
		if all.Cursor == "" || len(all.Rows) == 50 {
			t.Errorf("%d rows at %s", len(all.Rows), all.Cursor)
		}
		h.broker.fail(nil)
		time.Sleep(10 * time.Second)
		c.drain()
		h.agrees(t, all, `{}`)
		resyncs(t, all)
		if all.Ignored > 0 {
			t.Errorf("%d came twice", all.Ignored)
		}
	})
}

// A hub that has yet to find out that the log is another one does not take a cursor of the new one for lost.
func TestResumeOnAHubThatDoesNotKnowTheNewLog(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		other := newHubOn(t, &flaky{Broker: h.broker.Broker}, h.store, options{})
		defer other.close()
		c := h.client()
		all := c.subscribe(1, `{}`)
		h.mustPut(1, 1)
		c.drain()
		other.broker.pause(true)
		h.broker.Reset()
		h.mustPut(2, 1)
		synctest.Wait()
		c.drain()
		resyncs(t, all, "epoch")
		c.session.Close()
		c.hub = other
		c.reconnect()
		c.subscribe(1, `{}`)
		synctest.Wait()
		other.broker.pause(false)
		h.mustPut(3, 1)
		time.Sleep(10 * time.Second) // of the bubble: the hub tries its broker again
		c.drain()
		resyncs(t, all)
		h.agrees(t, all, `{}`)
	})
}
