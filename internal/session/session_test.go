package session_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
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
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 50 {
				h.broker.Reset()
				h.mustPut(1, 1)
				<-time.After(0)
			}
		}()
		known, _, _ := strings.Cut(all.Cursor, ".")
		for over := false; !over; {
			select {
			case <-done:
				over = true
			default:
			}
			c.session.Cursor()
			ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
			frames, _ := c.session.Next(ctx)
			cancel()
			for _, f := range frames {
				epoch, _, _ := strings.Cut(f.Cursor, ".")
				if f.Type == "cursor" && epoch != known {
					t.Fatalf("a cursor of %s, the subscription is at %s", f.Cursor, all.Cursor)
				}
				known = epoch
				c.take([]*transport.Frame{f})
			}
		}
		c.drain()
		h.agrees(t, all, `{}`)
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

func TestRefusals(t *testing.T) {
	inBubble(t, options{subscriptions: 2}, func(t *testing.T, h *hub) {
		c := h.client()
		c.subscribe(1, `{}`)
		c.drain()
		c.send(`{"type":"subscribe","id":1,"router":"things"}`)
		c.channel(2, "chat")
		c.send(`{"type":"subscribe","id":3,"router":"things"}`)
		c.send(`{"type":"subscribe","id":4,"router":"things","cursor":"?"}`)
		c.send(`{"type":"unsubscribe","id":9}`)
		c.send("x\n\n  \n{\"type\":\"ping\",\"id\":5}\n{\"type\":\"call\",\"id\":6,\"router\":\"things\",\"verb\":\"nothing\"}")
		c.session.TooLarge()
		c.drain()
		var got []string
		for _, m := range c.Answers {
			if m.Type == "pong" {
				got = append(got, fmt.Sprint(m.ID, " pong"))
				continue
			}
			_, code, _ := strings.Cut(string(m.Problem), `"code":"`)
			code, _, _ = strings.Cut(code, `"`)
			got = append(got, fmt.Sprint(m.ID, " ", code))
		}
		slices.Sort(got)
		want := []string{"0 malformed_message", "0 message_too_large", "1 id_in_use", "3 too_many_subscriptions", "4 malformed_cursor",
			"5 pong", "6 unknown_verb", "9 not_found"}
		if !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
		if !c.Feeds[1].Answered || !c.Feeds[2].Answered {
			t.Error("a refusal took a subscription with it")
		}
	})
}

func TestRefusedAndFreeAgain(t *testing.T) {
	for name, fail := range map[string]func(h *hub){
		"refused": func(h *hub) {
			h.onSubscribe = func(wire.Message) error { return wire.NewProblem(403, "forbidden", "") }
		},
		"subscribe panics": func(h *hub) { h.onSubscribe = func(wire.Message) error { panic("the app") } },
		"load fails":       func(h *hub) { h.onLoad = func(wire.Message) error { return errors.New("the database") } },
		"load panics":      func(h *hub) { h.onLoad = func(wire.Message) error { panic("the app") } },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				c := h.client()
				fail(h)
				feed := c.subscribe(1, `{}`)
				c.drain()
				want := `"internal"`
				if name == "refused" {
					want = `"forbidden"`
				}
				if told := c.told(); told != "error" || !strings.Contains(string(feed.Ended), want) {
					t.Errorf("told %s, %s", told, feed.Ended)
				}
				h.onSubscribe, h.onLoad = nil, nil
				feed = c.subscribe(1, `{}`)
				c.drain()
				h.mustPut(1, 1)
				c.drain()
				h.agrees(t, feed, `{}`)
				// What is refused when it is loaded anew was seen before: it is closed.
				fail(h)
				h.broker.Reset()
				h.mustPut(1, 2)
				c.told()
				c.drain()
				if told := c.told(); told != "closed" {
					t.Errorf("told %s", told)
				}
				h.onSubscribe, h.onLoad = nil, nil
				feed = c.subscribe(1, `{}`)
				c.drain()
				h.agrees(t, feed, `{}`)
				c.session.Close()
				synctest.Wait()
				h.unused(t)
			})
		})
	}
}

// unused checks that every query was paid back.
func (h *hub) unused(t *testing.T) {
	t.Helper()
	h.stream.Expire(time.Now().Add(time.Hour))
	if n := h.stream.Stats().Queries; n > 0 {
		t.Errorf("%d queries were not released", n)
	}
}

func TestACallThatPanics(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.send(`{"type":"call","id":1,"router":"things","verb":"panic"}`)
		c.poll(0)
		if len(c.Answers) != 1 || c.Answers[0].ID != 1 || !strings.Contains(string(c.Answers[0].Problem), `"internal"`) {
			t.Errorf("answers %+v", c.Answers)
		}
	})
}

// Whatever a subscription is doing, it can be ended, and nothing of it comes afterwards; nothing of it stays.
func TestEndingAtEveryPoint(t *testing.T) {
	ends := map[string]func(c *client){
		"unsubscribe": func(c *client) { c.send(`{"type":"unsubscribe","id":1}`) },
		"close":       func(c *client) { c.session.Close() },
		"finish":      func(c *client) { c.session.Finish(wire.Reconnect(1)) },
	}
	for name, end := range ends {
		for _, point := range []string{"authorised", "loaded", "answered", "live", "told", "overflowed", "resynced", "resumed"} {
			t.Run(name+" "+point, func(t *testing.T) {
				inBubble(t, options{queue: 500, window: 4}, func(t *testing.T, h *hub) {
					c := h.client()
					gate := make(chan struct{})
					hold := func(wire.Message) error { <-gate; return nil }
					switch point {
					case "authorised":
						h.onSubscribe = hold
					case "loaded":
						h.onLoad = hold
					}
					feed := c.subscribe(1, `{}`)
					synctest.Wait()
					if point != "authorised" && point != "loaded" && point != "answered" {
						c.drain()
					}
					switch point {
					case "told":
						h.mustPut(1, 1)
					case "overflowed", "resumed":
						for i := range int64(50) {
							h.mustPut(i, 1)
						}
					case "resynced":
						h.onLoad = hold
						h.broker.Reset()
						h.mustPut(1, 1)
					}
					if point == "resumed" {
						c.reconnect()
						c.subscribe(1, `{}`)
					}
					synctest.Wait()
					end(c)
					delete(c.Feeds, 1)
					synctest.Wait()
					close(gate)
					h.mustPut(1, 2)
					synctest.Wait()
					if name == "unsubscribe" {
						c.drain()
						c.told()
						h.mustPut(1, 3)
						c.drain()
						if told := c.told(); told != "" {
							t.Errorf("told %s after the end", told)
						}
						h.onLoad, h.onSubscribe = nil, nil
						feed = c.subscribe(1, `{}`)
						c.drain()
						h.agrees(t, feed, `{}`)
						c.session.Close()
					} else if err := c.end(); !errors.Is(err, transport.ErrClosed) {
						t.Errorf("after the last frame: %v", err)
					} else if told := c.told(); name == "finish" && !strings.HasSuffix(told, "reconnect") {
						t.Errorf("the last words are %s", told)
					}
					synctest.Wait()
					h.unused(t)
				})
			})
		}
	}
}

// end takes everything to the end of a closed session.
func (c *client) end() error {
	for {
		frames, err := c.session.Next(context.Background())
		if err != nil {
			return err
		}
		c.take(frames)
	}
}

func TestFinishDeliversWhatIsQueued(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		h.mustPut(1, 1)
		synctest.Wait()
		c.told()
		c.session.Finish(wire.Reconnect(500))
		c.session.Finish(wire.Reconnect(501))
		h.mustPut(2, 1)
		if err := c.end(); err != transport.ErrClosed {
			t.Error(err)
		}
		if told := c.told(); told != "change reconnect" || len(all.Rows) != 1 {
			t.Errorf("told %s, %d rows", told, len(all.Rows))
		}
		if err := c.session.Receive(t.Context(), []byte(`{"type":"ping","id":1}`)); err != transport.ErrClosed {
			t.Errorf("a closed session takes messages: %v", err)
		}
		if frames, err := c.session.Poll(t.Context(), time.Hour); err != nil || len(frames) > 0 {
			t.Errorf("a closed session is polled: %v, %v", frames, err)
		}
	})
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
