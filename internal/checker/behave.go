package checker

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// behave has the client live its life until ctx ends: connections that last for some messages or some time, and then end politely or
// not, with the next one after it or already beside it.
func (c *client) behave(ctx context.Context) {
	var k *connection
	last := ""
	for ctx.Err() == nil {
		transport := c.transports[c.rnd.IntN(len(c.transports))]
		if c.rnd.IntN(4) == 0 {
			if to := c.world.nodes[c.rnd.IntN(len(c.world.nodes))]; to != c.node {
				c.node = to
				c.proxy.to(to.address)
				c.world.tally.Fault(OtherHub)
			}
		}
		overlap := c.rnd.IntN(4) == 0
		if k != nil && !overlap {
			k.close(c.rnd.IntN(2) == 0)
			if c.rnd.IntN(6) == 0 {
				c.crash()
			}
			if k = nil; c.rnd.IntN(5) == 0 { // away for a while
				c.sleep(ctx, time.Duration(c.rnd.IntN(1500))*time.Millisecond)
			}
		}
		next, err := c.open(ctx, transport, c.node)
		if err != nil {
			c.sleep(ctx, time.Duration(10+c.rnd.IntN(40))*time.Millisecond)
			continue
		}
		if last != "" && last != transport {
			c.world.tally.Fault(OtherTransport)
		}
		last = transport
		if k != nil {
			c.world.tally.Fault(Overlap)
			c.linger(ctx, next, 20, 100*time.Millisecond)
			k.close(c.rnd.IntN(2) == 0)
		}
		k = next
		c.stay(ctx, k)
	}
	if k != nil {
		k.close(true)
	}
}

// stay keeps a connection for a while, on which subscriptions come and go.
func (c *client) stay(ctx context.Context, k *connection) {
	for range 1 + c.rnd.IntN(3) {
		if !c.linger(ctx, k, int64(1+c.rnd.IntN(300)), time.Duration(100+c.rnd.IntN(1500))*time.Millisecond) {
			return
		}
		if !c.act(ctx, k) {
			return
		}
		if c.rnd.IntN(3) == 0 && !c.storm(ctx, k) {
			return
		}
	}
}

// linger waits for deliveries, or for a time. It reports false when the connection has ended.
func (c *client) linger(ctx context.Context, k *connection, messages int64, d time.Duration) bool {
	until := c.taken.Load() + messages
	end := time.After(d)
	for c.taken.Load() < until {
		select {
		case <-k.done:
			c.sleep(ctx, time.Duration(c.rnd.IntN(30))*time.Millisecond)
			return false
		case <-end:
			return true
		case <-ctx.Done():
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return true
}

// storm unsubscribes and subscribes again, many at once: over a WebSocket as it goes, otherwise with the next request. It reports false
// when the connection has ended.
func (c *client) storm(ctx context.Context, k *connection) bool {
	c.world.tally.Fault(Storm)
	for range 1 + c.rnd.IntN(4) {
		var texts []string
		c.mu.Lock()
		for _, id := range c.ids() {
			if c.rnd.IntN(3) != 0 {
				continue
			}
			s := c.subs[id]
			again := newSubscription(id, s.interest)
			if c.rnd.IntN(2) == 0 { // goes on where it was, under the same id or a new one
				again.feed, again.at, again.known, again.mask, again.read, again.blind = s.feed, s.at, s.known, s.mask, s.read, s.blind
			}
			again.member = s.member
			delete(c.subs, id)
			if k.link != nil {
				delete(k.link.standing, s)
				k.link.queries = without(k.link.queries, s)
				unsubscribe, _ := json.Marshal(map[string]any{"type": "unsubscribe", "id": id})
				texts = append(texts, string(unsubscribe))
				c.pending[id] = true
			}
			if c.rnd.IntN(2) == 0 || k.link != nil { // an answer on its way to the old one must not be taken for the new one's
				c.next++
				again.id = c.next
			}
			c.subs[again.id] = again
			if k.link != nil {
				texts = append(texts, c.ask(k.link, again))
			}
		}
		c.mu.Unlock()
		if k.link != nil && len(texts) > 0 {
			if k.say(ctx, texts...) != nil {
				return false
			}
			c.linger(ctx, k, 3, 5*time.Millisecond)
		}
	}
	if k.transport == SSE { // a stream takes no messages: the next one asks for what there is now
		return false
	}
	return true
}

// chatOwner is the owner whose channel it is.
func chatOwner(name string) (int, bool) {
	text, ok := strings.CutPrefix(name, "chat:")
	owner, err := strconv.Atoi(text)
	return owner, ok && err == nil
}
