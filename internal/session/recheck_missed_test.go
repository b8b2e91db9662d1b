package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

func TestRecheckWhenTheLogIsLost(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		release := make(chan struct{})
		h.onSubscribe = func(wire.Message) error { <-release; return nil }
		h.recheck()
		h.broker.Reset()
		h.mustPut(1, 1)
		synctest.Wait()
		close(release)
		c.drain()
		resyncs(t, all, "epoch")
		h.agrees(t, all, `{}`)
	})
}

// A hub that begins anew at the end of the log may have missed that rights changed: whoever was authorised before, and was still being
// given his rows, must not get them by the old ones, and go on by them.
func TestRecheckThatIsMissedWhileLoading(t *testing.T) {
	for name, lose := range map[string]func(*hub){
		"trimmed":     func(h *hub) { h.broker.Trim(0) },
		"another log": func(h *hub) { h.broker.Reset(); h.mustPut(3, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				h.mustPut(1, 1)
				h.mustPut(2, 2)
				h.allow(`{"box":1}`)
				synctest.Wait()
				read, release := make(chan struct{}, 9), make(chan struct{})
				h.onLoad = func(wire.Message) error { read <- struct{}{}; <-release; return nil }
				c := h.client()
				all := c.subscribe(1, `{}`)
				<-read
				h.broker.pause(true)
				h.allow(`{"box":2}`)
				h.tellOfRights()
				lose(h)
				h.broker.pause(false)
				time.Sleep(10 * time.Second) // of the bubble: the hub tries its broker again
				close(release)
				c.drain()
				h.mustPut(1, 1)
				h.mustPut(2, 2)
				c.drain()
				h.agrees(t, all, `{"box":2}`)
				if len(all.Resyncs) > 0 {
					t.Errorf("resyncs %v of what was never answered", all.Resyncs)
				}
			})
		})
	}
}

// The same for a client that comes with a cursor of the new log to a hub that has yet to find out that there is one.
func TestRecheckThatIsMissedWhileTheHubWaitsForTheNewLog(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		other := newHubOn(t, &flaky{Broker: h.broker.Broker}, h.store, options{})
		defer other.close()
		h.allow(`{"box":1}`)
		other.allow(`{"box":1}`)
		c := h.client()
		c.tagged = true
		all := c.subscribe(1, `{}`)
		c.drain()
		other.broker.pause(true)
		h.broker.Reset()
		h.mustPut(1, 1)
		c.drain()
		c.session.Close()
		c.hub = other
		c.reconnect()
		c.subscribe(1, `{}`)
		synctest.Wait()
		h.allow(`{"box":2}`)
		other.allow(`{"box":2}`)
		h.tellOfRights()
		other.broker.pause(false)
		time.Sleep(10 * time.Second) // of the bubble: the hub tries its broker again
		c.drain()
		h.mustPut(1, 1)
		h.mustPut(2, 2)
		c.drain()
		other.agrees(t, all, `{"box":2}`)
	})
}

// Nor may what waits in the queue by the old rights go out.
func TestRecheckThatIsMissedWhileASnapshotIsQueued(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		h.allow(`{"box":1}`)
		synctest.Wait()
		c := h.client()
		all := c.subscribe(1, `{}`)
		synctest.Wait() // its snapshot is queued
		h.broker.pause(true)
		h.allow(`{"box":2}`)
		h.tellOfRights()
		h.broker.Trim(0)
		h.broker.pause(false)
		time.Sleep(10 * time.Second) // of the bubble: the hub tries its broker again
		c.drain()
		if told := strings.ReplaceAll(c.told(), "status ", ""); told != "snapshot" {
			t.Errorf("told %s", told)
		}
		h.agrees(t, all, `{"box":2}`)
	})
}

// What follows a recheck on the log is not told by who reads on before the recheck has been heard of.
func TestNobodyReadsOnPastARecheck(t *testing.T) {
	inBubble(t, options{queue: 1}, func(t *testing.T, h *hub) {
		h.allow(`{"box":1}`)
		c := h.client()
		all := c.subscribe(1, `{}`)
		synctest.Wait()
		busy, release := make(chan struct{}), make(chan struct{})
		c.session.Shard().Do(func() { close(busy); <-release })
		<-busy
		h.allow(`{"box":2}`)
		h.tellOfRights()
		h.mustPut(1, 1)
		h.engine.Settle(func(broker.Position) *livequery.Delivery { return nil })
		synctest.Wait() // the hub has followed it, and the session's shard has not come to it
		drained := make(chan struct{})
		go func() { defer close(drained); c.drain() }()
		synctest.Wait()
		close(release)
		<-drained
		for _, r := range all.Changes {
			t.Errorf("told by the old rights: %+v", r)
		}
		c.drain()
		h.agrees(t, all, `{"box":2}`)
	})
}

// TestRecheckAfterALongSilence rechecks a subscription that was quiet for so long that history does not reach back to what it was told
// last. It has missed nothing, so it goes on.
func TestRecheckAfterALongSilence(t *testing.T) {
	inBubble(t, options{window: 4, broker: memory.Options{MaxEntries: 10}}, func(t *testing.T, h *hub) {
		c := h.client()
		quiet := c.subscribe(1, `{"box":1000}`)
		c.drain()
		for i := range int64(100) {
			h.mustPut(i, 1)
			synctest.Wait()
		}
		h.each(func(s *session.Session) { s.Recheck(broker.Position{}) })
		synctest.Wait()
		c.drain()
		h.mustPut(1, 1000)
		synctest.Wait()
		c.drain()
		resyncs(t, quiet)
		h.agrees(t, quiet, `{"box":1000}`)
	})
}
