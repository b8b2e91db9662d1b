package pgbroker

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/swampline/live/broker"
)

// notifyEvery is how often Append notifies at most. Followers that were woken look about as often by themselves.
const notifyEvery = 5 * time.Millisecond

const (
	insertSQL = `WITH entry AS (INSERT INTO {log} (data) VALUES ($1) RETURNING xid, seq)
SELECT (SELECT epoch FROM {meta}), xid, seq FROM entry`

	insertNotifySQL = `WITH entry AS (INSERT INTO {log} (data) VALUES ($1) RETURNING xid, seq)
SELECT (SELECT epoch FROM {meta}), xid, seq, pg_notify({channel}, '')::text FROM entry`
)

// Append adds an entry in a transaction of its own. It may be read only once transactions that are older have ended, so a Head that is
// asked for afterwards may lie before it.
func (b *Broker) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if err := b.refuse(data); err != nil {
		return broker.Position{}, err
	}
	bounded := ctx
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, b.options.Timeout)
		defer cancel()
	}
	var p broker.Position
	insert := func() (err error) { p, err = b.append(bounded, data); return err }
	err := persistently(insert)
	if missing(err) {
		if err := b.create(ctx); err != nil {
			return broker.Position{}, err
		}
		err = persistently(insert)
	}
	if err != nil {
		return broker.Position{}, b.explain(ctx, bounded, err)
	}
	b.exists.Store(true)
	b.saw(p)
	b.company.wake()
	b.trimmer.count(1, len(data))
	if !b.company.present() {
		b.trimmer.perhaps(ctx)
	}
	return p, nil
}

// append inserts an entry, and notifies when that was long ago.
func (b *Broker) append(ctx context.Context, data []byte) (p broker.Position, err error) {
	var epoch *int64 // NULL when the row of the meta table was deleted
	var seq int64
	if now, ok := b.notifies(); ok {
		err = b.pool.QueryRow(ctx, b.statements.insertNotify, pgx.QueryExecModeExec, whole(data)).Scan(&epoch, &p.Major, &seq, nil)
		if err != nil {
			b.notified.CompareAndSwap(now, 0)
		}
	} else {
		err = b.pool.QueryRow(ctx, b.statements.insert, pgx.QueryExecModeExec, whole(data)).Scan(&epoch, &p.Major, &seq)
	}
	if err != nil {
		return broker.Position{}, err
	}
	if epoch == nil {
		head, err := b.Head(ctx) // makes the row
		if err != nil {
			return broker.Position{}, err
		}
		p.Epoch = head.Epoch
	} else {
		p.Epoch = uint64(*epoch)
	}
	p.Minor = uint64(seq)
	return p, nil
}

// whole returns data as a bytea that is not NULL.
func whole(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// AppendTx adds an entry to a transaction of the log's database: an *sql.Tx of any driver, or a pgx.Tx by way of Execer. Unless Options.NoNotify
// is set it notifies when the transaction commits. An *sql.DB does too, as a transaction for this entry alone.
//
// The first call of a process may look for the tables, and create them, through the pool, which must have a connection left for that.
func (b *Broker) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if err := b.refuse(data); err != nil {
		return err
	}
	if !b.exists.Load() { // to find out within the transaction would break it
		if _, err := b.Head(ctx); err != nil {
			return err
		}
	}
	return b.Appender.AppendTx(ctx, tx, data)
}

// Appender writes entries through database/sql, for processes that only publish and have no pool of pgx. Its methods may be called from several
// goroutines at once. It creates nothing: a Broker or Migration does.
type Appender struct {
	options  Options
	names    names
	bad      error // what is wrong with the options
	txSQL    string
	start    time.Time
	notified atomic.Int64 // when Append notified last, in nanoseconds since start; 0: never
}

var _ broker.TxAppender = (*Appender)(nil)

// NewAppender returns an appender to the log of which o says the same as those of its brokers.
func NewAppender(o Options) *Appender {
	o = o.withDefaults()
	a := &Appender{options: o, names: namesOf(o), bad: o.check(), start: time.Now()}
	a.txSQL = a.names.fill(`WITH entry AS (INSERT INTO {log} (data) VALUES ($1) RETURNING seq) SELECT pg_notify({channel}, '') FROM entry`)
	if o.NoNotify {
		a.txSQL = a.names.fill(`INSERT INTO {log} (data) VALUES ($1)`)
	}
	return a
}

// AppendTx adds an entry to a transaction of the log's database, or to an *sql.DB, as a transaction for this entry alone.
func (a *Appender) AppendTx(ctx context.Context, tx broker.Execer, data []byte) error {
	if err := a.refuse(data); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, a.txSQL, whole(data)); err != nil {
		return fmt.Errorf("pgbroker: %w", err)
	}
	return nil
}

// refuse returns why data is not even sent.
func (a *Appender) refuse(data []byte) error {
	if a.bad != nil {
		return a.bad
	}
	if most := a.options.MaxEntryBytes; len(data) > most {
		return fmt.Errorf("%w: %d bytes, at most %d", broker.ErrTooLarge, len(data), most)
	}
	return nil
}

// notifies reports whether this Append is to notify, and when it was asked.
func (a *Appender) notifies() (now int64, ok bool) {
	if a.options.NoNotify {
		return 0, false
	}
	now = int64(time.Since(a.start)) + 1
	last := a.notified.Load()
	return now, (last == 0 || now-last >= int64(notifyEvery)) && a.notified.CompareAndSwap(last, now)
}

// Execer makes a transaction of pgx what AppendTx takes.
func Execer(tx pgx.Tx) broker.Execer { return execer{tx} }

type execer struct{ tx pgx.Tx }

// ExecContext runs the statement as the connection's DefaultQueryExecMode says, as all of the application's own.
func (e execer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	tag, err := e.tx.Exec(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return result(tag.RowsAffected()), nil
}

// result is how many rows a statement changed.
type result int64

func (r result) RowsAffected() (int64, error) { return int64(r), nil }

func (result) LastInsertId() (int64, error) {
	return 0, errors.New("pgbroker: PostgreSQL has no last insert id: use RETURNING")
}

var _ driver.Result = result(0)
