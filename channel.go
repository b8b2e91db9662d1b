package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// Channel declares a channel, or a family of channels: named streams of messages that belong to no model. What is not
// declared does not exist.
type Channel struct {
	// Name is the channel's name, or a prefix followed by "*": "chat:*" declares "chat:7" and every other one. Names consist of
	// letters, digits and any of "_-=@,.;:/".
	Name string

	// Subscribe decides who may follow the channel of a name; its error refuses, and ErrNotFound is answered as for a channel that
	// was never declared, so that one that is hidden looks like one that is missing. Nil: nobody may.
	Subscribe func(ctx context.Context, name string) error

	// Publish decides what a browser may publish: it returns what is sent to the subscribers, or an error. Nil: browsers
	// may not publish. The application itself publishes with Hub.Publish.
	Publish func(ctx context.Context, name string, data json.RawMessage) (any, error)
}

var channelName = regexp.MustCompile(`^[A-Za-z0-9_\-=@,.;:/]{1,164}$`)

// register checks the declaration and adds the channel to a hub.
func (c *Channel) register(h *Hub) error {
	prefix, family := strings.CutSuffix(c.Name, "*")
	if !channelName.MatchString(prefix) && !(family && prefix == "") {
		return fmt.Errorf(`channel %q: the name is not allowed: use letters, digits and any of "_-=@,.;:/", and a "*" at the end for a family`, c.Name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, other := range h.channels {
		if other.Name == c.Name {
			return fmt.Errorf("channel %s: it is declared twice: keep one", c.Name)
		}
	}
	h.channels = append(h.channels, c)
	return nil
}

// covers reports whether the declaration is for the channel of a name, and how closely: an exact name before a prefix, a
// longer prefix before a shorter one.
func (c *Channel) covers(name string) (bool, int) {
	if c.Name == name {
		return true, len(name) + 1
	}
	prefix, family := strings.CutSuffix(c.Name, "*")
	return family && strings.HasPrefix(name, prefix), len(prefix)
}

// channelOf returns the declaration of a channel, nil when there is none.
func (h *Hub) channelOf(name string) *Channel {
	if !channelName.MatchString(name) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var best *Channel
	closest := -1
	for _, c := range h.channels {
		if ok, how := c.covers(name); ok && how > closest {
			best, closest = c, how
		}
	}
	return best
}

// errNoChannel answers alike for a channel that does not exist and one that the caller may not follow.
func errNoChannel() error {
	return wire.NewProblem(http.StatusNotFound, "not_found", "no such channel, or not one that you may use")
}

// unlisted makes ErrNotFound the answer for a channel that does not exist, whatever sentence the application has for it.
func unlisted(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errNoChannel()
	}
	return err
}

// subscribeChannel authorises a subscription to a channel.
func (a app) subscribeChannel(ctx context.Context, name string) (source session.Source, err error) {
	if err := a.maySubscribe(ctx, name); err != nil {
		return source, err
	}
	return a.hub.followChannel(name), nil
}

// followChannel acquires the query of a channel.
func (h *Hub) followChannel(name string) session.Source {
	channels := h.engine.Channels()
	q := channels.Acquire(name, h.engine.Position)
	return session.Source{Query: q, Release: func() { channels.Release(q) }}
}

// maySubscribe asks whether the caller may follow a channel.
func (a app) maySubscribe(ctx context.Context, name string) (err error) {
	c := a.hub.channelOf(name)
	if c == nil || c.Subscribe == nil {
		return errNoChannel()
	}
	defer a.hub.caught(&err, inChannel)
	return unlisted(c.Subscribe(ctx, name))
}

// publish puts what a browser sent on a channel, as the application's func returns it.
func (a app) publish(ctx context.Context, m wire.Message) (err error) {
	defer a.hub.caught(&err, inChannel)
	c := a.hub.channelOf(m.Channel)
	if c == nil || c.Publish == nil {
		return errNoChannel()
	}
	v, err := c.Publish(ctx, m.Channel, m.Data)
	if err != nil {
		return unlisted(err)
	}
	return a.hub.Publish(context.WithoutCancel(ctx), m.Channel, v)
}

// Publish sends v, encoded as JSON, to all who follow a channel. It returns when the message is on the log, in a Batch and in
// a verb's func when it is noted. The channel must have been declared.
func (h *Hub) Publish(ctx context.Context, channel string, v any) error {
	if h.channelOf(channel) == nil {
		return fmt.Errorf("live: channel %q is not declared: register a live.Channel", channel)
	}
	if Suppressed(ctx) {
		return nil
	}
	data, err := wire.Marshal(v)
	if err != nil {
		return fmt.Errorf("live: channel %s: %w", channel, err)
	}
	if err := h.publish(ctx, record.Entry{Messages: []record.Message{{Channel: channel, Data: data}}}); err != nil {
		return fmt.Errorf("live: channel %s: %w", channel, err)
	}
	return nil
}
