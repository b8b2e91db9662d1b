package livequery

import (
	"encoding/json"
	"fmt"
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

func TestReplaySaysWhatTheStreamSaid(t *testing.T) {
	h := newHub(t)
	all := h.watch(`{}`)
	h.publish(created(v1))
	h.publish(updated(v1, v2), created(thing{2, 1, 1, ""}))
	h.publish(put(v3))
	h.publish(deleted(v3))
	var told []string
	for _, e := range h.log {
		for _, p := range all.query.Replay(e, Knowledge{Sure: true}).parts {
			told = append(told, ops[p.verdict]+" "+p.change.key)
		}
	}
	all.was(t, told...)
}

func TestReplayOfAnUnknownRow(t *testing.T) {
	h := newHub(t)
	q := h.acquire(boxA)
	h.publish(put(v2))
	held := map[string]struct{}{"1": {}}
	for name, c := range map[string]struct {
		k    Knowledge
		want string
	}{
		"nothing is known": {Knowledge{}, "unknown"},
		"the hub knows":    {Knowledge{Sure: true}, ""},
		"it holds it":      {Knowledge{Held: held}, "leave"},
		"it does not":      {Knowledge{Held: map[string]struct{}{}}, ""},
	} {
		got := ""
		if d := q.Replay(h.log[0], c.k); d != nil {
			if got = "unknown"; !d.Unknown {
				got = ops[d.parts[0].verdict]
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Old history is resolved for one subscription, in its own order. It must lose no change because the stream knows a newer
// one, and the first change that the stream resolved must fit what the subscription was told.
func TestBackfill(t *testing.T) {
	for base := range 6 {
		t.Run(fmt.Sprint(base), func(t *testing.T) {
			h := newHub(t)
			h.watch(`{}`)
			one, two, three := thing{1, 1, 1, "a"}, thing{1, 1, 2, "b"}, thing{1, 1, 3, "b"}
			four, five := thing{1, 2, 4, "c"}, thing{1, 1, 5, "c"}
			records := []record.Change{created(one), updated(one, two), updated(two, three), put(four), updated(four, five)}
			for _, r := range records {
				h.publish(r)
			}
			for from := range 6 {
				behind := h.resume(boxA)
				if from > 0 && from != 4 {
					behind.hold([]thing{{}, one, two, three, four, five}[from])
				}
				behind.feed.Cursor = at(from).String()
				old := h.stream.Backfill()
				for i := from; i < len(records); i++ {
					e := h.log[i]
					if i < base {
						c, err := old.Resolve(h.stream, &records[i], e.Position)
						if err != nil {
							t.Fatal(err)
						}
						e = &Entry{Position: e.Position, Changes: []*Change{c}}
					}
					d := behind.query.Replay(e, Knowledge{Old: old})
					if d != nil && (d.Unknown || d.Unreadable) {
						behind.hold(five) // a resync
						break
					}
					if d != nil {
						behind.deliver(t, d)
					}
				}
				behind.holds(t, five)
			}
		})
	}
}

func TestBackfillKnowsWhatWasLate(t *testing.T) {
	h := newHub(t)
	h.watch(boxC)
	h.publish(updated(v2, v3))
	late := updated(v1, v2)
	h.publish(late)
	b := h.acquire(boxB)
	old := h.stream.Backfill()
	c, err := old.Resolve(h.stream, &late, at(2))
	if err != nil {
		t.Fatal(err)
	}
	if d := b.Replay(&Entry{Position: at(2), Changes: []*Change{c}}, Knowledge{Old: old}); d != nil {
		t.Errorf("%s: the stale row is shown", d.Frame("").Data)
	}
	if c, err := old.Resolve(newStream(t), &late, at(2)); c != nil || err != nil {
		t.Error("a change of another stream was resolved")
	}
	var none *Backfill
	if c, err := none.Resolve(h.stream, &late, at(2)); c != nil || err != nil {
		t.Error("a channel was given a change")
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
		h.stream.Prime(a.query, h.reads(v3), h.position())
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

// A hub that began later may know a row by a list that is ahead of the log, and take a change for a difference to that. Who reads what was
// before from the broker holds the row as it was then, or, where he was told nothing of it, not at all.
func TestADifferenceToWhatOldHistoryDidNotTell(t *testing.T) {
	before := thing{1, 1, 1, "one"}
	list, now := thing{1, 2, 2, "two"}, thing{1, 2, 3, "two"} // the difference is the version
	for filter, told := range map[string]string{`{}`: "create 1", boxB: ""} {
		h := newHub(t)
		w := h.watch(filter)
		h.log = append(h.log, nil)
		rec, old := created(before), h.stream.Backfill()
		change, err := old.Resolve(h.stream, &rec, at(1))
		if err != nil {
			t.Fatal(err)
		}
		h.stream.Prime(h.acquire(boxC), h.reads(list), h.position()) // another's
		h.clients = nil
		h.publish(updated(list, now))
		var ops []string
		for _, e := range []*Entry{{Position: at(1), Changes: []*Change{change}}, h.log[1]} {
			if d := w.query.Replay(e, Knowledge{Sure: true, Old: old}); d != nil {
				w.deliver(t, d)
			}
		}
		if told != "" {
			ops = append(ops, told)
		}
		w.was(t, append(ops, "enter 1")...)
		w.holds(t, now)
	}
}

// The stream tells what is late by what came before the way through old history began; who is on that way takes it for new. What the
// stream says of the row next is for them, too, even when another late change comes first.
func TestALateChangeBehindOldHistory(t *testing.T) {
	h := newHub(t)
	a := h.watch(boxA)
	late, later := updated(v2, thing{1, 1, 3, ""}), updated(thing{1, 1, 1, ""}, thing{1, 2, 2, ""})
	h.publish(created(v1))
	h.publish(deleted(thing{1, 1, 3, ""})) // published before the change to this version
	h.clients = nil
	for _, c := range []record.Change{late, later, created(v4)} {
		h.publish(c)
	}
	a.feed.Cursor = at(2).String()
	old := h.stream.Backfill()
	change, err := old.Resolve(h.stream, &late, at(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append([]*Entry{{Position: at(3), Changes: []*Change{change}}}, h.log[3:]...) {
		if d := a.query.Replay(e, Knowledge{Sure: true, Old: old}); d != nil {
			a.deliver(t, d)
		}
	}
	a.holds(t)
}

// What a subscription held before its way through old history began, a creation on that way does not tell.
func TestADoubtfulDeleteOfARowThatOldHistoryCreated(t *testing.T) {
	h := newHub(t)
	a, other := h.watch(boxA), h.watch(boxC)
	h.publish(created(v1))
	h.clients = nil
	again, gone := created(v3), deleted(v1) // another row with the key, published before the end of the first
	gone.Was = nil
	h.publish(again)
	h.publish(gone)
	old := h.stream.Backfill()
	change, err := old.Resolve(h.stream, &again, at(2))
	if err != nil {
		t.Fatal(err)
	}
	a.feed.Cursor = at(1).String()
	for _, e := range []*Entry{{Position: at(2), Changes: []*Change{change}}, h.log[2]} {
		if d := a.query.Replay(e, Knowledge{Sure: true, Old: old}); d != nil {
			a.unsure = true
			a.deliver(t, d)
		}
	}
	a.was(t, "create 1", "unknown")
	other.was(t)
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
