package presence_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/presence"
)

// Who polled at one node, and then has a stream from another, is not taken back by the first, to be buried there when his lease is over.
func TestAPollThatBecomesAStreamElsewhere(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[0], at(1, "1", `{}`))
		for range 3 {
			ann.poll(w.nodes[0], 0, at(1, "1", as(1, "viewing")))
			pass(soon)
		}
		ann.stream(w.nodes[1], at(1, "1", as(1, "viewing")))
		pass(2 * time.Minute)
		for _, line := range eve.lines() {
			if strings.Contains(line, `"delete"`) || strings.Contains(line, `"leave"`) {
				t.Errorf("it is told %s", line)
			}
		}
		eve.sees(1, "ann viewing")
		ann.hangUp()
		pass(6 * time.Second)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// A member that polls, and for which a node speaks now since the one before died, goes on there.
func TestAPollAfterItsNodeDied(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[1], at(1, "1", `{}`))
		ann.poll(w.nodes[0], 0, at(1, "1", as(1, "viewing")))
		pass(soon)
		w.nodes[0].kill()
		for range 12 {
			ann.poll(w.nodes[1], 0, at(1, "1", as(1, "viewing")))
			pass(10 * time.Second)
			ann.sees(1, "ann viewing")
			eve.sees(1, "ann viewing")
		}
		pass(2 * time.Minute)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// entries are those of the log.
func (w *world) entries() (all []string) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	head, _ := w.log.Head(ctx)
	_ = w.log.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
		for _, e := range batch {
			if all = append(all, string(e.Data)); e.Position == head {
				cancel()
			}
		}
		return nil
	})
	return all
}

var versioned = regexp.MustCompile(`"version":\d+`)

// What a node says of a member that goes over to another one at the same moment does not take it out.
func TestAMoveThatCrossesAWord(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[0], at(1, "1", `{}`))
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		all := w.entries()
		word := all[len(all)-1]
		ann.hangUp()
		ann.poll(w.nodes[1], 0, at(1, "1", as(1, "viewing")))
		pass(soon)
		// The first node said it again before it knew.
		if _, err := w.log.Append(t.Context(), []byte(versioned.ReplaceAllString(word, fmt.Sprintf(`"version":%d`, time.Now().UnixMilli())))); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			pass(soon)
			ann.poll(w.nodes[1], 0, at(1, "1", as(1, "viewing")))
		}
		for _, line := range eve.lines() {
			if strings.Contains(line, `"delete"`) || strings.Contains(line, `"leave"`) {
				t.Errorf("it is told %s", line)
			}
		}
		eve.sees(1, "ann viewing")
		pass(time.Minute)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// Nor does what a node says of a member that polls, who goes over to poll another one: that one leaves it to the first to speak for him, and
// tells it when he was there only now and then.
func TestAPollThatMovesAndCrossesAWord(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[0], at(1, "1", `{}`))
		ann.poll(w.nodes[0], 0, at(1, "1", as(1, "viewing")))
		pass(soon)
		all := w.entries()
		word := all[len(all)-1]
		ann.poll(w.nodes[1], 0, at(1, "1", as(1, "editing")))
		pass(soon)
		if _, err := w.log.Append(t.Context(), []byte(versioned.ReplaceAllString(word, fmt.Sprintf(`"version":%d`, time.Now().UnixMilli())))); err != nil {
			t.Fatal(err)
		}
		for range 120 {
			pass(time.Second)
			ann.poll(w.nodes[1], 0, at(1, "1", as(1, "viewing")))
		}
		for _, line := range eve.lines() {
			if strings.Contains(line, `"delete"`) || strings.Contains(line, `"leave"`) {
				t.Errorf("it is told %s", line)
			}
		}
		eve.sees(1, "ann viewing")
		pass(2 * time.Minute)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// A member that a node is said to speak for, and does not know, is taken out after the time for which a stream may be gone.
func TestANodeThatDoesNotKnowItsMember(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[1], at(1, "1", `{}`))
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		all := w.entries()
		word := all[len(all)-1]
		ann.call(w.nodes[0], leave(1))
		ann.hangUp()
		pass(soon)
		eve.sees(1, "")
		if _, err := w.log.Append(t.Context(), []byte(versioned.ReplaceAllString(word, fmt.Sprintf(`"version":%d`, time.Now().UnixMilli())))); err != nil {
			t.Fatal(err)
		}
		pass(6 * time.Second)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// That nobody can say whether a member may be where it is does not take it out: a request that its client gave up, a database that does not
// answer.
func TestAFailureIsNoRefusal(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[0], on(1, "chat:7", `{}`))
		ann.poll(w.nodes[0], 0, on(1, "chat:7", as(1, "viewing")))
		pass(soon)
		for _, err := range []error{context.Canceled, errors.New("the database does not answer"), &live.Error{Code: "busy", Status: 503}, &live.Error{Code: "slow_down", Status: 429}} {
			w.mu.Lock()
			w.broken = err
			w.mu.Unlock()
			ann.poll(w.nodes[0], 0, on(1, "chat:7", as(1, "viewing")))
			pass(10 * time.Second)
			eve.sees(1, "ann viewing")
		}
		w.mu.Lock()
		w.broken = &live.Error{Code: "forbidden", Status: 403}
		w.mu.Unlock()
		ann.poll(w.nodes[0], 0, on(1, "chat:7", as(1, "viewing")))
		pass(soon)
		eve.sees(1, "")
		eve.hangUp()
	})
}
