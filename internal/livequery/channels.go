package livequery

import (
	"sync"
	"time"

	"github.com/swampline/live/broker"
)

// Channels are the queries of the channels that somebody follows.
type Channels struct {
	registry *Registry
	mu       sync.Mutex
	queries  map[string]*Query
	idle     idlers
}

// NewChannels returns the channels of a hub.
func NewChannels(r *Registry) *Channels { return &Channels{registry: r, queries: map[string]*Query{}} }

// Len is how many channels have a query.
func (c *Channels) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queries)
}

// Acquire returns the query of a channel, for one more subscription.
func (c *Channels) Acquire(name string, at func() broker.Position) *Query {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queries[name]
	if q == nil {
		q = c.registry.newQuery("c", at())
		q.channel = name
		c.queries[name] = q
	}
	c.idle.take(q)
	q.refs++
	return q
}

// Release pays an Acquire back.
func (c *Channels) Release(q *Query) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.refs--; q.refs == 0 {
		c.idle.put(q)
	}
}

// Expire removes the channels that nobody has referred to since a moment.
func (c *Channels) Expire(before time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for q := c.idle.before(before); q != nil; q = c.idle.before(before) {
		delete(c.queries, q.channel)
	}
}

// Match tells the channels on which an entry published.
func (c *Channels) Match(e *Entry, out []*Delivery) []*Delivery {
	if len(e.Messages) == 0 && !e.Unreadable {
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Unreadable {
		for _, q := range c.queries {
			q.touched = e.Position
			out = append(out, &Delivery{Query: q, Position: e.Position, Unreadable: true})
		}
		return out
	}
	first := len(out)
	for i := range e.Messages {
		m := &e.Messages[i]
		q := c.queries[m.Channel]
		if q == nil {
			continue
		}
		var d *Delivery
		for _, earlier := range out[first:] {
			if earlier.Query == q {
				d = earlier
			}
		}
		if d == nil {
			d = &Delivery{Query: q, Position: e.Position}
			q.touched = e.Position
			out = append(out, d)
		}
		d.messages = append(d.messages, m)
	}
	return out
}

// Release pays back whatever the query was acquired from.
func (q *Query) Release(c *Channels) {
	if q.stream != nil {
		q.stream.Release(q)
		return
	}
	c.Release(q)
}

// Stream returns the stream of a router's query, nil for a channel.
func (q *Query) Stream() *Stream { return q.stream }
