package brokertest

import (
	"os"
	"strings"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// memoryHarness is the harness of the broker that the suite is checked with.
func memoryHarness() Harness {
	return Harness{
		New:      func(testing.TB) broker.Broker { return memory.New(memory.Options{MaxEntries: -1}) },
		Trim:     func(_ testing.TB, b broker.Broker, keep int) { b.(interface{ Trim(int) }).Trim(keep) },
		NewEpoch: func(_ testing.TB, b broker.Broker) { b.(interface{ Reset() }).Reset() },
	}
}

// TestRun runs the suite on a broker that passes. The memory broker's own test has the many entries.
func TestRun(t *testing.T) {
	h := memoryHarness()
	h.Many = 5000
	h.Second = func(_ testing.TB, b broker.Broker) broker.Broker { return b }
	Run(t, h)
}

// TestSentencesAreTheContract holds the sentences to the words of package broker.
func TestSentencesAreTheContract(t *testing.T) {
	source, err := os.ReadFile("../broker.go")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, line := range strings.Split(string(source), "\n") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "//"); ok {
			words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(text), "- "))...)
		}
	}
	contract := strings.Join(words, " ")
	for _, sentence := range []string{
		oneOrder, allOrExpired, appendIncreases, appendFailed, appendCopies, appendTooLarge, followInOrder,
		followCancelled, followDeliver, followExpired, followAgain, zeroPosition, deliverOneAtATime, deliverKeeps,
		headNewest, headEmpty, away,
	} {
		if !strings.Contains(contract, sentence) {
			t.Errorf("the documentation of package broker does not say %q", sentence)
		}
	}
}
