package session_test

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// labelled returns the labels of the goroutines in whose stacks a func is.
func labelled(t *testing.T, in string) string {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	var all []string
	for group := range strings.SplitSeq(b.String(), "\n\n") {
		if _, labels, ok := strings.Cut(group, "# labels: "); ok && strings.Contains(group, in) {
			labels, _, _ = strings.Cut(labels, "\n")
			all = append(all, labels)
		}
	}
	return strings.Join(all, " ")
}

// Profiles tell what goroutines work for.
func TestLabels(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		var loading, again, calling, offering, told string
		h.onLoad = func(wire.Message) error { loading = labelled(t, "TestLabels"); return nil }
		c := h.client()
		c.session = h.session(0)
		c.session.Transport = "pipe"
		c.park()
		c.subscribe(1, `{}`)
		c.rest()
		h.onLoad = nil
		h.onSubscribe = func(wire.Message) error { again = labelled(t, "TestLabels"); return nil }
		c.session.Shard().Do(func() {
			told = labelled(t, "TestLabels")
			c.session.Resync("epoch")
		})
		c.rest()
		c.outlet.onOffer = func(*transport.Batch) { offering = labelled(t, "TestLabels") }
		h.mustPut(1, 1)
		c.rest()
		c.outlet.onOffer = nil
		h.onCall = func() { calling = labelled(t, "TestLabels") }
		c.send(`{"type":"call","id":8,"router":"things","verb":"put","data":{"id":1,"box":2}}`)
		c.rest()
		for name, is := range map[string][2]string{
			"a list is read":               {loading, `{"router":"things", "transport":"pipe"}`},
			"rights are evaluated":         {again, `{"router":"things", "transport":"pipe"}`},
			"a verb runs":                  {calling, `{"router":"things", "transport":"pipe"}`},
			"a shard does what it must do": {told, `{"shard":"0"}`},
			"a shard offers something":     {offering, `{"shard":"0", "transport":"pipe"}`},
		} {
			if !strings.Contains(is[0], is[1]) {
				t.Errorf("while %s, its goroutine has the labels %s, want %s", name, is[0], is[1])
			}
		}
	})
}
