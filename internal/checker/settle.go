package checker

import (
	"context"
	"time"

	"github.com/swampline/live/broker"
)

// settled reports whether every subscription has come to a position, or cannot.
func (c *client) settled(at broker.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		if c.barred(s) {
			continue
		}
		if !s.known || s.at.Epoch != at.Epoch || at.After(s.at) {
			return false
		}
		if s.kind == window && !s.meets() && s.feed.More && len(s.feed.Rows) < s.limit {
			return false // it is short of rows, and knows that there are more: they are being read
		}
	}
	return true
}

// lacks reports whether there is a subscription that was not asked for, and could be had.
func (c *client) lacks() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		if s.asked == nil && !c.barred(s) {
			return true
		}
	}
	return false
}

// barred reports whether the caller has no right to a channel, or to the one place that it asks for.
func (c *client) barred(s *subscription) bool {
	if s.meets() {
		return len(s.places) == 1 && !c.world.permitted(c.who, s.places[0])
	}
	mask, _ := c.world.rights.of(c.who)
	owner, ok := chatOwner(s.channel)
	return ok && mask&(1<<owner) == 0
}

// settle follows until everything is told, over one transport without faults.
func (c *client) settle(ctx context.Context, at broker.Position) {
	for try := 0; ctx.Err() == nil && !c.settled(at); try++ {
		transport := c.transports[c.rnd.IntN(len(c.transports))]
		k, err := c.open(ctx, transport, c.node)
		if err != nil {
			c.sleep(ctx, 50*time.Millisecond)
			continue
		}
		for alive := true; alive && !c.settled(at) && !c.lacks(); {
			select {
			case <-k.done:
				alive = false
				c.sleep(ctx, 20*time.Millisecond)
			case <-time.After(20 * time.Millisecond):
			}
		}
		k.close(true)
	}
}

func (c *client) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// close ends what the client holds open.
func (c *client) close() {
	c.proxy.close()
	c.http.CloseIdleConnections()
}
