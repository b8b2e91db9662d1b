package session_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
)

// changeMany has the log say that any row of a filter may have changed.
func (h *hub) changeMany(filter string) {
	h.t.Helper()
	_, err := h.engine.Append(h.t.Context(), record.Entry{Changes: []record.Change{{Router: "things", Op: record.Bulk, Where: json.RawMessage(filter)}}})
	if err != nil {
		h.t.Fatal(err)
	}
}

// A resync that is taken back, because rights are evaluated anew, and comes again says why the client had to be resynced, not what happened
// while the hub was at it.
func TestAResyncThatComesAgainHasTheReasonOfTheFirst(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		c := h.client()
		c.tagged = true
		all := c.subscribe(1, `{}`)
		c.drain()
		c.reconnect()
		c.subscribe(1, `{}`)
		synctest.Wait() // it goes on in the log that is lost now
		var loads atomic.Int32
		release := make(chan struct{})
		h.onLoad = func(wire.Message) error {
			switch loads.Add(1) {
			case 1:
				h.changeMany(`{}`) // behind what it reads
				time.Sleep(time.Second)
			case 2:
				<-release
			}
			return nil
		}
		polled := make(chan struct{})
		go func() { defer close(polled); c.poll(25 * time.Second) }()
		synctest.Wait()
		h.broker.Reset()
		h.mustPut(1, 2)
		time.Sleep(10 * time.Second) // of the bubble
		h.recheck()
		close(release)
		<-polled
		c.drain()
		if loads := loads.Load(); loads != 3 {
			t.Fatalf("it was read %d times, want three: of the new log, after the bulk change, with the rights as they are", loads)
		}
		resyncs(t, all, "epoch")
		h.agrees(t, all, `{}`)
	})
}
