// Package brokertest is the conformance suite for brokers: what a broker must pass to carry the log of live.
//
// A broker's own test says how to make one, how to make it forget, and runs the suite: see the
// example of Run.
//
// A subtest that fails quotes the sentence of the contract, in the words of package broker, that the broker broke. The
// suite never waits for nothing to happen: each case ends with an entry that must arrive or a call that must return.
package brokertest

import (
	"cmp"
	"os"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

// Harness is what the suite must know about a broker. New, Trim and NewEpoch are required.
//
// The funcs are called from the goroutine of the test t, never two at a time for one broker, and may end it with
// t.Fatal; what they make they may clean up with t.Cleanup.
type Harness struct {
	// New returns a broker whose log never held an entry, shared with no other test, that holds at least Many
	// small entries and 16 MaxEntry bytes before it forgets any.
	New func(t testing.TB) broker.Broker
	// Trim makes the log of b forget all but the newest keep entries, exactly, as it forgets those that are too old or
	// too many. Keep may be zero; the position of the head stays what it was.
	Trim func(t testing.TB, b broker.Broker, keep int)
	// NewEpoch makes b lose its history, as a server that lost its disk: afterwards the log is empty and its head is
	// the position before the first entry of another epoch. Calls that are under way may fail.
	NewEpoch func(t testing.TB, b broker.Broker)

	// MaxEntry is the size in bytes of the largest entry that b takes; zero means 1 MiB.
	MaxEntry int
	// Many is the number of entries of the longest case; zero means 100,000. When the environment variable
	// LIVE_TEST_LONG is not empty it is at least 1,000,000.
	Many int
	// Patience is how long the suite waits for something that must happen before it says that it did not; zero
	// means 10 seconds. A broker that passes is never slower for it.
	Patience time.Duration

	// Restart cuts b off from the server that holds its log, or stops that server and starts it again with its data,
	// and returns when b answers again. Calls that are under way may fail. Nil means that b has no server; the
	// case is skipped.
	Restart func(t testing.TB, b broker.Broker)

	// Away makes the server of b one that cannot be reached (it is stopped, frozen, or cut off) until back is called, which
	// returns when it can be reached again, with its data. Back is called once, unless the test ends before. Nil means
	// that b has no server; the case is skipped.
	Away func(t testing.TB, b broker.Broker) (back func())
	// Second returns another broker on the log of b, which shares nothing else with it, as another process would have it.
	// Nil means that the log is not shared; the cases are skipped.
	Second func(t testing.TB, b broker.Broker) broker.Broker
}

// check is one case: it works on a fresh broker and returns an error that quotes what was broken. Cases return errors,
// and do not fail a test, so that the suite's own tests can see them fail.
type check struct {
	name  string
	run   func(l *lab) error
	needs func(h Harness) bool // whether the harness has what the case needs; nil: it always has
}

func checks() []check {
	return []check{
		{name: "Head of an empty log", run: checkEmptyHead},
		{name: "Head follows Append", run: checkHead},
		{name: "positions increase", run: checkPositionsIncrease},
		{name: "one order for all", run: checkOneOrder},
		{name: "Follow from zero", run: checkFromZero},
		{name: "Follow from every position", run: checkFromEveryPosition},
		{name: "Follow from Head", run: checkFromHead},
		{name: "back-fill becomes live", run: checkBackfillBecomesLive},
		{name: "stop anywhere and follow again", run: checkStopAnywhere},
		{name: "empty data", run: checkEmptyData},
		{name: "large data", run: checkLargeData},
		{name: "data is copied", run: checkDataIsCopied},
		{name: "data may be kept", run: checkDataMayBeKept},
		{name: "deliver's error", run: checkDeliverError},
		{name: "cancelled before", run: checkCancelledBefore},
		{name: "cancelled while waiting", run: checkCancelledWaiting},
		{name: "cancelled in deliver", run: checkCancelledInDeliver},
		{name: "trimmed", run: checkTrimmed},
		{name: "trimmed to nothing", run: checkTrimmedToNothing},
		{name: "beyond the end", run: checkBeyondTheEnd},
		{name: "exact positions", run: checkExactPositions},
		{name: "zero never expires", run: checkZeroNeverExpires},
		{name: "new epoch", run: checkNewEpoch},
		{name: "new epoch under a follower", run: checkNewEpochUnderFollower},
		{name: "slow follower", run: checkSlow},
		{name: "slow follower and Trim", run: checkSlowAndTrimmed},
		{name: "many entries", run: checkMany},
		{name: "restart", run: checkRestart, needs: func(h Harness) bool { return h.Restart != nil }},
		{name: "away", run: checkAway, needs: func(h Harness) bool { return h.Away != nil }},
		{name: "two instances", run: checkTwoInstances, needs: hasSecond},
		{name: "two instances and a new epoch", run: checkTwoInstancesNewEpoch, needs: hasSecond},
	}
}

func hasSecond(h Harness) bool { return h.Second != nil }

// Run runs every case as a subtest of t, each with a broker of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil || h.Trim == nil || h.NewEpoch == nil {
		t.Fatal("brokertest: Harness needs New, Trim and NewEpoch")
	}
	for _, c := range checks() {
		if c.needs != nil && !c.needs(h) {
			continue // the broker has no server, or nobody else on its log
		}
		t.Run(c.name, func(t *testing.T) {
			if err := runCheck(t, h, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// runCheck runs one case on a fresh broker.
func runCheck(t testing.TB, h Harness, c check) error {
	h.MaxEntry = cmp.Or(h.MaxEntry, 1<<20)
	h.Many = cmp.Or(h.Many, 100_000)
	h.Patience = cmp.Or(h.Patience, 10*time.Second)
	if os.Getenv("LIVE_TEST_LONG") != "" {
		h.Many = max(h.Many, 1_000_000)
	}
	l := newLab(t, h)
	err := c.run(l)
	if e := l.close(); err == nil {
		err = e
	}
	return err
}
