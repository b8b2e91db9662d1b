package livequery

import (
	"fmt"
	"testing"

	"github.com/swampline/live/internal/record"
)

// A, B and C are three boxes through which the tests' row goes.
var (
	v1 = thing{1, 1, 1, "one"}
	v2 = thing{1, 2, 2, "two"}
	v3 = thing{1, 3, 3, "three"}
	v4 = thing{1, 3, 4, "four"}
)

const (
	boxA = `{"box":1}`
	boxB = `{"box":2}`
	boxC = `{"box":3}`
)

func TestInOrder(t *testing.T) {
	h := newHub(t)
	a, b, c, all := h.watch(boxA), h.watch(boxB), h.watch(boxC), h.watch(`{}`)
	h.publish(created(v1))
	h.publish(updated(v1, v2))
	h.publish(updated(v2, v3))
	h.publish(updated(v3, v4))
	a.was(t, "create 1", "leave 1")
	b.was(t, "enter 1", "leave 1")
	c.was(t, "enter 1", "update 1")
	all.was(t, "create 1", "update 1", "update 1", "update 1")
	c.holds(t, v4)
	all.holds(t, v4)
	h.publish(deleted(v4))
	c.was(t, "delete 1")
	a.was(t)
}

func TestSeveralChangesOfOneEntryComeTogether(t *testing.T) {
	h := newHub(t)
	all := h.watch(`{}`)
	h.publish(created(v1), created(thing{2, 1, 1, "x"}), updated(v1, v2), deleted(v2))
	all.was(t, "create 1", "create 2", "update 1", "delete 1")
	if all.feed.Applied != 1 {
		t.Errorf("%d messages for one entry", all.feed.Applied)
	}
}

// Two writers that publish in the other order than they commit: the newer row wins, nobody sees the older one, and who held
// the row by what it was before both is told that it left.
func TestOutOfOrder(t *testing.T) {
	for name, publish := range map[string]func(h *hub){
		"was":            func(h *hub) { h.publish(updated(v2, v3)); h.publish(updated(v1, v2)) },
		"put":            func(h *hub) { h.publish(put(v3)); h.publish(put(v2)) },
		"put and was":    func(h *hub) { h.publish(put(v3)); h.publish(updated(v1, v2)) },
		"was and put":    func(h *hub) { h.publish(updated(v2, v3)); h.publish(put(v2)) },
		"in one entry":   func(h *hub) { h.publish(updated(v2, v3), updated(v1, v2)) },
		"thrice":         func(h *hub) { h.publish(updated(v2, v3)); h.publish(updated(v1, v2)); h.publish(updated(v1, v2)) },
		"the creation":   func(h *hub) { h.publish(updated(v2, v3)); h.publish(updated(v1, v2)); h.publish(created(v1)) },
		"all other ways": func(h *hub) { h.publish(updated(v2, v3)); h.publish(created(v1)); h.publish(updated(v1, v2)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			a, b, c, all := h.watch(boxA, v1), h.watch(boxB), h.watch(boxC), h.watch(`{}`, v1)
			resumedA, resumedB := h.resume(boxA, v1), h.resume(boxB)
			publish(h)
			for _, w := range []*watcher{a, b, resumedA, resumedB} {
				w.holds(t)
			}
			c.holds(t, v3)
			all.holds(t, v3)
			for _, told := range b.told {
				if told == "enter 1" {
					t.Error("the stale row was shown")
				}
			}
			h.publish(updated(v3, v4))
			c.holds(t, v4)
			all.holds(t, v4)
		})
	}
}

// A change that cannot be filtered on must not be lost in a difference that was made to a version which came later.
func TestOutOfOrderDifference(t *testing.T) {
	one, two, three := thing{1, 1, 1, "a"}, thing{1, 1, 2, "b"}, thing{1, 1, 3, "b"}
	h := newHub(t)
	all := h.watch(`{}`, one)
	h.publish(updated(two, three))
	h.publish(updated(one, two))
	all.holds(t, three)
}

// A list may read a row that the log has not reached. Whoever holds it by that list is told when it leaves, even if the
// publishes come in another order.
func TestAListAheadOfTheLog(t *testing.T) {
	v5 := thing{1, 9, 5, "five"}
	for name, publish := range map[string]func(h *hub){
		"in order":      func(h *hub) { h.publish(put(v2)); h.publish(put(v3)) },
		"out of order":  func(h *hub) { h.publish(put(v3)); h.publish(put(v2)) },
		"past it":       func(h *hub) { h.publish(put(v5)); h.publish(put(v3)); h.publish(put(v2)) },
		"past it, was":  func(h *hub) { h.publish(updated(v3, v5)); h.publish(updated(v1, v2)) },
		"back and past": func(h *hub) { h.publish(put(v1)); h.publish(put(v5)); h.publish(put(v2)) },
	} {
		for _, known := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				h := newHub(t)
				if known {
					h.publish(created(v1))
				}
				b := h.watch(boxB, v2)
				publish(h)
				b.holds(t)
			})
		}
	}
}

// A difference to a row that only a list showed is no use to a client that holds the row as it was before.
func TestADifferenceToWhatOnlyAListShowed(t *testing.T) {
	one, two, three := thing{1, 1, 1, "a"}, thing{1, 1, 2, "b"}, thing{1, 3, 3, "b"}
	h := newHub(t)
	resumed := h.resume(`{}`, one)
	h.watch(boxA, two)
	h.publish(updated(two, three))
	h.publish(updated(one, two))
	if told := resumed.told; len(told) == 0 || told[len(told)-1] != "unreadable" {
		resumed.holds(t, three)
	}
}

func TestPutOfAKnownRow(t *testing.T) {
	h := newHub(t)
	a, b := h.watch(boxA, v1), h.watch(boxB)
	h.publish(put(v2))
	a.was(t, "leave 1")
	b.was(t, "enter 1")
	h.publish(put(thing{1, 2, 3, "again"}))
	b.was(t, "enter 1")
	a.was(t)
}

func TestPutOfAnUnknownRow(t *testing.T) {
	h := newHub(t)
	sure, unsure, sees := h.watch(boxA), h.resume(boxB, v1), h.resume(boxC)
	h.publish(put(v3))
	sure.was(t) // never a false leave to who cannot hold it
	unsure.was(t, "unknown")
	sees.was(t, "enter 1")
	h.publish(put(v4))
	unsure.was(t) // it is known by now
	gone := deleted(thing{2, 2, 1, "x"})
	gone.Was = nil
	h.publish(gone)
	sure.was(t)
	unsure.was(t, "unknown")
	sees.was(t, "enter 1", "unknown")
	h.stream.Unsure(unsure.query, -1)
	h.publish(put(thing{3, 9, 1, ""}))
	unsure.was(t)
	sees.was(t, "unknown")
}

// A late change whose publisher does not know what the row was may be the one by which it left: whoever may hold it by what was before
// must look, even though a newer version went by.
func TestALatePutOfAnUnknownRow(t *testing.T) {
	h := newHub(t)
	sure, came, c := h.watch(boxA), h.resume(boxA, v1), h.resume(boxC)
	h.publish(updated(v2, v3))
	sure.was(t)
	came.was(t)
	c.was(t, "enter 1")
	h.publish(put(v2))
	sure.was(t)
	came.was(t, "unknown")
	c.was(t)
	c.holds(t, v3)
}

func TestDeleteThenLate(t *testing.T) {
	for name, late := range map[string]record.Change{
		"an older update": updated(v2, v3), "the update that it saw": updated(v3, v4), "the same once more": deleted(v4),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			all, c := h.watch(`{}`, v2), h.watch(boxC)
			h.publish(deleted(v4))
			h.publish(late)
			all.holds(t)
			c.holds(t)
			for _, told := range append(c.told, all.told...) {
				if told != "delete 1" && told != "leave 1" {
					t.Errorf("told %s of a row that is gone", told)
				}
			}
		})
	}
}

// Who deletes may have loaded the row before others changed it, and their words may come behind his.
func TestALateUpdateNewerThanTheDelete(t *testing.T) {
	h := newHub(t)
	b, c := h.watch(boxB, v2), h.watch(boxC)
	h.publish(deleted(v2))
	h.publish(updated(v2, v3))
	b.holds(t)
	c.was(t, "unreadable")
	h.publish(updated(v3, v4)) // the list has not shown it: once more
	c.was(t, "unreadable")
}

// Whether a creation comes late or begins another row with the key of one that is gone, versions do not always tell. Then
// the database must.
func TestCreateAfterDelete(t *testing.T) {
	t.Run("the first was seen", func(t *testing.T) {
		h := newHub(t)
		a := h.watch(boxA)
		h.publish(created(v1))
		h.publish(deleted(v1))
		h.publish(created(v1))
		a.was(t, "create 1", "delete 1", "create 1")
	})
	t.Run("the first was not seen", func(t *testing.T) {
		h := newHub(t)
		a, b := h.watch(boxA, v1), h.watch(boxB)
		h.publish(deleted(v2))
		a.was(t, "delete 1")
		b.was(t, "delete 1") // the publisher says that it was there
		h.publish(created(v1))
		a.was(t, "unreadable")
		b.was(t)
		h.publish(updated(v1, v2)) // of the one, or of the other?
		a.was(t, "unreadable")
		b.was(t, "unreadable")
		h.stream.Prime(b.query, h.reads(v2), h.stream.Reading(h.position()))
		h.publish(updated(v2, v3)) // the list has shown it: it is there
		b.was(t, "leave 1")
	})
	t.Run("a later version", func(t *testing.T) {
		h := newHub(t)
		a := h.watch(boxA)
		h.publish(deleted(v2))
		h.publish(created(thing{1, 1, 3, ""}))
		a.was(t, "create 1")
	})
}

// A publisher may have loaded the row that it deletes long before.
func TestDeleteOfAnOldVersion(t *testing.T) {
	h := newHub(t)
	c, b := h.watch(boxC, v4), h.watch(boxB)
	h.publish(updated(v3, v4))
	c.told = nil
	h.publish(deleted(v3))
	c.was(t, "unreadable")
	b.was(t)
	// The list that is read then shows the row: it was another's delete. When it goes, those who hold it by the list hear it.
	h.stream.Prime(c.query, h.reads(v4), h.stream.Reading(h.position()))
	gone := deleted(v4)
	gone.Was = nil
	h.publish(gone)
	c.was(t, "delete 1")
}

func TestWithoutVersionsTheLogsOrderCounts(t *testing.T) {
	h := newHub(t)
	a, c := h.watch(boxA), h.watch(boxC)
	h.publish(unversioned(created(v3)))
	h.publish(unversioned(updated(v3, v1)))
	h.publish(unversioned(updated(v1, v2)))
	a.was(t, "enter 1", "leave 1")
	c.was(t, "create 1", "leave 1")
	h.publish(unversioned(deleted(v2)))
	h.publish(unversioned(created(v1)))
	a.was(t, "create 1")
	if got := string(a.feed.Rows["1"].Version); got != `"`+h.position().String()+`"` {
		t.Errorf("version %s, want the position", got)
	}
}

func TestSweepKeepsWhatIsNeeded(t *testing.T) {
	h := newHub(t)
	a := h.watch(boxA)
	h.publish(created(v1))
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			row := thing{int64(i), 9, 1, ""}
			rec := created(row)
			e := &Entry{Position: at(i)}
			c, _ := h.stream.Resolve(&rec, e.Position)
			e.Changes = []*Change{c}
			h.stream.Match(e, at(i-100), nil)
		}
	}
	fill(10, 10+5*minSweep)
	if rows := h.stream.Stats().Rows; rows > 2*minSweep {
		t.Errorf("%d rows are held for one that is watched", rows)
	}
	for i := 10 + 5*minSweep - 100; i < 10+5*minSweep; i++ {
		if h.stream.rows.states[thing{id: int64(i)}.key()] == nil {
			t.Errorf("the state of row %d is gone, and a late change of it may come", i)
		}
	}
	h.log = make([]*Entry, 10+5*minSweep)
	h.publish(put(v2))
	a.was(t, "create 1", "leave 1")
}

func TestReadingsAreBounded(t *testing.T) {
	h := newHub(t)
	h.publish(unversioned(created(v1)))
	q := h.acquire(`{}`)
	for i := range int64(100) {
		reads := h.reads(thing{1, i, 1, ""})
		reads[0].Version = nil
		h.stream.Prime(q, reads, h.stream.Reading(h.position()))
	}
	if n := len(h.stream.rows.states["1"].ahead); n > maxAhead {
		t.Errorf("%d readings of one row are held", n)
	}
}

// An entry never waits for all states to be looked at, and most that nobody needs go all the same.
func TestASweepIsSpreadOverEntries(t *testing.T) {
	const needed, others = 5_000, 20_000
	r := newRows()
	for i := range needed + others {
		r.states[fmt.Sprint(i)] = &state{published: i < needed}
	}
	for entry := range 2*(needed+others)/sweepBy + 1 {
		looked := 0
		r.sweep(func(s *state) bool { looked++; return s.published })
		if looked > sweepBy {
			t.Fatalf("entry %d waited for %d states", entry, looked)
		}
	}
	if r.unswept != 0 {
		t.Errorf("the sweep is not over: it would look at %d more", r.unswept)
	}
	if n := len(r.states); n < needed || n > needed+others/4 {
		t.Errorf("%d states are left, of which %d are needed", n, needed)
	}
}
