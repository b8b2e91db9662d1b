package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// counted remembers what was counted, as "metric label".
type counted struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counted) Count(m Metric, label string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[m.String()+" "+label] += n
}

func (c *counted) Measure(Metric, string, time.Duration) {}

func (c *counted) of(m observe.Metric, label string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[m.String()+" "+label]
}

// text is written by many.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// wait is a hub on a broker that can be away, in a bubble.
type wait struct {
	hub    *Hub
	broker *absent
	things *Router[fine]
	counts *counted
	logged text
	ran    int // creates
}

func withAbsent(t *testing.T, o Options, f func(t *testing.T, w *wait)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wait{broker: newAbsent(), counts: &counted{n: map[string]int{}}}
		o.Broker, o.Observer, o.Logger = w.broker, w.counts, slog.New(slog.NewTextHandler(&w.logged, nil))
		w.things = &Router[fine]{Name: "things", Scope: Everyone}
		w.things.List = func(context.Context, Query) ([]fine, error) { return []fine{{1}}, nil }
		w.things.Create = func(ctx context.Context, row fine) (fine, error) {
			w.ran++
			row.A = 100 + w.ran
			return row, nil
		}
		w.hub = New(o)
		w.hub.Register(w.things, &Channel{Name: "chat"})
		if err := w.hub.engine.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(t, w)
		w.broker.be("")
		if err := w.hub.Shutdown(t.Context()); err != nil && !errors.Is(err, ErrShutdown) {
			t.Error(err)
		}
	})
}

func (w *wait) say(t *testing.T, n int) {
	t.Helper()
	if err := w.hub.Publish(t.Context(), "chat", n); err != nil {
		t.Fatalf("%d: %v", n, err)
	}
}

const aMutation = "0190a0b0-0000-7000-8000-000000000001"

func (w *wait) create(ctx context.Context) (wire.Answer, broker.Position, error) {
	return app{w.hub}.Call(ctx, wire.Message{Type: wire.Call, Router: "things", Verb: "create", Data: json.RawMessage("{}"), Mutation: aMutation})
}

func TestWhatIsPublishedWaitsForTheBroker(t *testing.T) {
	for _, how := range []string{"fails", "hangs", "mumbles"} {
		t.Run(how, func(t *testing.T) {
			withAbsent(t, Options{MaxUnsentBytes: 1 << 20}, func(t *testing.T, w *wait) {
				w.say(t, 1)
				synctest.Wait()
				w.broker.be(how)
				began := time.Now()
				w.say(t, 2)
				if took, most := time.Since(began), map[bool]time.Duration{true: 5 * time.Second}[how != "fails"]; took != most {
					t.Errorf("it took %v, want %v", took, most)
				}
				began = time.Now()
				w.say(t, 3)
				first, at, err := w.create(t.Context())
				if err != nil || !at.IsZero() || !first.Unsent || !strings.Contains(string(first.Row), `"key":"101"`) {
					t.Errorf("a verb: %s at %v, %v", first.Row, at, err)
				}
				again, _, err := w.create(t.Context())
				if err != nil || string(again.Row) != string(first.Row) || !again.Unsent || w.ran != 1 {
					t.Errorf("said again: %s, %v; it ran %d times", again.Row, err, w.ran)
				}
				if err := w.hub.Batch(t.Context(), func(ctx context.Context) error {
					return errors.Join(w.things.Created(ctx, fine{7}), w.hub.Publish(ctx, "chat", 4))
				}); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("what came behind waited %v", took)
				}
				synctest.Wait()
				if s := w.hub.Stats(); s.UnsentEntries != 4 || s.UnsentBytes < 200 || !s.Degraded && how == "fails" {
					t.Errorf("%d entries, %d bytes wait; degraded %v", s.UnsentEntries, s.UnsentBytes, s.Degraded)
				}
				w.broker.be("")
				synctest.Wait()
				time.Sleep(10 * time.Second)
				w.say(t, 5)
				synctest.Wait()
				if again, at, err := w.create(t.Context()); err != nil || at.IsZero() || again.Unsent {
					t.Errorf("said again when it is on the log: at %v, unsent %v, %v", at, again.Unsent, err)
				}
				ids, said := w.broker.log(t)
				if how != "mumbles" && said != "1 2 3 101 7 4 5" {
					t.Errorf("on the log: %s", said)
				}
				distinct, last := "", map[string]bool{}
				for i, id := range ids {
					if id == "" {
						t.Errorf("entry %d has no id", i)
					}
					if !last[id] {
						distinct += fmt.Sprint(" ", i)
					}
					last[id] = true
				}
				if len(last) != 6 {
					t.Errorf("%d different entries, want 6: %v", len(last), ids)
				}
				if how == "mumbles" && len(ids) == 6 {
					t.Error("no answer was lost")
				}
				if s := w.hub.Stats(); s.UnsentEntries != 0 || s.UnsentBytes != 0 || s.Degraded {
					t.Errorf("%d entries, %d bytes wait at the end; degraded %v", s.UnsentEntries, s.UnsentBytes, s.Degraded)
				}
				if n := w.counts.of(MetricUnsent, "queued"); n != 5 {
					t.Errorf("%d counted as queued", n)
				}
				if n := w.counts.of(MetricPublishes, "chat"); n != 5 {
					t.Errorf("%d messages counted as published", n)
				}
			})
		})
	}
}

func TestTooMuchWaits(t *testing.T) {
	withAbsent(t, Options{MaxUnsentBytes: 300}, func(t *testing.T, w *wait) {
		w.broker.be("fails")
		w.say(t, 1)
		w.say(t, 2)
		var err error
		n := 2
		for err == nil && n < 20 {
			n++
			err = w.hub.Publish(t.Context(), "chat", n)
		}
		if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "MaxUnsentBytes") {
			t.Fatalf("after %d: %v", n, err)
		}
		// A verb that is done and cannot be told of is completed when it is said again.
		if _, _, err := w.create(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("a verb: %v", err)
		}
		if s := w.hub.Stats(); s.UnsentEntries != n-1 || s.UnsentBytes > 300 {
			t.Errorf("%d entries, %d bytes wait", s.UnsentEntries, s.UnsentBytes)
		}
		w.broker.be("")
		time.Sleep(10 * time.Second)
		if _, at, err := w.create(t.Context()); err != nil || at.IsZero() || w.ran != 1 {
			t.Errorf("said again: at %v, %v; it ran %d times", at, err, w.ran)
		}
		want := ""
		for i := 1; i < n; i++ {
			want += fmt.Sprint(i, " ")
		}
		if _, said := w.broker.log(t); said != want+"101" {
			t.Errorf("on the log: %s, want %s101", said, want)
		}
		if w.counts.of(MetricUnsent, "refused") != 2 || w.counts.of(MetricUnsent, "lost") != 0 {
			t.Errorf("counted %v", w.counts.n)
		}
	})
}

// What turns out to be too large when it is sent is split, or given up: it must not keep the rest waiting.
func TestWhatWaitsIsTooLarge(t *testing.T) {
	withAbsent(t, Options{MaxUnsentBytes: 1 << 20}, func(t *testing.T, w *wait) {
		w.broker.be("fails")
		w.broker.tooBig = 250
		if err := w.hub.Batch(t.Context(), func(ctx context.Context) error {
			for i := range 10 {
				if err := w.things.Created(ctx, fine{i}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := w.hub.Publish(t.Context(), "chat", strings.Repeat("x", 1000)); err != nil {
			t.Fatal(err)
		}
		w.say(t, 77)
		w.broker.be("")
		time.Sleep(10 * time.Second)
		ids, said := w.broker.log(t)
		if said != "0 1 2 3 4 5 6 7 8 9 77" || len(ids) < 4 {
			t.Errorf("on the log, in %d entries: %s", len(ids), said)
		}
		seen := map[string]bool{}
		for _, id := range ids {
			if seen[id] {
				t.Error("a half has the id of another, and would be taken for its copy")
			}
			seen[id] = true
		}
		if n := w.counts.of(MetricUnsent, "lost"); n != 1 || !strings.Contains(w.logged.String(), "refused by it, and lost") {
			t.Errorf("%d lost, logged %s", n, &w.logged)
		}
		if s := w.hub.Stats(); s.UnsentBytes != 0 {
			t.Errorf("%d bytes wait", s.UnsentBytes)
		}
	})
}

// What no log takes is refused at once, as it is when the broker is there, and what stands beside it waits.
func TestWhatNoLogTakesDoesNotWait(t *testing.T) {
	// Of a message of so many letters the entry is as large as the limit, without the time that it gets when it is sent.
	entry, err := record.Encode(record.Entry{ID: rand.Text(), Messages: []record.Message{{Channel: "chat", Data: json.RawMessage(`""`)}}})
	if err != nil {
		t.Fatal(err)
	}
	limit := record.MaxBytes - len(entry)
	for name, letters := range map[string]int{"far over it": 17 << 20, "over it with the time of sending": limit} {
		t.Run(name, func(t *testing.T) {
			withAbsent(t, Options{MaxUnsentBytes: 64 << 20}, func(t *testing.T, w *wait) {
				large := strings.Repeat("x", letters)
				w.broker.be("fails")
				if err := w.hub.Publish(t.Context(), "chat", large); !errors.Is(err, broker.ErrTooLarge) {
					t.Errorf("as the first: %v", err)
				}
				w.say(t, 1)
				if err := w.hub.Publish(t.Context(), "chat", large); !errors.Is(err, broker.ErrTooLarge) {
					t.Errorf("behind another one: %v", err)
				}
				if err := w.hub.Batch(t.Context(), func(ctx context.Context) error {
					return errors.Join(w.things.Created(ctx, fine{2}), w.hub.Publish(ctx, "chat", large), w.hub.Publish(ctx, "chat", 3))
				}); !errors.Is(err, broker.ErrTooLarge) {
					t.Errorf("in a batch: %v", err)
				}
				w.broker.be("")
				time.Sleep(10 * time.Second)
				if _, said := w.broker.log(t); said != "1 2 3" {
					t.Errorf("on the log: %.100s", said)
				}
				if w.counts.of(MetricUnsent, "lost") != 0 || w.counts.of(MetricUnsent, "queued") != 3 {
					t.Errorf("counted %v", w.counts.n)
				}
			})
		})
	}
}

func TestShutdownSendsWhatWaits(t *testing.T) {
	for how, back := range map[string]bool{"fails": true, "hangs": true, "fails ": false, "hangs ": false} {
		t.Run(fmt.Sprint(how, back), func(t *testing.T) {
			withAbsent(t, Options{MaxUnsentBytes: 1 << 20}, func(t *testing.T, w *wait) {
				w.broker.be(strings.TrimSpace(how))
				w.say(t, 1)
				w.say(t, 2)
				if back {
					time.AfterFunc(2*time.Second, func() { w.broker.be("") })
				}
				began := time.Now()
				if err := w.hub.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 6*time.Second {
					t.Errorf("it took %v", took)
				}
				logged := w.logged.String()
				if back {
					if _, said := w.broker.log(t); said != "1 2" || strings.Contains(logged, "is lost") {
						t.Errorf("on the log: %s; logged %s", said, logged)
					}
					return
				}
				if !strings.Contains(logged, "is lost") || !strings.Contains(logged, "entries=2") || w.counts.of(MetricUnsent, "lost") != 2 {
					t.Errorf("logged %s", logged)
				}
				if err := w.hub.Publish(t.Context(), "chat", 3); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("after the end: %v", err)
				}
			})
		})
	}
}

// Without a queue publishing fails in time; what was committed is published when its caller has gone, and within what is left of his time.
func TestPublishingEnds(t *testing.T) {
	withAbsent(t, Options{PublishTimeout: 3 * time.Second}, func(t *testing.T, w *wait) {
		w.broker.be("hangs")
		gone, cancel := context.WithCancel(t.Context())
		late, cancelLate := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancelLate()
		brief, cancelBrief := context.WithTimeout(t.Context(), 6100*time.Millisecond)
		defer cancelBrief()
		for _, c := range []struct {
			name string
			ctx  context.Context
			took time.Duration
			end  func()
		}{
			{"a deadline", late, 2 * time.Second, nil},
			{"no deadline", t.Context(), 3 * time.Second, nil},
			{"a deadline that is over soon", brief, 1100 * time.Millisecond, nil},
			{"a deadline that is over", brief, time.Second, nil},
			{"no caller any more", gone, 3 * time.Second, cancel},
		} {
			began := time.Now()
			err := w.hub.Batch(c.ctx, func(ctx context.Context) error {
				if c.end != nil {
					c.end()
				}
				return w.things.Created(ctx, fine{1})
			})
			if took := time.Since(began); !errors.Is(err, session.ErrUnavailable) || took != c.took {
				t.Errorf("%s: %v after %v, want %v", c.name, err, took, c.took)
			}
		}
		w.broker.be("")
		if err := w.hub.Batch(gone, func(ctx context.Context) error { return w.things.Created(ctx, fine{2}) }); err != nil {
			t.Error(err)
		}
		if ids, said := w.broker.log(t); said != "2" || ids[0] != "" {
			t.Errorf("on the log: %s, ids %q", said, ids)
		}
	})
}
