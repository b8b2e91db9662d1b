package natsbroker

import (
	"math"
	"strconv"
	"testing"
)

func TestEpochs(t *testing.T) {
	b := New(nil, Options{})
	seen := map[uint64]bool{}
	for e, n := newEpoch(), 0; n < 1000; e, n = successor(e), n+1 {
		if e == 0 || e >= 1<<52 || seen[e] {
			t.Fatalf("epoch %d after %d others", e, n)
		}
		seen[e] = true
		if got, ok := b.epochOf(b.subjectOf(e)); !ok || got != e {
			t.Fatalf("the subject %s is of epoch %d, %v; want %d", b.subjectOf(e), got, ok, e)
		}
		if again := successor(e); again != successor(e) {
			t.Fatal("two brokers would make two epochs")
		}
	}
	for _, s := range []string{
		"live.log", "live.log.", "live.log.>", "live.log.*", "live.log.0", "live.log.01", "live.log.Z", "live.log.a.b",
		"live.logs.a", "other.a", "live.log." + strconv.FormatUint(1<<52, 36), "live.log.-1",
	} {
		if e, ok := b.epochOf(s); ok {
			t.Errorf("the subject %s is of epoch %d", s, e)
		}
	}
}

func TestMinors(t *testing.T) {
	ids, minors := map[string]bool{}, map[uint64]bool{}
	for range 10_000 {
		id := newID()
		m := minorOf(id)
		if m == 0 || m > math.MaxUint32 || ids[id] {
			t.Fatalf("minor %d of the id %q", m, id)
		}
		ids[id], minors[m] = true, true
	}
	if len(minors) < 9_990 {
		t.Errorf("10,000 ids have %d minors", len(minors))
	}
}
