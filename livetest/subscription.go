package livetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// SubscribeOption is something that [Client.Subscribe] may be told: [Where], [Order] or [Limit].
type SubscribeOption func(*subscribeOptions)

type subscribeOptions struct {
	where where.Where
	order string
	limit int
}

// Where filters the rows. Given several times, a row must match all.
func Where(w where.Where) SubscribeOption {
	return func(o *subscribeOptions) {
		if o.where == (where.Where{}) {
			o.where = w
		} else {
			o.where = where.And(o.where, w)
		}
	}
}

// Order sorts the rows: field names separated by commas, "-" in front for descending.
func Order(by string) SubscribeOption {
	return func(o *subscribeOptions) { o.order = by }
}

// Limit asks for the first n rows of the order only.
func Limit(n int) SubscribeOption {
	return func(o *subscribeOptions) { o.limit = n }
}

// Subscription is a client's subscription to the rows of a router.
type Subscription struct {
	*feed
	order []where.Order
}

// Change is what the client was told of one row.
type Change struct {
	Event live.Event
	Key   string
	// Row is the row as the client holds it afterwards; after a leave or delete, as it held it before.
	Row Row
	// Fields are those that were sent: all of the row, or those that an update changed, or none.
	Fields map[string]json.RawMessage
	// Mutation is the id that the writer gave the write, if any.
	Mutation string
	// By is who made the change, as the hub's Author has it; nil when that is not known.
	By json.RawMessage
}

// WantFields wants exactly these fields to have been sent with the change, with values whose JSON is equal. It returns c.
func (c Change) WantFields(t testing.TB, want map[string]any) Change {
	t.Helper()
	wantFields(t, string(c.Event)+" "+c.Key, c.Fields, want)
	return c
}

// Subscribe subscribes to the rows of a router and waits for the snapshot. A refusal fails the test.
func (c *Client) Subscribe(t testing.TB, router string, options ...SubscribeOption) *Subscription {
	t.Helper()
	s, err := c.TrySubscribe(t, router, options...)
	if err != nil {
		t.Fatalf("livetest: %s: cannot subscribe to %s: %v", c, router, err)
	}
	return s
}

// TrySubscribe is Subscribe that returns a refusal, as a *live.Error.
func (c *Client) TrySubscribe(t testing.TB, router string, options ...SubscribeOption) (*Subscription, error) {
	t.Helper()
	what, message := subscribeMessage(t, router, options)
	f, err := c.subscribe(t, what, message)
	if err != nil {
		return nil, err
	}
	text, _ := message["order"].(string)
	order, err := where.ParseOrder(text)
	if err != nil {
		t.Fatalf("livetest: %s: the server took an order that is none: %v", f, err)
	}
	return &Subscription{feed: f, order: order}, nil
}

// subscribeMessage returns a subscribe message, and how it is called in messages of the test.
func subscribeMessage(t testing.TB, router string, options []SubscribeOption) (what string, message map[string]any) {
	t.Helper()
	var o subscribeOptions
	for _, option := range options {
		option(&o)
	}
	what, message = router, map[string]any{"router": router}
	if filter := whereJSON(t, o.where); filter != "{}" {
		message["where"] = json.RawMessage(filter)
		what += " " + clip(filter)
	}
	if o.order != "" {
		message["order"] = o.order
		what += " by " + o.order
	}
	if o.limit != 0 {
		message["limit"] = o.limit
		what += fmt.Sprintf(", %d rows", o.limit)
	}
	return what, message
}

// whereJSON returns a filter as it is sent.
func whereJSON(t testing.TB, w where.Where) string {
	t.Helper()
	data, err := json.Marshal(w)
	if err != nil {
		t.Fatalf("livetest: this filter cannot be sent: %v", err)
	}
	return string(data)
}

// Want wants the next change of the subscription to be an event of a row, and returns it. The key is text, or a value of the
// key field's type. The test fails with what came instead.
func (s *Subscription) Want(t testing.TB, event live.Event, key any) Change {
	t.Helper()
	want := string(event) + " " + keyText(key)
	e := s.next(t, want)
	if e.kind != changed || e.change.Op != string(event) || e.change.Key != keyText(key) {
		s.unexpected(t, want, e)
	}
	return Change{
		Event: event, Key: e.change.Key, Row: Row(e.change.Held), Fields: e.change.Fields, Mutation: e.change.Mutation, By: e.change.By,
	}
}

// Sync takes all that has happened up to now, for a test that cares about the rows and not about the way to them. A
// resync or the end of the subscription fails the test.
func (s *Subscription) Sync(t testing.TB) {
	t.Helper()
	ctx, cancel, patience := s.client.server.wait(t)
	defer cancel()
	err := s.settle(ctx)
	for e, ok := s.take(); ok; e, ok = s.take() {
		if e.kind != changed {
			s.unexpected(t, "changes only", e)
		}
	}
	if err != nil {
		t.Fatalf("livetest: %s: want all that has happened, %s", s, because(err, patience))
	}
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if s.seen.Limit > 0 && len(s.pending) == 0 { // a window drops rows at its end without being told of each
		s.rows = map[string]Row{}
		for _, r := range s.seen.Shown() {
			s.rows[r.Key] = Row(r)
		}
	}
}

// Rows returns the rows as they are after what the test has wanted so far: the snapshot, and each change that Want, WantResync
// or Sync took. They are in the order of the subscription; without one, by key.
func (s *Subscription) Rows() []Row {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.rows), func(a, b Row) int { return compareRows(s.order, a, b) })
}

// Keys returns the keys of Rows.
func (s *Subscription) Keys() []string {
	rows := s.Rows()
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	return keys
}

// Row returns one of the Rows. The test fails if it is not there.
func (s *Subscription) Row(t testing.TB, key any) Row {
	t.Helper()
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	row, ok := s.rows[keyText(key)]
	if !ok {
		t.Fatalf("livetest: %s: want row %s, it holds %s", s, keyText(key), keysText(s.rows))
	}
	return row
}
