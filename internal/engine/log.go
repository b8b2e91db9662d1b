package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// Append adds an entry to the log.
func (e *Engine) Append(ctx context.Context, entry record.Entry) (broker.Position, error) {
	entry.Sent = time.Now().UnixMilli()
	data, err := record.Encode(entry)
	if err != nil {
		return broker.Position{}, err
	}
	if len(data) > record.MaxBytes {
		return broker.Position{}, broker.ErrTooLarge
	}
	at, err := e.options.Broker.Append(ctx, data)
	if err != nil && ctx.Err() == nil && !errors.Is(err, broker.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return at, err
}

// CatchUp waits until the hub has followed the log to where it ends now.
func (e *Engine) CatchUp(ctx context.Context) error {
	head, err := e.options.Broker.Head(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return e.Wait(ctx, head)
}

// Ready waits until the engine follows the log.
func (e *Engine) Ready(ctx context.Context) error {
	select {
	case <-e.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Position is that up to which entries were matched; what they mean is with the shards, or about to be.
func (e *Engine) Position() broker.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.position
}

// Wait returns when the shards have everything up to p, or the log has become another.
func (e *Engine) Wait(ctx context.Context, p broker.Position) error {
	for {
		e.mu.Lock()
		position, moved := e.handed, e.moved
		e.mu.Unlock()
		if position.Epoch != p.Epoch || !p.After(position) {
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
	var entries []*livequery.Entry
	err := e.options.Broker.Follow(ctx, p, func(batch []broker.Entry) error {
		for _, raw := range batch {
			if raw.Position.After(upto) {
				return errEnough
			}
			decoded, err := record.Decode(raw.Data)
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

// Beyond reports whether p lies after the end of the log.
func (e *Engine) Beyond(ctx context.Context, p broker.Position) (bool, error) {
	head, err := e.options.Broker.Head(ctx)
	return head.Epoch != p.Epoch || p.After(head), err
}
