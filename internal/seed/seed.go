// Package seed says which random numbers a test plays with.
package seed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// First returns the seed of a random test's first round: always the same, so that a change is not held up by what it did not cause. Under
// LIVE_TEST_LONG it is drawn, so that long runs find what is new, and LIVE_TEST_SEED names it, to play a round again; only reports that
// the test is then to play no other. What a drawn or named seed is, is logged.
func First(t testing.TB) (seed uint64, only bool) {
	t.Helper()
	if text := os.Getenv("LIVE_TEST_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("LIVE_TEST_SEED: %v", err)
		}
		t.Logf("LIVE_TEST_SEED=%d", seed)
		return seed, true
	}
	if os.Getenv("LIVE_TEST_LONG") == "" {
		return 1, false
	}
	seed = rand.Uint64()
	t.Logf("LIVE_TEST_SEED=%d", seed)
	return seed, false
}
