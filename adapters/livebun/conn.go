package livebun

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
)

// conn runs one statement on the connection that its query had, or in a transaction of its own, and publishes what it wrote. Its errors are
// the statement's.
type conn struct {
	*statement
	// tx is the transaction in which it runs, nil if it gets one of its own.
	tx *sql.Tx
	// in is the transaction of RunInTx, nil if it is of live.Tx, or none.
	in *transaction
}

var _ bun.IConn = (*conn)(nil)

// run does the statement with what is read before and after it.
func (c *conn) run(ctx context.Context, do func(ctx context.Context, tx *sql.Tx) (wrote, error)) error {
	switch {
	case c.in != nil:
		ctx = context.WithValue(c.in.in(ctx), runningKey{c.hook}, c.in)
		return c.statement.run(ctx, c.tx, do)
	case c.tx != nil:
		return c.statement.run(ctx, c.tx, do)
	}
	return c.hook.runInTx(ctx, c.db, nil, func(ctx context.Context, tx bun.Tx) error {
		return c.statement.run(ctx, tx.Tx, do)
	})
}

// ExecContext is called for a statement that returns no rows.
func (c *conn) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = c.run(ctx, func(ctx context.Context, tx *sql.Tx) (wrote, error) {
		done, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return wrote{}, err
		}
		result = done
		n, err := done.RowsAffected()
		return wrote{rows: n}, err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// QueryContext is called for a statement with RETURNING. As bun reads its rows after this, and then nothing can fail the statement, they
// are all read here, and bun reads a copy.
func (c *conn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	var copied *recorded
	err := c.run(ctx, func(ctx context.Context, tx *sql.Tx) (wrote, error) {
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return wrote{}, err
		}
		if copied, err = record(rows); err != nil {
			return wrote{}, err
		}
		return wrote{int64(len(copied.rows)), copied}, nil
	})
	if err != nil {
		return nil, err
	}
	return copied.replay(ctx)
}

// QueryRowContext is there for the interface: no query that writes uses it.
func (c *conn) QueryRowContext(context.Context, string, ...any) *sql.Row {
	panic(errors.New("livebun: bun reads what a statement returned in a way that this version of livebun does not know"))
}
