package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// ErrUnpublished says that a transaction has committed, and that not all that was published in it could be put on the log: what was done
// stands, and must not be done again. Its subscribers are right again when the rows are published anew, as with [Router.ChangedID].
var ErrUnpublished = errors.New("committed, and not all of it was published")

// Transaction collects what is published within a transaction of the application, on the routers and channels of any hub, so that it goes out
// if that commits, as one entry of each hub's log, and not at all if it is rolled back. [Tx] has one for database/sql; this is for adapters
// of other libraries, which begin one where the library begins its transaction, and say how that ended:
//
//	ctx, t := live.Begin(ctx)
//	defer t.Rollback() // without effect after Commit
//	… do, with ctx …
//	if err := t.Store(ctx, tx); err != nil { … roll back … }
//	… COMMIT …
//	return t.Commit(ctx)
//
// Its methods may be called by any goroutine.
type Transaction struct {
	// parent is the transaction of which it is a part; nil if it is whole.
	parent *Transaction
	// around is the context in which it was begun: what commits goes into the batches that this has.
	around context.Context

	mu      sync.Mutex
	ended   bool
	undone  bool
	parts   []*Transaction // that have not ended, oldest first
	batches []*batch       // one for each hub, as they were first published to
	// stored are the entries that Store has put into the database, by batch.
	stored map[*batch][]record.Entry
}

type transactionKey struct{}

func transactionOf(ctx context.Context) *Transaction {
	t, _ := ctx.Value(transactionKey{}).(*Transaction)
	return t
}

// Begin returns a context that publishes into a new Transaction, which must be ended with Commit or Rollback. In the ctx of another
// one it is a part of that, as a savepoint is. In a [Hub.Batch] or in a verb's func what it commits becomes part of that entry, and is
// published even if these then fail.
func Begin(ctx context.Context) (context.Context, *Transaction) {
	parent := transactionOf(ctx)
	for parent != nil && parent.over() {
		parent = parent.parent
	}
	t := &Transaction{parent: parent, around: ctx}
	if parent != nil {
		parent.mu.Lock()
		parent.parts = append(parent.parts, t)
		parent.mu.Unlock()
	}
	return t.In(ctx), t
}

// Outside returns a context that belongs to no Transaction: what is published with it does not wait for one, and [Begin] begins a whole
// one, as for another database. The ctx of a [Hub.Batch] or a verb around the transaction stays that.
func Outside(ctx context.Context) context.Context {
	if transactionOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, transactionKey{}, (*Transaction)(nil))
}

// In returns a context made of ctx that publishes into t: for adapters whose library hands a context of its own to each statement.
// After the end of t it publishes as if t were not there.
func (t *Transaction) In(ctx context.Context) context.Context {
	if transactionOf(ctx) == t {
		return ctx
	}
	return context.WithValue(ctx, transactionKey{}, t)
}

func (t *Transaction) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

// batch is what collects for a hub. The first one to ask makes it, under what was there when t was begun, or else under a parent.
func (t *Transaction) batch(h *Hub, parent *batch) *batch {
	if around := h.batchOf(t.around); around != nil { // not under the lock: it may ask the transaction around this one
		parent = around
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.batches {
		if b.hub == h {
			return b
		}
	}
	b := h.batchUnder(parent, t)
	b.ended, b.undone = t.ended, t.undone
	t.batches = append(t.batches, b)
	return b
}

// Store is called right before COMMIT: what the routers and channels of hubs with an outbox were told so far is written into tx, one
// entry for each hub, so that it is published if and only if tx commits. Which hubs have one [Options].Outbox tells; for the others nothing
// is done, nor for a part of another Transaction, which stores all. Parts that are open are committed, as COMMIT does with savepoints. After an
// error tx and t must be rolled back; it wraps [broker.ErrTooLarge] when one row is too large to be published.
func (t *Transaction) Store(ctx context.Context, tx broker.Execer) error {
	if t.parent != nil {
		return nil
	}
	for _, b := range t.settle(ctx) {
		if b.hub.outbox == nil {
			continue
		}
		entries, err := b.hub.store(ctx, tx, b.sign(b.drain()), b.answers)
		t.mu.Lock()
		if t.stored == nil {
			t.stored = map[*batch][]record.Entry{}
		}
		t.stored[b] = append(t.stored[b], entries...)
		t.mu.Unlock()
		if err != nil {
			return fmt.Errorf("live: outbox: %w", err)
		}
	}
	return nil
}

// settle commits the parts that are open and returns what was collected for each hub.
func (t *Transaction) settle(ctx context.Context) []*batch {
	t.mu.Lock()
	parts := slices.Clone(t.parts)
	t.mu.Unlock()
	for _, part := range parts {
		_ = part.Commit(ctx) // into t, which takes it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.batches)
}

// Commit is called after COMMIT, or after the end of a savepoint: what was not stored is published, whatever became of ctx meanwhile; that of
// a part into what it is a part of. The error wraps [ErrUnpublished] and what the log said. After the end of t it does nothing.
func (t *Transaction) Commit(ctx context.Context) error {
	t.settle(ctx)
	batches, stored := t.end(false)
	var failed []error
	for _, b := range batches {
		from := b.end()
		from.firm = from.entry
		for _, e := range stored[b] {
			from.outbox = append(from.outbox, e.ID)
			b.hub.published(e)
		}
		if w, ok := b.hub.outbox.(broker.Waker); ok && len(stored[b]) > 0 {
			w.Wake()
		}
		_, outbox, err := b.conclude(ctx, from)
		b.hub.forget(outbox) // who waited for it was answered before
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("live: %w: %w", ErrUnpublished, errors.Join(failed...))
	}
	return nil
}

// Rollback is called after ROLLBACK, or after that to a savepoint: what was published into t and its parts is dropped. After the end of t it
// does nothing.
func (t *Transaction) Rollback() {
	t.mu.Lock()
	parts := slices.Clone(t.parts)
	t.mu.Unlock()
	for _, part := range slices.Backward(parts) {
		part.Rollback()
	}
	batches, stored := t.end(true)
	for _, b := range batches {
		b.undo()
		for _, e := range stored[b] {
			b.hub.forget([]string{e.ID})
		}
	}
}

// end ends the transaction and returns what it held, nothing if it had ended.
func (t *Transaction) end(undone bool) (batches []*batch, stored map[*batch][]record.Entry) {
	t.mu.Lock()
	if !t.ended {
		t.ended, t.undone = true, undone
		batches, stored = t.batches, t.stored
		t.stored = nil
	}
	t.mu.Unlock()
	if p := t.parent; p != nil {
		p.mu.Lock()
		p.parts = slices.DeleteFunc(p.parts, func(part *Transaction) bool { return part == t })
		p.mu.Unlock()
	}
	return batches, stored
}
