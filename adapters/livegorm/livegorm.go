package livegorm

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/swampline/live"
	"gorm.io/gorm"
)

// ErrUnseen says that a row was to be written in a transaction whose end the plugin cannot see: it was not begun by the DB that uses the plugin, but past
// it. The row was not written.
var ErrUnseen = errors.New("livegorm: this transaction was not begun by the DB that uses the plugin, so nobody would learn whether it commits: " +
	"begin it with Transaction or Begin of that DB or with live.Tx, or write with livegorm.Skip")

// Plugin publishes what is written through one gorm.DB. Make it with New and give it to Use of the DB that gorm.Open returned, after plugins that
// replace its pool of connections and before it is used; do not change it afterwards.
type Plugin struct {
	// MaxRows is how many rows of an update or a delete are published one by one; a statement that writes more is published as a change of
	// any row. Zero means 100.
	MaxRows int

	hub  *live.Hub
	used bool
}

var _ gorm.Plugin = (*Plugin)(nil)

const (
	name           = "livegorm"
	skipKey        = name + ":skip"
	defaultMaxRows = 100
)

// New returns a plugin that publishes on the routers of hub, which may be registered later.
func New(hub *live.Hub) *Plugin { return &Plugin{hub: hub} }

// Name is the name under which GORM has the plugin.
func (p *Plugin) Name() string { return name }

// Initialize puts the plugin into a DB. Use calls it.
func (p *Plugin) Initialize(db *gorm.DB) error {
	switch {
	case p.hub == nil:
		return errors.New("livegorm: the plugin has no hub: make it with livegorm.New")
	case p.MaxRows < 0:
		return errors.New("livegorm: MaxRows is negative: say how many rows of a statement are published one by one, or leave it zero for 100")
	case p.used:
		return errors.New("livegorm: this plugin is used by a DB already: make one for each")
	}
	if _, ok := db.Statement.ConnPool.(gorm.TxCommitter); ok {
		return errors.New("livegorm: this DB is a transaction: call Use with the DB that gorm.Open returned")
	}
	p.MaxRows = cmp.Or(p.MaxRows, defaultMaxRows)
	if err := p.replaceCallbacks(db); err != nil {
		return err
	}
	p.used = true
	if prepared, ok := db.ConnPool.(*gorm.PreparedStmtDB); ok {
		prepared.ConnPool = p.wrap(prepared.ConnPool)
		return nil
	}
	db.ConnPool = p.wrap(db.ConnPool)
	db.Statement.ConnPool = db.ConnPool
	return nil
}

// replaceCallbacks puts the plugin around what runs the statements: nearer than callbacks before and after these, so that what other
// callbacks write is told in its order.
func (p *Plugin) replaceCallbacks(db *gorm.DB) error {
	create, update, remove, raw := db.Callback().Create(), db.Callback().Update(), db.Callback().Delete(), db.Callback().Raw()
	for _, c := range []struct {
		name    string
		get     func(name string) func(*gorm.DB)
		replace func(name string, fn func(*gorm.DB)) error
		around  func(next func(*gorm.DB)) func(*gorm.DB)
	}{
		{"gorm:create", create.Get, create.Replace, p.around(planCreate)},
		{"gorm:update", update.Get, update.Replace, p.around(planUpdate)},
		{"gorm:delete", remove.Get, remove.Replace, p.around(planDelete)},
		{"gorm:raw", raw.Get, raw.Replace, aroundRaw},
	} {
		next := c.get(c.name)
		if next == nil {
			return fmt.Errorf("livegorm: the DB has no callback %q: use the plugin with a DB that gorm.Open returned", c.name)
		}
		if err := c.replace(c.name, c.around(next)); err != nil {
			return fmt.Errorf("livegorm: the callback %q cannot be replaced: %w", c.name, err)
		}
	}
	// What another plugin has put in the place of the pool for this statement alone.
	err := errors.Join(
		create.Before("gorm:begin_transaction").Register(name+":pool", p.wrapStatement),
		update.Before("gorm:begin_transaction").Register(name+":pool", p.wrapStatement),
		db.Callback().Delete().Before("gorm:begin_transaction").Register(name+":pool", p.wrapStatement),
	)
	if err != nil {
		return fmt.Errorf("livegorm: its callback cannot be registered: %w", err)
	}
	return nil
}

// Skip returns a DB for one statement that the plugin does not see: neither what it writes nor its associations are published, nor are rows read. It is for writes of many rows, of which
// the application tells the router itself with ChangedWhere and the ctx of [Context].
func Skip(db *gorm.DB) *gorm.DB { return db.Set(skipKey, true) }

type runningKey struct{ plugin *Plugin }

// running is the transaction that runs in a context, in the form in which statements have it.
type running struct {
	pool gorm.ConnPool
	*transaction
}

// Context returns the context of tx, in which what is published on any router or channel goes out with the transaction of tx, and with which [In] finds
// it. If tx is in no transaction of the plugin it is the context of its statements as it is. In a nested Transaction take it anew: what is
// published with it is dropped when that fails.
func Context(tx *gorm.DB) context.Context {
	ctx := tx.Statement.Context
	if t, ok := transactionOf(tx.Statement.ConnPool); ok {
		return t.context(ctx, tx.Statement.ConnPool)
	}
	return ctx
}

// In returns db with ctx as WithContext does, and, where db is in no transaction itself and ctx comes from [Context] or [Tx] or from publishing within a transaction of db, or from live.Tx on
// the same *sql.DB, in that transaction. It is for code that is called within transactions and outside of them, such as a router's List and Get, which
// publishing within a transaction may call:
//
//	List: func(ctx context.Context, q live.Query) (rows []Todo, err error) {
//		cond, args := q.Where.SQL(where.Postgres)
//		err = livegorm.In(ctx, db).Where(cond, args...).Find(&rows).Error
//		return rows, err
//	},
func In(ctx context.Context, db *gorm.DB) *gorm.DB {
	in := db.WithContext(ctx)
	if _, ok := db.Statement.ConnPool.(gorm.TxCommitter); ok {
		return in
	}
	if p, ok := db.Plugins[name].(*Plugin); ok {
		if r, ok := ctx.Value(runningKey{p}).(running); ok && !r.over() {
			in.Statement.ConnPool = r.pool
			return in
		}
	}
	if pool, err := db.DB(); err == nil {
		if tx, ok := live.TxOf(ctx, pool); ok {
			in.Statement.ConnPool = tx
		}
	}
	return in
}

// Tx runs do in a transaction of db, as db.Transaction does, or in a savepoint, if [In] finds a transaction of the plugin in ctx. Do's ctx is that of [Context]. The Tx of a
// router whose verbs run in it is
//
//	Tx: func(ctx context.Context, do func(context.Context) error) error {
//		return livegorm.Tx(ctx, db, func(ctx context.Context, _ *gorm.DB) error { return do(ctx) })
//	},
//
// and its Create, Update and Delete write with In(ctx, db). An error that wraps live.ErrUnpublished says that it committed.
func Tx(ctx context.Context, db *gorm.DB, do func(ctx context.Context, tx *gorm.DB) error) error {
	return In(ctx, db).Transaction(func(tx *gorm.DB) error {
		ctx := Context(tx)
		return do(ctx, tx.WithContext(ctx))
	})
}
