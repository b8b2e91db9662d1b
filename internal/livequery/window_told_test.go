package livequery

import (
	"testing"
	"time"

	"github.com/swampline/live/where"
)

// A member that came by the log lacks a row that the window has from a list that was ahead of it. When the log tells of the row, such a
// member must look again at what is beyond: it may lack others, and would take its last row for the place up to which it lacks none.
func TestTheCreationOfAListedRowIsToldWithWhatIsBeyond(t *testing.T) {
	h := newHub(t)
	one, two := thing{id: 1, version: 1}, thing{id: 2, version: 1}
	h.window("id", 2, nil, one, two)
	for _, r := range []thing{two, one} {
		told := h.match(created(r))
		if len(told) != 1 || told[0].more == nil || len(told[0].items) != 1 {
			t.Errorf("row %d: told %+v", r.id, told)
		}
	}
}

// A window that has the rows of a smaller one, until it has been filled up, tells nobody of what lies beyond: a member that holds more is not one yet.
func TestAMemberThatHoldsMoreThanItsWindow(t *testing.T) {
	h := newHub(t)
	h.stream.Fetch = func(*Query) {}
	order, err := where.ParseOrder("id")
	if err != nil {
		t.Fatal(err)
	}
	small := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 1}, h.position)
	first, second := thing{id: 1, version: 1}, thing{id: 2, version: 1}
	page := Page{Rows: h.reads(first), At: h.position()}
	page.Rows[0].Values = h.stream.Schema.Values(first.fields())
	page.Last = page.Rows[0].Row
	if _, ok := h.stream.Fill(small, page, nil, h.position()); !ok {
		t.Fatal("not filled")
	}
	large := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 60}, h.position)
	if !h.stream.Seed(large) {
		t.Fatal("not seeded")
	}
	beyond := h.reads(second)[0].Row
	for _, test := range []struct {
		holds string
		edge  where.Row
		known bool
	}{{"all", nil, false}, {"two", beyond, false}, {"one", page.Last, true}} {
		if _, known := h.stream.Align(large, test.edge, 0, h.position()); known != test.known || h.stream.Reaches(large, test.edge) != test.known {
			t.Errorf("a member that holds %s: %v, want %v", test.holds, known, test.known)
		}
	}
	if _, known := h.stream.Align(small, nil, 0, h.position()); !known { // it drops what is beyond its limit
		t.Error("a window that is full is not known")
	}
}

// Between the wish for more rows and the read of them the log may bring enough: then none is read, and not all without a limit.
func TestAWindowThatIsFullAgainWantsNothing(t *testing.T) {
	h := newHub(t)
	wishes := 0
	h.stream.Fetch = func(*Query) { wishes++ }
	order, err := where.ParseOrder("id")
	if err != nil {
		t.Fatal(err)
	}
	q := h.stream.Acquire(Spec{Predicate: h.stream.bind(t, `{}`), Order: order, Limit: 1}, h.position)
	last := thing{id: 100, version: 1}
	page := Page{Rows: h.reads(last), At: h.position()}
	page.Rows[0].Values = h.stream.Schema.Values(last.fields())
	page.Last = page.Rows[0].Row
	if _, ok := h.stream.Fill(q, page, nil, h.position()); !ok || wishes != 1 {
		t.Fatalf("%v, %d wishes", ok, wishes)
	}
	if _, n, ok := h.stream.Wanted(q); !ok || n < 1 {
		t.Errorf("%d rows are wanted, %v", n, ok)
	}
	for i := range int64(16) { // as many as it keeps
		h.publish(created(thing{id: i, version: 1}))
	}
	if _, n, ok := h.stream.Wanted(q); ok {
		t.Errorf("%d rows are wanted", n)
	}
	for i := range int64(16) {
		h.publish(deleted(thing{id: i, version: 1}))
	}
	if _, _, ok := h.stream.Wanted(q); !ok || wishes != 2 {
		t.Errorf("it runs low again: %v, %d wishes", ok, wishes)
	}
}

// A member that came by the log holds, in place of what a list did not show any more, a row that the log has yet to tell of. It must be told
// though the row's place is beyond what the window shows by then.
func TestARowThatAWindowLackedLeaves(t *testing.T) {
	h := newHub(t)
	gone, shown, above := thing{id: 5, version: 1}, thing{id: 18, version: 1}, thing{id: 2, version: 1}
	h.window("id", 1, nil, shown)
	h.match(created(above))
	if told := h.match(deleted(gone)); len(told) != 1 || len(told[0].items) == 0 || told[0].items[0].verdict != Delete || told[0].more == nil {
		t.Fatalf("told %+v", told)
	}
}

// A batch may bring the newest change of a row before an older one, which members that hold a newer version ignore.
func TestAWindowsRowThatLeavesTwice(t *testing.T) {
	h := newHub(t)
	h.window("id", 1, nil)
	h.match(created(v2))
	told := h.match(deleted(v2), deleted(v1))
	if len(told) != 1 || len(told[0].items) != 1 || told[0].items[0].verdict != Delete || string(told[0].items[0].change.version) != "2" {
		t.Errorf("told %+v", told)
	}
}

// An entry may bring, for a row that a list had shown, what went before it as well: members that came by the log lack the row.
func TestAListedRowThatWentAndCameInOneEntry(t *testing.T) {
	h := newHub(t)
	h.window("id", 1, nil, v2)
	told := h.match(deleted(v1), created(v2))
	if len(told) != 1 || len(told[0].items) != 1 || told[0].items[0].verdict != Enter || told[0].more == nil {
		t.Errorf("told %+v", told)
	}
}

// Of a row that was in a window the newest version may be beyond it, and come by first. Members that came by the log hold the row until what comes
// late says where it was.
func TestALateChangeOfARowThatWasInAWindow(t *testing.T) {
	h := newHub(t)
	first := thing{id: 2, version: 1}
	h.window("box,id", 1, h.reads(first)[0].Row, first) // row 1 is gone
	was, now, anew := thing{1, 0, 1, ""}, thing{1, 1, 2, ""}, thing{1, 3, 3, ""}
	h.match(deleted(now))
	h.match(created(anew))
	told := h.match(updated(was, now))
	if len(told) != 1 || len(told[0].items) == 0 || told[0].items[0].verdict != Leave || string(told[0].items[0].change.version) != "2" {
		t.Errorf("told %+v", told)
	}
}

// Who joined with a list of another hub may hold a row that is gone from the database, and of which the log has yet to tell that it came; then he
// lacks another in its place. He is told the window whole when the log has told: those who come while one waits wait for the next time.
func TestWhoComesFromElsewhereIsToldTheWindowWhole(t *testing.T) {
	h := newHub(t)
	waits := 0
	h.stream.Publishing, h.stream.Wait = time.Hour, func(*Query) { waits++ }
	q := h.window("id", 2, nil, thing{id: 2, version: 1})
	join := func(fills uint64) uint64 {
		d, ok := h.stream.Align(q, nil, fills, h.position())
		if !ok {
			t.Fatal("he does not join")
		}
		return d.Stranger
	}
	if n := join(h.stream.Fills(q)); n != 0 || waits != 0 {
		t.Errorf("who was given the window's list is stranger %d, %d waits", n, waits)
	}
	if n := join(0); n != 1 || waits != 1 {
		t.Errorf("the first is stranger %d, %d waits", n, waits)
	}
	for range 2 {
		if n := join(h.stream.Fills(q) + 1); n != 2 || waits != 1 {
			t.Errorf("the next is stranger %d, %d waits", n, waits)
		}
	}
	for _, want := range []struct {
		strangers uint64
		waits     int
	}{{1, 2}, {2, 2}} {
		before := q.window.told
		d := h.stream.Greet(q, h.position())
		if d == nil || d.Strangers != want.strangers || !d.whole || len(d.items) != 1 || d.Told != before+1 || waits != want.waits {
			t.Fatalf("told %+v, %d waits; want %+v", d, waits, want)
		}
	}
	if n := join(0); n != 3 || waits != 3 {
		t.Errorf("who comes then is stranger %d, %d waits", n, waits)
	}
	h.stream.Release(q)
	if d := h.stream.Greet(q, h.position()); d != nil {
		t.Errorf("nobody is there, and is told %+v", d)
	}
	if n := join(0); n != 4 || waits != 4 {
		t.Errorf("who comes after that is stranger %d, %d waits", n, waits)
	}
}
