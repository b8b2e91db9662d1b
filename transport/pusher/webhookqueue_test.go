package pusher

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What waits is bounded; the oldest are lost, and the logger is told how many.
func TestWebhookQueue(t *testing.T) {
	const queue, more = 10, 7
	inBubble(t, WebhookOptions{Queue: queue, Batch: -1}, func(t *testing.T, w *webhooks, e *endpoint) {
		gate := make(chan struct{})
		e.answers(func(post) (int, error) { <-gate; return 200, nil })
		w.happened(hookApp, occupied("first"))
		synctest.Wait() // it is under way
		for i := range queue + more {
			w.happened(hookApp, occupied(fmt.Sprint("c", i)))
		}
		close(gate)
		synctest.Wait()
		var all []string
		for _, p := range e.taken() {
			all = append(all, p.names()...)
		}
		want := []string{"channel_occupied first"}
		for i := range queue {
			want = append(want, fmt.Sprint("channel_occupied c", more+i))
		}
		if !slices.Equal(all, want) {
			t.Errorf("posted were %q, want %q", all, want)
		}
		lost := 0
		for line := range strings.Lines(e.logged()) {
			var n int
			if _, after, ok := strings.Cut(line, "events="); ok {
				_, _ = fmt.Sscan(after, &n)
			}
			lost += n
		}
		if lost != more {
			t.Errorf("the logger was told of %d events that are lost, want %d: %s", lost, more, e.logged())
		}
	})
}

func TestWebhookQueueBytes(t *testing.T) {
	b := newMailbox()
	for i := range 3 * mailboxBytes >> 20 {
		b.put(letter{name: "cache_miss", channel: fmt.Sprint(i), json: make([]byte, 1<<20)}, 1000)
		if b.bytes > mailboxBytes || b.bytes != len(b.waiting)<<20 || len(b.misses) != len(b.waiting) {
			t.Fatalf("after %d: %d bytes, %d letters, %d misses", i, b.bytes, len(b.waiting), len(b.misses))
		}
	}
	b.put(letter{json: make([]byte, mailboxBytes+1)}, 1000)
	if len(b.waiting) != 1 || b.lost == 0 {
		t.Errorf("%d letters wait, %d were lost: the newest one should", len(b.waiting), b.lost)
	}
}

// While an endpoint is away no more than some requests are tried again at the same time. When it is back everything is posted.
func TestWebhookAway(t *testing.T) {
	inBubble(t, WebhookOptions{BatchEvents: 1}, func(t *testing.T, w *webhooks, e *endpoint) {
		const channels, each = 30, 3
		back := false
		under, most := 0, 0
		e.answers(func(post) (int, error) {
			e.mu.Lock()
			under++
			most = max(most, under)
			e.mu.Unlock()
			time.Sleep(time.Millisecond)
			e.mu.Lock()
			defer e.mu.Unlock()
			under--
			if !back {
				return 500, nil
			}
			return 200, nil
		})
		for i := range each {
			for c := range channels {
				w.happened(hookApp, hook{Name: fmt.Sprint("n", i), Channel: fmt.Sprint("c", c)})
			}
		}
		time.Sleep(time.Minute)
		seen := map[string]bool{}
		for _, p := range e.taken() {
			seen[p.names()[0]] = true
		}
		if len(seen) != maxRetrying || most > maxRetrying+1 {
			t.Errorf("%d requests were tried while the endpoint is away, %d at the same time", len(seen), most)
		}
		e.mu.Lock()
		back = true
		e.mu.Unlock()
		time.Sleep(4 * time.Minute)
		next, n := map[string]int{}, 0
		for _, p := range e.taken() {
			h := p.events[0]
			if p.at < time.Minute+51*time.Millisecond { // may have failed
				continue
			}
			if h.Name != fmt.Sprint("n", next[h.Channel]) {
				t.Fatalf("%s: %s came, want n%d", h.Channel, h.Name, next[h.Channel])
			}
			next[h.Channel]++
			n++
		}
		if n != channels*each {
			t.Errorf("%d events came", n)
		}
	})
}

// Each app has a mailbox of its own: one whose endpoint hangs does not stop the others, and an app that comes with another secret is told with it.
func TestWebhookApps(t *testing.T) {
	inBubble(t, WebhookOptions{Batch: -1}, func(t *testing.T, w *webhooks, e *endpoint) {
		e.answers(func(p post) (int, error) {
			if p.url == "http://slow" {
				return 0, nil
			}
			return 200, nil
		})
		slow, quick := &App{ID: "slow", Key: "s", Secret: "s", Webhook: "http://slow"}, &App{ID: "quick", Key: "q", Secret: "q", Webhook: "http://quick"}
		w.happened(slow, occupied("a"))
		synctest.Wait()
		w.happened(quick, occupied("a"))
		synctest.Wait()
		w.happened(&App{ID: "quick", Key: "r", Secret: "r", Webhook: "http://other"}, occupied("b"))
		synctest.Wait()
		got := e.taken()
		if len(got) != 3 || got[1].url != "http://quick" || got[2].url != "http://other" || got[2].header.Get("X-Pusher-Key") != "r" ||
			got[2].header.Get("X-Pusher-Signature") != hex.EncodeToString(signature("r", got[2].body)) {
			t.Errorf("%+v came", got)
		}
	})
}

// When webhooks stop, what waits is posted at once, and what fails is not tried any more.
func TestWebhookShutdown(t *testing.T) {
	inBubble(t, WebhookOptions{Batch: time.Hour, BatchEvents: 2}, func(t *testing.T, w *webhooks, e *endpoint) {
		e.answers(func(p post) (int, error) {
			if p.events[0].Channel == "bad" {
				return 500, nil
			}
			return 200, nil
		})
		for _, c := range []string{"a", "b", "bad", "c", "d"} {
			w.happened(hookApp, occupied(c))
		}
		if err := w.shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range e.taken() {
			got = append(got, fmt.Sprint(p.at, " ", p.names()))
		}
		if want := []string{"0s [channel_occupied a channel_occupied b]", "0s [channel_occupied bad channel_occupied c]", "0s [channel_occupied d]"}; !slices.Equal(got, want) {
			t.Errorf("posted were %q, want %q", got, want)
		}
		if log := e.logged(); strings.Count(log, "given up") != 1 {
			t.Errorf("the logger was told: %s", log)
		}
		for range 3 {
			w.happened(hookApp, occupied("late"))
		}
		if err := w.shutdown(context.Background()); err != nil { // again
			t.Error(err)
		}
		if log := e.logged(); strings.Count(log, "after the stop") != 1 || e.taken() != nil {
			t.Errorf("what happened after the stop: %s", log)
		}
	})
}

// A request that is waiting to be tried again is tried once more when webhooks stop.
func TestWebhookShutdownWhileRetrying(t *testing.T) {
	inBubble(t, WebhookOptions{}, func(t *testing.T, w *webhooks, e *endpoint) {
		e.answers(func(post) (int, error) { return 500, nil })
		w.happened(hookApp, occupied("a"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.happened(hookApp, hook{Name: "channel_vacated", Channel: "a"})
		e.taken()
		e.answers(nil)
		if err := w.shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := e.taken(); len(got) != 2 || got[0].names()[0] != "channel_occupied a" || got[1].names()[0] != "channel_vacated a" {
			t.Errorf("%+v came", got)
		}
	})
}

// A stop takes no longer than its context, whatever the endpoint does; what is lost is logged.
func TestWebhookShutdownInTime(t *testing.T) {
	inBubble(t, WebhookOptions{BatchEvents: 1}, func(t *testing.T, w *webhooks, e *endpoint) {
		e.answers(func(post) (int, error) { return 0, nil })
		for i := range 3 {
			w.happened(hookApp, occupied(fmt.Sprint(i)))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := w.shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown = %v", err)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if log := e.logged(); strings.Count(log, "given up") != 3 {
			t.Errorf("the logger was told: %s", log)
		}
	})
}
