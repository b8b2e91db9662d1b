package pusher

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
)

func TestCacheChannelsTellTheLastEvent(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}}, &live.Channel{Name: "cache-*"})
	for _, channel := range []string{"cache-x", "private-cache-x", "private-encrypted-cache-x"} {
		c := n.dial()
		c.follow(channel)
		c.want(`pusher:cache_miss ` + channel + ` `)
		c.trigger2(n, channel)
		other := n.dial()
		other.follow(channel)
		other.want(`two ` + channel + ` "2"`)
		other.sync()
		event, ttl, ok := n.server.cached(n.app(), channel)
		if !ok || event.name != "two" || event.data != "2" || ttl <= 29*time.Minute || ttl > cacheTTL {
			t.Errorf("cached %+v, %v, %v", event, ttl, ok)
		}
	}
	for _, h := range n.hooks.all() {
		if h.Name != "cache_miss" && h.Name != "client_event" {
			t.Errorf("hook %+v", h)
		}
	}
	c := n.dial()
	c.askAs("presence-cache-x", `{"user_id":"ann"}`)
	c.want2("pusher_internal:subscription_succeeded")
	c.want(`pusher:cache_miss presence-cache-x `)
	if err := n.hub.Publish(t.Context(), "cache-x", 7); err != nil { // Go code, with nobody there
		t.Fatal(err)
	}
	n.catchUp()
	c.follow("cache-x")
	c.want(`message cache-x "7"`)
	if _, _, ok := n.server.cached(n.app(), "x"); ok {
		t.Error("a channel that is none has something cached")
	}
}

// trigger2 triggers two events, has the client send one, which does not count, and waits for what comes.
func (c *client) trigger2(n *node, channel string) {
	n.trigger(channel, "one", "1")
	n.trigger(channel, "two", "2")
	c.want(`one ` + channel + ` "1"`)
	c.want(`two ` + channel + ` "2"`)
	if channel == "private-cache-x" {
		watcher := n.dial()
		watcher.follow(channel)
		watcher.want(`two ` + channel + ` "2"`)
		c.send(`{"event":"client-e","channel":"private-cache-x","data":3}`)
		watcher.want(`client-e private-cache-x "3"`)
	}
}

// TestTheCacheIsBounded: by time, and in what it holds.
func TestTheCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		put := func(channel, data string) {
			c.seen(broker.Position{}, &record.Entry{Messages: []record.Message{{Channel: channel, Data: []byte(data)}}})
		}
		put("cache-x", "1")
		put("x", "1")
		put("a:private-cache-x", "12")
		time.Sleep(cacheTTL - 1)
		if c.of("cache-x") == nil || c.of("a:private-cache-x") == nil || c.of("x") != nil || c.bytes != 3 {
			t.Errorf("%d bytes of %d", c.bytes, len(c.by))
		}
		time.Sleep(time.Nanosecond)
		if c.of("cache-x") != nil {
			t.Error("it is kept for longer")
		}
		put("cache-y", "123")
		if len(c.by) != 1 || c.bytes != 3 {
			t.Errorf("%d bytes of %d", c.bytes, len(c.by))
		}
		large := make([]byte, maxCachedBytes)
		put("cache-z", string(large))
		if c.of("cache-y") != nil || c.of("cache-z") == nil {
			t.Error("what is newest is not kept")
		}
		c.reset()
		if len(c.by) != 0 || c.bytes != 0 || c.order.Len() != 0 {
			t.Error("something is left")
		}
	})
}

// TestANodeThatBeginsIsToldWhatIsCached by one of the others.
func TestANodeThatBeginsIsToldWhatIsCached(t *testing.T) {
	log := memory.New(memory.Options{})
	a := startNode(t, log, live.Options{}, Options{Apps: []App{silent}})
	b := startNode(t, log, live.Options{}, Options{Apps: []App{silent}})
	for _, n := range []*node{a, b} {
		n.until("it has begun", func() bool { return n.hub.Stats().Position != "" })
		n.server.sharing.mu.Lock()
		n.server.sharing.since = n.server.sharing.since.Add(-wholeAfter) // that nobody answers it is known
		n.server.sharing.mu.Unlock()
	}
	large := strings.Repeat("x", shareBytes/2)
	for i, data := range []string{large, large, large, "small"} {
		a.trigger(fmt.Sprintf("cache-%d", i), "e", data)
	}
	b.catchUp()
	late := startNode(t, log, live.Options{}, Options{Apps: []App{silent}})
	late.until("it is told", func() bool { return len(late.server.cache.all()) == 4 })
	event, ttl, ok := late.server.cached(late.app(), "cache-3")
	if !ok || event.name != "e" || event.data != "small" || ttl < 29*time.Minute || ttl > cacheTTL {
		t.Errorf("cached %+v, %v, %v", event, ttl, ok)
	}
	a.trigger("cache-3", "e", "newer")
	late.catchUp()
	late.server.sharing.heard(&order{Answers: late.server.sharing.node, Cached: []sharedEvent{{Channel: "cache-3", Data: []byte(`{"event":"e","data":"old"}`)}}})
	if event, _, _ := late.server.cached(late.app(), "cache-3"); event.data != "newer" {
		t.Errorf("cached %+v", event)
	}
}
