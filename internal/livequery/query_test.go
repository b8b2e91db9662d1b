package livequery

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
)

func TestIdenticalSubscriptionsShareAQuery(t *testing.T) {
	h := newHub(t)
	a, same, other := h.acquire(`{"box":1,"id":2}`), h.acquire(`[{"id":{"in":[2]},"box":1}]`), h.acquire(boxB)
	if a != same || a == other || a.ID == other.ID || a.Tag() != same.Tag() || a.Tag() == other.Tag() {
		t.Errorf("%s %s %s; tags %s %s %s", a.ID, same.ID, other.ID, a.Tag(), same.Tag(), other.Tag())
	}
	if elsewhere := newHub(t).acquire(`{"id":2,"box":1}`); elsewhere.Tag() != a.Tag() {
		t.Error("another hub gives the same list another tag")
	}
}

func TestAQueryOutlivesItsLastSubscription(t *testing.T) {
	h := newHub(t)
	q := h.acquire(boxA)
	h.acquire(boxA)
	h.stream.Release(q)
	h.stream.Expire(time.Now().Add(time.Hour))
	if h.stream.Stats().Queries != 1 {
		t.Fatal("a query that is referred to expired")
	}
	h.stream.Release(q)
	h.stream.Expire(q.idle.since)
	if h.acquire(boxA) != q {
		t.Fatal("a query expired too soon")
	}
	h.stream.Release(q)
	h.stream.Expire(time.Now().Add(time.Hour))
	if h.stream.Stats().Queries != 0 {
		t.Fatal("a query that nobody needs stays")
	}
	h.publish(created(v1))
	if q.touched != q.since {
		t.Error("an expired query is still told")
	}
	if again := h.acquire(boxA); again == q || again.ID == q.ID {
		t.Error("an expired query came back")
	}
}

func TestChannels(t *testing.T) {
	r := new(Registry)
	c := NewChannels(r)
	origin := func() broker.Position { return at(0) }
	a, b := c.Acquire("a", origin), c.Acquire("b", origin)
	if c.Acquire("a", origin) != a || a.ID == b.ID {
		t.Fatal("the queries of channels are mixed up")
	}
	message := func(channel, data string) record.Message {
		return record.Message{Channel: channel, Data: json.RawMessage(data)}
	}
	e := &Entry{Position: at(1), Messages: []record.Message{message("a", "1"), message("b", "2"), message("x", "3"), message("a", "4")}}
	got := map[*Query]string{}
	for _, d := range c.Match(e, nil) {
		got[d.Query] += string(d.Frame(d.Query.ID).Items)
		if again := d.Query.Replay(e, Knowledge{}); string(again.Frame(d.Query.ID).Data) != string(d.Frame(d.Query.ID).Data) {
			t.Errorf("live %s, replayed %s", d.Frame(d.Query.ID).Data, again.Frame(d.Query.ID).Data)
		}
	}
	if len(got) != 2 || got[a] != "1,4" || got[b] != "2" {
		t.Errorf("told %v", got)
	}
	if d := a.Replay(&Entry{Position: at(2), Messages: []record.Message{message("b", "1")}}, Knowledge{}); d != nil {
		t.Error("a message of another channel concerns it")
	}
	for _, d := range c.Match(&Entry{Position: at(3), Unreadable: true}, nil) {
		if !d.Unreadable {
			t.Error("an unreadable entry is not told")
		}
	}
	a.Release(c)
	a.Release(c)
	b.Release(c)
	c.Expire(time.Now().Add(time.Hour))
	if len(c.queries) != 0 {
		t.Errorf("%d channels stay", len(c.queries))
	}
}

func TestUnchangedSince(t *testing.T) {
	h := newHub(t)
	h.publish(created(thing{7, 7, 1, ""}))
	a := h.watch(boxA)
	unchanged := func(n int, want bool, why string) {
		t.Helper()
		if got := h.stream.UnchangedSince(a.query, at(n), ""); got != want {
			t.Errorf("since %d of %d: %v, want %v: %s", n, len(h.log), got, want, why)
		}
	}
	unchanged(0, false, "the query was not there")
	unchanged(1, true, "nothing came")
	h.publish(created(thing{8, 8, 1, ""}))
	unchanged(1, true, "it does not concern it")
	h.publish(created(v1))
	unchanged(2, false, "a row came")
	unchanged(3, true, "it has been seen")
	if h.stream.UnchangedSince(a.query, broker.Position{Epoch: 1, Major: 3}, "") {
		t.Error("of another epoch")
	}
	h.publish(put(thing{9, 9, 1, ""}))
	unchanged(3, true, "a list was loaded here: the row was not in it")

	other := h.acquire(boxB)
	h.publish(put(thing{10, 9, 1, ""}))
	if h.stream.UnchangedSince(other, at(4), "") {
		t.Error("nobody here knows whether the row was in the list that another hub gave")
	}
	h.stream.Match(&Entry{Position: at(6), Unreadable: true}, at(0), nil)
	unchanged(5, false, "nobody can say what came")
	h.stream.Reset(at(10))
	unchanged(6, false, "the log was lost")
	unchanged(10, true, "it began anew")
}

// A query may be acquired while the hub is in the middle of a batch, whose first entries it was not matched with.
func TestAQueryOfTheMiddleOfABatch(t *testing.T) {
	h := newHub(t)
	h.publish(created(v1))
	q := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, boxA)}, func() broker.Position { return at(0) })
	if h.stream.UnchangedSince(q, at(0), "") {
		t.Error("it does not know what was matched before it was there")
	}
}

func TestUnreadableEntriesConcernEverybody(t *testing.T) {
	h := newHub(t)
	a, b := h.watch(boxA), h.watch(boxB)
	h.log = append(h.log, nil)
	for _, d := range h.stream.Match(&Entry{Position: at(1), Unreadable: true}, at(0), nil) {
		for _, w := range h.clients {
			if w.query == d.Query {
				w.deliver(t, d)
			}
		}
	}
	a.was(t, "unreadable")
	b.was(t, "unreadable")
	bad := created(v1)
	bad.Now["box"] = json.RawMessage(`"text"`)
	if _, err := h.stream.Resolve(&bad, at(2)); err == nil {
		t.Error("a field of the wrong type was taken")
	}
}

type member struct {
	slot int32
	got  int
}

func (m *member) Deliver(run []*Delivery) { m.got += len(run) }
func (m *member) Slot() *int32            { return &m.slot }

// A publisher may have loaded the row that it deletes long before. Who knows the row by the old version alone does not know what clients
// hold that were told before.
func TestDeleteOfAnOldVersionOfARowThatIsNotKnown(t *testing.T) {
	changes := []record.Change{created(v1), updated(v1, v2), deleted(v1), created(v3)} // the last ends the stream's doubts
	t.Run("in old history", func(t *testing.T) {
		for from := range 3 { // what is read from the broker begins here
			h := newHub(t)
			c, sees := h.acquire(boxC), h.watch(`{"box":{"in":[1,2]}}`)
			for _, c := range changes[:from] {
				h.publish(c)
			}
			h.clients = nil
			for _, c := range changes[from:] {
				h.publish(c)
			}
			old, resynced := h.stream.Backfill(), false
			for i := from; i < len(changes); i++ {
				change, err := old.Resolve(h.stream, &changes[i], at(i+1))
				if err != nil {
					t.Fatal(err)
				}
				e := &Entry{Position: at(i + 1), Changes: []*Change{change}}
				if d := sees.query.Replay(e, Knowledge{Old: old}); d != nil {
					resynced = resynced || d.Unreadable
					sees.deliver(t, d)
				}
				if d := c.Replay(e, Knowledge{Old: old}); d != nil && i == 2 {
					t.Errorf("who never saw the row is told of it at %d", i+1)
				}
			}
			if !resynced { // where the way holds the newer version, a list tells
				sees.holds(t)
			}
		}
	})
	t.Run("by a hub that began later", func(t *testing.T) {
		h := newHub(t)
		came := h.resume(`{}`, v2)
		h.publish(changes[2])
		came.holds(t)
	})
}

// A row that a list shows by a newer version than an old delete names came back, or its delete has yet to be told: the list tells.
func TestDeleteOfAnOldVersionOfARowThatAListShows(t *testing.T) {
	gone := deleted(v1)
	read := func(h *hub, w *watcher, i int) {
		old := h.stream.Backfill()
		change, err := old.Resolve(h.stream, &gone, at(i))
		if err != nil {
			t.Fatal(err)
		}
		if d := w.query.Replay(&Entry{Position: at(i), Changes: []*Change{change}}, Knowledge{Old: old}); d != nil {
			w.deliver(t, d)
		}
	}
	t.Run("and the log does not", func(t *testing.T) {
		h := newHub(t)
		a := h.watch(`{}`, v3)
		read(h, a, 1)
		a.was(t, "unreadable")
	})
	t.Run("that ended the doubt", func(t *testing.T) {
		h := newHub(t)
		a := h.watch(`{}`)
		h.publish(created(v3))
		h.publish(gone)
		a.was(t, "create 1", "unreadable")
		h.stream.Prime(a.query, h.reads(v3), h.stream.Reading(h.position()))
		read(h, a, 2)
		a.was(t, "unreadable")
	})
	t.Run("and the log later", func(t *testing.T) {
		h := newHub(t)
		h.publish(created(v1))
		a := h.watch(`{}`, v2)
		h.publish(gone)
		h.publish(created(v4))
		a.told, a.feed.Rows, a.feed.Cursor = nil, map[string]mirror.Row{}, at(1).String() // as one that is slow
		a.hold(v2)
		read(h, a, 2)
		a.was(t, "delete 1")
		a.holds(t)
	})
}

func TestJoinAndPart(t *testing.T) {
	q := new(Registry).newQuery("k", at(0))
	var all []*member
	for range 5 {
		m := &member{}
		q.Join(1, m)
		all = append(all, m)
	}
	for _, i := range []int{2, 4, 0, 1, 3} {
		q.Part(1, all[i])
		for at, m := range q.Members(1) {
			if m == Member(all[i]) || int(*m.Slot()) != at {
				t.Fatalf("member %d: %v at %d", i, m, at)
			}
		}
	}
	if len(q.Members(1)) != 0 || len(q.Members(0)) != 0 {
		t.Error("somebody stays")
	}
}

// What a row is, said again for who does not know it, is no news to members who hold it. Who reads on, or holds another version, is told it
// whole; and a write that changed nothing is told, for its client waits for it.
func TestWhatIsSaidAgain(t *testing.T) {
	h := newHub(t)
	all := h.watch(`{}`)
	h.publish(created(v1))
	h.publish(updated(v1, v1))
	mine := updated(v1, v1)
	mine.Mutation = "m"
	h.publish(mine)
	all.was(t, "create 1", "update 1")
	again := h.log[1]
	if d := all.query.Replay(again, Knowledge{Sure: true}); d == nil || ops[d.parts[0].verdict] != "enter" {
		t.Errorf("who reads on is told %+v", d)
	}
	if d := all.query.Replay(again, Knowledge{Held: map[string]struct{}{"1": {}}}); d != nil {
		t.Errorf("who was told the row already is told %+v", d)
	}
	other := newHub(t)
	late := other.watch(`{}`)
	other.publish(updated(v1, v1))
	late.was(t, "enter 1")
}
