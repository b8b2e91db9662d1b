package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

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
		"finish":      func(c *client) { c.session.Finish(wire.Reconnect(1, nil)) },
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
					c.subscribe(1, `{}`)
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
						feed := c.subscribe(1, `{}`)
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
		c.session.Finish(wire.Reconnect(500, nil))
		c.session.Finish(wire.Reconnect(501, nil))
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

func TestExpelSaysWhy(t *testing.T) {
	for code, status := range map[string]int{"too_slow": 1013, "overloaded": 1013, "no_message": 1008} {
		inBubble(t, options{}, func(t *testing.T, h *hub) {
			c := h.client()
			c.session.Expel(wire.NewProblem(408, code, ""), 1500*time.Millisecond)
			err := c.end()
			var closed *transport.ClosedError
			if !errors.As(err, &closed) || *closed != (transport.ClosedError{Status: status, Code: code}) || !errors.Is(err, transport.ErrClosed) {
				t.Errorf("%s: %v", code, err)
			}
			if last := c.Answers[len(c.Answers)-1]; last.Type != "reconnect" || !strings.Contains(string(last.Problem), code) {
				t.Errorf("last words: %+v", last)
			}
		})
	}
}
