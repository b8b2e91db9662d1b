package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
)

// While the broker is away at the hub's start a client on a stream stays, is told, and has its subscriptions answered when the broker is
// there. They keep it from nothing, however many they are.
func TestTheBrokerIsAwayAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHubOn(t, &flaky{Broker: memory.New(memory.Options{}), broken: errBroken}, &store{rows: map[int64]thing{}}, options{})
		defer h.close()
		h.commit(1, func(r thing) *thing { return &r })
		c := h.client()
		c.session.Stays = true
		synctest.Wait()
		var feeds []*mirror.Feed
		for id := range int64(40) {
			feeds = append(feeds, c.subscribe(1+id, `{}`))
		}
		c.send(`{"type":"ping","id":100}`)
		c.send(`{"type":"unsubscribe","id":40}`)
		c.drain()
		if told := c.told(); told != "pong result" && told != "status pong result" {
			t.Errorf("told %s", told)
		}
		polled := h.client()
		polled.subscribe(1, `{}`)
		began := time.Now()
		polled.poll(time.Minute)
		if told := polled.told(); told != "error" || time.Since(began) > 0 || !strings.Contains(string(polled.last), `"status":503`) {
			t.Errorf("a poll is told %s after %v: %s", told, time.Since(began), polled.last)
		}
		time.Sleep(5 * time.Minute)
		c.drain()
		if told := c.told(); told != "" && told != "status" {
			t.Errorf("told %s", told)
		}
		h.broker.fail(nil)
		time.Sleep(6 * time.Second)
		c.drain()
		if told := c.told(); len(strings.Fields(told)) != 40 || strings.Count(told, "snapshot") != 39 || strings.Count(told, "status") != 1 {
			t.Errorf("told %s", told)
		}
		h.mustPut(2, 1)
		c.drain()
		for _, f := range feeds[:39] {
			h.agrees(t, f, `{}`)
			resyncs(t, f)
		}
	})
}

// In use, too, nobody is sent away, and what others published meanwhile comes when the broker is back.
func TestTheBrokerIsAwayInUse(t *testing.T) {
	inBubble(t, options{window: 2}, func(t *testing.T, h *hub) {
		other := newHubOn(t, &flaky{Broker: h.broker.Broker}, h.store, options{})
		defer other.close()
		c := h.client()
		c.session.Stays = true
		all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
		c.drain()
		c.told()
		h.broker.fail(errBroken)
		time.Sleep(time.Minute)
		for i := range int64(20) {
			other.mustPut(i, 1)
			other.say(t.Context(), "chat", `"there"`)
		}
		late := c.subscribe(3, `{}`) // by the database alone
		c.drain()
		if told := c.told(); told != "status snapshot" {
			t.Errorf("told %s", told)
		}
		h.agrees(t, late, `{}`)
		h.broker.fail(nil)
		time.Sleep(6 * time.Second)
		c.drain()
		if told := c.told(); !strings.HasPrefix(told, "status ") || strings.Contains(told, "resync") {
			t.Errorf("told %s", told)
		}
		if len(chat.Messages) != 20 {
			t.Errorf("%d messages", len(chat.Messages))
		}
		for _, f := range []*mirror.Feed{all, late} {
			h.agrees(t, f, `{}`)
		}
	})
}
