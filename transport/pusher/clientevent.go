package pusher

import (
	"context"
	"encoding/json"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/rate"
	"github.com/swampline/live/internal/wire"
)

const (
	maxClientData    = 10 << 10 // bytes of a client event's data
	clientEventsPerS = 10
)

// clientEvent takes an event that a client sends to the others on a channel.
func (c *connection) clientEvent(ctx context.Context, f *clientFrame) error {
	e := outgoing{name: f.Event, data: f.text(), channels: []string{f.Channel}, except: c.socket, client: true}
	if code, detail := c.refuses(&e); code != 0 {
		c.Say(failure(code, "the client event was refused: "+detail))
		return nil
	}
	m := messageOf(c.app, f.Channel, &e)
	data, err := json.Marshal(sent{m.Data, m.Note, e.user, f.Channel, e.name, e.data})
	if err != nil {
		return err // JSON and texts: it cannot be
	}
	return c.Handle(ctx, wire.Message{Type: wire.Publish, ID: eventID, Channel: m.Channel, Data: data})
}

// sent is a client event on its way through the session, which puts those of a connection on the log one after another.
type sent struct {
	Data    json.RawMessage
	Note    json.RawMessage
	User    string
	Channel string
	Event   string
	Text    string
}

// refuses checks a client event, and says whose it is.
func (c *connection) refuses(e *outgoing) (code int, detail string) {
	channel := e.channels[0]
	k, ok := kindOf(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subs.named(channel)
	if c.events == nil {
		c.events = rate.NewBucket(rate.PerSecond(clientEventsPerS, clientEventsPerS))
	}
	switch {
	case !c.app.ClientEvents:
		return codeClientEventRefused, "the app has none"
	case !ok || !k.private || k.encrypted:
		return codeClientEventRefused, "want a private or a presence channel that is not encrypted"
	case s == nil || !s.told:
		return codeUnauthorised, "this connection is not subscribed to the channel"
	case checkEvent(e.name) != nil || len(e.name) <= len("client-"):
		return codeClientEventRefused, "no event can have this name"
	case len(e.data) > maxClientData:
		return codeClientEventRefused, "the data is too long: want 10 KiB at most"
	}
	if _, ok := c.events.Take(1); !ok {
		return codeClientEventRefused, "too many in too short a time: want 10 a second at most"
	}
	if s.members != nil {
		e.user = s.members.self.id
	}
	return 0, ""
}

// Call implements session.App: it puts a client event on the log, and tells the webhook.
func (c *connection) Call(ctx context.Context, m wire.Message) (answer wire.Answer, at broker.Position, err error) {
	var e sent
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return answer, at, err
	}
	if err := c.server.publish(ctx, m.Channel, e.Data, e.Note); err != nil {
		return answer, at, err
	}
	c.server.hooks.happened(c.app, hook{Name: "client_event", Channel: e.Channel, Event: e.Event, Data: e.Text, SocketID: c.socket, UserID: e.User})
	return answer, at, nil
}
