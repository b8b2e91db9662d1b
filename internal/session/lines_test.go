package session_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// lines is a log of one epoch that can go back to an earlier state, as one does whose replica lagged when it took over: the offsets are
// given out again for other entries, and nobody has noticed yet.
type lines struct {
	mu      sync.Mutex
	entries []broker.Entry
	moved   chan struct{}
	drawn   uint64
}

func newLines() *lines { return &lines{moved: make(chan struct{})} }

func (l *lines) changed() {
	close(l.moved)
	l.moved = make(chan struct{})
}

// goBack forgets all entries but the first n.
func (l *lines) goBack(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.Clone(l.entries[:n])
	l.changed()
}

func (l *lines) Append(_ context.Context, data []byte) (broker.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drawn++
	at := broker.Position{Epoch: 7, Major: uint64(len(l.entries) + 1), Minor: l.drawn * 7919 % 10007}
	l.entries = append(l.entries, broker.Entry{Position: at, Data: slices.Clone(data)})
	l.changed()
	return at, nil
}

func (l *lines) Head(context.Context) (broker.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return broker.Position{Epoch: 7}, nil
	}
	return l.entries[len(l.entries)-1].Position, nil
}

func (l *lines) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	for {
		l.mu.Lock()
		moved, n := l.moved, int(after.Major)
		known := after == broker.Position{} || after == broker.Position{Epoch: 7} ||
			n > 0 && n <= len(l.entries) && l.entries[n-1].Position == after
		var batch []broker.Entry
		if known {
			batch = slices.Clone(l.entries[n:])
		}
		l.mu.Unlock()
		switch {
		case !known:
			return broker.ErrExpired
		case len(batch) > 0:
			if err := deliver(batch); err != nil {
				return err
			}
			after = batch[len(batch)-1].Position
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// onLines runs a test with two hubs on one log and one database.
func onLines(t *testing.T, o options, f func(t *testing.T, a, b *hub)) {
	synctest.Test(t, func(t *testing.T) {
		log, db := newLines(), &store{rows: map[int64]thing{}}
		a := newHubOn(t, &flaky{Broker: memory.New(memory.Options{}), lines: log}, db, o)
		defer a.close()
		b := newHubOn(t, &flaky{Broker: memory.New(memory.Options{}), lines: log}, db, o)
		defer b.close()
		synctest.Wait()
		f(t, a, b)
	})
}

// A client saw entries that the log has lost. It comes to a hub that never saw them and is beyond their offsets already, is not there yet,
// or has the log's end before them: it must not go on as if it had seen what is there instead.
func TestACursorOfALineThatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		after  int // how many entries the log has after it went back to 90
		window int
		paused bool // the hub has not followed them when the client comes
		slow   bool // nor for long afterwards
		reason string
	}{
		"the log is beyond it":                      {after: 15, reason: "history"},
		"the log is beyond memory":                  {after: 15, window: 2, reason: "history"},
		"the log has come to the same offset":       {after: 10, reason: "history"},
		"the log ends before":                       {after: 5, reason: "epoch"},
		"the log is beyond it, and the hub is late": {after: 15, paused: true, reason: "history"},
		"the log is beyond it, and the hub is slow": {after: 15, paused: true, slow: true, reason: "overflow"},
		"the log ends before, and the hub is late":  {after: 5, paused: true, reason: "epoch"},
		"the log has nothing new":                   {after: 0, reason: "epoch"},
	} {
		t.Run(name, func(t *testing.T) {
			onLines(t, options{window: c.window}, func(t *testing.T, a, b *hub) {
				for i := range int64(90) {
					a.mustPut(i%20, i)
				}
				synctest.Wait()
				b.broker.pause(true)
				away := a.client()
				all, chat := away.subscribe(1, `{}`), away.channel(2, "chat")
				away.drain()
				for i := range int64(10) {
					a.mustPut(i, 1000+i)
					a.say(t.Context(), "chat", `"old"`)
				}
				away.drain()
				old := all.Cursor
				log := a.broker.lines
				a.broker.pause(true)
				log.goBack(90)
				for i := range int64(2 * c.after) {
					b.mustPut(10+i%5, 2000+i)
				}
				if !c.paused {
					b.broker.pause(false)
					time.Sleep(10 * time.Second) // until it has followed them
				}
				away.session.Close()
				away.told()
				away.session = b.session(0)
				away.subscribe(1, `{}`)
				away.channel(2, "chat")
				if c.paused {
					if c.slow {
						time.Sleep(time.Minute)
						away.drain()
					}
					b.broker.pause(false)
					time.Sleep(20 * time.Second)
				}
				away.drain()
				resyncs(t, all, c.reason)
				resyncs(t, chat, c.reason)
				b.agrees(t, all, `{}`)
				if c.reason == "epoch" && all.Cursor >= old {
					t.Errorf("the cursor is %s, it was %s: nothing was tried", all.Cursor, old)
				}
				b.mustPut(3, 3000)
				b.say(t.Context(), "chat", `"new"`)
				away.drain()
				b.agrees(t, all, `{}`)
				resyncs(t, all)
				if !slices.Contains(chat.Messages, `"new"`) {
					t.Error("a message after the resync, with a cursor before that of the client, was dropped")
				}
			})
		})
	}
}

// The hub itself followed what is lost: each of its subscriptions starts anew, those whose position is beyond the new end, too.
func TestAHubOnALineThatIsLost(t *testing.T) {
	for name, after := range map[string]int{"behind": 5, "nothing": 0, "even": 10, "beyond": 20} {
		t.Run(name, func(t *testing.T) {
			onLines(t, options{}, func(t *testing.T, a, b *hub) {
				for i := range int64(90) {
					a.mustPut(i%20, i)
				}
				c := a.client()
				all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
				c.drain()
				for i := range int64(10) {
					a.mustPut(i, 1000+i)
				}
				c.drain()
				c.session.Cursor()
				c.drain()
				for _, h := range []*hub{a, b} {
					h.broker.pause(true)
				}
				a.broker.lines.goBack(90)
				for i := range int64(after) {
					b.mustPut(10+i%5, 2000+i)
				}
				for _, h := range []*hub{a, b} {
					h.broker.pause(false)
				}
				time.Sleep(10 * time.Second)
				c.drain()
				resyncs(t, all, "history")
				resyncs(t, chat, "history")
				b.agrees(t, all, `{}`)
				b.mustPut(3, 3000)
				b.say(t.Context(), "chat", `"new"`)
				c.drain()
				b.agrees(t, all, `{}`)
				resyncs(t, all)
				if !slices.Equal(chat.Messages, []string{`"new"`}) {
					t.Errorf("messages %v", chat.Messages)
				}
			})
		})
	}
}
