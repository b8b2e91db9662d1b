package pgbroker

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// trimmed trims now.
func trimmed(t testing.TB, b *Broker) {
	t.Helper()
	if err := b.trimmer.trimNow(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func numbers(from, to int) (data []string) {
	for i := from; i < to; i++ {
		data = append(data, fmt.Sprintf("%04d", i))
	}
	return data
}

// TestTrim holds a log to its bounds, and the positions around the bound to what the contract says.
func TestTrim(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	for _, c := range []struct {
		name string
		o    Options
		keep int
	}{
		{"entries", Options{MaxAge: -1, MaxEntries: 30, MaxBytes: -1}, 30},
		{"bytes", Options{MaxAge: -1, MaxEntries: -1, MaxBytes: 4*20 + 3}, 20},
		{"both", Options{MaxAge: -1, MaxEntries: 30, MaxBytes: 4 * 20}, 20},
		{"one that is too large", Options{MaxAge: -1, MaxEntries: -1, MaxBytes: 3}, 1},
		{"age", Options{MaxAge: time.Hour, MaxEntries: -1, MaxBytes: -1}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := ownLog(unbounded)
			plain := New(pool, o)
			all := numbers(0, 50)
			at := appended(t, plain, all...)
			execute(t, plain, `UPDATE {log} SET at = now() - interval '2 hours' WHERE data < '0040'`)
			c.o.Table, c.o.Logger = o.Table, o.Logger
			b := New(pool, c.o)
			trimmed(t, b)
			follow(t, plain, at[49-c.keep]).gets(all[50-c.keep:]...) // exactly the newest that was trimmed
			follow(t, plain, at[48-c.keep]).expires()
			trimmed(t, b) // there is nothing to trim
			if got := held(t, plain); !slices.Equal(got, all[50-c.keep:]) {
				t.Errorf("%d entries are held, want %d: %q", len(got), c.keep, got)
			}
		})
	}
	t.Run("age, to nothing", func(t *testing.T) {
		o := ownLog(Options{MaxEntries: -1, MaxBytes: -1})
		b := New(pool, o)
		at := appended(t, b, numbers(0, 5)...)
		execute(t, b, `UPDATE {log} SET at = now() - interval '2 hours'`)
		trimmed(t, b)
		if h := head(t, b); h != at[4] {
			t.Errorf("Head of what was trimmed to nothing is %v, want %v", h, at[4])
		}
		r := follow(t, b, at[4])
		appended(t, b, "new")
		r.gets("new")
	})
}

// TestTrimSparesWhatCannotBeRead trims under an open transaction.
func TestTrimSparesWhatCannotBeRead(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(Options{MaxEntries: 2}))
	at := appended(t, b, "0", "1", "2")
	slow := begin(t, pool)
	if err := b.AppendTx(t.Context(), Execer(slow), []byte("slow")); err != nil {
		t.Fatal(err)
	}
	appended(t, b, "3", "4", "5", "6")
	execute(t, b, `UPDATE {log} SET at = now() - interval '2 hours'`)
	trimmed(t, b) // all that can be read is too old; the rest are too many
	if h := head(t, b); h != at[2] {
		t.Errorf("Head is %v, want %v", h, at[2])
	}
	r := follow(t, b, at[2])
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.gets("slow", "3", "4", "5", "6")
}

// TestTrimByItself writes far more than is held, by an instance that follows and by one that does not.
func TestTrimByItself(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	count := func(b *Broker) (n int) {
		if err := pool.QueryRow(t.Context(), b.names.fill(`SELECT count(*) FROM {log}`)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	alone := New(pool, ownLog(Options{MaxEntries: 32}))
	appended(t, alone, numbers(0, 300)...)
	if n := count(alone); n < 32 || n > 34 { // a sixteenth more
		t.Errorf("who only appends holds %d entries, want 32 to 34", n)
	}
	b := New(pool, ownLog(Options{MaxEntries: 32}))
	r := follow(t, b, head(t, b))
	go func() {
		for range 300 {
			if _, err := b.Append(t.Context(), []byte("x")); err != nil {
				return
			}
		}
	}()
	for range 300 {
		select {
		case <-r.news:
		case err := <-r.done: // it was trimmed faster than it read
			t.Log(err)
			r = follow(t, b, broker.Position{})
		}
		if count(b) <= 34 {
			break
		}
	}
	eventually(t, "the log is as short as it must be", func() bool { return count(b) <= 34 })
}

// TestTrimByManyInstances lets instances trim at once what takes many batches, under followers: what these are given has no gap.
func TestTrimByManyInstances(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL()+"&pool_max_conns=20")
	o := ownLog(Options{MaxEntries: 100})
	b := New(pool, o)
	first := appended(t, b, "first")[0]
	execute(t, b, fmt.Sprintf(`INSERT INTO {log} (data) SELECT lpad(i::text, 4, '0')::bytea FROM generate_series(0, %d) AS i`, 4*trimBatch-1))
	var running sync.WaitGroup
	for range 6 {
		i := New(pool, o)
		running.Go(func() {
			for range 3 {
				if err := i.trimmer.trimNow(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if got, want := held(t, New(pool, Options{Table: o.Table, MaxEntries: -1, MaxAge: -1, MaxBytes: -1})), numbers(4*trimBatch-100, 4*trimBatch); !slices.Equal(got, want) {
		t.Errorf("%d entries are held, want the newest 100", len(got))
	}
	follow(t, b, first).expires()
}
