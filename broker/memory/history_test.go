package memory

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestHistoryAgainstSlice runs random pushes and trims on a history and on a plain slice.
func TestHistoryAgainstSlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h := history{first: 1, next: 1}
	var model []record
	var now time.Duration
	for range 20_000 {
		if rnd.IntN(200) > 0 {
			now += time.Duration(rnd.IntN(3))
			r := record{data: make([]byte, rnd.IntN(9)), at: now}
			h.push(r)
			model = append(model, r)
		} else {
			records, size, oldest := math.MaxInt, math.MaxInt, time.Duration(math.MinInt64)
			switch rnd.IntN(3) {
			case 0:
				records = rnd.IntN(600)
			case 1:
				size = rnd.IntN(2000)
			case 2:
				oldest = now - time.Duration(rnd.IntN(500))
			}
			h.trim(records, size, oldest)
			for len(model) > 0 && (len(model) > records || total(model) > size || model[0].at < oldest) {
				model = model[1:]
			}
			if got, want := h.since(now-100), h.next-uint64(young(model, now-100)); got != want {
				t.Fatalf("since = %d, want %d", got, want)
			}
		}
		checkHistory(t, &h, model)
	}
}

func total(records []record) (n int) {
	for _, r := range records {
		n += len(r.data)
	}
	return n
}

// young counts the records that are not from before oldest.
func young(records []record, oldest time.Duration) (n int) {
	for _, r := range records {
		if r.at >= oldest {
			n++
		}
	}
	return n
}

func checkHistory(t *testing.T, h *history, model []record) {
	t.Helper()
	if got := int(h.next - h.first); got != len(model) {
		t.Fatalf("%d records, want %d", got, len(model))
	}
	if most := len(model)/segmentLen + 2; len(h.segments) > most {
		t.Fatalf("%d segments for %d records", len(h.segments), len(model))
	}
	if cap(h.segments) > 64 {
		t.Fatalf("the window over segments grew to %d", cap(h.segments))
	}
	if len(model) == 0 {
		if h.bytes != 0 {
			t.Fatalf("%d bytes in an empty history", h.bytes)
		}
		return
	}
	for _, i := range []int{0, len(model) / 2, len(model) - 1} {
		if got := h.at(h.first + uint64(i)); got.at != model[i].at || len(got.data) != len(model[i].data) {
			t.Fatalf("record %d is %+v, want %+v", i, *got, model[i])
		}
	}
}

func TestHistoryLetsDataGo(t *testing.T) {
	h := history{first: 1, next: 1}
	for range 10 {
		h.push(record{data: make([]byte, 100)})
	}
	s := h.segments[0]
	h.trim(1, math.MaxInt, math.MinInt64)
	for i := range 9 {
		if s[i].data != nil {
			t.Errorf("record %d was trimmed and holds its data", i+1)
		}
	}
	if h.bytes != 100 {
		t.Errorf("%d bytes, want 100", h.bytes)
	}
}
