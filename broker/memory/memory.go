// Package memory is a broker inside the process: the log of an application that runs as one process, and of tests.
//
// It is bounded by bytes, entries and age, starts no goroutine and holds nothing that needs closing. What it held is
// gone when the process ends; the next one draws another epoch, and whoever comes with an old position is told
// [broker.ErrExpired].
package memory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
)

// batchLen is the most entries that one call of deliver is given. It bounds how long the lock is held for a reader.
const batchLen = 256

// Options bound a Broker. In each field zero means the default and a negative value means no bound.
type Options struct {
	// MaxBytes bounds the sum of the sizes of the entries that are held, in bytes; the default is 64 MiB. Only data
	// counts: the broker's own 32 bytes an entry come on top.
	MaxBytes int
	// MaxEntries bounds the number of entries that are held; the default is 100,000.
	MaxEntries int
	// MaxAge bounds how long after its Append an entry is handed out; the default is one hour.
	MaxAge time.Duration
	// MaxEntryBytes bounds the size of one entry, in bytes; the default is 1 MiB. An entry larger than MaxBytes is
	// refused whatever MaxEntryBytes says.
	MaxEntryBytes int
}

// Broker is a broker.Broker in memory. Make one with New; the zero Broker is not usable. Its methods may be called
// from several goroutines at once.
//
// The newest entry is always held, whatever its size, until its age ends it; Head tells its position even then. What
// outlived MaxAge is never handed out, but its memory is let go only by the next Append.
type Broker struct {
	maxBytes, maxEntries, maxEntryBytes int
	maxAge                              time.Duration

	start time.Time // ages are measured from here, on the monotonic clock

	mu    sync.RWMutex // held for writing by those who change the log, for reading by followers
	epoch uint64
	log   history
	// wake is closed, and replaced, when something happened that waiting followers must see.
	wake chan struct{}
	// awaited says that a follower waits on wake. It is set under the read lock, so it is atomic; it saves an Append
	// that nobody waits for the price of a new channel.
	awaited atomic.Bool
}

var _ broker.Broker = (*Broker)(nil)

// New returns an empty broker of a new random epoch.
func New(o Options) *Broker {
	return &Broker{
		maxBytes:      bound(o.MaxBytes, 64<<20, math.MaxInt),
		maxEntries:    bound(o.MaxEntries, 100_000, math.MaxInt),
		maxEntryBytes: bound(o.MaxEntryBytes, 1<<20, math.MaxInt),
		maxAge:        bound(o.MaxAge, time.Hour, math.MaxInt64),
		start:         time.Now(),
		epoch:         newEpoch(0),
		log:           history{first: 1, next: 1},
		wake:          make(chan struct{}),
	}
}

// bound returns what an option means: its default for zero, the most there is for "no bound".
func bound[T int | time.Duration](v, def, most T) T {
	if v < 0 {
		return most
	}
	return cmp.Or(v, def)
}

// newEpoch returns a random epoch other than old. It is never zero, and below 2^52 so that it survives in a float64.
func newEpoch(old uint64) uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if e := binary.LittleEndian.Uint64(b[:]) >> 12; e != 0 && e != old {
			return e
		}
	}
}

// Append adds a copy of data to the log and returns its position: offsets start at 1 in an epoch and are dense, in
// Position.Major. Data larger than Options.MaxEntryBytes or Options.MaxBytes is refused with an error that wraps
// broker.ErrTooLarge; the only other error is ctx.Err().
func (b *Broker) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if err := ctx.Err(); err != nil {
		return broker.Position{}, err
	}
	if most := min(b.maxEntryBytes, b.maxBytes); len(data) > most {
		return broker.Position{}, fmt.Errorf("%w: %d bytes, at most %d", broker.ErrTooLarge, len(data), most)
	}
	data = bytes.Clone(data)

	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Since(b.start)
	offset := b.log.push(record{data: data, at: now})
	b.log.trim(b.maxEntries, b.maxBytes, now-b.maxAge)
	b.wakeAll()
	return broker.Position{Epoch: b.epoch, Major: offset}, nil
}

// Head returns the position of the newest entry, or the one before the first. It never fails.
func (b *Broker) Head(context.Context) (broker.Position, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return broker.Position{Epoch: b.epoch, Major: b.log.next - 1}, nil
}

// Reset loses the log, as a server does that lost its data: a new epoch begins, empty, and every follower that was
// given an entry or named a position gets broker.ErrExpired. It is for tests.
func (b *Broker) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch = newEpoch(b.epoch)
	b.log = history{first: 1, next: 1}
	b.wakeAll()
}

// Trim makes the log forget all but the newest keep entries, as if its bounds had been reached. It is for tests.
func (b *Broker) Trim(keep int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.trim(max(keep, 0), math.MaxInt, math.MinInt64)
}

// wakeAll wakes the followers that wait. The lock must be held for writing.
func (b *Broker) wakeAll() {
	if b.awaited.Load() {
		b.awaited.Store(false)
		close(b.wake)
		b.wake = make(chan struct{})
	}
}
