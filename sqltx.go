package live

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
)

// Tx runs do in a transaction of db: it commits when do returns nil, and else, or when do panics, it is rolled back. What is published with
// do's ctx, on the routers and channels of any hub, is one entry of each hub's log, which goes out if the transaction commits and not
// otherwise. Routers whose verbs run in it have it as their Tx:
//
//	Tx: func(ctx context.Context, do func(context.Context) error) error {
//		return live.Tx(ctx, db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
//	}
//
// The rows that a router reads anew while it publishes, such as parents and nested rows, it reads with the same ctx: a List or Get that takes
// its connection by [TxOf] sees what the transaction did, and one that does not may wait for it without end.
//
// A Tx with the ctx of another one on the same db is a savepoint in it, also to what is published: if the inner do fails, what it was told is
// dropped, and the outer may go on. (The database must know SAVEPOINT, RELEASE SAVEPOINT and ROLLBACK TO SAVEPOINT.) On another db it is a
// transaction of its own, which is published when it commits, whatever the outer one comes to. A [Hub.Batch] in do is part of the
// transaction; what Tx commits in a Batch or in a verb's func goes into that one's entry.
//
// With an outbox, see [Options], the entry is stored in the transaction itself. Without one it is published right after COMMIT, even if ctx has
// ended: when the process dies in between, subscribers are not told.
//
// The error is do's, or that of the database: then nothing was done, and nothing is published. Of a COMMIT whose answer was lost nobody knows
// what it did: with an outbox what was published is on the log exactly if it committed, without one it is dropped. An error that
// wraps [ErrUnpublished] says that it committed, and that the log did not take all. Do must not end tx; nor may it use tx and savepoints of it from
// several goroutines at once, or keep them.
func Tx(ctx context.Context, db *sql.DB, do func(ctx context.Context, tx *sql.Tx) error) error {
	if s := savepointOf(ctx, db); s != nil {
		return s.inside(ctx, do)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("live: begin: %w", err)
	}
	inside, t := Begin(Outside(ctx))
	run := &sqlTx{db: db, tx: tx}
	committed := false
	defer func() { // a panic, too
		run.over.Store(true)
		if !committed {
			_ = tx.Rollback() // where it fails the connection is closed, and the database does
			t.Rollback()
		}
	}()
	if err := do(savepoint{run, t}.in(inside), tx); err != nil {
		return err
	}
	run.over.Store(true)
	if broken := run.broken.Load(); broken != nil {
		return *broken
	}
	if err := t.Store(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("live: commit: %w", err)
	}
	committed = true
	return t.Commit(ctx)
}

// TxOf returns the transaction that [Tx] runs on db in ctx, false if there is none: for code that is called in transactions and outside of
// them, such as a router's List and Get.
func TxOf(ctx context.Context, db *sql.DB) (*sql.Tx, bool) {
	if s := savepointOf(ctx, db); s != nil {
		return s.tx, true
	}
	return nil, false
}

// sqlTx is a transaction that Tx runs.
type sqlTx struct {
	db *sql.DB
	tx *sql.Tx
	// saves counts the savepoints, for their names.
	saves atomic.Int64
	// over is set when do has returned: who comes later is not in it.
	over atomic.Bool
	// broken is why it can only be rolled back.
	broken atomic.Pointer[error]
}

// savepoint is a transaction that Tx runs, or a part of it.
type savepoint struct {
	*sqlTx
	told *Transaction
}

type savepointKey struct{ db *sql.DB }

func savepointOf(ctx context.Context, db *sql.DB) *savepoint {
	s, ok := ctx.Value(savepointKey{db}).(savepoint)
	if !ok || s.over.Load() {
		return nil
	}
	return &s
}

func (s savepoint) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, savepointKey{s.db}, s)
}

// inside runs do in a savepoint.
func (s savepoint) inside(ctx context.Context, do func(ctx context.Context, tx *sql.Tx) error) error {
	name := fmt.Sprintf("live_%d", s.saves.Add(1))
	if _, err := s.tx.ExecContext(ctx, "SAVEPOINT "+name); err != nil {
		return fmt.Errorf("live: savepoint: %w", err)
	}
	inside, t := Begin(s.told.In(ctx))
	released := false
	defer func() { // a panic, too
		if !released {
			s.undo(ctx, name)
			t.Rollback()
		}
	}()
	if err := do(savepoint{s.sqlTx, t}.in(inside), s.tx); err != nil {
		return err
	}
	if _, err := s.tx.ExecContext(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return fmt.Errorf("live: release savepoint: %w", err)
	}
	released = true
	return t.Commit(ctx)
}

// undo rolls back to a savepoint, though ctx may have ended. If that fails, what was done since stands with the rest, but was dropped from
// what is published: so all must be rolled back.
func (s savepoint) undo(ctx context.Context, name string) {
	ctx = context.WithoutCancel(ctx)
	_, err := s.tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+name)
	if err == nil {
		_, err = s.tx.ExecContext(ctx, "RELEASE SAVEPOINT "+name)
	}
	if err != nil {
		err = fmt.Errorf("live: the transaction was rolled back, for a part of it could not be: %w", err)
		s.broken.CompareAndSwap(nil, &err)
	}
}
