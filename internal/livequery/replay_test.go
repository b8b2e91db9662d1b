package livequery

import (
	"fmt"
	"testing"

	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/record"
)

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
		h.stream.Prime(h.acquire(boxC), h.reads(list), h.stream.Reading(h.position())) // another's
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

// A way through old history may come to what is in memory, and fall behind that again. What it remembers from before its beginning is then older
// than what it was told meanwhile.
func TestOldHistoryAgainBehindMemory(t *testing.T) {
	h := newHub(t)
	a := h.watch(boxA)
	gone, back, later := deleted(v2), thing{1, 1, 3, "three"}, thing{1, 1, 4, "four"}
	h.publish(gone)
	h.publish(created(back))
	h.publish(updated(back, later))
	a.told, a.feed.Rows, a.feed.Cursor = nil, map[string]mirror.Row{}, at(1).String() // as one that is slow
	old := h.stream.Backfill()
	old.Remember(h.stream, &gone, at(1))
	replay := func(e *Entry) {
		if d := a.query.Replay(e, Knowledge{Sure: true, Old: old}); d != nil {
			a.deliver(t, d)
		}
	}
	replay(h.log[1])
	rec := updated(back, later)
	change, err := old.Resolve(h.stream, &rec, at(3))
	if err != nil {
		t.Fatal(err)
	}
	replay(&Entry{Position: at(3), Changes: []*Change{change}})
	a.was(t, "create 1", "enter 1")
	a.holds(t, later)
}
