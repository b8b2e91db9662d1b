package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

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
	c := a.hub.channelOf(name)
	if c == nil || c.Subscribe == nil {
		return source, errNoChannel()
	}
	defer a.hub.caught(&err, inChannel)
	if err := c.Subscribe(ctx, name); err != nil {
		return source, unlisted(err)
	}
	channels := a.hub.engine.Channels()
	q := channels.Acquire(name, a.hub.engine.Position)
	return session.Source{Query: q, Release: func() { channels.Release(q) }}, nil
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
