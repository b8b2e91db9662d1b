package presence_test

import (
	"testing"
	"time"

	"github.com/swampline/live/presence"
)

// The log is lost: everybody starts anew, and knows everybody again.
func TestTheLogIsLost(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.stream(w.nodes[1], at(1, "1", as(2, "viewing")))
		eve.poll(w.nodes[0], 0, at(1, "1", as(3, "typing")))
		pass(soon)
		ann.call(w.nodes[0], set(1, `,"state":{"state":"editing"}`))
		pass(soon)
		for range 2 {
			w.log.Reset()
			pass(6 * time.Second)
			for _, c := range []*client{ann, ben} {
				c.sees(1, "ann editing, ben viewing, eve typing")
			}
			eve.poll(w.nodes[1], 0, at(1, "1", as(3, "typing")))
			eve.sees(1, "ann editing, ben viewing, eve typing")
		}
		pass(time.Minute)
		ben.sees(1, "ann editing, ben viewing")
		ann.hangUp()
		pass(6 * time.Second)
		ben.sees(1, "ben viewing")
		ben.hangUp()
	})
}

// The log is away: nobody is taken out for it, and what was to be said is said afterwards.
func TestTheLogIsAway(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.stream(w.nodes[1], at(1, "1", as(2, "viewing")))
		eve.stream(w.nodes[1], at(1, "1", as(3, "viewing")))
		pass(soon)
		for _, n := range w.nodes {
			n.broker.sever()
		}
		ann.call(w.nodes[0], set(1, `,"state":{"state":"editing"}`))
		eve.hangUp()
		pass(3 * time.Minute)
		ben.sees(1, "ann viewing, ben viewing, eve viewing")
		for _, n := range w.nodes {
			n.broker.mend()
		}
		pass(10 * time.Second)
		for _, c := range []*client{ann, ben} {
			c.sees(1, "ann editing, ben viewing")
		}
		pass(3 * time.Minute)
		ann.sees(1, "ann editing, ben viewing")
		for _, line := range ben.lines() {
			if has(line, `"op":"delete"`) && has(line, member(1)) {
				t.Errorf("ann was taken out: %s", line)
			}
		}
		ann.hangUp()
		ben.hangUp()
	})
}

// Who is behind the log, or comes with a cursor that it does not reach back to, is right in the end.
func TestTheLogIsTrimmed(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.poll(w.nodes[1], 0, at(1, "1", as(2, "viewing")))
		pass(soon)
		ben.poll(w.nodes[1], 0, at(1, "1", as(2, "viewing")))
		ben.sees(1, "ann viewing, ben viewing")
		w.nodes[1].broker.sever()
		ann.hangUp()
		pass(6 * time.Second)
		w.log.Trim(0)
		w.nodes[1].broker.mend()
		pass(6 * time.Second)
		ben.poll(w.nodes[1], 0, at(1, "1", as(2, "viewing")))
		ben.sees(1, "ben viewing")
	})
}
