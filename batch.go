package live

import (
	"context"
	"errors"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
)

// batch collects what is published with a context, so that it goes on the log as one entry, and only if what was done has
// succeeded. It belongs to one hub: another hub's routers publish past it.
type batch struct {
	hub *Hub
	// parent is the batch that this one becomes a part of; nil if it is an entry of its own.
	parent *batch
	// mutation is the id that a client gave to the write that causes what is published.
	mutation string
	// by marks the caller whose mutation it is.
	by string

	mu    sync.Mutex
	entry record.Entry
	told  map[string]struct{}
	ended bool
}

type batchKey struct{ hub *Hub }

func (h *Hub) batchOf(ctx context.Context) *batch {
	b, _ := ctx.Value(batchKey{h}).(*batch)
	return b
}

// in returns a context that publishes into the batch.
func (b *batch) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, batchKey{b.hub}, b)
}

// begin returns a context with a batch of its own. When it is committed it becomes a part of the batch that ctx has, if it has one.
func (h *Hub) begin(ctx context.Context) (context.Context, *batch) {
	b := &batch{hub: h, parent: h.batchOf(ctx)}
	if b.parent != nil {
		b.mutation, b.by = b.parent.mutation, b.parent.by
	}
	return b.in(ctx), b
}

// take adds an entry to the batch, or to one that it was a part of; it reports whether one of them has not ended.
func (b *batch) take(e record.Entry) bool {
	for ; b != nil; b = b.parent {
		if b.add(e) {
			return true
		}
	}
	return false
}

func (b *batch) add(e record.Entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	if b.told == nil {
		b.told = map[string]struct{}{}
	}
	for _, c := range e.Changes {
		b.told[rowOf(c)] = struct{}{}
	}
	b.entry.Changes = append(b.entry.Changes, e.Changes...)
	b.entry.Messages = append(b.entry.Messages, e.Messages...)
	return true
}

func rowOf(c record.Change) string { return c.Router + "\x00" + c.Key }

// tells reports whether the row of a change has been published in the batch, be it as Changed.
func (b *batch) tells(c record.Change) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.told[rowOf(c)]
	return ok
}

// end closes the batch and returns what it held. What is published with its context from now on is not held back.
func (b *batch) end() record.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry
	b.entry, b.ended = record.Entry{}, true
	return e
}

// commit ends the batch: what it held goes into the batch that it is a part of, or else on the log, whatever became of the
// caller meanwhile, for what it tells of has happened. It returns the position of the last entry, zero if there was none.
func (b *batch) commit(ctx context.Context) (broker.Position, error) {
	e := b.end()
	if size(e) == 0 || b.parent.take(e) {
		return broker.Position{}, nil
	}
	e.By = b.by
	if len(e.Changes) == 0 {
		e.Mutation = b.mutation // else the changes carry it
	}
	return b.hub.append(context.WithoutCancel(ctx), e)
}

// publish puts an entry on the log, or into the batch that ctx has.
func (h *Hub) publish(ctx context.Context, e record.Entry) error {
	if suppressed(ctx) {
		return nil
	}
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
// is left out, and the error tells. It returns the position of the last entry.
func (h *Hub) append(ctx context.Context, whole record.Entry) (last broker.Position, err error) {
	queue := []record.Entry{whole}
	for len(queue) > 0 {
		e := queue[0]
		at, failed := h.engine.Append(ctx, e)
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
