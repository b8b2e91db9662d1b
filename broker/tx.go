package broker

import (
	"context"
	"database/sql"
)

// TxAppender stores entries in a transaction of the application's own database, so that what is told about its rows commits with
// them, or not at all. A broker whose log is a table of that database is one; so is an outbox, a table from which the entries are
// appended to another broker after the commit. Its methods may be called from several goroutines at once.
type TxAppender interface {
	// AppendTx writes data in the transaction: it is on the log, or will be, when tx has committed, and never if tx rolls back, be
	// it to a savepoint from before. Entries of one transaction keep the order in which they were written. Data larger than the
	// broker's limit is refused with an error that wraps ErrTooLarge, before tx is used: tx goes on as if nothing had been asked.
	// Any other error means that tx must be rolled back. No reference to data or tx is kept.
	AppendTx(ctx context.Context, tx Execer, data []byte) error
}

// Waker is a TxAppender that wants to know when a transaction it wrote to has committed, which AppendTx cannot: an outbox that would
// find the entries later otherwise.
type Waker interface {
	// Wake is called right after a commit. It must not block.
	Wake()
}

// Execer is what AppendTx needs of a transaction. *sql.Tx is one, and so is an *sql.Conn within a transaction.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

var _ Execer = (*sql.Tx)(nil)

// Drainer is what a TxAppender may be whose entries are not on the log as soon as they are committed. A hub calls Drain when a client says
// a write again whose answer it lost: another process may have stored it and died, and only what is on the log tells.
type Drainer interface {
	// Drain waits until every entry that was committed before is on the log. It fails when ctx ends before, or when that cannot be known.
	Drain(ctx context.Context) error
}
