package redisbroker

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
)

// TestEntry sees which entries of the stream follow the one that was delivered last. The client library goes on with another server
// by itself, so each must prove it.
func TestEntry(t *testing.T) {
	last := broker.Position{Epoch: 7, Major: 4, Minor: 99}
	for name, c := range map[string]struct {
		id, header string
		follows    bool
	}{
		"the next":                        {"5-3", "7 99 1700000000000", true},
		"one is missing":                  {"6-3", "7 99 1700000000000", false},
		"the same again":                  {"4-100", "7 99 1700000000000", false},
		"of another epoch":                {"5-3", "8 99 1700000000000", false},
		"after another in the last place": {"5-3", "7 98 1700000000000", false},
		"after one with a longer word":    {"5-3", "7 990 1700000000000", false},
		"without a header":                {"5-3", "", false},
		"not an id":                       {"5", "7 99 1700000000000", false},
	} {
		m := redis.XMessage{ID: c.id, Values: map[string]any{"h": c.header, "d": "data"}}
		e, ok := entry(last, m)
		if ok != c.follows {
			t.Errorf("%s: it follows: %v", name, ok)
		}
		if want := (broker.Position{Epoch: 7, Major: 5, Minor: 3}); ok && (e.Position != want || string(e.Data) != "data") {
			t.Errorf("%s: %v %q", name, e.Position, e.Data)
		}
	}
	if _, ok := entry(last, redis.XMessage{ID: "5-3", Values: map[string]any{"h": "7 99 1"}}); ok {
		t.Error("an entry without data follows")
	}
}

// TestNext sees that a follower asks for more while entries are small, and for few when they are large.
func TestNext(t *testing.T) {
	batch := func(n, size int) (entries []broker.Entry) {
		for range n {
			entries = append(entries, broker.Entry{Data: make([]byte, size)})
		}
		return entries
	}
	for _, c := range []struct{ count, n, size, want int }{
		{16, 16, 100, 32},
		{256, 256, 100, 256},
		{256, 1, 0, 256},
		{256, 256, 8 << 10, 128},
		{64, 64, 1 << 20, 1},
		{1, 1, 2 << 20, 1},
		{1, 1, 100, 2},
	} {
		if got := next(c.count, batch(c.n, c.size)); got != c.want {
			t.Errorf("after %d of %d entries of %d bytes: %d, want %d", c.n, c.count, c.size, got, c.want)
		}
	}
}
