package checker

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
)

// Over is the log of a fresh broker as the conformance suite is told of it. The harness must have Second.
func Over(t testing.TB, h brokertest.Harness) Log {
	t.Helper()
	if h.Second == nil {
		t.Fatal("checker: the Harness needs Second")
	}
	first := h.New(t)
	l := Log{
		New:      func() broker.Broker { return h.Second(t, first) },
		Trim:     func(keep int) { h.Trim(t, first, keep) },
		NewEpoch: func() { h.NewEpoch(t, first) },
	}
	if h.Restart != nil {
		l.Restart = func() { h.Restart(t, first) }
	}
	if h.Away != nil {
		l.Away = func() func() { return h.Away(t, first) }
	}
	return l
}

// TestBroker runs a round of some seconds over a broker's log, with the faults that it can have, and fails the test with what was found.
// The seed decides all that the checker decides; docs/reliability.md says what it does. The log may hold entries already. With LIVE_CHECKER_DEBUG in
// the environment it prints what clients do, and keeps what those were told of whom something is found.
func TestBroker(t testing.TB, log Log, seed uint64) {
	t.Helper()
	c := Short(seed)
	c.Log, c.Debug = log, os.Getenv("LIVE_CHECKER_DEBUG") != ""
	tally := NewTally()
	Round(context.Background(), c, tally)
	var table strings.Builder
	Report(&table, tally, t.Name())
	t.Logf("seed %d\n%s", seed, table.String())
	for _, f := range tally.Findings() {
		t.Errorf("%s: %s", f.Invariant, f.What)
	}
	if tally.Deliveries.Load() == 0 || tally.Checked.Load() == 0 || tally.Compared.Load() == 0 || total(tally.Faults()) == 0 {
		t.Error("nothing happened")
	}
}
