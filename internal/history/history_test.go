package history

import (
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
)

func at(n uint64) broker.Position { return broker.Position{Epoch: 7, Major: n} }

func fill(w *Window, from, to uint64) {
	for n := from; n <= to; n++ {
		w.Add(&livequery.Entry{Position: at(n), Size: 10})
	}
}

// positions returns the offsets of what follows p, and whether the window reaches back to it.
func positions(w *Window, p broker.Position, limit int) ([]uint64, bool) {
	entries, ok := w.After(p, limit)
	var out []uint64
	for _, e := range entries {
		out = append(out, e.Position.Major)
	}
	return out, ok
}

func TestAfterReturnsExactlyWhatFollows(t *testing.T) {
	w := New(1000, 1<<20)
	w.Reset(at(3))
	fill(w, 4, 300)
	for from := uint64(3); from <= 300; from++ {
		got, ok := positions(w, at(from), 1000)
		if !ok || len(got) != int(300-from) || len(got) > 0 && got[0] != from+1 {
			t.Fatalf("after %d: %d entries, ok %v", from, len(got), ok)
		}
	}
	if got, _ := positions(w, at(10), 5); len(got) != 5 || got[4] != 15 {
		t.Errorf("limit: %v", got)
	}
}

func TestWhatWasDroppedIsSaid(t *testing.T) {
	for name, w := range map[string]*Window{"entries": New(100, 1<<20), "bytes": New(1000, 1000)} {
		w.Reset(at(0))
		fill(w, 1, 500)
		if base := w.Base(); base != at(400) {
			t.Errorf("%s: base %v, want the last that was dropped, 400", name, base)
		}
		if _, ok := positions(w, at(399), 10); ok {
			t.Errorf("%s: position 399 is before the window, and it does not say so", name)
		}
		if got, ok := positions(w, at(400), 1000); !ok || len(got) != 100 {
			t.Errorf("%s: after 400: %d entries, ok %v", name, len(got), ok)
		}
	}
}

func TestAnotherEpochIsNotHeld(t *testing.T) {
	w := New(10, 1000)
	w.Reset(at(5))
	if _, ok := w.After(broker.Position{Epoch: 8, Major: 5}, 1); ok {
		t.Error("a position of another epoch was taken for one of this")
	}
}

// After a fail-over to a replica that lagged the same offsets name other entries. Only the position that an entry has, whole, is one that
// can be read on from.
func TestAPositionOfAnotherLineIsNotHeld(t *testing.T) {
	w := New(10, 1000)
	w.Reset(broker.Position{Epoch: 7, Major: 90, Minor: 1})
	for n := uint64(92); n <= 105; n += 2 {
		w.Add(&livequery.Entry{Position: broker.Position{Epoch: 7, Major: n, Minor: 5}, Size: 10})
	}
	for _, p := range []broker.Position{
		{Epoch: 7, Major: 90}, {Epoch: 7, Major: 90, Minor: 2}, {Epoch: 7, Major: 91, Minor: 5}, {Epoch: 7, Major: 100}, {Epoch: 7, Major: 100, Minor: 4},
		{Epoch: 7, Major: 100, Minor: 6}, {Epoch: 7, Major: 104, Minor: 6}, {Epoch: 7, Major: 200, Minor: 5}, {},
	} {
		if entries, ok := w.After(p, 10); ok {
			t.Errorf("after %+v, which no entry has, are %d entries", p, len(entries))
		}
	}
	for p, want := range map[broker.Position]int{
		{Epoch: 7, Major: 90, Minor: 1}: 7, {Epoch: 7, Major: 100, Minor: 5}: 2, {Epoch: 7, Major: 104, Minor: 5}: 0,
	} {
		if entries, ok := w.After(p, 10); !ok || len(entries) != want {
			t.Errorf("after %+v: %d entries, %v; want %d", p, len(entries), ok, want)
		}
	}
}

func TestOneLargeEntryIsKept(t *testing.T) {
	w := New(10, 100)
	w.Reset(at(0))
	w.Add(&livequery.Entry{Position: at(1), Size: 1000})
	if got, ok := positions(w, at(0), 10); !ok || len(got) != 1 {
		t.Errorf("the newest entry is gone: %v %v", got, ok)
	}
}
