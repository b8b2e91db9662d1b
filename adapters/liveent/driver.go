package liveent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"entgo.io/ent/dialect"

	"github.com/swampline/live"
)

// ErrUnseen says that a row was to be published which was not written through a [Driver]: nobody would learn whether it is committed.
var ErrUnseen = errors.New("liveent: this client does not use the Driver whose Hook it has: make it with ent.NewClient(ent.Driver(driver)) and give it the Hook of the same driver")

// Driver is ent's driver of a database, which sees how transactions end. Make it with New; set its fields before it is used, and do not change them
// afterwards. Its methods may be called by any goroutine.
type Driver struct {
	dialect.Driver

	// MaxRows is how many rows of a mutation are published one by one; one that writes more is published as a change of any row. Zero
	// means 100.
	MaxRows int

	// IDColumns are the columns of the ids by the name of the schema, such as "Todo", for those that are not called "id".
	IDColumns map[string]string

	hub *live.Hub
	// upserts counts the INSERTs that may write rows which are there.
	upserts atomic.Int64
}

var _ dialect.Driver = (*Driver)(nil)

const defaultMaxRows = 100

// New returns a driver around another one, such as that of entgo.io/ent/dialect/sql, that publishes on the routers of hub, which may be registered later.
func New(hub *live.Hub, driver dialect.Driver) *Driver { return &Driver{Driver: driver, hub: hub} }

// execer and querier are what a driver of ent has besides its interface.
type (
	execer interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	querier interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
)

type runningKey struct{ driver *Driver }

// running is the transaction to which statements go that the driver is given with a context. It begins with the first of them.
type running struct {
	driver *Driver
	ctx    context.Context
	tx     *tx
	ended  bool
}

// runningIn returns what runs in a context, nil if nothing does.
func (d *Driver) runningIn(ctx context.Context) *running {
	r, _ := ctx.Value(runningKey{d}).(*running)
	if r == nil || r.ended || r.tx != nil && r.tx.isOver() {
		return nil
	}
	return r
}

func (r *running) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, runningKey{r.driver}, r)
}

func (r *running) begin() (*tx, error) {
	if r.tx != nil {
		return r.tx, nil
	}
	inner, err := r.driver.Driver.Tx(r.ctx)
	if err != nil {
		return nil, err
	}
	r.tx = r.driver.wrap(r.ctx, inner)
	return r.tx, nil
}

// on returns where a statement goes: nil for the database itself.
func (d *Driver) on(ctx context.Context) (*tx, error) {
	if r := d.runningIn(ctx); r != nil {
		return r.begin()
	}
	return nil, nil
}

// Exec is called by ent.
func (d *Driver) Exec(ctx context.Context, query string, args, v any) error {
	t, err := d.on(ctx)
	switch {
	case err != nil:
		return err
	case t != nil:
		return t.Exec(ctx, query, args, v)
	}
	return d.Driver.Exec(ctx, query, args, v)
}

// Query is called by ent.
func (d *Driver) Query(ctx context.Context, query string, args, v any) error {
	t, err := d.on(ctx)
	switch {
	case err != nil:
		return err
	case t != nil:
		return t.Query(ctx, query, args, v)
	}
	return d.Driver.Query(ctx, query, args, v)
}

// ExecContext is called by clients with the feature sql/execquery.
func (d *Driver) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t, err := d.on(ctx)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return t.ExecContext(ctx, query, args...)
	}
	if e, ok := d.Driver.(execer); ok {
		return e.ExecContext(ctx, query, args...)
	}
	return nil, fmt.Errorf("liveent: %T has no ExecContext", d.Driver)
}

// QueryContext is called by clients with the feature sql/execquery.
func (d *Driver) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t, err := d.on(ctx)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return t.QueryContext(ctx, query, args...)
	}
	if q, ok := d.Driver.(querier); ok {
		return q.QueryContext(ctx, query, args...)
	}
	return nil, fmt.Errorf("liveent: %T has no QueryContext", d.Driver)
}

// Tx begins a transaction: ent calls it for client.Tx, and for mutations of several statements. In the ctx of [Driver.RunInTx] it is that one.
func (d *Driver) Tx(ctx context.Context) (dialect.Tx, error) {
	t, err := d.on(ctx)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return within{t}, nil
	}
	inner, err := d.Driver.Tx(ctx)
	if err != nil {
		return nil, err
	}
	return d.wrap(ctx, inner), nil
}

// BeginTx begins a transaction with options, as client.BeginTx does. In the ctx of [Driver.RunInTx] it is that one.
func (d *Driver) BeginTx(ctx context.Context, options *sql.TxOptions) (dialect.Tx, error) {
	t, err := d.on(ctx)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return within{t}, nil
	}
	b, ok := d.Driver.(interface {
		BeginTx(ctx context.Context, options *sql.TxOptions) (dialect.Tx, error)
	})
	if !ok {
		return nil, fmt.Errorf("liveent: %T has no BeginTx", d.Driver)
	}
	inner, err := b.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return d.wrap(ctx, inner), nil
}

// within is a transaction that others end.
type within struct{ *tx }

// Commit does nothing.
func (within) Commit() error { return nil }

// Rollback has the whole rolled back: what was done within it cannot be undone alone.
func (w within) Rollback() error {
	w.fail(errors.New("liveent: a transaction within this one was rolled back"))
	return nil
}

// RunInTx runs do in a transaction: it commits when do returns nil, and else, or when do panics, it is rolled back. What clients of this driver do with do's ctx is in
// it, and what is published with that, on any router or channel of any hub, goes out if it commits. With the ctx of another RunInTx it is a
// savepoint in that. It may be the Tx of a router whose verbs run in it.
//
// The error is do's, or that of the database: then nothing was done, and nothing is published. Of a COMMIT whose answer was lost nobody knows what it did. An error that
// wraps live.ErrUnpublished says that it committed, and that the log did not take all. Do must not use its ctx from several goroutines at once, nor keep it.
func (d *Driver) RunInTx(ctx context.Context, do func(ctx context.Context) error) error {
	if r := d.runningIn(ctx); r != nil {
		t, err := r.begin()
		if err != nil {
			return err
		}
		return t.inside(ctx, do)
	}
	r := &running{driver: d, ctx: ctx}
	t, err := r.begin()
	if err != nil {
		return fmt.Errorf("liveent: begin: %w", err)
	}
	return r.end(func() error { return do(r.in(t.told.In(live.Outside(ctx)))) })
}

// end ends what runs in the way do does, a panic included.
func (r *running) end(do func() error) error {
	committed := false
	defer func() {
		r.ended = true
		if !committed && r.tx != nil {
			_ = r.tx.Rollback() // where it fails the connection is closed, and the database does
		}
	}()
	if err := do(); err != nil {
		return err
	}
	committed = true // or rolled back by Commit
	r.ended = true
	if r.tx == nil {
		return nil
	}
	return r.tx.Commit()
}
