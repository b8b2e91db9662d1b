package presence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/presence"
)

const soon = 300 * time.Millisecond

func TestJoinLookAndLeave(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(n, at(1, "1", as(1, "viewing")))
		ben.stream(n, at(1, "1", `{}`))
		pass(soon)
		ann.sees(1, "ann viewing")
		ben.sees(1, "ann viewing")
		ben.poll(n, 0, at(2, "1", as(2, "editing"))) // another tab, which polls
		pass(soon)
		ann.sees(1, "ann viewing, ben editing")
		if got := ben.call(n, set(2, `,"state":{"state":"idle"},"away":true`)); !strings.Contains(got, `"result"`) {
			t.Error(got)
		}
		pass(soon)
		ann.sees(1, "ann viewing, ben idle away")
		if got := ben.call(n, leave(2)); !strings.Contains(got, `"result"`) {
			t.Error(got)
		}
		pass(soon)
		ann.sees(1, "ann viewing")
		if got := ben.call(n, set(2, "")); !strings.Contains(got, `"not_found"`) {
			t.Error(got)
		}
		if m := n.presence.At(presence.Place{Router: "articles", Key: "1"}); len(m) != 1 || m[0].Name != "ann" || m[0].Place.Key != "1" {
			t.Errorf("at the article: %+v", m)
		}
		ann.hangUp()
		ben.hangUp()
	})
}

// A stream that breaks is forgiven for a moment; a poll that comes no more, for its lease.
func TestLingerAndLease(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		eve.stream(n, on(1, "chat:7", `{}`))
		ann.stream(n, on(1, "chat:7", as(1, "viewing")))
		ben.poll(n, 0, on(1, "chat:7", as(2, "typing")))
		pass(soon)
		eve.sees(1, "ann viewing, ben typing")
		ann.hangUp()
		pass(4 * time.Second)
		eve.sees(1, "ann viewing, ben typing")
		ann.stream(n, on(1, "chat:7", as(1, "viewing")))
		pass(10 * time.Second)
		eve.sees(1, "ann viewing, ben typing")
		ann.hangUp()
		pass(5*time.Second + soon)
		eve.sees(1, "ben typing")
		pass(20 * time.Second)
		ben.poll(n, 0, on(1, "chat:7", as(2, "typing")))
		pass(44 * time.Second)
		eve.sees(1, "ben typing")
		pass(2 * time.Second)
		eve.sees(1, "")
		eve.hangUp()
	})
}

func TestWhoMayNotSeeTheObjectSeesNobody(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(n, at(1, "3", as(1, "viewing")))
		for _, key := range []string{"3", "99"} {
			if got := ben.call(n, at(1, key, as(2, "viewing"))); !strings.Contains(got, `"code":"not_found"`) {
				t.Errorf("article %s: %s", key, got)
			}
		}
		w.barred["chat:2"] = true
		for _, channel := range []string{"chat:2", "nothing"} {
			if got := ben.call(n, on(1, channel, as(2, "viewing"))); !strings.Contains(got, `"code":"not_found"`) {
				t.Errorf("channel %s: %s", channel, got)
			}
		}
		if got := ben.call(n, `{"type":"subscribe","id":1,"router":"presence"}`); !strings.Contains(got, `"rows":[]`) {
			t.Errorf("by name: %s", got)
		}
		pass(soon)
		ann.sees(1, "ann viewing")
		ann.hangUp()
	})
}

func TestAWrongToken(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann, eve := w.client("ann"), w.client("eve")
		ann.stream(n, at(1, "1", as(1, "viewing")))
		pass(soon)
		mine := strings.ReplaceAll(as(1, "editing"), token(1), token(2))
		for _, message := range []string{
			at(1, "1", mine),
			strings.ReplaceAll(set(1, ""), token(1), token(2)),
			strings.ReplaceAll(leave(1), token(1), token(2)),
		} {
			if got := eve.call(n, message); !strings.Contains(got, `"code":"forbidden"`) {
				t.Errorf("%s: %s", message, got)
			}
		}
		if got := eve.call(n, at(1, "1", as(1, "editing"))); !strings.Contains(got, `"code":"forbidden"`) {
			t.Errorf("with the token, as another person: %s", got)
		}
		pass(soon)
		ann.sees(1, "ann viewing")
		ann.hangUp()
	})
}
