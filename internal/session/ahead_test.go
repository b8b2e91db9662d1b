package session_test

import (
	"testing"
	"testing/synctest"

	"github.com/swampline/live/internal/record"
)

// A list that is ahead of the log does not hold what has left the database already. Who resumes behind it, having come by the log, may hold that
// row, and a hub that has never heard of it cannot say that he does not.
func TestAListAheadOfTheLogDoesNotTellWhatOthersHold(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(7, 1)
		synctest.Wait()
		c := h.client()
		feed := c.subscribe(1, `{"box":1}`)
		c.drain()
		h.mustPut(8, 5) // the log goes on
		synctest.Wait()
		c.session.Cursor()
		c.drain()
		other := newHubOn(t, &flaky{Broker: h.broker.Broker}, h.store, options{})
		defer other.close()
		synctest.Wait()
		moved := h.commit(7, func(r thing) *thing { r.box = 3; return &r })
		first := other.client()
		first.subscribe(1, `{"box":1}`)
		first.drain()
		c.session.Close()
		c.hub = other
		c.reconnect()
		c.subscribe(1, `{"box":1}`)
		c.drain()
		moved.Op, moved.Was, moved.Changed = record.Put, nil, nil
		if _, err := h.publish(moved); err != nil {
			t.Fatal(err)
		}
		c.drain()
		other.agrees(t, feed, `{"box":1}`)
	})
}
