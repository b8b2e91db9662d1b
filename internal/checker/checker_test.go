package checker

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
)

// seeds are those of the short run.
func seeds(t *testing.T) []uint64 {
	if text := os.Getenv("LIVE_CHECKER_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	return []uint64{1, 2}
}

// TestContract runs the checker for some seconds. LIVE_CHECKER_SEED runs it with another seed; the long run is a command, which
// docs/reliability.md names.
func TestContract(t *testing.T) {
	Warm()
	before := Held()
	tally := NewTally()
	for _, seed := range seeds(t) {
		t.Logf("seed %d", seed)
		Round(context.Background(), Short(seed), tally)
	}
	Leaks(tally, before, Settled(before))
	var table strings.Builder
	Report(&table, tally, "go test ./internal/checker -run TestContract")
	t.Log("\n" + table.String())
	for _, f := range tally.Findings() {
		t.Errorf("%s: %s", f.Invariant, f.What)
	}
	if tally.Deliveries.Load() == 0 || tally.Checked.Load() == 0 || tally.Compared.Load() == 0 || total(tally.Faults()) == 0 {
		t.Error("nothing happened")
	}
}
