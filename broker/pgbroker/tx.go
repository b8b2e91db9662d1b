package pgbroker

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live"
)

// Tx is live.Tx for a pool of pgx: it runs do in a transaction, which commits when do returns nil, and else, or when do panics, is rolled back. What
// is published with do's ctx goes out if the transaction commits and not otherwise; where the hub's Broker is a Broker of this package, or
// Options.Outbox of live is set, it is stored in the transaction itself.
//
// A Tx with the ctx of another one on the same pool is a savepoint in it, also to what is published: if the inner do fails, what it was told is
// dropped, and the outer may go on. The errors are those of live.Tx. Do must not end tx, nor use it from several goroutines at once, or keep
// it.
func Tx(ctx context.Context, pool *pgxpool.Pool, do func(ctx context.Context, tx pgx.Tx) error) error {
	if part, ok := partOf(ctx, pool); ok {
		return part.inside(ctx, do)
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("pgbroker: begin: %w", err)
	}
	inside, t := live.Begin(live.Outside(ctx))
	whole := &transaction{pool: pool}
	committed := false
	defer func() { // a panic, too
		whole.over.Store(true)
		if !committed {
			_ = rollback(ctx, tx) // where it fails the connection is closed, and the server does
			t.Rollback()
		}
	}()
	if err := do(part{whole, tx, t}.in(inside), tx); err != nil {
		return err
	}
	whole.over.Store(true)
	if broken := whole.broken.Load(); broken != nil {
		return *broken
	}
	if err := t.Store(ctx, Execer(tx)); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("pgbroker: commit: %w", err)
	}
	committed = true
	return t.Commit(ctx)
}

// TxOf returns the transaction, or the savepoint, that Tx runs on pool in ctx, false if there is none: for code that is called in transactions
// and outside of them, such as a router's List and Get.
func TxOf(ctx context.Context, pool *pgxpool.Pool) (pgx.Tx, bool) {
	part, ok := partOf(ctx, pool)
	return part.tx, ok
}

// transaction is one that Tx runs.
type transaction struct {
	pool *pgxpool.Pool
	over atomic.Bool // do has returned: who comes later is not in it
	// broken is why it can only be rolled back.
	broken atomic.Pointer[error]
}

// part is a transaction, or a savepoint in it, and what was published there.
type part struct {
	*transaction
	tx   pgx.Tx
	told *live.Transaction
}

type partKey struct{ pool *pgxpool.Pool }

func partOf(ctx context.Context, pool *pgxpool.Pool) (part, bool) {
	p, ok := ctx.Value(partKey{pool}).(part)
	if !ok || p.over.Load() {
		return part{}, false
	}
	return p, true
}

func (p part) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, partKey{p.pool}, p)
}

// inside runs do in a savepoint.
func (p part) inside(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	tx, err := p.tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("pgbroker: savepoint: %w", err)
	}
	inside, t := live.Begin(p.told.In(ctx))
	released := false
	defer func() { // a panic, too
		if released {
			return
		}
		// If that fails, what was done since stands with the rest, but was dropped from what is published: so all must be rolled back.
		if err := rollback(ctx, tx); err != nil {
			err = fmt.Errorf("pgbroker: the transaction was rolled back, for a part of it could not be: %w", err)
			p.broken.CompareAndSwap(nil, &err)
		}
		t.Rollback()
	}()
	if err := do(part{p.transaction, tx, t}.in(inside), tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("pgbroker: release savepoint: %w", err)
	}
	released = true
	return t.Commit(ctx)
}

// rollback rolls back though ctx may have ended.
func rollback(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return tx.Rollback(ctx)
}
