package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/swampline/live/broker"
)

// batches holds the slices that deliver is called with. A follower has one only while it delivers, so that thousands
// that wait cost nothing but their stacks.
var batches = sync.Pool{New: func() any { return new([batchLen]broker.Entry) }}

// Follow does what broker.Broker says, in batches of at most 256 entries. No lock is held while deliver runs; a
// follower whose next entry was trimmed meanwhile, or outlived Options.MaxAge, gets broker.ErrExpired. A follower from
// the zero Position is bound to an epoch by the first entry that it is given.
func (b *Broker) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		last, wake, err := b.step(after, deliver)
		if err != nil {
			return err
		}
		if wake != nil {
			select {
			case <-wake:
			case <-ctx.Done():
			}
		}
		after = last
	}
}

// step delivers one batch of what follows a position and returns the position of its last entry. When nothing follows
// it returns the channel to wait on.
func (b *Broker) step(
	after broker.Position, deliver func([]broker.Entry) error,
) (last broker.Position, wake <-chan struct{}, err error) {
	batch := batches.Get().(*[batchLen]broker.Entry)
	n, wake, err := b.read(after, batch)
	if n > 0 {
		after = batch[n-1].Position
		err = deliver(batch[:n:n])
	}
	clear(batch[:n]) // the pool must not keep data that the log let go
	batches.Put(batch)
	return after, wake, err
}

// read fills batch with what follows a position. When nothing does, it returns the channel that will be closed.
func (b *Broker) read(after broker.Position, batch *[batchLen]broker.Entry) (n int, wake <-chan struct{}, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	first := b.log.since(time.Since(b.start) - b.maxAge)
	from, err := b.follows(after, first)
	if err != nil {
		return 0, nil, err
	}
	if from == b.log.next {
		b.awaited.Store(true)
		return 0, b.wake, nil
	}
	n = int(min(batchLen, b.log.next-from))
	for i := range n {
		offset := from + uint64(i)
		batch[i] = broker.Entry{
			Position: broker.Position{Epoch: b.epoch, Major: offset},
			Data:     b.log.at(offset).data,
		}
	}
	return n, nil, nil
}

// follows returns the offset of the entry after a position, when the first entry that may be handed out is known. The
// lock must be held.
func (b *Broker) follows(after broker.Position, first uint64) (uint64, error) {
	switch {
	case after.IsZero():
		return first, nil
	case after.Epoch != b.epoch:
		return 0, fmt.Errorf("%w: %v is of another epoch", broker.ErrExpired, after)
	case after.Major >= b.log.next || after.Minor != 0: // offsets here have no minor word: it was not given out here
		return 0, fmt.Errorf("%w: %v is beyond the end", broker.ErrExpired, after)
	case after.Major+1 < first:
		return 0, fmt.Errorf("%w: %v was trimmed", broker.ErrExpired, after)
	}
	return after.Major + 1, nil
}
