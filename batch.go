package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// batch collects what is published with a context, so that it goes on the log as one entry, and only if what was done has
// succeeded. It belongs to one hub: another hub's routers publish past it.
type batch struct {
	hub *Hub
	// parent is the batch that this one becomes a part of; nil if it is an entry of its own.
	parent *batch
	// within is the transaction in which it was begun, nil outside of any: together they are undone.
	within *Transaction
	// mutation is the id that a client gave to the write that causes what is published.
	mutation string
	// by marks the caller whose mutation it is.
	by string
	// answers says that a caller waits for the position of what is published.
	answers bool

	mu    sync.Mutex
	held  held
	ended bool
	// undone says that it ended because its transaction was rolled back.
	undone bool
}

// held is what a batch has collected.
type held struct {
	entry record.Entry
	// firm is the part of entry that stands whatever becomes of the batch, for a transaction in it has committed.
	firm record.Entry
	// told are the rows that were published, be they in entry or in an outbox.
	told map[string]struct{}
	// outbox holds the ids of the entries that were stored in transactions that have committed.
	outbox []string
}

// Batch runs do and puts all that is published with the ctx that do is given, by any router of the hub and on any channel, on the log
// as one entry when do has returned nil: subscribers see it whole. When do fails or panics nothing is published. So a
// transaction belongs inside of do, and what it commits is published after it:
//
//	err := hub.Batch(ctx, func(ctx context.Context) error {
//		return db.Tx(ctx, func(ctx context.Context) error { … todos.Updated(ctx, was, now) … })
//	})
//
// Publishing in do returns at once, with an error only for what can never be published. A Batch inside of another, or of a verb's
// func, which is one, becomes part of it, and one in a [Tx] part of that. A Tx in do is published with the rest, and even when do then
// fails, for it stands. An entry that is too large for the broker is split. After its end the ctx publishes
// directly. The error is do's, or else that of the log: then what do did stands, and not all of it was published. The end of
// ctx does not keep what do did from being published.
func (h *Hub) Batch(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, b := h.begin(ctx)
	defer b.abandon(ctx) // a panic too
	if err := do(ctx); err != nil {
		return err
	}
	if _, err := b.commit(ctx); err != nil {
		return fmt.Errorf("live: batch: %w", err)
	}
	return nil
}

// add puts more behind what is held.
func (h *held) add(more held) {
	join(&h.entry, more.entry)
	join(&h.firm, more.firm)
	h.tell(more.entry.Changes)
	for row := range more.told {
		h.told[row] = struct{}{}
	}
	h.outbox = append(h.outbox, more.outbox...)
}

func (h *held) tell(changes []record.Change) {
	if h.told == nil {
		h.told = map[string]struct{}{}
	}
	for _, c := range changes {
		h.told[rowOf(c)] = struct{}{}
	}
}

func join(e *record.Entry, more record.Entry) {
	e.Changes = append(e.Changes, more.Changes...)
	e.Messages = append(e.Messages, more.Messages...)
}

type batchKey struct{ hub *Hub }

// batchOf is what the hub's routers publish into with ctx, nil when that is the log: the batch or the transaction that was begun last.
func (h *Hub) batchOf(ctx context.Context) *batch {
	b, _ := ctx.Value(batchKey{h}).(*batch)
	t := transactionOf(ctx)
	for ; b != nil; b = b.parent {
		if b.within == t {
			return b
		}
	}
	if t == nil {
		return nil
	}
	return t.batch(h, nil)
}

// in returns a context that publishes into the batch.
func (b *batch) in(ctx context.Context) context.Context {
	if transactionOf(ctx) != b.within {
		ctx = context.WithValue(ctx, transactionKey{}, b.within)
	}
	return context.WithValue(ctx, batchKey{b.hub}, b)
}

// begin returns a context with a batch of its own. When it is committed it becomes a part of the batch that ctx has, if it has one.
func (h *Hub) begin(ctx context.Context) (context.Context, *batch) {
	b := h.batchUnder(h.batchOf(ctx), transactionOf(ctx))
	return b.in(ctx), b
}

func (h *Hub) batchUnder(parent *batch, within *Transaction) *batch {
	b := &batch{hub: h, parent: parent, within: within}
	if parent != nil {
		b.mutation, b.by, b.answers = parent.mutation, parent.by, parent.answers
	}
	return b
}

// take adds an entry to the batch, or to one that it was a part of; it reports whether one of them has not ended.
func (b *batch) take(e record.Entry) bool {
	for ; b != nil; b = b.parent {
		if taken, _ := b.add(held{entry: e}); taken {
			return true
		}
	}
	return false
}

// takeOver adds what a batch held to its parent, or to one that that was a part of. It reports whether nothing is left to publish: one of
// them has not ended, or was undone, and all that was in it with it.
func (b *batch) takeOver(from held) bool {
	for ; b != nil; b = b.parent {
		if taken, undone := b.add(from); taken || undone {
			return true
		}
	}
	return false
}

func (b *batch) add(more held) (taken, undone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false, b.undone
	}
	b.held.add(more)
	return true, false
}

func rowOf(c record.Change) string { return c.Router + "\x00" + c.Key }

// tells reports whether the row of a change has been published in the batch, be it as Changed.
func (b *batch) tells(c record.Change) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.held.told[rowOf(c)]
	return ok
}

// end closes the batch and returns what it held. What is published with its context from now on is not held back.
func (b *batch) end() held {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := b.held
	b.held, b.ended = held{}, true
	return from
}

// drain returns what the batch holds, for an outbox, and leaves it open. Which rows it tells of stays known.
func (b *batch) drain() record.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.held.entry
	b.held.entry, b.held.firm = record.Entry{}, record.Entry{}
	return e
}

// undo closes the batch of a transaction that was rolled back.
func (b *batch) undo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held, b.ended, b.undone = held{}, true, true
}

// commit ends the batch: what it held goes into the batch that it is a part of, or else on the log, whatever became of the
// caller meanwhile, for what it tells of has happened. It returns the position of the last entry, zero if there was none.
func (b *batch) commit(ctx context.Context) (broker.Position, error) {
	at, outbox, err := b.conclude(ctx, b.end())
	b.hub.forget(outbox) // who waited for it was answered before
	return at, err
}

// abandon ends a batch of what has failed, unless it has ended: only what transactions in it have committed goes where commit has all
// go. What the log does not take of it the hub's logger is told, for whoever calls this has an error, or a panic, to report already.
func (b *batch) abandon(ctx context.Context) {
	from := b.end()
	from.entry = from.firm
	_, outbox, err := b.conclude(ctx, from)
	if err != nil {
		b.hub.options.Logger.ErrorContext(ctx, "live: what a transaction committed in a batch that failed cannot be published", session.Cause(err))
	}
	b.hub.forget(outbox)
}

// conclude puts what an ended batch held into the batch that it is a part of, or else on the log. It returns the position of the last
// entry and, if the batch is no part, the ids of the entries in an outbox.
func (b *batch) conclude(ctx context.Context, from held) (broker.Position, []string, error) {
	if b.parent.takeOver(from) {
		return broker.Position{}, nil, nil
	}
	if size(from.entry) == 0 {
		return broker.Position{}, from.outbox, nil
	}
	ctx, cancel := regardless(ctx)
	defer cancel()
	at, err := b.hub.append(ctx, b.sign(from.entry))
	return at, from.outbox, err
}

// sign says in an entry which write causes it, and whose.
func (b *batch) sign(e record.Entry) record.Entry {
	e.By = b.by
	if len(e.Changes) == 0 {
		e.Mutation = b.mutation // else the changes carry it
	}
	return e
}

// publish puts an entry on the log, or into the batch that ctx has.
func (h *Hub) publish(ctx context.Context, e record.Entry) error {
	if Suppressed(ctx) {
		return nil
	}
	h.attribute(ctx, e.Changes)
	if b := h.batchOf(ctx); b != nil {
		for i := range e.Changes {
			e.Changes[i].Mutation = b.mutation
		}
		if b.take(e) {
			return nil
		}
		e.By = b.by
	}
	_, err := h.append(ctx, e)
	return err
}

// append puts an entry on the log. One that is too large for the broker is split into halves, in order; what is too large by itself
// is left out, and the error tells. It returns the position of the last entry, zero when some of it waits for the broker.
func (h *Hub) append(ctx context.Context, whole record.Entry) (last broker.Position, err error) {
	queue, unsent := []record.Entry{whole}, h.unsent
	if extend.IsNowOrNever(ctx) {
		unsent = nil
	}
	for len(queue) > 0 {
		queue[0] = unsent.name(queue[0])
		e := queue[0]
		at, failed := broker.Position{}, session.ErrUnavailable
		if !unsent.any() {
			at, failed = h.engine.Append(ctx, e)
		}
		if unsent.takes(failed) {
			var tooLarge error
			if tooLarge, failed = unsent.take(queue); failed == nil {
				return broker.Position{}, cmp.Or(err, tooLarge)
			}
		}
		switch {
		case failed == nil:
			last, queue = at, queue[1:]
			h.published(e)
		case !errors.Is(failed, broker.ErrTooLarge):
			return last, &unsentError{rest: queue, err: failed}
		case size(e) > 1:
			first, second := halves(e)
			queue = append([]record.Entry{first, second}, queue[1:]...)
		default:
			err, queue = failed, queue[1:]
		}
	}
	return last, err
}

// published counts what was put on the log, by router and by declaration of a channel.
func (h *Hub) published(e record.Entry) {
	if h.watch == nil {
		return
	}
	var label string
	n := 0
	add := func(next string) {
		if next != label {
			h.watch.Count(MetricPublishes, label, n)
			label, n = next, 0
		}
		n++
	}
	for _, c := range e.Changes {
		add(c.Router)
	}
	for _, m := range e.Messages {
		if c := h.channelOf(m.Channel); c != nil {
			add(c.Name)
		}
	}
	h.watch.Count(MetricPublishes, label, n)
	h.watch.Count(MetricPublishes, "", len(e.Recheck)+len(e.Disconnect))
}

func size(e record.Entry) int { return len(e.Changes) + len(e.Messages) }

// halves splits an entry: changes first, as who follows both a router and a channel is told of them.
func halves(e record.Entry) (first, second record.Entry) {
	half := size(e) / 2
	n := min(half, len(e.Changes))
	m := half - n
	first, second = e, e
	first.ID, second.ID = "", "" // they are no copies of each other
	first.Changes, first.Messages = e.Changes[:n], e.Messages[:m]
	second.Changes, second.Messages = e.Changes[n:], e.Messages[m:]
	return first, second
}

// unsentError says that the log could not be reached, or that it refused some of what it was told for its size. What is told of has happened all the same, so the rest has to be appended
// for those who follow it to be right.
type unsentError struct {
	rest []record.Entry
	// answer is what the verb's caller is answered then; nil if no verb was called.
	answer answer
	err    error
}

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// answer words what a verb comes to, for the position of the last change that it caused.
type answer func(at broker.Position) wire.Answer
