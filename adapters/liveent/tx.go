package liveent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"entgo.io/ent/dialect"

	"github.com/swampline/live"
)

// tx is a transaction of the database.
type tx struct {
	dialect.Tx
	driver *Driver
	ctx    context.Context
	told   *live.Transaction

	mu sync.Mutex
	// over is set when it was ended.
	over bool
	// parts are its savepoints that are open, oldest first.
	parts []part
	// saves counts the savepoints of RunInTx, for their names.
	saves int
	// broken is why it can only be rolled back.
	broken error
}

// part is a savepoint.
type part struct {
	name string
	told *live.Transaction
}

func (d *Driver) wrap(ctx context.Context, inner dialect.Tx) *tx {
	_, told := live.Begin(live.Outside(ctx))
	return &tx{Tx: inner, driver: d, ctx: ctx, told: told}
}

func (t *tx) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// end reports whether it had not ended, and why it cannot be committed.
func (t *tx) end() (first bool, broken error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first = !t.over
	t.over = true
	return first, t.broken
}

func (t *tx) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		t.broken = err
	}
}

// Commit stores what is published, commits, and publishes what is not stored.
func (t *tx) Commit() error {
	first, err := t.end()
	if !first {
		return t.Tx.Commit() // which says what it thinks of it
	}
	ctx := context.WithoutCancel(t.ctx)
	if err == nil {
		err = t.told.Store(ctx, t)
	}
	if err != nil {
		_ = t.Tx.Rollback()
		t.told.Rollback()
		return err
	}
	if err := t.Tx.Commit(); err != nil {
		t.told.Rollback()
		return err
	}
	return t.told.Commit(ctx)
}

// Rollback rolls back, and drops what was to be published.
func (t *tx) Rollback() error {
	t.end()
	t.told.Rollback() // without effect after Commit
	return t.Tx.Rollback()
}

// in returns ctx as it publishes into the innermost savepoint, and as clients read and write with it in the transaction.
func (t *tx) in(ctx context.Context) context.Context {
	t.mu.Lock()
	told := t.told
	if n := len(t.parts); n > 0 {
		told = t.parts[n-1].told
	}
	t.mu.Unlock()
	return (&running{driver: t.driver, ctx: t.ctx, tx: t}).in(told.In(ctx))
}

// Exec is called by ent.
func (t *tx) Exec(ctx context.Context, query string, args, v any) error {
	t.sees(ctx, query)
	err := t.Tx.Exec(ctx, query, args, v)
	t.follow(ctx, query, err)
	return err
}

// Query is called by ent.
func (t *tx) Query(ctx context.Context, query string, args, v any) error {
	t.sees(ctx, query)
	return t.Tx.Query(ctx, query, args, v)
}

// ExecContext is called by clients with the feature sql/execquery.
func (t *tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	e, ok := t.Tx.(execer)
	if !ok {
		return nil, fmt.Errorf("liveent: %T has no ExecContext", t.Tx)
	}
	result, err := e.ExecContext(ctx, query, args...)
	t.follow(ctx, query, err)
	return result, err
}

// QueryContext is called by clients with the feature sql/execquery.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	q, ok := t.Tx.(querier)
	if !ok {
		return nil, fmt.Errorf("liveent: %T has no QueryContext", t.Tx)
	}
	return q.QueryContext(ctx, query, args...)
}

// inside runs do in a savepoint.
func (t *tx) inside(ctx context.Context, do func(ctx context.Context) error) error {
	t.mu.Lock()
	t.saves++
	name := fmt.Sprintf("live_%d", t.saves)
	t.mu.Unlock()
	if _, err := t.ExecContext(ctx, "SAVEPOINT "+name); err != nil {
		return fmt.Errorf("liveent: savepoint: %w", err)
	}
	released := false
	defer func() { // a panic, too
		if !released { // where it fails, follow has seen it
			ctx := context.WithoutCancel(ctx)
			_, err := t.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+name)
			if err == nil {
				_, err = t.ExecContext(ctx, "RELEASE SAVEPOINT "+name)
			}
			if err != nil {
				t.fail(err)
			}
		}
	}()
	if err := do(t.in(ctx)); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return fmt.Errorf("liveent: release savepoint: %w", err)
	}
	released = true
	return nil
}

// savepoint is a statement about one.
var savepoint = regexp.MustCompile(`(?i)^\s*(SAVEPOINT|RELEASE(?:\s+SAVEPOINT)?|ROLLBACK(?:\s+(?:WORK|TRANSACTION))?\s+TO(?:\s+SAVEPOINT)?)\s+("[^"]+"|\w+)\s*;?\s*$`)

// follow follows the savepoints, whoever makes them.
func (t *tx) follow(ctx context.Context, query string, err error) {
	words := savepoint.FindStringSubmatch(query)
	if words == nil {
		return
	}
	name := strings.ToLower(words[2])
	if strings.HasPrefix(name, `"`) {
		name = strings.Trim(words[2], `"`)
	}
	switch verb := strings.ToUpper(words[1]); {
	case strings.HasPrefix(verb, "ROLLBACK"):
		ended := t.since(name)
		if ended == nil || err != nil {
			t.fail(fmt.Errorf("liveent: the transaction was rolled back, for a part of it could not be: %w", errors.Join(err, fmt.Errorf("savepoint %s", name))))
			return
		}
		ended[0].told.Rollback()
		t.save(ctx, name)
	case err != nil:
	case verb == "SAVEPOINT":
		t.save(ctx, name)
	default:
		if ended := t.since(name); ended != nil {
			_ = ended[0].told.Commit(ctx) // into the transaction, which takes it, with what is in it
		}
	}
}

func (t *tx) save(ctx context.Context, name string) {
	_, told := live.Begin(t.in(ctx))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parts = append(t.parts, part{name, told})
}

// since takes away the savepoint of a name, and those in it.
func (t *tx) since(name string) []part {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, p := range slices.Backward(t.parts) {
		if p.name == name {
			ended := slices.Clone(t.parts[i:])
			t.parts = t.parts[:i]
			return ended
		}
	}
	return nil
}
