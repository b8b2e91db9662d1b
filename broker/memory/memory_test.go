package memory

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
)

// fill appends n entries that hold their numbers, from 1.
func fill(t testing.TB, b *Broker, n int) (positions []broker.Position) {
	t.Helper()
	for i := range n {
		p, err := b.Append(t.Context(), []byte(strconv.Itoa(i+1)))
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, p)
	}
	return positions
}

// held returns what follows a position until the head.
func held(t testing.TB, b *Broker, after broker.Position) (data []string, err error) {
	t.Helper()
	head, _ := b.Head(t.Context())
	var batch [batchLen]broker.Entry
	for {
		n, _, err := b.read(after, &batch)
		if err != nil || n == 0 {
			return data, err
		}
		for _, e := range batch[:n] {
			data = append(data, string(e.Data))
		}
		if after = batch[n-1].Position; after == head {
			return data, nil
		}
	}
}

func TestOffsetsAreDenseFromOne(t *testing.T) {
	b := New(Options{})
	if b.epoch == 0 || b.epoch >= 1<<52 {
		t.Errorf("epoch %d", b.epoch)
	}
	for i, p := range fill(t, b, 1000) {
		if want := (broker.Position{Epoch: b.epoch, Major: uint64(i + 1)}); p != want {
			t.Fatalf("entry %d is at %+v, want %+v", i, p, want)
		}
	}
	if New(Options{}).epoch == b.epoch {
		t.Error("two brokers of one epoch")
	}
}

func TestOptions(t *testing.T) {
	b := New(Options{})
	if b.maxBytes != 64<<20 || b.maxEntries != 100_000 || b.maxAge != time.Hour || b.maxEntryBytes != 1<<20 {
		t.Errorf("the defaults are %d, %d, %v, %d", b.maxBytes, b.maxEntries, b.maxAge, b.maxEntryBytes)
	}
	b = New(Options{MaxBytes: -1, MaxEntries: -1, MaxAge: -1, MaxEntryBytes: -1})
	fill(t, b, 1000)
	if _, err := b.Append(t.Context(), make([]byte, 2<<20)); err != nil {
		t.Errorf("no bounds, and 2 MiB are refused: %v", err)
	}
	if data, err := held(t, b, broker.Position{}); len(data) != 1001 || err != nil {
		t.Errorf("no bounds, and %d of 1001 entries are held: %v", len(data), err)
	}
}

func TestTrimByEntries(t *testing.T) {
	b := New(Options{MaxEntries: 300})
	at := fill(t, b, 1000)
	if data, err := held(t, b, broker.Position{}); len(data) != 300 || data[0] != "701" || err != nil {
		t.Errorf("%d entries from %v, %v; want 300 from 701", len(data), data[:1], err)
	}
	if data, err := held(t, b, at[699]); len(data) != 300 || err != nil {
		t.Errorf("after the last that was trimmed come %d entries, %v; want 300", len(data), err)
	}
	if _, err := held(t, b, at[698]); !errors.Is(err, broker.ErrExpired) {
		t.Errorf("before the last that was trimmed: %v, want ErrExpired", err)
	}
}

func TestTrimByBytes(t *testing.T) {
	b := New(Options{MaxBytes: 1000})
	for range 20 {
		if _, err := b.Append(t.Context(), make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
	}
	if data, _ := held(t, b, broker.Position{}); len(data) != 3 {
		t.Errorf("%d entries of 300 bytes are held, want 3", len(data))
	}
	if _, err := b.Append(t.Context(), make([]byte, 1000)); err != nil {
		t.Errorf("an entry of MaxBytes: %v", err)
	}
	if data, _ := held(t, b, broker.Position{}); len(data) != 1 || b.log.bytes != 1000 {
		t.Errorf("%d entries, %d bytes; want the newest alone", len(data), b.log.bytes)
	}
	if _, err := b.Append(t.Context(), make([]byte, 1001)); !errors.Is(err, broker.ErrTooLarge) {
		t.Errorf("an entry beyond MaxBytes: %v, want ErrTooLarge", err)
	}
}

func TestTrimByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{MaxAge: time.Minute})
		at := fill(t, b, 600)
		time.Sleep(40 * time.Second) // the bubble's clock
		at = append(at, fill(t, b, 600)...)

		time.Sleep(20 * time.Second)
		if data, err := held(t, b, broker.Position{}); len(data) != 1200 || err != nil {
			t.Errorf("at MaxAge %d entries are held, %v; want all 1200", len(data), err)
		}
		time.Sleep(time.Nanosecond)
		if data, err := held(t, b, broker.Position{}); len(data) != 600 || err != nil {
			t.Errorf("beyond MaxAge %d entries are handed out, %v; want 600", len(data), err)
		}
		if _, err := held(t, b, at[598]); !errors.Is(err, broker.ErrExpired) {
			t.Errorf("a position before what is too old: %v, want ErrExpired", err)
		}
		if data, err := held(t, b, at[599]); len(data) != 600 || err != nil {
			t.Errorf("the position before what is not too old: %d entries, %v", len(data), err)
		}

		time.Sleep(time.Hour)
		head, _ := b.Head(t.Context())
		if data, err := held(t, b, head); head != at[1199] || len(data) != 0 || err != nil {
			t.Errorf("all is too old: head %v, %q, %v; want %v and nothing", head, data, err, at[1199])
		}
		fill(t, b, 1)
		if n := b.log.next - b.log.first; n != 1 || len(b.log.segments) != 1 {
			t.Errorf("Append left %d entries in %d segments, want 1 in 1", n, len(b.log.segments))
		}
	})
}

func TestResetTellsAFollowerThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		head, _ := b.Head(t.Context())
		named, fresh := make(chan error, 1), make(chan error, 1)
		got := make(chan broker.Entry, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { named <- b.Follow(ctx, head, func([]broker.Entry) error { return nil }) }()
		go func() {
			fresh <- b.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
				got <- batch[0]
				return nil
			})
		}()
		synctest.Wait()

		b.Reset()
		if err := <-named; !errors.Is(err, broker.ErrExpired) {
			t.Errorf("the follower of a position: %v, want ErrExpired", err)
		}
		at := fill(t, b, 1)
		if e := <-got; e.Position != at[0] || at[0].Major != 1 || at[0].Epoch == head.Epoch {
			t.Errorf("the follower from zero was given %v, want %v of a new epoch", e.Position, at[0])
		}
		synctest.Wait()
		b.Reset() // now it is bound to the epoch that ends
		if err := <-fresh; !errors.Is(err, broker.ErrExpired) {
			t.Errorf("the follower from zero that was given an entry: %v, want ErrExpired", err)
		}
		cancel()
	})
}

func TestThousandsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const followers, entries = 3000, 20
		b := New(Options{})
		head, _ := b.Head(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan uint64)
		for range followers {
			go func() {
				var n uint64
				err := b.Follow(ctx, head, func(batch []broker.Entry) error {
					for _, e := range batch {
						if n++; e.Position.Major != n {
							return errors.New("gap")
						}
					}
					return nil
				})
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				done <- n
			}()
		}
		for range entries {
			synctest.Wait() // all of them wait
			fill(t, b, 1)
		}
		synctest.Wait()
		cancel()
		for range followers {
			if n := <-done; n != entries {
				t.Errorf("a follower was given %d entries, want %d", n, entries)
			}
		}
	})
}

func TestDeliverMayAppendAndFollow(t *testing.T) {
	b := New(Options{})
	fill(t, b, 1)
	enough := errors.New("enough")
	n := 0
	err := b.Follow(t.Context(), broker.Position{}, func(batch []broker.Entry) error {
		if n += len(batch); n >= 5 {
			return enough
		}
		fill(t, b, 1) // would deadlock if the lock were held
		return b.Follow(t.Context(), broker.Position{}, func([]broker.Entry) error { b.Trim(10); return enough })
	})
	if err != enough {
		t.Error(err)
	}
}

func TestNothingWaitsNothingIsMade(t *testing.T) {
	b := New(Options{MaxEntries: 10})
	data := []byte("data")
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = b.Append(ctx, data) }); n > 1 {
		t.Errorf("Append allocates %v times, want once: the copy", n)
	}
}
