package livebun

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/uptrace/bun"

	"github.com/swampline/live"
)

// transaction is one that RunInTx runs.
type transaction struct {
	db   *bun.DB
	tx   bun.Tx
	told *live.Transaction

	mu sync.Mutex
	// begun is set when the hook saw its BEGIN, over when fn has returned.
	begun, over bool
	// parts are its savepoints that are open, oldest first.
	parts []part
	// broken is why it can only be rolled back.
	broken error
}

// part is a savepoint.
type part struct {
	name string
	told *live.Transaction
}

type runningKey struct{ hook *Hook }

// transactionOf returns the transaction that runs in ctx. It is nil in one of bun's own; false if ctx belongs to none.
func (h *Hook) transactionOf(ctx context.Context) (*transaction, bool) {
	t, ok := ctx.Value(runningKey{h}).(*transaction)
	if t != nil && t.ended() {
		return nil, false
	}
	return t, ok
}

func (t *transaction) ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// In returns that on which to query in ctx: the transaction that the hook runs in it on db, or else db. It is for code that is called in
// transactions and outside of them, such as a router's List and Get, which publishing within a transaction may call:
//
//	List: func(ctx context.Context, q live.Query) (rows []Todo, err error) {
//		cond, args := q.Where.SQL(where.Postgres)
//		…
//		err = hook.In(ctx, db).NewSelect().Model(&rows).Where(…).Scan(ctx)
func (h *Hook) In(ctx context.Context, db *bun.DB) bun.IDB {
	if t, _ := h.transactionOf(ctx); t != nil && t.db.DB == db.DB {
		return t.tx
	}
	return db
}

// RunInTx runs fn in a transaction of db, which must have the hook: it commits when fn returns nil, and else, or when fn panics, it is rolled back. What tx
// writes, and what is published with fn's ctx, on any router or channel of any hub, goes out if it commits. With the ctx of another RunInTx on the same
// database it is a savepoint in that, and options are ignored.
//
// The error is fn's, or that of the database: then nothing was done, and nothing is published. Of a COMMIT whose answer was lost nobody knows what it did. An error that
// wraps live.ErrUnpublished says that it committed, and that the log did not take all. Fn must not end tx, nor use it from several goroutines at once,
// nor keep it. It may be the Tx of a router whose verbs run in it, and whose funcs then write with [Hook.In].
func (h *Hook) RunInTx(ctx context.Context, db *bun.DB, options *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) error {
	if t, _ := h.transactionOf(ctx); t != nil && t.db.DB == db.DB {
		return t.inside(ctx, fn)
	}
	return h.runInTx(ctx, db, options, fn)
}

func (h *Hook) runInTx(ctx context.Context, db *bun.DB, options *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) (err error) {
	inside, told := live.Begin(live.Outside(ctx))
	t := &transaction{db: db, told: told}
	inside = context.WithValue(inside, runningKey{h}, t)
	if t.tx, err = db.BeginTx(inside, options); err != nil {
		told.Rollback()
		return fmt.Errorf("livebun: begin: %w", err)
	}
	h.enter(t)
	committed := false
	defer func() { // a panic, too
		h.leave(t)
		if !committed {
			_ = t.tx.Rollback() // where it fails the connection is closed, and the database does
			told.Rollback()
		}
	}()
	if !t.begun {
		return fmt.Errorf("livebun: this bun.DB does not have the hook: give RunInTx the one that WithQueryHook returned")
	}
	if err := fn(inside, t.tx); err != nil {
		return err
	}
	h.leave(t)
	if t.broken != nil {
		return t.broken
	}
	if err := told.Store(ctx, t.tx.Tx); err != nil {
		return err
	}
	if err := t.tx.Commit(); err != nil {
		return fmt.Errorf("livebun: commit: %w", err)
	}
	committed = true
	return told.Commit(ctx)
}

func address(tx *sql.Tx) uintptr { return reflect.ValueOf(tx).Pointer() }

func (h *Hook) enter(t *transaction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[address(t.tx.Tx)] = t
}

// leave ends the time in which queries are in the transaction.
func (h *Hook) leave(t *transaction) {
	h.mu.Lock()
	delete(h.open, address(t.tx.Tx))
	h.mu.Unlock()
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
}

// inside runs fn in a savepoint. Bun makes it, and the hook sees the statements.
func (t *transaction) inside(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	save, err := t.tx.BeginTx(context.WithoutCancel(ctx), nil) // it must be possible to undo it, whatever becomes of ctx
	if err != nil {
		return fmt.Errorf("livebun: savepoint: %w", err)
	}
	released := false
	defer func() { // a panic, too
		if !released {
			_ = save.Rollback() // where it fails, the hook has seen it: the whole is broken
		}
	}()
	if err := fn(t.in(ctx), save); err != nil {
		return err
	}
	if err := save.Commit(); err != nil {
		return fmt.Errorf("livebun: release savepoint: %w", err)
	}
	released = true
	return nil
}

// in returns ctx as it publishes into the innermost savepoint.
func (t *transaction) in(ctx context.Context) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := t.told
	if n := len(t.parts); n > 0 {
		told = t.parts[n-1].told
	}
	return told.In(ctx)
}

// savepoint is a statement about one.
var savepoint = regexp.MustCompile(`(?i)^\s*(SAVEPOINT|RELEASE(?:\s+SAVEPOINT)?|ROLLBACK(?:\s+(?:WORK|TRANSACTION))?\s+TO(?:\s+SAVEPOINT)?)\s+("[^"]+"|\w+)\s*;?\s*$`)

// beforeRaw sees statements that no query made: BEGIN, and those about savepoints, which are refused where it is not known of which
// transaction they are.
func (h *Hook) beforeRaw(ctx context.Context, event *bun.QueryEvent) context.Context {
	t, ok := h.transactionOf(ctx)
	switch {
	case event.Query == "BEGIN":
		if t != nil && t.begins() {
			return ctx
		}
		return context.WithValue(ctx, runningKey{h}, (*transaction)(nil))
	case !ok && savepoint.MatchString(event.Query):
		return ended{ctx, fmt.Errorf("%w (%s)", ErrUnseen, event.Query)}
	}
	return ctx
}

// begins reports whether this is its BEGIN.
func (t *transaction) begins() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.begun
	t.begun = true
	return first
}

// afterRaw follows the savepoints of a transaction.
func (h *Hook) afterRaw(ctx context.Context, event *bun.QueryEvent) {
	t, _ := h.transactionOf(ctx)
	words := savepoint.FindStringSubmatch(event.Query)
	if t == nil || words == nil {
		return
	}
	name := words[2]
	if unquoted, ok := strings.CutPrefix(name, `"`); ok {
		name = strings.TrimSuffix(unquoted, `"`)
	} else {
		name = strings.ToLower(name)
	}
	switch verb := strings.ToUpper(words[1]); {
	case verb == "SAVEPOINT":
		if event.Err == nil {
			t.save(ctx, name)
		}
	case strings.HasPrefix(verb, "RELEASE"):
		if event.Err == nil {
			t.release(ctx, name)
		}
	default:
		t.undo(ctx, name, event.Err)
	}
}

func (t *transaction) save(ctx context.Context, name string) {
	_, told := live.Begin(t.in(ctx))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parts = append(t.parts, part{name, told})
}

// since takes away the savepoint of a name, and those in it.
func (t *transaction) since(name string) []part {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.parts) - 1; i >= 0; i-- {
		if t.parts[i].name == name {
			ended := append([]part(nil), t.parts[i:]...)
			t.parts = t.parts[:i]
			return ended
		}
	}
	return nil
}

func (t *transaction) release(ctx context.Context, name string) {
	if ended := t.since(name); ended != nil {
		_ = ended[0].told.Commit(ctx) // into the transaction, which takes it, with what is in it
	}
}

// undo takes that what was done since a savepoint was undone; the savepoint itself is still there. If that failed, or it is not known
// which, what was done stands or falls with the rest: so all must fall.
func (t *transaction) undo(ctx context.Context, name string, err error) {
	ended := t.since(name)
	if ended == nil || err != nil {
		if err == nil {
			err = fmt.Errorf("savepoint %s is not known", name)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.broken = fmt.Errorf("livebun: the transaction was rolled back, for a part of it could not be: %w", err)
		return
	}
	ended[0].told.Rollback()
	t.save(ctx, name)
}

// ended is a context that has ended, for a reason of its own: it is how a hook can refuse a statement.
type ended struct {
	context.Context
	err error
}

func (e ended) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (e ended) Err() error { return e.err }
