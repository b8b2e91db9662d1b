// Package rate says how often something may happen: token buckets that refill with time.
//
// A bucket is kept as the time at which it will be full again, so one is a number, and one that is full is nothing at all: a table forgets
// it, and finds it full when it is asked for again. Times are monotonic.
package rate

import (
	"sync"
	"time"
)

// Limit is how often something may happen: Every is the time in which one token comes back, Burst how many a full bucket holds. The zero
// Limit permits everything.
type Limit struct {
	Every time.Duration
	Burst int
}

// PerSecond returns the limit of so many tokens a second, at least one in a day. A burst of less than one is taken for one, and one that
// would take a century to come back for what comes back in one.
func PerSecond(n float64, burst int) Limit {
	const day, century = 24 * time.Hour, 100 * 365 * 24 * time.Hour
	every := day
	if n > 1/day.Seconds() {
		every = max(1, time.Duration(float64(time.Second)/n))
	}
	return Limit{Every: every, Burst: min(max(1, burst), int(century/every))}
}

// full is the time at which a bucket is full again.
type full time.Duration

// take takes n tokens at once, or none: then it returns after which time there will be so many. More than a full bucket holds are
// taken from a full one.
func (f *full) take(l Limit, n int, now time.Duration) (wait time.Duration, ok bool) {
	from := max(time.Duration(*f), now)
	after := from + time.Duration(min(n, l.Burst))*l.Every
	if wait = after - now - time.Duration(l.Burst)*l.Every; wait > 0 {
		return wait, false
	}
	*f = full(after)
	return 0, true
}

// terms are what buckets can have in common.
type terms struct {
	limit Limit
	since time.Time // what their times are counted from
}

// Bucket is one bucket. Its methods may be called by any goroutine.
type Bucket struct {
	*terms // of many: there may be a million
	mu     sync.Mutex
	full   full
}

// NewBucket returns a full bucket.
func NewBucket(l Limit) *Bucket { return &Bucket{terms: &terms{limit: l, since: time.Now()}} }

// Take takes n tokens, or none: then it returns after which time it makes sense to ask again.
func (b *Bucket) Take(n int) (wait time.Duration, ok bool) {
	if b.limit == (Limit{}) {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full.take(b.limit, n, time.Since(b.since))
}

// Table holds a bucket for each of many names. Its memory is bounded: a bucket that is full again is forgotten, and when there are too many
// that are not, some others are, whose names then have full ones. Its methods may be called by any goroutine.
type Table struct {
	terms
	most int

	mu      sync.Mutex
	buckets map[string]full
	sweep   int // the number of buckets at which the full ones are looked for
}

// least is the number of buckets below which nobody looks for full ones.
const least = 1 << 10

// NewTable returns a table of full buckets that remembers at most so many that are not.
func NewTable(l Limit, most int) *Table {
	return &Table{terms: terms{limit: l, since: time.Now()}, most: most, buckets: map[string]full{}, sweep: min(least, most)}
}

// Bucket returns a full bucket that has no name, with the limit of the others.
func (t *Table) Bucket() *Bucket { return &Bucket{terms: &t.terms} }

// Take takes n tokens from the bucket of a name, or none: then it returns after which time it makes sense to ask again.
func (t *Table) Take(name string, n int) (wait time.Duration, ok bool) {
	if t.limit == (Limit{}) {
		return 0, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.since)
	b, known := t.buckets[name]
	if !known && len(t.buckets) >= t.sweep {
		t.forget(now)
	}
	wait, ok = b.take(t.limit, n, now)
	if ok || known {
		t.buckets[name] = b
	}
	return wait, ok
}

// forget drops the buckets that are full, and if there is little room even so, any others. Looking at all costs as much as coming to so
// many did: the next look is at twice the number that is left, or when the room is used up.
func (t *Table) forget(now time.Duration) {
	for name, b := range t.buckets {
		if time.Duration(b) <= now {
			delete(t.buckets, name)
		}
	}
	for name := range t.buckets {
		if len(t.buckets) <= t.most/8*7 {
			break
		}
		delete(t.buckets, name)
	}
	t.sweep = min(max(least, 2*len(t.buckets)), t.most)
}

// Len returns how many buckets are remembered.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.buckets)
}
