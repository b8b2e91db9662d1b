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
}

// check is one case: it works on a fresh broker and returns an error that quotes what was broken. Cases return errors,
// and do not fail a test, so that the suite's own tests can see them fail.
type check struct {
	name string
	run  func(l *lab) error
}

func checks() []check {
	return []check{
		{"Head of an empty log", checkEmptyHead},
		{"Head follows Append", checkHead},
		{"positions increase", checkPositionsIncrease},
		{"one order for all", checkOneOrder},
		{"Follow from zero", checkFromZero},
		{"Follow from every position", checkFromEveryPosition},
		{"Follow from Head", checkFromHead},
		{"back-fill becomes live", checkBackfillBecomesLive},
		{"stop anywhere and follow again", checkStopAnywhere},
		{"empty data", checkEmptyData},
		{"large data", checkLargeData},
		{"data is copied", checkDataIsCopied},
		{"data may be kept", checkDataMayBeKept},
		{"deliver's error", checkDeliverError},
		{"cancelled before", checkCancelledBefore},
		{"cancelled while waiting", checkCancelledWaiting},
		{"cancelled in deliver", checkCancelledInDeliver},
		{"trimmed", checkTrimmed},
		{"trimmed to nothing", checkTrimmedToNothing},
		{"beyond the end", checkBeyondTheEnd},
		{"zero never expires", checkZeroNeverExpires},
		{"new epoch", checkNewEpoch},
		{"new epoch under a follower", checkNewEpochUnderFollower},
		{"slow follower", checkSlow},
		{"slow follower and Trim", checkSlowAndTrimmed},
		{"many entries", checkMany},
		{"restart", checkRestart},
	}
}

// Run runs every case as a subtest of t, each with a broker of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil || h.Trim == nil || h.NewEpoch == nil {
		t.Fatal("brokertest: Harness needs New, Trim and NewEpoch")
	}
	for _, c := range checks() {
		if c.name == "restart" && h.Restart == nil {
			continue // the broker has no server that could be restarted
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
