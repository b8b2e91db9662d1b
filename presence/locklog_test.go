package presence_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/presence"
)

// A node that joins knows who has which lock before it lets anybody have one.
func TestANodeThatJoinsKnowsTheLocks(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		const rooms = 20
		tokens := make([]string, rooms)
		room := func(i int) presence.Place { return presence.Place{Channel: fmt.Sprintf("chat:%d", i)} }
		for i := range rooms {
			ann.poll(a, 0, on(i+1, room(i).Channel, as(1000+i, "viewing")))
		}
		pass(soon)
		for i := range rooms {
			tokens[i] = ann.gets(w.nodes[i%2], "lock", 1000+i, "")
		}
		c := w.start()
		for i := range rooms {
			ben.poll(c, 0, on(i+1, room(i).Channel, as(5000+i, "viewing")))
			if got := ben.locks(c, "lock", 5000+i); got != "locked by ann" {
				t.Errorf("lock %d: %s", i, got)
			}
			if err := c.presence.CheckLock(w.as("ann"), room(i), tokens[i]); err != nil {
				t.Error(err)
			}
		}
		b.kill()
		a.kill()
		if err := c.presence.CheckLock(w.as("ann"), room(7), tokens[7]); err != nil {
			t.Error(err)
		}
	})
}

// When a node with a lock is halted, one that begins meanwhile is not kept from giving it to others; and when it wakes up it knows.
func TestWhoWasHaltedHasLostItsLocks(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		a := w.nodes[0]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		pass(soon)
		first := ann.gets(a, "lock", 1, "")
		a.broker.sever()
		pass(soon)
		b := w.start()
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		second := ben.gets(b, "lock", 2, first)
		a.broker.mend()
		pass(5 * time.Second)
		for _, c := range []*client{ann, ben} {
			c.sees(1, "ann viewing, ben viewing")
			c.shows(1, "ben "+second)
		}
		if got := ann.locks(a, "lock", 1); got != "locked by ben" {
			t.Error(got)
		}
		if err := a.presence.CheckLock(w.as("ben"), one, second); err != nil {
			t.Error(err)
		}
		refused(t, a.presence.CheckLock(w.as("ann"), one, first), "ben has the lock")
		ann.hangUp()
		ben.hangUp()
	})
}

// An entry that nobody can read may have been of locks.
func TestLocksAreLostWithAnEntryThatCannotBeRead(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		first := ann.gets(a, "lock", 1, "")
		pass(soon)
		if _, err := w.log.Append(t.Context(), []byte("garbage")); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		for _, c := range []*client{ann, ben} {
			c.sees(1, "ann viewing, ben viewing")
			c.shows(1, "")
		}
		second := ben.gets(a, "lock", 2, first)
		pass(soon)
		ann.shows(1, "ben "+second)
		ann.hangUp()
		ben.hangUp()
	})
}

// Who missed a part of the log that is held no more asks who has which lock; his own members keep theirs.
func TestLocksAfterAGap(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		w.nodes[0].kill()
		w.nodes[1].kill()
		w.log = memory.New(memory.Options{MaxEntries: 20})
		a, b := w.start(), w.start()
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, on(1, "chat:1", as(2, "viewing")))
		ann.poll(b, 0, on(2, "chat:1", as(3, "viewing")))
		pass(soon)
		first := ann.gets(a, "lock", 1, "")
		second := ben.gets(b, "lock", 2, first)
		a.broker.sever()
		for range 50 {
			b.change(article{ID: 2, Title: "two"})
			synctest.Wait() // b follows, or it has a gap, too
		}
		ben.locks(b, "unlock", 2)
		third := ann.gets(b, "lock", 3, second)
		a.broker.mend()
		pass(5 * time.Second)
		ann.shows(1, "ann "+first)
		if err := a.presence.CheckLock(w.as("ann"), presence.Place{Channel: "chat:1"}, third); err != nil {
			t.Error(err)
		}
		refused(t, a.presence.CheckLock(w.as("ben"), presence.Place{Channel: "chat:1"}, second), "ann has the lock")
		ann.hangUp()
		ben.hangUp()
	})
}

// A node that is stopped lets its clients go to others, with their locks.
func TestALockOutlivesAShutdown(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		token := ann.gets(a, "lock", 1, "")
		pass(soon)
		if err := a.hub.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		ann.hangUp()
		ann.stream(b, at(1, "1", as(1, "viewing")))
		pass(time.Minute)
		ben.shows(1, "ann "+token)
		if got := ben.locks(b, "lock", 2); got != "locked by ann" {
			t.Error(got)
		}
		ann.hangUp()
		ben.hangUp()
	})
}

func TestLocksAreLostWithTheLog(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)
		first := ann.gets(a, "lock", 1, "")
		for _, n := range w.nodes {
			n.broker.sever()
		}
		pass(soon)
		w.log = memory.New(memory.Options{})
		for _, n := range w.nodes {
			n.broker.swap(w.log)
			n.broker.mend()
		}
		pass(5 * time.Second)
		ann.shows(1, "")
		ben.sees(1, "ann viewing, ben viewing")
		refused(t, b.presence.CheckLock(w.as("ann"), one, first), "nobody has the lock: take it first")
		second := ben.gets(b, "lock", 2, first)
		pass(soon)
		ann.shows(1, "ben "+second)
		ann.hangUp()
		ben.hangUp()
	})
}
