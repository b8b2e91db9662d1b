package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// A connection is a session of the hub that speaks this dialect. It answers what the session asks for (session.App), makes of what the session says
// what Pusher's clients are told, and stands before it where the transport comes (transport.Session). What it is told under the session's lock it
// notes, and says back: what calls others is left to the session's shard.

// Receive implements transport.Session: one message is one frame.
func (c *connection) Receive(ctx context.Context, data []byte) error {
	c.hear()
	if err := c.Room(ctx); err != nil {
		return err
	}
	if wait := c.Charge(); wait > 0 {
		c.Say(failure(0, fmt.Sprintf("too many messages in too short a time: wait %v", wait)))
		return nil
	}
	f, err := parseFrame(data)
	if err != nil {
		c.Say(failure(0, err.Error()))
		return nil
	}
	return c.take(ctx, &f)
}

// TooLarge implements transport.Session.
func (c *connection) TooLarge() {
	c.hear()
	c.Say(failure(0, "the message is too large"))
}

// Next implements transport.Session: it says why a connection ends in the codes of the protocol.
func (c *connection) Next(ctx context.Context) ([]*transport.Frame, error) {
	frames, err := c.Session.Next(ctx)
	if err != nil && errors.Is(err, transport.ErrClosed) {
		err = c.closedError(err)
	}
	return frames, err
}

// Cursor implements transport.Session: this protocol has none.
func (c *connection) Cursor() {}

// closedError is why the connection is closed.
func (c *connection) closedError(err error) error {
	c.mu.Lock()
	out := c.signedOut
	c.mu.Unlock()
	var why *transport.ClosedError
	switch {
	case out:
		return &transport.ClosedError{Status: codeUnauthorised, Code: "signed out"}
	case !errors.As(err, &why):
		return &transport.ClosedError{Status: codeReconnectNow, Code: "the server goes away: connect again"}
	case why.Status == sessionOverloaded:
		return &transport.ClosedError{Status: codeOverCapacity, Code: why.Code}
	case why.Status < codeTLSOnly:
		return &transport.ClosedError{Status: codeReconnectNow, Code: why.Code}
	}
	return why
}

// sessionOverloaded is what a session says that could not take or hold what it was sent.
const sessionOverloaded = 1013

// answered is what a frame of the session's says, as far as it matters here.
type answered struct {
	ID      int64             `json:"id"`
	Reason  string            `json:"reason"`
	Cursor  string            `json:"cursor"`
	Rows    []json.RawMessage `json:"rows"`
	Problem wire.Problem      `json:"problem"`
}

// answer makes of what the session says what the client is told: see session.Dialect.
func (c *connection) answer(f *transport.Frame) []*transport.Frame {
	var a answered
	switch f.Type {
	case "snapshot", "resync", "error", "closed":
		if err := json.Unmarshal(f.Data, &a); err != nil {
			c.server.logger.Error("pusher: a frame of the session cannot be read", "type", f.Type, "error", err)
			return nil
		}
	case "reconnect":
		c.mu.Lock()
		c.leaving = true
		c.mu.Unlock()
		return nil
	default:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Type == "snapshot" || f.Type == "resync" {
		return c.began(&a)
	}
	c.signedOut = c.signedOut || a.Problem.Code == "signed_out"
	return c.over(&a)
}

// began takes that a subscription of the session's has its rows, for the first time or anew. The lock is held.
func (c *connection) began(a *answered) []*transport.Frame {
	s := c.subs.of(a.ID)
	switch {
	case s == nil: // it was unsubscribed meanwhile
		return nil
	case a.ID == s.side:
		return c.beganSide(s, a)
	case s.told: // there is no history to tell
		return nil
	}
	s.told = true
	c.later(func() { c.joined(s) })
	return append([]*transport.Frame{s.succeeded()}, c.cached(s, a.Cursor)...)
}

// beganSide takes who is on a channel, which begins when the connection's user is, or that the rows of an offer are followed. The lock is held.
func (c *connection) beganSide(s *subscription, a *answered) (frames []*transport.Frame) {
	switch {
	case s.members != nil:
		if frames = s.members.replace(s, a.Rows); !s.members.here {
			return frames
		}
	case s.told && a.Reason != "":
		frames = []*transport.Frame{say("resync", s.name, "{}")}
	}
	s.settle(nil)
	return frames
}

// over takes that a subscription, or a client event, was refused, or that a subscription was ended. The lock is held.
func (c *connection) over(a *answered) []*transport.Frame {
	if a.ID == 0 || a.ID == eventID {
		return []*transport.Frame{failure(codeClientEventRefused, a.Problem.Detail)}
	}
	s := c.subs.of(a.ID)
	if s == nil {
		return nil
	}
	c.subs.remove(s)
	s.settle(&a.Problem)
	c.later(func() {
		c.drop(s, a.ID)
		c.left(s, false)
	})
	return []*transport.Frame{refused(s.name, errorType(a.Problem.Status), a.Problem.Detail, a.Problem.Status)}
}

// errorType is what pusher-js calls a refusal.
func errorType(status int) string {
	switch status {
	case 401, 403:
		return "AuthError"
	case 429:
		return "LimitReached"
	}
	return "SubscriptionError"
}

// deliver makes of a delivery what the client is told: see session.Dialect.
func (c *connection) deliver(id int64, d *livequery.Delivery) (frames []*transport.Frame, firm bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subs.of(id)
	switch {
	case s == nil:
		return nil, false
	case id == s.main:
		return translated(s.name, d).to(c.socket), false
	case s.members != nil:
		if frames = s.members.apply(s, d); s.members.here {
			s.settle(nil)
		}
		return frames, true
	case s.told:
		return offered(s.name, d), false
	}
	return nil, false
}

// Subscribe implements session.App.
func (c *connection) Subscribe(ctx context.Context, m wire.Message) (source session.Source, err error) {
	c.mu.Lock()
	s := c.subs.of(m.ID)
	c.mu.Unlock()
	switch {
	case s == nil:
		return source, errUnsubscribed
	case m.ID == s.main:
		if err := s.wait(ctx); err != nil {
			return source, err
		}
		return c.server.hub.Follow(hubChannel(c.app, s.name)), nil
	case s.members != nil:
		return c.attend(ctx, m, s)
	}
	return c.server.follow(ctx, s)
}

var errUnsubscribed = wire.NewProblem(404, "not_found", "it was unsubscribed before it began")

// later has f called by the session's shard, in the order in which it was asked: f may call others.
func (c *connection) later(f func()) {
	if !c.Shard().Do(f) { // the hub is gone
		go f()
	}
}
