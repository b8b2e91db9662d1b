package redisbroker_test

import (
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/broker/redisbroker/redistest"
)

// bounded returns a broker with bounds of its own.
func bounded(t testing.TB, client redis.UniversalClient, o redisbroker.Options) *redisbroker.Broker {
	t.Helper()
	o.Name = rand.Text()
	b, err := redisbroker.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { forget(t, b) })
	return b
}

// TestMaxEntries sees that Append trims to the bound, in steps, and that exactly what is held can be followed.
func TestMaxEntries(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.URL(t))
	b := bounded(t, client, redisbroker.Options{MaxEntries: 128})
	log, _ := b.Keys()
	var all []broker.Entry
	for range 400 {
		all = append(all, fill(t, b, "entry", 1)...)
		if held := client.XLen(t.Context(), log).Val(); held > 130 || int(held) < min(len(all), 128) {
			t.Fatalf("%d entries are held of %d, want 128 to 130", held, len(all))
		}
	}
	held := all[len(all)-int(client.XLen(t.Context(), log).Val()):]
	first := len(all) - len(held)
	follows(t, b, broker.Position{}, held)
	follows(t, b, all[first-1].Position, held) // the newest that was trimmed: nothing is missing after it
	expires(t, b, all[first-2].Position)
	forged := all[first-1].Position
	forged.Minor ^= 1
	expires(t, b, forged)
}

// TestMaxAge appends until Append trims, and sees by the server's own times that it did so when the oldest entry had been there a
// 64th longer than it may, and that it left those that are not too old.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	const age = 256 * time.Millisecond
	client := redistest.Client(t, redistest.URL(t))
	b := bounded(t, client, redisbroker.Options{MaxAge: age, MaxEntries: -1})
	log, _ := b.Keys()
	var all []broker.Entry
	var at []time.Duration // when they were appended
	held := 0
	for held == len(all) {
		all = append(all, fill(t, b, "entry", 1)...)
		newest := client.XRevRangeN(t.Context(), log, "+", "-", 1).Val()[0].Values["h"].(string)
		ms, err := strconv.Atoi(newest[strings.LastIndexByte(newest, ' ')+1:])
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, time.Duration(ms)*time.Millisecond)
		held = int(client.XLen(t.Context(), log).Val())
	}
	last, first := len(all)-1, len(all)-held
	if late := age + age/64; at[last]-at[0] <= late || at[last-1]-at[0] > late {
		t.Errorf("trimmed %v after the first entry, and not after %v", at[last]-at[0], at[last-1]-at[0])
	}
	if at[last]-at[first-1] <= age || at[last]-at[first] > age {
		t.Errorf("an entry of %v was trimmed, and one of %v is held", at[last]-at[first-1], at[last]-at[first])
	}
	follows(t, b, broker.Position{}, all[first:])
	follows(t, b, all[first-1].Position, all[first:])
	expires(t, b, broker.Position{Epoch: all[0].Position.Epoch}) // the position before the first
}

// TestMaxEntryBytes sees what the bounds of one entry mean; the default is the suite's.
func TestMaxEntryBytes(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.URL(t))
	small := bounded(t, client, redisbroker.Options{MaxEntryBytes: 10})
	if _, err := small.Append(t.Context(), make([]byte, 11)); !errors.Is(err, broker.ErrTooLarge) {
		t.Errorf("11 bytes, at most 10: %v", err)
	}
	any := bounded(t, client, redisbroker.Options{MaxEntryBytes: -1})
	if _, err := any.Append(t.Context(), make([]byte, 2<<20)); err != nil {
		t.Errorf("2 MiB without a bound: %v", err)
	}
}

// TestLargeAfterSmall sees that a reader who came to ask for many small entries gets many large ones too, a few at a time.
func TestLargeAfterSmall(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.URL(t))
	b := bounded(t, client, redisbroker.Options{})
	fill(t, b, "small", 2000)
	var last broker.Position
	for range 40 {
		var err error
		if last, err = b.Append(t.Context(), make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	n, largest := 0, 0
	err := b.Follow(t.Context(), broker.Position{}, func(batch []broker.Entry) error {
		n, largest = n+len(batch), max(largest, len(batch))
		if batch[len(batch)-1].Position == last {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || n != 2040 {
		t.Errorf("%d entries came, then %v", n, err)
	}
	if largest > 256 || largest < 100 {
		t.Errorf("the largest batch had %d entries", largest)
	}
}
