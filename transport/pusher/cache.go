package pusher

import (
	ring "container/list"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/transport"
)

// cacheTTL is how long the last event of a cache channel is kept.
const cacheTTL = 30 * time.Minute

// maxCached and maxCachedBytes bound what a node keeps of cache channels: the oldest go first.
const (
	maxCached      = 100_000
	maxCachedBytes = 64 << 20
)

// cache keeps the last event of each cache channel that a server sent. All nodes read the same log, so all keep the same; for what was before a node
// began see sharing.
type cache struct {
	mu    sync.Mutex
	by    map[string]*ring.Element // by the hub's name of the channel
	order ring.List                // of *kept, the oldest first
	bytes int
}

// kept is one event.
type kept struct {
	channel string
	data    []byte // as it is on the log
	at      broker.Position
	until   time.Time
}

func newCache() *cache { return &cache{by: map[string]*ring.Element{}} }

// seen takes an entry of the log.
func (c *cache) seen(at broker.Position, e *record.Entry) {
	if e == nil {
		return
	}
	sent := time.Now()
	if e.Sent > 0 && time.UnixMilli(e.Sent).Before(sent) {
		sent = time.UnixMilli(e.Sent)
	}
	for i := range e.Messages {
		m := &e.Messages[i]
		if !strings.Contains(m.Channel, "cache-") { // nearly all
			continue
		}
		if k, ok := kindOf(bare(m.Channel)); !ok || !k.cache {
			continue
		}
		var n note
		if m.Note != nil && json.Unmarshal(m.Note, &n) == nil && n.Client {
			continue
		}
		c.keep(&kept{m.Channel, append([]byte(nil), m.Data...), at, sent.Add(cacheTTL)}) // a copy: the entry is larger
	}
}

func (c *cache) keep(k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.by[k.channel]; before != nil {
		c.drop(before)
	}
	c.put(k)
}

// fill keeps what was said before this node followed the log, unless it has heard of something newer.
func (c *cache) fill(k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[k.channel] == nil {
		c.put(k)
	}
}

// put adds one and lets go of what is too old, or too much. The lock is held.
func (c *cache) put(k *kept) {
	c.by[k.channel] = c.order.PushBack(k)
	c.bytes += len(k.data)
	for oldest := c.order.Front(); oldest != nil && oldest != c.order.Back(); oldest = c.order.Front() {
		if len(c.by) <= maxCached && c.bytes <= maxCachedBytes && time.Now().Before(oldest.Value.(*kept).until) {
			break
		}
		c.drop(oldest)
	}
}

// drop takes one out. The lock is held.
func (c *cache) drop(e *ring.Element) {
	k := c.order.Remove(e).(*kept)
	delete(c.by, k.channel)
	c.bytes -= len(k.data)
}

// of returns what is kept of a channel; nil for nothing.
func (c *cache) of(hub string) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.by[hub]
	if e == nil || !time.Now().Before(e.Value.(*kept).until) {
		return nil
	}
	return e.Value.(*kept)
}

// all returns what is kept, the oldest first.
func (c *cache) all() []*kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*kept
	for e := c.order.Front(); e != nil; e = e.Next() {
		if k := e.Value.(*kept); time.Now().Before(k.until) {
			all = append(all, k)
		}
	}
	return all
}

// reset forgets all: the log begins anew.
func (c *cache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.by)
	c.order.Init()
	c.bytes = 0
}

// cached is what a subscription to a cache channel is told behind its success: the last event up to the position at which it begins. One that came
// later it is told anyway, as any other. The connection's lock is held.
func (c *connection) cached(s *subscription, cursor string) []*transport.Frame {
	if !s.kind.cache {
		return nil
	}
	k := c.server.cache.of(hubChannel(c.app, s.name))
	if k == nil {
		c.later(func() { c.server.hooks.happened(c.app, hook{Name: "cache_miss", Channel: s.name}) })
		return []*transport.Frame{framed([]byte(`{"event":"pusher:cache_miss","channel":"` + s.name + `"}`))}
	}
	if begin, err := broker.ParsePosition(cursor); err == nil && k.at.After(begin) {
		return nil
	}
	l, _ := readMessage(&record.Message{Data: k.data})
	return []*transport.Frame{l.frame(s.name)}
}
