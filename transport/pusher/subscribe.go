package pusher

import (
	"context"
	"fmt"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// subscribeData is what a client says of a subscription that it wants.
type subscribeData struct {
	Channel     string  `json:"channel"`
	Auth        string  `json:"auth"`
	ChannelData *string `json:"channel_data"`
}

// subscribe takes a subscription, or refuses it. The connection stays open: a client that is closed for this would never come back.
func (c *connection) subscribe(ctx context.Context, f *clientFrame) error {
	var d subscribeData
	if err := f.object(&d); err != nil {
		c.Say(failure(0, "pusher:subscribe: want data with a channel"))
		return nil
	}
	s, no := c.wanted(&d)
	if no != nil {
		c.Say(no)
		return nil
	}
	if s.side != 0 {
		if err := c.Handle(ctx, c.askSide(s)); err != nil {
			return err
		}
	}
	return c.Handle(ctx, wire.Message{Type: wire.Subscribe, ID: s.main, Channel: hubChannel(c.app, s.name)})
}

// askSide is what the session is asked for beside the channel.
func (c *connection) askSide(s *subscription) wire.Message {
	m := wire.Message{Type: wire.Subscribe, ID: s.side, Channel: hubChannel(c.app, s.name)}
	if s.members != nil {
		m.Presence = s.members.presence()
	} else {
		m.Channel, m.Router = "", s.offer.Router
	}
	return m
}

// wanted checks what a client wants to subscribe to, and adds it to its subscriptions.
func (c *connection) wanted(d *subscribeData) (*subscription, *transport.Frame) {
	k, ok := kindOf(d.Channel)
	if !ok {
		return nil, failure(0, fmt.Sprintf("no channel can have the name %.200q", d.Channel))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &subscription{name: d.Channel, kind: k}
	if no := c.forbids(s, d); no != nil {
		return nil, no
	}
	switch {
	case c.subs.named(d.Channel) != nil:
		return nil, failure(0, "there is a subscription to the channel "+d.Channel+" already")
	case len(c.subs) >= c.server.options.MaxChannels:
		return nil, refused(d.Channel, "LimitReached", fmt.Sprintf("a connection may have %d subscriptions", c.server.options.MaxChannels), 429)
	}
	if !k.presence {
		s.offer = c.server.offerOf(d.Channel, k)
	}
	if s.members != nil || s.offer != nil {
		c.lastID++
		s.side, s.begins = c.lastID, &beginning{done: make(chan struct{})}
	}
	c.lastID++
	s.main = c.lastID
	c.subs = append(c.subs, s)
	return s, nil
}

// forbids refuses a client that may not follow a channel. The lock is held.
func (c *connection) forbids(s *subscription, d *subscribeData) *transport.Frame {
	switch {
	case s.kind.user:
		if c.user == nil || userChannel+c.user.id != s.name {
			return refused(s.name, "AuthError", "this channel is for the user alone, who has to sign in", 401)
		}
	case s.kind.private && !authorised(c.app, d.Auth, textOfChannel(c.socket, s.name, d.ChannelData)):
		return refused(s.name, "AuthError", "the signature is not that of the app for this connection and channel", 401)
	case s.kind.presence:
		p, err := c.personOf(d.ChannelData)
		if err != nil {
			return refused(s.name, "AuthError", err.Error(), 401)
		}
		s.members = newRoster(p)
	}
	return nil
}

// unsubscribe ends a subscription. Nothing is answered, also when there was none.
func (c *connection) unsubscribe(f *clientFrame) {
	var d subscribeData
	if err := f.object(&d); err != nil || d.Channel == "" {
		c.Say(failure(0, "pusher:unsubscribe: want data with a channel"))
		return
	}
	c.mu.Lock()
	s := c.subs.named(d.Channel)
	if s != nil {
		c.subs.remove(s)
		s.settle(errUnsubscribed)
	}
	c.mu.Unlock()
	if s == nil {
		return
	}
	c.drop(s, 0)
	c.later(func() { c.left(s, false) })
}

// drop ends the session's subscriptions of one that is over, but for that which ended it. It does not wait.
func (c *connection) drop(s *subscription, ended int64) {
	for _, id := range []int64{s.side, s.main} {
		if id != 0 && id != ended {
			_ = c.Handle(context.Background(), wire.Message{Type: wire.Unsubscribe, ID: id})
		}
	}
}

// joined counts a subscription that has begun, unless it is to a user's own channel. It runs on the shard's goroutine.
func (c *connection) joined(s *subscription) {
	if s.kind.user {
		return
	}
	s.counted = true
	c.server.census.subscribed(c.app, s.name)
	if s.members != nil {
		c.server.census.entered(c.app, s.name, s.members.self.id)
	}
	if c.app.SubscriptionCount && !s.kind.presence {
		s.stop = c.server.census.watch(c.app, s.name, func(count int) {
			c.Say(sayJSON("pusher_internal:subscription_count", s.name, map[string]int{"subscription_count": count}))
		})
	}
}

// left takes that a subscription is over; lost says that the whole connection is. It runs on the shard's goroutine.
func (c *connection) left(s *subscription, lost bool) {
	if s.stop != nil {
		s.stop()
	}
	if s.counted {
		s.counted = false
		c.server.census.unsubscribed(c.app, s.name, lost)
		if s.members != nil {
			c.server.census.exited(c.app, s.name, s.members.self.id, lost)
		}
	}
}
