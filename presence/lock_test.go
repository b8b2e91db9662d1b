package presence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
)

// says is what the n-th tab calls of locks.
func says(verb string, n int, more string) string {
	return fmt.Sprintf(`{"type":"call","id":92,"router":"presence","verb":%q,"data":{"member":%q,"token":%q%s}}`, verb, member(n), token(n), more)
}

// outcome is what became of such a call: the fencing token, "done", or the code of the problem and, if it names somebody, the holder.
func outcome(t *testing.T, answer string) string {
	t.Helper()
	var a struct {
		Type string
		Data struct{ Lock string }
		// of an error
		Problem struct {
			Code    string
			Current struct {
				Key    string
				Fields struct{ Name, Lock string }
			}
		}
	}
	for line := range strings.SplitSeq(answer, "\n") { // the log's state and a cursor may stand beside it
		if strings.Contains(line, `"id":92`) {
			answer = line
		}
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	switch {
	case a.Type == "result" && a.Data.Lock != "":
		return a.Data.Lock
	case a.Type == "result":
		return "done"
	case a.Problem.Current.Key != "":
		if a.Problem.Current.Fields.Lock == "" {
			t.Errorf("the holder is shown without a lock: %s", answer)
		}
		return a.Problem.Code + " by " + a.Problem.Current.Fields.Name
	}
	if a.Problem.Code == "" {
		t.Errorf("no answer: %s", answer)
	}
	return a.Problem.Code
}

// locks calls a verb of locks for the n-th tab.
func (c *client) locks(n *node, verb string, tab int, more ...string) string {
	c.t.Helper()
	return outcome(c.t, c.call(n, says(verb, tab, strings.Join(more, ""))))
}

// gets calls a verb that is to give a lock, whose token must be greater than another one.
func (c *client) gets(n *node, verb string, tab int, after string, more ...string) string {
	c.t.Helper()
	got := c.locks(n, verb, tab, more...)
	if len(got) != 16 || got <= after || strings.Trim(got, "0123456789") != "" {
		c.t.Fatalf("%s of %s: %s, want a token after %q", verb, c.name, got, after)
	}
	return got
}

// holders says who is shown to have the lock, or to want it, in one subscription.
func (c *client) holders(id int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var holds, want []string
	for _, r := range c.mirror.Feeds[id].Rows {
		var name, lock string
		var wants bool
		_ = json.Unmarshal(r.Fields["name"], &name)
		_ = json.Unmarshal(r.Fields["lock"], &lock)
		_ = json.Unmarshal(r.Fields["wants"], &wants)
		if lock != "" {
			holds = append(holds, name+" "+lock)
		}
		if wants {
			want = append(want, name)
		}
	}
	slices.Sort(holds)
	slices.Sort(want)
	text := strings.Join(holds, " and ")
	if len(want) > 0 {
		text += ", wanted by " + strings.Join(want, " and ")
	}
	return text
}

// shows checks it.
func (c *client) shows(id int64, want string) {
	c.t.Helper()
	if got := c.holders(id); got != want {
		c.t.Errorf("%s is shown %q, want %q", c.name, got, want)
	}
}

// as is a context of a request of a person.
func (w *world) as(name string) context.Context {
	return context.WithValue(w.t.Context(), personKey{}, name)
}

var one = presence.Place{Router: "articles", Key: "1"}

// refused checks that an error says that there is a lock, and who has it.
func refused(t *testing.T, err error, detail string) {
	t.Helper()
	var e *live.Error
	if !errors.As(err, &e) || e.Code != "locked" || e.Status != 409 || e.Detail != detail {
		t.Errorf("got %v, want locked: %s", err, detail)
	}
}

func TestALockIsTakenRefusedAskedForAndGivenBack(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		first := ann.gets(a, "lock", 1, "")
		if again := ann.locks(b, "lock", 1); again != first {
			t.Errorf("taken again: %s, want %s", again, first)
		}
		if got := ben.locks(b, "lock", 2); got != "locked by ann" {
			t.Error(got)
		}
		pass(soon)
		ann.shows(1, "ann "+first)
		ben.shows(1, "ann "+first)
		if m := b.presence.At(one); m[0].Lock != first || m[1].Lock != "" {
			t.Errorf("at the article: %+v", m)
		}
		if got := ben.locks(a, "request", 2); got != "done" { // by another node
			t.Error(got)
		}
		pass(soon)
		ann.shows(1, "ann "+first+", wanted by ben")
		if got := ben.locks(b, "unlock", 2); got != "done" { // what he does not have: he asks no longer
			t.Error(got)
		}
		pass(soon)
		ann.shows(1, "ann "+first)
		if got := ben.locks(b, "request", 2); got != "done" {
			t.Error(got)
		}
		if got := ann.locks(b, "unlock", 1); got != "done" {
			t.Error(got)
		}
		pass(soon)
		ann.shows(1, ", wanted by ben")
		second := ben.gets(b, "lock", 2, first)
		pass(soon)
		ann.shows(1, "ben "+second)
		ann.hangUp()
		ben.hangUp()
	})
}

func TestALockIsHandedOverAndTakenOver(t *testing.T) {
	o := presence.Options{
		MayLock: func(ctx context.Context, at presence.Place) error {
			if person(ctx) == "eve" {
				return live.ErrForbidden
			}
			return nil
		},
		MayTakeOver: func(ctx context.Context, at presence.Place) error {
			if person(ctx) != "boss" || at != one {
				return live.ErrForbidden
			}
			return nil
		},
	}
	inWorld(t, 2, o, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben, boss, eve := w.client("ann"), w.client("ben"), w.client("boss"), w.client("eve")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		boss.poll(a, 0, at(1, "1", as(3, "viewing")))
		eve.poll(b, 0, at(1, "1", as(4, "viewing")))
		ann.poll(b, 0, at(2, "1", as(5, "viewing")))
		ben.poll(b, 0, at(2, "2", as(6, "viewing")))
		pass(soon)
		if got := eve.locks(b, "lock", 4); got != "forbidden" {
			t.Error(got)
		}
		if got := eve.locks(b, "takeover", 4); got != "forbidden" {
			t.Error(got)
		}
		first := ann.gets(a, "lock", 1, "")
		for _, to := range []int{6, 7} {
			if got := ann.locks(a, "handover", 1, fmt.Sprintf(`,"to":%q`, member(to))); got != "not_found" {
				t.Errorf("to a member that is not here: %s", got)
			}
		}
		if got := ben.locks(b, "handover", 2, fmt.Sprintf(`,"to":%q`, member(2))); got != "locked by ann" {
			t.Errorf("handed over by another: %s", got)
		}
		second := ann.gets(a, "handover", 1, first, fmt.Sprintf(`,"to":%q`, member(2)))
		pass(soon)
		ann.shows(1, "ben "+second)
		if got := ann.locks(a, "takeover", 1); got != "forbidden" {
			t.Error(got)
		}
		third := boss.gets(a, "takeover", 3, second)
		pass(soon)
		ben.shows(1, "boss "+third)
		if got := ben.locks(b, "unlock", 2); got != "done" { // which he lost
			t.Error(got)
		}
		pass(soon)
		ben.shows(1, "boss "+third)
		boss.locks(b, "unlock", 3)
		fourth := ann.gets(a, "takeover", 1, third) // that nobody has
		fifth := ann.gets(b, "takeover", 5, fourth) // his own, of another tab
		pass(soon)
		ben.shows(1, "ann "+fifth)
		ann.hangUp()
		ben.hangUp()
	})
}

func TestOfClaimsAtOnceOneWins(t *testing.T) {
	inWorld(t, 3, presence.Options{}, func(t *testing.T, w *world) {
		var all []*client
		for i, n := range w.nodes {
			for tab := range 3 {
				c := w.client(fmt.Sprintf("p%d%d", i, tab))
				c.stream(n, at(1, "1", as(10*i+tab, "viewing")))
				all = append(all, c)
			}
		}
		pass(soon)
		after := ""
		for range 5 {
			got := make([]string, len(all))
			var calls sync.WaitGroup
			for i, c := range all {
				calls.Go(func() { got[i] = c.locks(w.nodes[i/3], "lock", 10*(i/3)+i%3) })
			}
			calls.Wait()
			pass(soon)
			won := -1
			for i := range got {
				switch {
				case !strings.HasPrefix(got[i], "locked") && won >= 0:
					t.Fatalf("two have won: %q", got)
				case !strings.HasPrefix(got[i], "locked"):
					won = i
				}
			}
			if won < 0 || got[won] <= after {
				t.Fatalf("after %q: %q", after, got)
			}
			after = got[won]
			for i := range got {
				if name := all[won].name; i != won && got[i] != "locked by "+name {
					t.Errorf("%s has the lock, and %s was told %q", name, all[i].name, got[i])
				}
				all[i].shows(1, all[won].name+" "+after)
			}
			all[won].locks(w.nodes[0], "unlock", 10*(won/3)+won%3)
		}
		for _, c := range all {
			c.hangUp()
		}
	})
}

// A lock lasts as long as its member, and survives what that does: a loss of its connection, a move to another node.
func TestALockGoesWithItsMember(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		eve.stream(b, at(1, "1", "{}"))
		pass(soon)
		token := ann.gets(a, "lock", 1, "")
		ann.hangUp()
		pass(time.Second)
		ann.stream(b, at(1, "1", as(1, "viewing")))
		pass(10 * time.Second)
		eve.shows(1, "ann "+token)
		ann.hangUp() // for good
		pass(5*time.Second + soon)
		eve.shows(1, "")
		token = ben.gets(a, "lock", 2, token)
		ben.call(a, leave(2))
		ben.hangUp()
		ann.poll(a, 0, at(1, "1", as(3, "viewing")))
		pass(soon)
		eve.shows(1, "")
		token = ann.gets(b, "lock", 3, token)
		pass(40 * time.Second)
		eve.shows(1, "ann "+token)
		pass(6 * time.Second) // its lease
		eve.shows(1, "")
		ben.stream(a, at(1, "1", as(4, "viewing")))
		pass(soon)
		token = ben.gets(b, "lock", 4, token)
		ben.stream(a, at(1, "2", as(4, "viewing"))) // the same tab elsewhere
		pass(soon)
		ann.poll(b, 0, at(1, "1", as(5, "viewing")))
		ann.gets(b, "lock", 5, token)
		eve.hangUp()
		ben.hangUp()
	})
}

func TestALockOfAKilledNode(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		token := ann.gets(a, "lock", 1, "")
		a.kill()
		pass(20 * time.Second)
		if got := ben.locks(b, "lock", 2); got != "locked by ann" {
			t.Error(got)
		}
		pass(40 * time.Second)
		ben.shows(1, "")
		ben.gets(b, "lock", 2, token)
		ben.hangUp()
	})
}

// Who asks while the log is away is told so, and is not given a lock that he does not wait for any more.
func TestALockThatNobodyWaitsFor(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		ben.gets(b, "lock", 2, "")
		ben.locks(b, "unlock", 2)
		a.broker.sever()
		if got := ann.locks(a, "lock", 1); got != "unavailable" {
			t.Error(got)
		}
		if err := a.presence.CheckLock(w.as("ann"), one, ""); err == nil {
			t.Error("who cannot ask the log lets a save pass")
		}
		a.broker.mend()
		pass(5 * time.Second)
		ann.sees(1, "ann viewing, ben viewing")
		ann.shows(1, "")
		ann.hangUp()
		ben.hangUp()
	})
}

func TestLocksNeedTheTokenAndTheRight(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(n, on(1, "chat:1", as(1, "viewing")))
		ann.poll(n, 0, at(2, "3", as(2, "viewing")))
		pass(soon)
		for _, verb := range []string{"lock", "unlock", "request", "takeover", "handover"} {
			more := ""
			if verb == "handover" {
				more = fmt.Sprintf(`,"to":%q`, member(1))
			}
			wrong := strings.Replace(says(verb, 1, more), token(1), token(2), 1)
			if got := outcome(t, ben.call(n, wrong)); got != "forbidden" {
				t.Errorf("%s with a wrong token: %s", verb, got)
			}
			if got := ben.locks(n, verb, 9, more); got != "not_found" {
				t.Errorf("%s of nobody: %s", verb, got)
			}
			if got := outcome(t, ben.call(n, strings.Replace(says(verb, 1, more), member(1), "me", 1))); got != "invalid_value" {
				t.Errorf("%s of no member: %s", verb, got)
			}
			if got := ben.locks(n, verb, 2, more); got != "not_found" { // who has the secret, and may not see the article
				t.Errorf("%s without the right: %s", verb, got)
			}
		}
		w.mu.Lock()
		w.barred["chat:1"] = true
		w.mu.Unlock()
		if got := ann.locks(n, "lock", 1); got != "not_found" {
			t.Error(got)
		}
		err := n.presence.CheckLock(w.as("ben"), presence.Place{Router: "articles", Key: "3"}, "")
		if err == nil || !strings.HasPrefix(err.Error(), "not_found") {
			t.Errorf("who may not see the article learns who has its lock: %v", err)
		}
		ann.hangUp()
	})
}

// Nobody uses locks: nothing on the log tells of them.
func TestLocksCostNothingUnlessUsed(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann := w.client("ann")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(time.Minute)
		if got := w.logged(t, `locks`); got != 0 {
			t.Errorf("%d entries tell of locks", got)
		}
		ann.gets(w.nodes[0], "lock", 1, "")
		synctest.Wait()
		if got := w.logged(t, `locks`); got == 0 {
			t.Error("the lock is not on the log")
		}
		ann.hangUp()
	})
}
