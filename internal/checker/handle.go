package checker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/swampline/live/broker"
)

// handle is the broker as one hub has it.
type handle struct {
	broker.Broker
	// window is how many entries the hub keeps in memory.
	window int
	// still is held while something is appended.
	still *sync.RWMutex
	mu    sync.Mutex
	// gate is what entries wait for while the hub is paused.
	gate chan struct{}
	// lost counts how often the hub was told that the log does not continue where it was.
	lost atomic.Int64
	// at is how far the hub follows the log, and began where it began to, by epoch, or began anew.
	at    broker.Position
	began map[uint64]broker.Position
	// born is where it began first; zero before.
	born broker.Position
}

var _ broker.Broker = (*handle)(nil)

// Append adds an entry.
func (h *handle) Append(ctx context.Context, data []byte) (broker.Position, error) {
	h.still.RLock()
	defer h.still.RUnlock()
	return h.Broker.Append(ctx, data)
}

// Follow hands on what the log gives, while the hub is not paused. What the hub reads for a client has a deadline; what it follows has none.
func (h *handle) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	if _, reads := ctx.Deadline(); reads {
		return h.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
			if err := h.pass(ctx); err != nil {
				return err
			}
			return deliver(batch)
		})
	}
	h.begins(after)
	err := h.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
		if err := h.pass(ctx); err != nil {
			return err
		}
		h.mu.Lock()
		h.at = batch[len(batch)-1].Position
		h.mu.Unlock()
		return deliver(batch)
	})
	if errors.Is(err, broker.ErrExpired) {
		h.lost.Add(1)
	}
	return err
}

// begins notes where the hub begins to follow the log: anew if that is not where it was.
func (h *handle) begins(after broker.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after != h.at {
		h.at, h.began[after.Epoch] = after, after
	}
	if h.born.IsZero() {
		h.born = after
	}
}

// first is where the hub began to follow the log.
func (h *handle) first() broker.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.born
}

// beginning is where the hub began to follow an epoch for the last time.
func (h *handle) beginning(epoch uint64) broker.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.began[epoch]
}

// reached is how far the hub was handed the log.
func (h *handle) reached() broker.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// pass waits while the hub is paused.
func (h *handle) pass(ctx context.Context) error {
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause keeps entries from the hub. It reports false if it was paused already.
func (h *handle) pause() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		return false
	}
	h.gate = make(chan struct{})
	return true
}

// resume lets entries through again.
func (h *handle) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		close(h.gate)
		h.gate = nil
	}
}

// behind reports whether the hub may not know yet what became of the log.
func (h *handle) behind() bool { return h.paused() }

func (h *handle) paused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gate != nil
}
