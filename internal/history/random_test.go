package history

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/seed"
)

// play holds a window against a slice of all entries, whatever steps are chosen.
func play(t *testing.T, steps []byte) {
	choices := seed.From(steps)
	r := rand.New(choices)
	maxEntries, maxBytes := 1+r.IntN(200), 1+r.IntN(2000)
	w := New(maxEntries, maxBytes)
	base := broker.Position{Epoch: uint64(1 + r.IntN(3)), Major: uint64(r.IntN(5))}
	w.Reset(base)
	var held []*livequery.Entry // the newest last
	last := base
	for choices.Left() > 0 {
		switch n := r.IntN(16); {
		case n == 0:
			base = broker.Position{Epoch: uint64(1 + r.IntN(3)), Major: uint64(r.IntN(5))}
			w.Reset(base)
			held, last = nil, base
		case n < 12:
			for range 1 + r.IntN(40) {
				last.Major += uint64(1 + r.IntN(2)) // positions may have gaps
				e := &livequery.Entry{Position: last, Size: r.IntN(40)}
				w.Add(e)
				held = append(held, e)
				for size := 0; ; size = 0 {
					for _, e := range held {
						size += e.Size
					}
					if len(held) <= maxEntries && (size <= maxBytes || len(held) == 1) {
						break
					}
					base, held = held[0].Position, held[1:]
				}
			}
		default:
			p := broker.Position{Epoch: uint64(1 + r.IntN(3)), Major: uint64(r.IntN(int(last.Major) + 3))}
			limit := r.IntN(maxEntries + 2)
			var want []*livequery.Entry
			reaches := p == base || slices.ContainsFunc(held, func(e *livequery.Entry) bool { return e.Position == p })
			for _, e := range held {
				if reaches && e.Position.After(p) && len(want) < limit {
					want = append(want, e)
				}
			}
			got, ok := w.After(p, limit)
			if ok != reaches || !slices.Equal(got, want) {
				t.Fatalf("after %v, %d at most: %d entries, %v; want %d, %v", p, limit, len(got), ok, len(want), reaches)
			}
			clear(got) // it is the caller's
		}
		if w.Base() != base {
			t.Fatalf("base %v, want %v", w.Base(), base)
		}
	}
}

func TestAgainstSlice(t *testing.T) {
	first, only := seed.First(t)
	for n := range uint64(100) {
		if play(t, seed.Some(first+n, 400)); only {
			return
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add(seed.Some(1, 400))
	f.Fuzz(play)
}
