package pusher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/relay/pusher"
)

// relayChat relays chat:x as private-chat-x, and nothing else.
func relayChat(_ *node, o *pusher.Options) {
	o.Routers = nil
	o.Channels = []pusher.Messages{{Name: "chat:*", Channel: "private-chat-*"}}
}

// Whatever the service answers, each channel gets all of its events, in order.
func TestOrderThroughFailures(t *testing.T) {
	first, _ := seed.First(t)
	random := rand.New(rand.NewPCG(first, 1))
	inBubble(t, func(w *world) {
		var mu sync.Mutex
		w.service.set(func(string, []got) (int, http.Header) {
			mu.Lock()
			defer mu.Unlock()
			switch random.IntN(6) {
			case 0:
				return 500, nil
			case 1:
				return 429, http.Header{"Retry-After": {"3"}}
			case 2:
				return -1, nil
			}
			return 0, nil
		})
		n := w.start(relayChat)
		const channels, each = 7, 60
		for i := range channels * each {
			n.publish(fmt.Sprintf("chat:%d", i%channels), i/channels)
		}
		w.until(func() bool { return len(w.service.all()) == channels*each })
		for c := range channels {
			var want []string
			for i := range each {
				want = append(want, fmt.Sprintf("message %d", i))
			}
			w.service.wantEvents(fmt.Sprintf("private-chat-%d", c), want...)
		}
		asked := w.service.asked()
		if !slices.Contains(asked, "/batch_events 10") || len(asked) > channels*each/2 {
			t.Errorf("%d requests for %d events, want most of ten: %v", len(asked), channels*each, asked)
		}
		if s := n.relay.Stats(); s.Sent != channels*each || s.Retried == 0 || s.Skipped != 0 || !s.Leading {
			t.Errorf("Stats are %+v, want %d sent, some retried, none skipped", s, channels*each)
		}
	})
}

// until lets time pass until something is so; a bubble's time costs nothing.
func (w *world) until(so func() bool) {
	w.t.Helper()
	for range 10_000 {
		synctest.Wait()
		if so() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatal("this has not come about")
}

// While the service takes nothing, nothing more of the log is read: what waits is on the log, and not in memory.
func TestNothingIsReadAhead(t *testing.T) {
	inBubble(t, func(w *world) {
		var down atomic.Bool
		down.Store(true)
		w.service.set(func(string, []got) (int, http.Header) {
			if down.Load() {
				return 503, nil
			}
			return 0, nil
		})
		n := w.start(relayChat)
		position := n.relay.Stats().Position
		for i := range 2000 {
			n.publish("chat:1", i)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := n.relay.Stats(); s.Position != position || s.Sent != 0 || s.Skipped != 0 || s.Retried < 15 || s.Retried > 60 {
			t.Errorf("Stats are %+v, want those of before but for 15 to 60 retries in ten minutes", s)
		}
		down.Store(false)
		w.until(func() bool { return len(w.service.all()) >= 2000 })
		for i, e := range w.service.of("private-chat-1") {
			if e != fmt.Sprintf("message %d", i) {
				t.Fatalf("event %d is %s", i, e)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	inBubble(t, func(w *world) {
		var times []time.Time
		w.service.set(func(string, []got) (int, http.Header) {
			if times = append(times, time.Now()); len(times) == 1 {
				return 429, http.Header{"Retry-After": {"90"}}
			}
			return 0, nil
		})
		n := w.start(relayChat)
		n.publish("chat:1", 1)
		w.until(func() bool { return len(w.service.all()) == 1 })
		if waited := times[1].Sub(times[0]); waited < 90*time.Second || waited > 91*time.Second {
			t.Errorf("the second request came %v after the first, want 90 s", waited)
		}
	})
}

// Of a request that is refused for what it says only what is wrong is skipped.
func TestRefusedEventIsSkippedAlone(t *testing.T) {
	for _, status := range []int{400, 413, 422} {
		inBubble(t, func(w *world) {
			w.service.set(func(_ string, events []got) (int, http.Header) {
				if slices.ContainsFunc(events, func(e got) bool { return e.data == "13" }) {
					return status, nil
				}
				return 0, nil
			})
			n := w.start(relayChat)
			n.must(n.hub.Batch(n.t.Context(), func(ctx context.Context) error {
				for i := range 20 {
					n.must(n.hub.Publish(ctx, "chat:1", i))
				}
				return nil
			}))
			w.until(func() bool { return len(w.service.all()) == 19 })
			if events := w.service.of("private-chat-1"); slices.Contains(events, "message 13") || events[12] != "message 12" || events[13] != "message 14" {
				t.Errorf("%d: events are %v", status, events)
			}
			if s := n.relay.Stats(); s.Sent != 19 || s.Skipped != 1 || s.Retried != 0 {
				t.Errorf("%d: Stats are %+v, want 19 sent, one skipped, none retried", status, s)
			}
			if lines := w.logged.String(); strings.Count(lines, "level=ERROR") != 1 || strings.Contains(lines, secret) {
				t.Errorf("%d: the logger was told:\n%s\nwant one error, and not the secret", status, lines)
			}
		})
	}
}

// An application that the service denies is given patience once, then what happens is skipped until it is taken again.
func TestDenied(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		inBubble(t, func(w *world) {
			var wrong atomic.Bool
			wrong.Store(true)
			w.service.set(func(string, []got) (int, http.Header) {
				if wrong.Load() {
					return status, nil
				}
				return 0, nil
			})
			n := w.start(relayChat)
			began := time.Now()
			n.publish("chat:1", 1)
			w.until(func() bool { return n.relay.Stats().Skipped == 1 })
			if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
				t.Errorf("%d: skipped after %v, want a minute or a little more", status, took)
			}
			began = time.Now()
			n.publish("chat:1", 2)
			w.until(func() bool { return n.relay.Stats().Skipped == 2 })
			if took := time.Since(began); took > time.Second {
				t.Errorf("%d: the second was skipped after %v, want at once", status, took)
			}
			wrong.Store(false)
			n.publish("chat:1", 3)
			w.until(func() bool { return len(w.service.all()) == 1 })
			wrong.Store(true)
			n.publish("chat:1", 4)
			time.Sleep(30 * time.Second)
			wrong.Store(false) // within the patience, which it has again
			w.until(func() bool { return len(w.service.all()) == 2 })
			w.service.wantEvents("private-chat-1", "message 3", "message 4")
		})
	}
}

// What comes through an outbox may be on the log twice.
func TestCopiesAreSentOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(relayChat)
		data := []byte(`{"v":1,"id":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","messages":[{"channel":"chat:1","data":1}]}`)
		for range 2 {
			_, err := w.log.Append(n.t.Context(), data)
			n.must(err)
		}
		synctest.Wait()
		w.service.wantEvents("private-chat-1", "message 1")
	})
}

func TestUnreadableEntry(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Channels = []pusher.Messages{{Name: "news", Public: true}}
		})
		w.service.occupy("private-list-7")
		_, err := w.log.Append(n.t.Context(), []byte(`{"v":99}`))
		n.must(err)
		n.publish("news", 1)
		synctest.Wait()
		w.service.wantEvents("private-list-7", `resync {"reason":"unreadable"}`)
		w.service.wantEvents("news", `resync {"reason":"unreadable"}`, "message 1")
	})
}
