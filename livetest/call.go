package livetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

// Call is a call of a verb, in full. What is zero is not sent.
type Call struct {
	Router, Verb string
	// Key is the row's key: as text, or a value of the key field's type.
	Key any
	// Version is the version that the writer saw, as it stands in a [Row].
	Version json.RawMessage
	// Data is what is written, or what the verb is given: anything that encodes to JSON, with the names that clients use.
	Data any
	// Where and Order are a list's.
	Where where.Where
	Order string
	// Mutation is a UUID that the change of this write carries.
	Mutation string
}

// Answer is what a call came to.
type Answer struct {
	// Row is the row of get, create and update as the caller may see it. In a conflict it is the row as it is now.
	Row Row
	// Rows are those of list.
	Rows []Row
	// Data is what a verb of the application's own returned.
	Data json.RawMessage
	// Cursor is the position of the last change that the call caused; empty when it caused none.
	Cursor string
}

// Do calls a verb. When the server refuses, the error is a *live.Error: errors.Is(err, live.ErrConflict) and errors.As work.
// That there is no answer at all fails the test.
func (c *Client) Do(t testing.TB, call Call) (Answer, error) {
	t.Helper()
	message := map[string]any{"type": "call", "router": call.Router, "verb": call.Verb}
	if call.Key != nil {
		message["key"] = keyText(call.Key)
	}
	if call.Version != nil {
		message["version"] = call.Version
	}
	if call.Data != nil {
		message["data"] = call.Data
	}
	if filter := whereJSON(t, call.Where); filter != "{}" {
		message["where"] = json.RawMessage(filter)
	}
	if call.Order != "" {
		message["order"] = call.Order
	}
	if call.Mutation != "" {
		message["mutation"] = call.Mutation
	}
	return c.ask(t, fmt.Sprintf("an answer to %s of %s", call.Verb, call.Router), message)
}

// Get gets a row. The error is as for [Client.Do].
func (c *Client) Get(t testing.TB, router string, key any) (Row, error) {
	t.Helper()
	a, err := c.Do(t, Call{Router: router, Verb: "get", Key: key})
	return a.Row, err
}

// List lists rows without subscribing to them. Of the options Where and Order count. The error is as for [Client.Do].
func (c *Client) List(t testing.TB, router string, options ...SubscribeOption) ([]Row, error) {
	t.Helper()
	var o subscribeOptions
	for _, option := range options {
		option(&o)
	}
	a, err := c.Do(t, Call{Router: router, Verb: "list", Where: o.where, Order: o.order})
	return a.Rows, err
}

// Create creates a row from what encodes to a JSON object, and returns it as stored. The error is as for [Client.Do].
func (c *Client) Create(t testing.TB, router string, data any) (Row, error) {
	t.Helper()
	a, err := c.Do(t, Call{Router: router, Verb: "create", Data: data})
	return a.Row, err
}

// Update writes fields of a row that this client, or another, was given: its version is the one that the writer saw. It
// returns the row as stored; when the error is a conflict, the row as it is now. The error is as for [Client.Do].
func (c *Client) Update(t testing.TB, router string, row Row, data any) (Row, error) {
	t.Helper()
	a, err := c.Do(t, Call{Router: router, Verb: "update", Key: row.Key, Version: row.Version, Data: data})
	return a.Row, err
}

// Delete deletes a row, of the version that is given with it. The error is as for [Client.Do].
func (c *Client) Delete(t testing.TB, router string, row Row) error {
	t.Helper()
	_, err := c.Do(t, Call{Router: router, Verb: "delete", Key: row.Key, Version: row.Version})
	return err
}

// Verb calls a verb of the application's own with what encodes to JSON, and decodes what it returned into out, unless that is
// nil. For a verb of a row use [Client.Do] with a Key. The error is as for [Client.Do].
func (c *Client) Verb(t testing.TB, router, verb string, in, out any) error {
	t.Helper()
	a, err := c.Do(t, Call{Router: router, Verb: verb, Data: in})
	if err != nil || out == nil {
		return err
	}
	if a.Data == nil {
		t.Fatalf("livetest: %s: %s of %s returned no data", c, verb, router)
	}
	if err := json.Unmarshal(a.Data, out); err != nil {
		t.Fatalf("livetest: %s: %s of %s returned %s: %v", c, verb, router, a.Data, err)
	}
	return nil
}

// Publish publishes on a channel, as far as the channel lets browsers. The error is as for [Client.Do].
func (c *Client) Publish(t testing.TB, channel string, data any) error {
	t.Helper()
	_, err := c.ask(t, "an answer to publishing on "+channel, map[string]any{"type": "publish", "channel": channel, "data": data})
	return err
}

// answer is the server's answer to one message.
type answer struct {
	Answer
	problem *live.Error
}

// ask sends a message and waits for its answer.
func (c *Client) ask(t testing.TB, want string, message map[string]any) (Answer, error) {
	t.Helper()
	c.asking.Lock()
	defer c.asking.Unlock()
	ctx, cancel, patience := c.server.wait(t)
	defer cancel()
	id, given := message["id"].(int64)
	if !given {
		id = c.nextID()
		message["id"] = id
	}
	var got answer
	err := c.send(ctx, message)
	if err == nil {
		defer c.drains.hurry()() // somebody who waits in a poll is handed the answer only after the round
		err = c.await(ctx, func() (ok bool) {
			got, ok = c.answers[id]
			delete(c.answers, id)
			if !ok && c.stray != nil {
				got, ok = answer{problem: c.stray}, true
				c.stray = nil
			}
			return ok
		})
	}
	if err != nil {
		t.Fatalf("livetest: %s: want %s, %s", c, want, because(err, patience))
	}
	if got.problem != nil {
		return got.Answer, got.problem
	}
	return got.Answer, nil
}

// answer takes the server's answer to a message that is no subscription. The lock is held.
func (c *Client) answer(m transporttest.Message) {
	var body struct {
		Cursor  string
		Row     *mirror.Row
		Rows    []mirror.Row
		Data    json.RawMessage
		Problem *struct {
			Status       int
			Code, Detail string
			Errors       map[string][]string
			Current      *mirror.Row
		}
	}
	if err := json.Unmarshal([]byte(m.Raw), &body); err != nil {
		c.broken = fmt.Errorf("the server broke the protocol: %w: %s", err, m.Raw)
		return
	}
	var a answer
	a.Cursor, a.Data = body.Cursor, body.Data
	if body.Row != nil {
		a.Row = Row(*body.Row)
	}
	for _, r := range body.Rows {
		a.Rows = append(a.Rows, Row(r))
	}
	if p := body.Problem; p != nil {
		a.problem = &live.Error{Code: p.Code, Status: p.Status, Detail: p.Detail, Errors: p.Errors}
		if p.Current != nil {
			a.Row = Row(*p.Current)
		}
	}
	if m.ID == 0 {
		c.stray = a.problem
		return
	}
	c.answers[m.ID] = a
}

// problemOf makes a problem the error that the application returned, or could have.
func problemOf(p *transporttest.Problem) *live.Error {
	if p == nil {
		return &live.Error{Code: "internal", Detail: "a refusal without a problem"}
	}
	return &live.Error{Code: p.Code, Status: p.Status, Detail: p.Detail, Errors: p.Errors}
}

// because says why there is not what was wanted.
func because(err error, patience time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("got nothing within %v", patience)
	}
	return "but " + err.Error()
}
