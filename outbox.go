package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// outboxOf returns what stores entries in the application's transactions, nil if nothing does.
func outboxOf(o Options) broker.TxAppender {
	if o.Outbox != nil {
		return o.Outbox
	}
	outbox, _ := o.Broker.(broker.TxAppender)
	return outbox
}

// store writes an entry into a transaction. One that is too large is split into halves, in order; what is too large by itself is
// an error, for it can still be undone. It returns what was written; who awaits it is told when it is on the log.
func (h *Hub) store(ctx context.Context, tx broker.Execer, whole record.Entry, awaited bool) (stored []record.Entry, err error) {
	if size(whole) == 0 {
		return nil, nil
	}
	queue := []record.Entry{whole}
	for len(queue) > 0 {
		e := queue[0]
		e.ID, e.Sent = rand.Text(), time.Now().UnixMilli()
		if awaited {
			h.expect(e.ID) // before it can be there
		}
		err := h.storeOne(ctx, tx, e)
		if err == nil {
			stored, queue = append(stored, e), queue[1:]
			continue
		}
		h.forget([]string{e.ID})
		if !errors.Is(err, broker.ErrTooLarge) || size(e) == 1 {
			return stored, fmt.Errorf("%s: %w", about(e), err)
		}
		first, second := halves(queue[0])
		queue = append([]record.Entry{first, second}, queue[1:]...)
	}
	return stored, nil
}

func (h *Hub) storeOne(ctx context.Context, tx broker.Execer, e record.Entry) error {
	data, err := record.Encode(e)
	if err != nil {
		return err
	}
	if len(data) > record.MaxBytes {
		return broker.ErrTooLarge
	}
	return h.outbox.AppendTx(ctx, tx, data)
}

// about names what an entry begins with.
func about(e record.Entry) string {
	if len(e.Changes) > 0 {
		return "router " + e.Changes[0].Router
	}
	return "channel " + e.Messages[0].Channel
}

// patience is how long the answer to a write waits for what it stored in an outbox to be on the log.
const patience = time.Second

// expect begins to wait for an entry of an id. A hub that does not follow the log yet may never see it.
func (h *Hub) expect(id string) {
	if h.engine.Position().IsZero() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expected[id] = make(chan broker.Position, 1)
}

// forget ends the waiting for entries.
func (h *Hub) forget(ids []string) {
	if len(ids) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.expected, id)
	}
}

// arrived takes that an entry of an id is on the log.
func (h *Hub) arrived(id string, at broker.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if here := h.expected[id]; here != nil {
		select {
		case here <- at:
		default: // a copy
		}
	}
}

// await waits until entries that were expected are on the log, not for long, and returns the position of the last; zero when they were not all
// there in time, or the log cannot be reached. The client then learns from the changes themselves what became of its write.
func (h *Hub) await(ctx context.Context, ids []string) (last broker.Position) {
	defer h.forget(ids)
	late := time.NewTimer(patience)
	defer late.Stop()
	for _, id := range ids {
		h.mu.Lock()
		here := h.expected[id]
		h.mu.Unlock()
		if here == nil || h.away.Load() {
			return broker.Position{}
		}
		select {
		case at := <-here:
			if !last.After(at) {
				last = at
			}
		case <-late.C:
			return broker.Position{}
		case <-ctx.Done():
			return broker.Position{}
		case <-h.running.Done():
			return broker.Position{}
		}
	}
	return last
}

// relaying is how long a write that is said again waits for what is in the outbox: longer than another relay takes to see that one died.
const relaying = 30 * time.Second

// relayed waits until what was stored in the outbox, by whichever process, is on the log. While that is away it fails at once.
func (h *Hub) relayed(ctx context.Context) error {
	outbox, ok := h.outbox.(broker.Drainer)
	if !ok {
		return nil
	}
	if h.away.Load() {
		return session.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(ctx, relaying)
	defer cancel()
	if err := outbox.Drain(ctx); err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return nil
}
