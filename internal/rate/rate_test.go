package rate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/rate"
)

// taker is a bucket, or one of a table, with a name or without.
type taker func(n int) (time.Duration, bool)

// both runs a test with a bucket and with those of a table.
func both(t *testing.T, l rate.Limit, test func(t *testing.T, take taker)) {
	t.Run("bucket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, rate.NewBucket(l).Take) })
	})
	t.Run("table", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			table := rate.NewTable(l, 10)
			test(t, func(n int) (time.Duration, bool) { return table.Take("a", n) })
		})
	})
	t.Run("nameless", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			table := rate.NewTable(l, 10)
			b, other := table.Bucket(), table.Bucket()
			test(t, func(n int) (time.Duration, bool) {
				other.Take(n)
				table.Take("a", n)
				return b.Take(n)
			})
		})
	})
}

func (take taker) want(t *testing.T, n int, wait time.Duration) {
	t.Helper()
	if got, ok := take(n); got != wait || ok != (wait == 0) {
		t.Errorf("taking %d: wait %v (%v), want %v", n, got, ok, wait)
	}
}

func TestABucketRefills(t *testing.T) {
	both(t, rate.PerSecond(10, 3), func(t *testing.T, take taker) {
		const one = time.Second / 10
		take.want(t, 2, 0)
		take.want(t, 2, one) // all or nothing
		take.want(t, 1, 0)
		take.want(t, 1, one)
		<-time.After(one / 2)
		take.want(t, 1, one/2)
		<-time.After(one / 2)
		take.want(t, 1, 0)
		take.want(t, 3, 3*one)
		<-time.After(time.Hour) // it does not grow over its brim
		take.want(t, 3, 0)
		take.want(t, 1, one)
	})
}

func TestMoreThanABucketHoldsNeedsAFullOne(t *testing.T) {
	both(t, rate.PerSecond(10, 3), func(t *testing.T, take taker) {
		take.want(t, 1, 0)
		take.want(t, 100, time.Second/10)
		<-time.After(time.Second / 10)
		take.want(t, 100, 0)
		take.want(t, 1, time.Second/10)
	})
}

func TestTheZeroLimitPermitsEverything(t *testing.T) {
	both(t, rate.Limit{}, func(t *testing.T, take taker) {
		for range 1000 {
			take.want(t, 1000, 0)
		}
	})
}

func TestWhoAsksAfterTheTimeThatHeWasToldIsServed(t *testing.T) {
	for _, perSecond := range []float64{1e-9, 0.1, 1, 3, 7, 999, 1e6, 1e12} {
		both(t, rate.PerSecond(perSecond, 5), func(t *testing.T, take taker) {
			for range 100 {
				if wait, ok := take(1); !ok {
					<-time.After(wait)
					take.want(t, 1, 0)
				}
			}
		})
	}
}

func TestALimitIsNeverTooLargeForTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range []rate.Limit{rate.PerSecond(0, 1<<62), rate.PerSecond(1e-300, 1<<62), rate.PerSecond(1e300, 1<<62), rate.PerSecond(-1, -1)} {
			b := rate.NewBucket(l)
			if _, ok := b.Take(1 << 62); !ok {
				t.Errorf("%+v: a full bucket refused", l)
			}
			if wait, ok := b.Take(1); ok || wait <= 0 {
				t.Errorf("%+v: an empty bucket gave a token, %v", l, wait)
			}
		}
	})
}

func TestATableForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 5000
		table := rate.NewTable(rate.PerSecond(1, 10), most)
		for i := range 20 * most { // as many addresses as an attacker likes
			if _, ok := table.Take(fmt.Sprint(i), 1); !ok {
				t.Fatal("a new name was refused")
			}
			if table.Len() > most {
				t.Fatalf("%d buckets, want %d at most", table.Len(), most)
			}
		}
		<-time.After(time.Minute)
		for i := range 2000 { // those from before are full again
			table.Take(fmt.Sprint("new ", i), 1)
		}
		if table.Len() > 2000 {
			t.Errorf("%d buckets, want those that are not full", table.Len())
		}
		// Who is refused keeps his bucket, and one whom nobody knows gets none by being refused.
		table.Take("greedy", 10)
		for range 100 {
			if _, ok := table.Take("greedy", 1); ok {
				t.Error("an empty bucket gave a token")
			}
		}
	})
}

func TestNamesHaveBucketsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := rate.NewTable(rate.PerSecond(1, 1), 10)
		for _, name := range []string{"a", "b", ""} {
			if _, ok := table.Take(name, 1); !ok {
				t.Errorf("%q was refused", name)
			}
			if _, ok := table.Take(name, 1); ok {
				t.Errorf("%q was not refused", name)
			}
		}
	})
}

func TestManyAtOnceGetNoMoreThanThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, bucket := rate.NewTable(rate.PerSecond(1, 100), 10), rate.NewBucket(rate.PerSecond(1, 100))
		var fromTable, fromBucket atomic.Int64
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				for range 50 {
					if _, ok := table.Take("a", 1); ok {
						fromTable.Add(1)
					}
					if _, ok := bucket.Take(1); ok {
						fromBucket.Add(1)
					}
				}
			})
		}
		running.Wait()
		if fromTable.Load() != 100 || fromBucket.Load() != 100 {
			t.Errorf("%d and %d tokens, want 100 each", fromTable.Load(), fromBucket.Load())
		}
	})
}
