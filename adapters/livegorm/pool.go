package livegorm

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/swampline/live"
	"gorm.io/gorm"
)

// pool stands in the place of a pool of connections, to see the transactions that are begun.
type pool struct {
	gorm.ConnPool
	plugin *Plugin
}

var (
	_ gorm.ConnPoolBeginner = (*pool)(nil)
	_ gorm.GetDBConnector   = (*pool)(nil)
	_ gorm.Tx               = (*transaction)(nil)
	_ gorm.GetDBConnector   = (*transaction)(nil)
)

func (p *Plugin) wrap(c gorm.ConnPool) gorm.ConnPool { return &pool{c, p} }

// wrapStatement replaces the pool of a statement that did not come from the DB's.
func (p *Plugin) wrapStatement(db *gorm.DB) {
	switch db.Statement.ConnPool.(type) {
	case *sql.DB, *sql.Conn:
		db.Statement.ConnPool = p.wrap(db.Statement.ConnPool)
	}
}

// GetDBConn returns the database, for DB of gorm.DB.
func (p *pool) GetDBConn() (*sql.DB, error) {
	switch c := p.ConnPool.(type) {
	case *sql.DB:
		return c, nil
	case gorm.GetDBConnector:
		return c.GetDBConn()
	}
	return nil, gorm.ErrInvalidDB
}

// Ping asks the database whether it is there.
func (p *pool) Ping() error {
	db, err := p.GetDBConn()
	if err != nil {
		return err
	}
	return db.Ping()
}

// BeginTx begins a transaction. It is one of its own, whatever transaction of live ctx belongs to: the database does not know of that.
func (p *pool) BeginTx(ctx context.Context, o *sql.TxOptions) (gorm.ConnPool, error) {
	raw, err := p.begin(ctx, o)
	if err != nil {
		return nil, err
	}
	_, told := live.Begin(live.Outside(ctx))
	return &transaction{Tx: raw, pool: p, ctx: ctx, told: told}, nil
}

func (p *pool) begin(ctx context.Context, o *sql.TxOptions) (gorm.Tx, error) {
	switch beginner := p.ConnPool.(type) {
	case gorm.TxBeginner:
		tx, err := beginner.BeginTx(ctx, o)
		if err != nil {
			return nil, err // and not a nil *sql.Tx
		}
		return tx, nil
	case gorm.ConnPoolBeginner:
		tx, err := beginner.BeginTx(ctx, o)
		if err != nil {
			return nil, err
		}
		if tx, ok := tx.(gorm.Tx); ok {
			return tx, nil
		}
		return nil, fmt.Errorf("livegorm: a %T begins a %T, which is no gorm.Tx", beginner, tx)
	}
	return nil, gorm.ErrInvalidTransaction
}

// transaction is one that GORM began, and what is published in it.
type transaction struct {
	gorm.Tx
	pool *pool
	ctx  context.Context
	told *live.Transaction

	mu    sync.Mutex
	saves []save // that are open, the innermost last
	ended bool
	// broken is why it can only be rolled back.
	broken error
}

// save is a savepoint, and what is published after it.
type save struct {
	name string
	told *live.Transaction
}

// transactionOf returns the transaction that statements run in on a pool.
func transactionOf(c gorm.ConnPool) (*transaction, bool) {
	t, ok := unprepared(c).(*transaction)
	return t, ok
}

// unprepared returns the transaction itself of one whose statements are prepared; a session that prepares makes one of that, too.
func unprepared(c gorm.ConnPool) gorm.ConnPool {
	for {
		prepared, ok := c.(*gorm.PreparedStmtTX)
		if !ok {
			return c
		}
		c = prepared.Tx
	}
}

// GetDBConn returns the database, for DB of gorm.DB.
func (t *transaction) GetDBConn() (*sql.DB, error) { return t.pool.GetDBConn() }

// context returns ctx with the transaction in it.
func (t *transaction) context(ctx context.Context, c gorm.ConnPool) context.Context {
	return context.WithValue(t.innermost().In(ctx), runningKey{t.pool.plugin}, running{c, t})
}

func (t *transaction) innermost() *live.Transaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.innermostOf(len(t.saves))
}

// innermostOf returns what is published into after the first n savepoints. The lock is held.
func (t *transaction) innermostOf(n int) *live.Transaction {
	if n == 0 {
		return t.told
	}
	return t.saves[n-1].told
}

func (t *transaction) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

// end ends it and returns why it can only be rolled back. It is true only once.
func (t *transaction) end() (broken error, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, t.ended = !t.ended, true
	return t.broken, first
}

// ExecContext runs a statement, and follows what it does to savepoints.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	what, name := savepointStatement(query)
	if what == none {
		return t.Tx.ExecContext(ctx, query, args...)
	}
	if what == ending {
		return nil, fmt.Errorf("livegorm: %q as a statement would end the transaction unseen: call Commit or Rollback of the DB", strings.TrimSpace(query))
	}
	result, err := t.Tx.ExecContext(ctx, query, args...)
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.find(name)
	switch {
	case err != nil && what == back && at >= 0 && t.broken == nil:
		// What was to be undone may stand. Nobody knows what to publish of it, so all must go.
		t.broken = fmt.Errorf("livegorm: the transaction was rolled back, for a part of it could not be: %w", err)
	case err != nil:
	case what == set:
		t.saves = append(t.saves, save{name, t.begin(len(t.saves))})
	case what == back && at >= 0:
		t.saves[at].told.Rollback() // and those within it
		t.saves = t.saves[:at]
		t.saves = append(t.saves, save{name, t.begin(at)}) // it can be rolled back to again
	case what == release && at >= 0:
		_ = t.saves[at].told.Commit(ctx) // into what is around it, which takes it
		t.saves = t.saves[:at]
	}
	return result, err
}

// find returns the place of a savepoint, -1 if it is none. Of two with one name the inner one is meant. The lock is held.
func (t *transaction) find(name string) int {
	for i, s := range slices.Backward(t.saves) {
		if s.name == name {
			return i
		}
	}
	return -1
}

// begin begins what is published after the first n savepoints. The lock is held.
func (t *transaction) begin(n int) *live.Transaction {
	_, told := live.Begin(t.innermostOf(n).In(t.ctx))
	return told
}

// Commit stores what was published in the transaction if there is an outbox, commits, and publishes the rest.
func (t *transaction) Commit() error {
	broken, first := t.end()
	if !first {
		return t.Tx.Commit() // which says why not
	}
	committed := false
	defer func() { // a panic of the outbox, too
		if !committed {
			_ = t.Tx.Rollback() // where it fails the connection is closed, and the database does
			t.told.Rollback()
		}
	}()
	if broken != nil {
		return broken
	}
	if err := t.told.Store(t.ctx, t.Tx); err != nil {
		return err
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	committed = true
	return t.told.Commit(t.ctx)
}

// Rollback rolls back, and drops what was published in the transaction.
func (t *transaction) Rollback() error {
	t.end()
	err := t.Tx.Rollback()
	t.told.Rollback() // without effect after Commit
	return err
}
