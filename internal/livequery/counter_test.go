package livequery

import "testing"

// A row came while nobody watched the count, so nobody counted anew. Who comes with a number that was read before that is told the new one.
func TestACountThatBecameOldUnwatchedIsCountedForWhoComes(t *testing.T) {
	h := newHub(t)
	wishes := 0
	h.stream.Fetch = func(*Query) { wishes++ }
	spec := Spec{Predicate: h.stream.bind(t, `{}`), Count: true}
	q := h.stream.Acquire(spec, h.position)
	if d := h.stream.Counted(q, 20, h.position(), h.position()); d == nil || wishes != 0 {
		t.Fatalf("%v, %d wishes", d, wishes)
	}
	h.stream.Release(q)
	h.publish(created(thing{id: 1, version: 1}))
	if wishes != 0 {
		t.Errorf("%d wishes for nobody", wishes)
	}
	again := h.stream.Acquire(spec, h.position)
	if again != q {
		t.Fatal("the query was not kept")
	}
	if _, known := h.stream.Align(q, nil, 0, h.position()); !known || wishes != 1 {
		t.Errorf("%v, %d wishes, want one", known, wishes)
	}
	h.stream.Counted(q, 21, h.position(), h.position())
	if _, known := h.stream.Align(q, nil, 0, h.position()); !known || wishes != 1 {
		t.Errorf("%v, %d wishes for a number that is right", known, wishes)
	}
}
