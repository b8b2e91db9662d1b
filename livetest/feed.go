package livetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/transport/transporttest"
)

// feed is what a subscription to rows and one to a channel have in common: what came, and what of it the test has taken. The
// client's lock guards it.
type feed struct {
	client *Client
	id     int64
	what   string
	seen   *mirror.Feed

	begun   bool
	refused *live.Error
	// changes and messages count those of seen that were collected.
	changes, messages int
	pending           []event
	// rows are those that the test has been told of: they do not run ahead of what it has taken.
	rows   map[string]Row
	closed bool // and the test knows it
}

// event is something that came for a subscription.
type event struct {
	kind    eventKind
	cursor  string
	change  mirror.Change
	message json.RawMessage
	reason  string
	rows    map[string]Row
	problem *live.Error
}

type eventKind uint8

const (
	changed eventKind = iota
	messaged
	resynced
	closed
)

// String words an event for a message.
func (e event) String() string {
	switch e.kind {
	case changed:
		text := e.change.Op + " " + e.change.Key
		if e.change.Fields != nil {
			text += " " + fieldsText(e.change.Fields)
		}
		return text
	case messaged:
		return "the message " + clip(string(e.message))
	case resynced:
		return fmt.Sprintf("resync %q, holding %s", e.reason, keysText(e.rows))
	}
	return "the end of the subscription: " + e.problem.Error()
}

// subscribe makes a subscription and waits for its first answer. A refusal is a *live.Error.
func (c *Client) subscribe(t testing.TB, what string, message map[string]any) (*feed, error) {
	t.Helper()
	c.asking.Lock()
	defer c.asking.Unlock()
	f := &feed{client: c, id: c.nextID(), what: what, seen: &mirror.Feed{}}
	message["type"], message["id"] = "subscribe", f.id
	f.seen.Limit, _ = message["limit"].(int)
	c.mu.Lock()
	c.feeds[f.id], c.mirror.Feeds[f.id] = f, f.seen
	c.mu.Unlock()
	ctx, cancel, patience := c.server.wait(t)
	defer cancel()
	err := f.start(ctx, message)
	c.mu.Lock()
	defer c.mu.Unlock()
	var refusal *transporttest.Refusal
	switch {
	case f.refused == nil && errors.As(err, &refusal): // the whole request
		f.refused = problemOf(&refusal.Problem)
	case f.refused == nil && err != nil:
		t.Fatalf("livetest: %s: want a snapshot, %s", f, because(err, patience))
	case f.refused == nil:
		return f, nil
	}
	delete(c.feeds, f.id)
	delete(c.mirror.Feeds, f.id)
	return nil, f.refused
}

// start sends the message and waits until the subscription is where the log was before. A hub that lags takes a snapshot that is
// ahead of its position, and what the snapshot holds already comes again: that is no news for a test that made it happen.
func (f *feed) start(ctx context.Context, message map[string]any) error {
	c := f.client
	head, err := c.server.broker.Head(ctx)
	if err != nil {
		return fmt.Errorf("the broker says: %w", err)
	}
	if err := c.send(ctx, message); err != nil {
		return err
	}
	err = c.await(ctx, func() bool {
		if c.stray != nil && !f.begun {
			f.refused, c.stray = c.stray, nil
		}
		return f.begun || f.refused != nil
	})
	if err != nil || f.refused != nil {
		return err
	}
	end := head.String()
	err = f.reach(ctx, end)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(f.pending) > 0 && f.pending[0].cursor != "" && !mirror.After(f.pending[0].cursor, end) {
		f.apply(f.pending[0])
		f.pending = f.pending[1:]
	}
	return err
}

// String names the subscription and whose it is.
func (f *feed) String() string { return f.client.String() + ", " + f.what }

// answered takes an answer to subscribing, or a resync. The lock is held.
func (f *feed) answered(m transporttest.Message) {
	rows := map[string]Row{}
	for key, r := range f.seen.Rows {
		rows[key] = Row(r)
	}
	if !f.begun {
		f.begun, f.rows = true, rows
	}
	if m.Type == "resync" {
		f.pending = append(f.pending, event{kind: resynced, reason: m.Reason, rows: rows})
	}
}

// ended takes a refusal or the end. The lock is held.
func (f *feed) ended(problem *live.Error) {
	if !f.begun {
		f.refused = problem
		return
	}
	f.pending = append(f.pending, event{kind: closed, problem: problem})
}

// collect takes what the mirror has applied of a message with a cursor. The lock is held.
func (f *feed) collect(cursor string) {
	for _, c := range f.seen.Changes[f.changes:] {
		f.pending = append(f.pending, event{kind: changed, cursor: cursor, change: c})
	}
	for _, m := range f.seen.Messages[f.messages:] {
		f.pending = append(f.pending, event{kind: messaged, cursor: cursor, message: json.RawMessage(m)})
	}
	f.changes, f.messages = len(f.seen.Changes), len(f.seen.Messages)
}

// next waits for the next event. The test fails if none comes.
func (f *feed) next(t testing.TB, want string) event {
	t.Helper()
	c := f.client
	ctx, cancel, patience := c.server.wait(t)
	defer cancel()
	err := c.await(ctx, func() bool { return len(f.pending) > 0 || f.closed })
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		t.Fatalf("livetest: %s: want %s, %s; it holds %s", f, want, because(err, patience), keysText(f.rows))
	case f.closed:
		t.Fatalf("livetest: %s: want %s, but the subscription has ended", f, want)
	}
	e := f.pending[0]
	f.pending = f.pending[1:]
	f.apply(e)
	return e
}

// apply brings the rows to where the test is. The lock is held.
func (f *feed) apply(e event) {
	switch e.kind {
	case changed:
		switch live.Event(e.change.Op) {
		case live.Leave, live.Delete:
			delete(f.rows, e.change.Key)
		default:
			f.rows[e.change.Key] = Row(e.change.Held)
		}
	case resynced:
		f.rows = maps.Clone(e.rows)
	case closed:
		f.closed = true
	}
}

// unexpected fails the test with what came instead, and what stands behind it.
func (f *feed) unexpected(t testing.TB, want string, e event) {
	t.Helper()
	f.client.mu.Lock()
	defer f.client.mu.Unlock()
	text := e.String()
	for i, more := range f.pending {
		if i == 5 {
			text += fmt.Sprintf(", and %d more", len(f.pending)-i)
			break
		}
		text += ", then " + more.String()
	}
	t.Fatalf("livetest: %s: want %s, got %s", f, want, text)
}

// settle waits until the subscription has been told everything that stands on the log by now.
func (f *feed) settle(ctx context.Context) error {
	head, err := f.client.server.broker.Head(ctx)
	if err != nil {
		return fmt.Errorf("the broker says: %w", err)
	}
	return f.reach(ctx, head.String())
}

// reach waits until the subscription's cursor is not before another one, or the subscription has ended.
func (f *feed) reach(ctx context.Context, end string) error {
	c := f.client
	defer c.drains.hurry()()
	return c.await(ctx, func() bool {
		if f.seen.Ended != nil || f.closed || f.seen.Cursor == end || mirror.After(f.seen.Cursor, end) {
			return true
		}
		c.drains.ask() // whatever came was not enough
		return false
	})
}

// WantNone fails the test if anything came, or is still to come, of what has happened up to now: it waits, not for a while,
// but until the server has said that nothing of it is left.
func (f *feed) WantNone(t testing.TB) {
	t.Helper()
	ctx, cancel, patience := f.client.server.wait(t)
	defer cancel()
	err := f.settle(ctx)
	if e, ok := f.take(); ok {
		f.unexpected(t, "nothing more", e)
	}
	if err != nil {
		t.Fatalf("livetest: %s: want the word that nothing more comes, %s", f, because(err, patience))
	}
}

// take returns the next event if it has come.
func (f *feed) take() (event, bool) {
	f.client.mu.Lock()
	defer f.client.mu.Unlock()
	if len(f.pending) == 0 {
		return event{}, false
	}
	e := f.pending[0]
	f.pending = f.pending[1:]
	f.apply(e)
	return e, true
}

// WantResync wants the next event to be a resync with a reason: "rights", "history", "epoch", "overflow" or another of
// docs/protocol.md. The rows are then those that came with it.
func (f *feed) WantResync(t testing.TB, reason string) {
	t.Helper()
	want := fmt.Sprintf("resync %q", reason)
	if e := f.next(t, want); e.kind != resynced || e.reason != reason {
		f.unexpected(t, want, e)
	}
}

// WantClosed wants the next event to be the end of the subscription, with a problem of this code, which it returns.
func (f *feed) WantClosed(t testing.TB, code string) *live.Error {
	t.Helper()
	want := "the end of the subscription with " + code
	e := f.next(t, want)
	if e.kind != closed || e.problem.Code != code {
		f.unexpected(t, want, e)
	}
	return e.problem
}

// Unsubscribe ends the subscription. What came and was not wanted yet is dropped.
func (f *feed) Unsubscribe(t testing.TB) {
	t.Helper()
	c := f.client
	if _, err := c.ask(t, "an answer to unsubscribing from "+f.what, map[string]any{"type": "unsubscribe", "id": f.id}); err != nil {
		t.Fatalf("livetest: %s: cannot unsubscribe: %v", f, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.pending, f.closed = nil, true
	delete(c.feeds, f.id)
	delete(c.mirror.Feeds, f.id)
}

// keysText lists the keys of rows for a message.
func keysText(rows map[string]Row) string {
	if len(rows) == 0 {
		return "no rows"
	}
	return clip(strings.Join(slices.SortedFunc(maps.Keys(rows), compareKeys), ", "))
}

// fieldsText words fields as one JSON object.
func fieldsText(fields map[string]json.RawMessage) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(fields); err != nil {
		return err.Error()
	}
	return clip(strings.TrimSpace(b.String()))
}

// clip shortens what came before it is printed.
func clip(s string) string {
	const limit = 300
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
