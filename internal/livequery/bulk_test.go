package livequery

import (
	"encoding/json"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

func bulk(filter string) record.Change {
	return record.Change{Router: "things", Op: record.Bulk, Where: json.RawMessage(filter)}
}

// deliveries are what an entry means, by the filter of the query.
func (h *hub) deliveries(changes ...record.Change) map[string]*Delivery {
	h.t.Helper()
	e := &Entry{Position: at(len(h.log) + 1)}
	for i := range changes {
		c, err := h.stream.Resolve(&changes[i], e.Position)
		if err != nil {
			h.t.Fatal(err)
		}
		e.Changes = append(e.Changes, c)
	}
	h.log = append(h.log, e)
	all := map[string]*Delivery{}
	for _, d := range h.stream.Match(e, broker.Position{}, nil) {
		all[d.Query.Predicate.String()] = d
	}
	return all
}

func TestBulkConcernsWhatItOverlaps(t *testing.T) {
	h := newHub(t)
	one, two, some := h.watch(`{"box":1}`), h.watch(`{"box":2}`), h.watch(`{"box":{"gt":5}}`)
	got := h.deliveries(bulk(`{"box__in":[1,7]}`))
	if d := got[one.query.Predicate.String()]; d == nil || !d.Bulk || !d.Empty() {
		t.Errorf("the same box: %+v", d)
	}
	if d := got[some.query.Predicate.String()]; d == nil || !d.Bulk {
		t.Errorf("one that may overlap: %+v", d)
	}
	if d := got[two.query.Predicate.String()]; d != nil {
		t.Errorf("another box: %+v", d)
	}
	// Whoever catches up over it is told the same.
	for _, w := range []*watcher{one, two, some} {
		d := w.query.Replay(h.log[0], Knowledge{Sure: true})
		if live := got[w.query.Predicate.String()]; (d == nil) != (live == nil) || d != nil && !d.Bulk {
			t.Errorf("%s: replayed %+v, live %+v", w.query.Predicate, d, live)
		}
	}
	old := h.stream.Backfill()
	r := bulk(`{"box":2}`)
	c, err := old.Resolve(h.stream, &r, at(1))
	if err != nil {
		t.Fatal(err)
	}
	if d := two.query.Replay(&Entry{Position: at(1), Changes: []*Change{c}}, Knowledge{Old: old}); d == nil || !d.Bulk {
		t.Errorf("old history: %+v", d)
	}
	if !h.stream.UnchangedSince(two.query, at(1), "") || h.stream.UnchangedSince(one.query, broker.Position{Epoch: 77}, "") {
		t.Error("caches are told otherwise")
	}
}

// After a bulk change what was known of a row is no basis for a difference, and a row that comes late is found out.
func TestBulkForgetsWhatWasKnown(t *testing.T) {
	h := newHub(t)
	first := thing{id: 1, box: 1, version: 1, note: "a"}
	second := thing{id: 1, box: 1, version: 2, note: "a"}
	w := h.watch(`{"box":1}`)
	h.publish(created(first))
	h.publish(updated(first, second))
	w.was(t, "create 1", "update 1")
	h.deliveries(bulk(`{"box":1}`)) // version 3, with another note
	third, fourth := thing{id: 1, box: 1, version: 3, note: "b"}, thing{id: 1, box: 1, version: 4, note: "b"}
	h.stream.Prime(w.query, h.reads(third), h.stream.Reading(at(len(h.log))))
	w.hold(third)
	h.publish(updated(third, fourth))
	w.was(t, "enter 1")
	w.holds(t, fourth)
	h.publish(updated(first, thing{id: 1, box: 1, version: 2, note: "late"}))
	w.was(t)
	w.holds(t, fourth)
	fifth := fourth
	fifth.version, fifth.note = 5, "c"
	h.publish(updated(fourth, fifth))
	w.was(t, "update 1")

	// A row whose change nobody has seen in a list may have become anything.
	h.deliveries(bulk(`{"box":1}`))
	sixth := fifth
	sixth.version = 6
	h.publish(updated(fifth, sixth))
	w.was(t, "unreadable")

	// Without versions a difference would lack what the bulk change did.
	u := newHub(t)
	v := u.watch(`{"box":1}`)
	u.publish(unversioned(created(first)))
	u.deliveries(bulk(`{"box":1}`))
	u.publish(unversioned(updated(first, second)))
	v.was(t, "create 1", "enter 1")
}

func TestBulkThatCannotBeReadIsAnError(t *testing.T) {
	s := newStream(t)
	for _, filter := range []string{`{"nothing":1}`, `{"box":"x"}`, `7`} {
		r := bulk(filter)
		if _, err := s.Resolve(&r, at(1)); err == nil {
			t.Errorf("%s is read", filter)
		}
	}
}

func TestDeleteByKeyAlone(t *testing.T) {
	h := newHub(t)
	row := thing{id: 1, box: 1, version: 3}
	w := h.watch(`{"box":1}`)
	h.publish(created(row))
	h.publish(record.Change{Router: "things", Op: record.Delete, Key: "1"})
	w.was(t, "create 1", "delete 1")
	before := thing{id: 1, box: 1, version: 2}
	h.publish(updated(before, row)) // late: it does not come back
	w.was(t, "leave 1")
	w.holds(t)
	r := h.resume(`{"box":1}`, thing{id: 9, box: 1, version: 1})
	h.publish(record.Change{Router: "things", Op: record.Delete, Key: "9"})
	r.was(t, "unknown")
}
