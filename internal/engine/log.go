package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// Append adds an entry to the log. It takes no longer than its context's deadline, or Options.AppendTimeout if that has none. An error
// that wraps session.ErrUnavailable says that the broker could not be reached; the entry may be on the log all the same.
func (e *Engine) Append(ctx context.Context, entry record.Entry) (broker.Position, error) {
	entry.Sent = time.Now().UnixMilli()
	data, err := record.Encode(entry)
	if err != nil {
		return broker.Position{}, err
	}
	if len(data) > record.MaxBytes {
		return broker.Position{}, broker.ErrTooLarge
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cmp.Or(e.options.AppendTimeout, 5*time.Second))
		defer cancel()
	}
	at, err := e.options.Broker.Append(ctx, data)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) && !errors.Is(err, broker.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return at, err
}

// head asks the broker where the log ends. One that neither answers nor fails has failed.
func (e *Engine) head(ctx context.Context) (broker.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return e.options.Broker.Head(ctx)
}

// CatchUp waits until the hub has followed the log to where it ends now.
func (e *Engine) CatchUp(ctx context.Context) error {
	head, err := e.head(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return e.Wait(ctx, head)
}

// Ready waits until the engine follows the log.
func (e *Engine) Ready(ctx context.Context) error {
	select {
	case <-e.ready: // nearly always, and then the context, which may be a session's, need not have a channel for its end
		return nil
	default:
	}
	select {
	case <-e.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ReadySoon is Ready for who cannot wait long: while the broker is known to be away it fails at once, and else after a while. The error wraps
// session.ErrUnavailable.
func (e *Engine) ReadySoon(ctx context.Context) error {
	select {
	case <-e.ready:
		return nil
	default:
	}
	if e.Degraded() {
		return session.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := e.Ready(ctx); err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return nil
}

// Position is that up to which entries were matched; what they mean is with the shards, or about to be.
func (e *Engine) Position() broker.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.position
}

// Wait returns when the shards have everything up to p, or the log has become another, or the engine has begun at its end: who knows
// then what p was.
func (e *Engine) Wait(ctx context.Context, p broker.Position) error {
	e.mu.Lock()
	began := e.restarts
	e.mu.Unlock()
	for {
		e.mu.Lock()
		position, moved, restarts := e.handed, e.moved, e.restarts
		e.mu.Unlock()
		if position.Epoch != p.Epoch || !p.After(position) || restarts != began {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Window returns entries after p from memory, and whether memory reaches back to it.
func (e *Engine) Window(p broker.Position, limit int) ([]*livequery.Entry, bool) {
	return e.window.After(p, limit)
}

// Settle runs f between two batches of the log, with the position that everything has reached: f sees the streams and the
// history as of it, and what f asks of a shard comes behind everything up to it. What f returns is handed to the shards. F must
// not wait.
func (e *Engine) Settle(f func(at broker.Position) *livequery.Delivery) {
	e.order.Lock()
	defer e.order.Unlock()
	if d := f(e.Position()); d != nil {
		for _, sh := range e.shards {
			sh.Tell(d)
		}
	}
}

// Attend runs f between two batches of the log, with the position that everything has reached, and whether the engine has begun at all. F
// must not wait.
func (e *Engine) Attend(f func(at broker.Position, began bool)) {
	e.order.Lock()
	defer e.order.Unlock()
	began := false
	select {
	case <-e.ready:
		began = true
	default:
	}
	f(e.Position(), began)
}

// errEnough ends a Follow that has given what was asked for.
var errEnough = errors.New("engine: enough")

// patience is how long the broker may take to answer.
const patience = 10 * time.Second

// Read returns entries after p, from memory or else from the broker. Each subscription decodes old history for itself, so only so many
// do at once, a chunk at a time, in order.
func (e *Engine) Read(ctx context.Context, p broker.Position, limit int, old *livequery.Backfill) ([]*livequery.Entry, error) {
	if entries, ok := e.window.After(p, limit); ok {
		return entries, nil
	}
	upto := e.Position()
	if p.Epoch != upto.Epoch {
		return nil, broker.ErrExpired
	}
	if !upto.After(p) { // there is nothing yet, and Follow would wait for it
		return nil, nil
	}
	if err := e.reads.Enter(ctx); err != nil {
		return nil, err
	}
	defer e.reads.Leave()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if mark, ok := e.marks.before(p); ok && old.Fresh() {
		entries, err := e.readAfter(ctx, mark, p, upto, limit, old)
		if err == nil {
			return entries, nil
		}
		old.Forget()
		if !errors.Is(err, broker.ErrExpired) && !errors.Is(err, errElsewhere) {
			return nil, err
		} // the log does not reach back to the mark, or does not hold p
	}
	return e.readAfter(ctx, p, p, upto, limit, old)
}

// errElsewhere says that the log has no entry at a position.
var errElsewhere = errors.New("engine: the log has no such position")

// readAfter reads entries from the broker that follow p and lie up to another position. Those that lie between from and p are remembered:
// what they say of a row tells what comes late.
func (e *Engine) readAfter(ctx context.Context, from, p, upto broker.Position, limit int, old *livequery.Backfill) ([]*livequery.Entry, error) {
	var entries []*livequery.Entry
	there, ids := from == p, map[string]bool{}
	err := e.options.Broker.Follow(ctx, from, func(batch []broker.Entry) error {
		for _, raw := range batch {
			if raw.Position.After(upto) {
				return errEnough
			}
			decoded, err := record.Decode(raw.Data)
			if id := decoded.ID; ids[id] || e.copies.later(id, raw.Position) {
				decoded = record.Entry{}
			} else if id != "" {
				ids[id] = true
			}
			if there = there || raw.Position == p; !raw.Position.After(p) {
				e.remember(raw, decoded, err, old)
				continue
			}
			if !there {
				return errElsewhere
			}
			entries = append(entries, e.resolve(raw, decoded, err, func(s *livequery.Stream, r *record.Change) (*livequery.Change, error) {
				return old.Resolve(s, r, raw.Position)
			}))
			if len(entries) == limit || raw.Position == upto {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) || len(entries) > 0 { // what was resolved must be told: it is not resolved twice
		return entries, nil
	}
	return nil, err
}

// remember takes an entry that a subscription was told before.
func (e *Engine) remember(raw broker.Entry, decoded record.Entry, err error, old *livequery.Backfill) {
	for i := range decoded.Changes {
		if stream := e.stream(decoded.Changes[i].Router); stream != nil && err == nil {
			old.Remember(stream, &decoded.Changes[i], raw.Position)
		}
	}
}

// Holds reports whether p, which does not lie after Position, is a position that the log gave out, and everything that follows it is
// still there. The broker is asked when memory does not reach back to it.
func (e *Engine) Holds(ctx context.Context, p broker.Position) (bool, error) {
	upto := e.Position()
	if _, ok := e.window.After(p, 0); ok || p == upto {
		return true, nil
	}
	if !upto.After(p) { // Follow would wait for what follows it
		return false, nil
	}
	return e.inquiries.ask(ctx, p, func() (bool, error) { return e.inquire(ctx, p) })
}

// inquire asks the broker whether it holds a position.
func (e *Engine) inquire(ctx context.Context, p broker.Position) (bool, error) {
	if err := e.reads.Enter(ctx); err != nil {
		return false, err
	}
	defer e.reads.Leave()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := e.options.Broker.Follow(ctx, p, func([]broker.Entry) error { return errEnough })
	switch {
	case errors.Is(err, errEnough):
		return true, nil
	case errors.Is(err, broker.ErrExpired):
		return false, nil
	}
	return false, err
}

// Beyond reports whether p lies after the end of the log.
func (e *Engine) Beyond(ctx context.Context, p broker.Position) (bool, error) {
	head, err := e.head(ctx)
	return head.Epoch != p.Epoch || p.After(head), err
}
