package pgbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live/broker"
)

// Broker is a broker.Broker whose log is a table. Make one with New; the zero Broker is not usable. Its methods may be called from several
// goroutines at once. It has goroutines and a connection of its own only while a Follow waits, so it needs no closing; the pool stays its
// maker's, who closes it when no call is under way.
type Broker struct {
	Appender
	pool       *pgxpool.Pool
	statements statements
	company    company
	trimmer    trimmer

	mu sync.Mutex
	// newest is the newest position that was seen in the log itself, never one that somebody brought.
	newest broker.Position
	// exists says that the tables were found once, so that AppendTx does not look for them before it uses a transaction.
	exists atomic.Bool
}

var (
	_ broker.Broker     = (*Broker)(nil)
	_ broker.TxAppender = (*Broker)(nil)
)

// statements are those that are run all the time, with the log's names in them.
type statements struct{ read, head, insert, insertNotify string }

// New returns the broker of a log. It asks the server for nothing: that it is away, or that an option is wrong, is what the
// calls return.
func New(pool *pgxpool.Pool, o Options) *Broker {
	b := &Broker{Appender: *NewAppender(o), pool: pool}
	b.statements = statements{
		read:         b.names.fill(readSQL),
		head:         b.names.fill(headSQL),
		insert:       b.names.fill(insertSQL),
		insertNotify: b.names.fill(insertNotifySQL),
	}
	b.company.init(b)
	b.trimmer.init(b)
	return b
}

// state is what the log looks like in one snapshot, to the statements that begin with it. Settled is the bound below which all is final;
// alien says that something in the tables is from the future, so that they were restored from a dump of another server; pending says that there are
// entries which cannot be read yet; lost says that the newest position which this instance saw ($1, $2, $3) is gone, and was not
// trimmed. LIMIT tells the planner that there is one row.
const state = `WITH state AS MATERIALIZED (
	SELECT m.epoch, m.trimmed_xid, m.trimmed_seq, pg_snapshot_xmin(now) AS settled,
		greatest(m.trimmed_xid, last.xid) >= pg_snapshot_xmax(now) AS alien,
		coalesce(last.xid >= pg_snapshot_xmin(now), false) AS pending,
		m.epoch = $1::bigint AND ($2::xid8, $3::bigint) > (m.trimmed_xid, m.trimmed_seq)
			AND NOT EXISTS (SELECT FROM {log} WHERE xid = $2::xid8 AND seq = $3::bigint) AS lost
	FROM pg_current_snapshot() AS now, (SELECT * FROM {meta} LIMIT 1) AS m
	LEFT JOIN LATERAL (SELECT xid FROM {log} ORDER BY xid DESC, seq DESC LIMIT 1) AS last ON true
)`

const headSQL = state + `
SELECT s.epoch, s.alien, s.lost, coalesce(e.xid, s.trimmed_xid), coalesce(e.seq, s.trimmed_seq)
FROM state AS s LEFT JOIN LATERAL (
	SELECT xid, seq FROM {log}
	WHERE xid < s.settled AND (xid, seq) > (s.trimmed_xid, s.trimmed_seq)
	ORDER BY xid DESC, seq DESC LIMIT 1
) AS e ON true`

// Head returns the position of the newest entry that can be read: one that was committed while an older transaction is still
// open comes only when that has ended.
func (b *Broker) Head(ctx context.Context) (broker.Position, error) {
	var p broker.Position
	err := b.settled(ctx, func(ctx context.Context) (c condition, err error) {
		args := append([]any{pgx.QueryExecModeExec}, b.seen()...)
		var epoch, seq int64
		err = b.pool.QueryRow(ctx, b.statements.head, args...).Scan(&epoch, &c.alien, &c.lost, &p.Major, &seq)
		p.Epoch, p.Minor, c.epoch = uint64(epoch), uint64(seq), epoch
		return c, err
	})
	if err != nil {
		return broker.Position{}, err
	}
	b.saw(p)
	return p, nil
}

// condition is what a statement found out about the log besides what it asked for.
type condition struct {
	epoch       int64
	alien, lost bool
}

// settled runs a statement that begins with state until it finds the tables, and a log that goes on where this instance saw it
// last: tables that are missing are made, and a log that lost entries, or came from elsewhere, gets a new epoch. The statement must return
// pgx.ErrNoRows when there is no row in the meta table.
func (b *Broker) settled(ctx context.Context, run func(context.Context) (condition, error)) error {
	if err := b.bad; err != nil {
		return err
	}
	for range 5 { // each cause is mended once, and may come back only if somebody destroys the tables while we look
		var c condition
		err := b.do(ctx, func(ctx context.Context) (err error) { c, err = run(ctx); return err })
		switch {
		case missing(err):
			err = b.create(ctx)
		case errors.Is(err, pgx.ErrNoRows):
			err = b.begin(ctx)
		case err != nil:
		case c.alien:
			err = b.disown(ctx, c.epoch)
		case c.lost:
			err = b.renew(ctx, c.epoch)
		default:
			b.exists.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("pgbroker: the table %s is being destroyed again and again", b.options.Table)
}

// renew begins a new epoch, unless somebody did so since the given one. The entries that are left belong to it.
func (b *Broker) renew(ctx context.Context, epoch int64) error {
	return b.do(ctx, func(ctx context.Context) error {
		tag, err := b.pool.Exec(ctx, b.names.fill(`UPDATE {meta} SET epoch = {epoch} WHERE epoch = $1`), pgx.QueryExecModeExec, epoch)
		if err == nil && tag.RowsAffected() > 0 {
			b.options.Logger.Warn("pgbroker: the log lost entries that were in it; a new epoch begins", "table", b.options.Table)
		}
		return err
	})
}

// disown begins a new epoch without what was written by transactions that this server has not begun: their ids come from another server, and
// its own would be put before and between them.
func (b *Broker) disown(ctx context.Context, epoch int64) error {
	return b.do(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, b.names.fill(`UPDATE {meta} SET epoch = {epoch}, trimmed_xid = '0', trimmed_seq = 0 WHERE epoch = $1`),
				pgx.QueryExecModeExec, epoch)
			if err != nil || tag.RowsAffected() == 0 {
				return err
			}
			b.options.Logger.Warn("pgbroker: the log was restored from another server; a new epoch begins", "table", b.options.Table)
			_, err = tx.Exec(ctx, b.names.fill(`DELETE FROM {log} WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())`))
			return err
		})
	})
}

// do runs one exchange with the server, within Options.Timeout.
func (b *Broker) do(ctx context.Context, run func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	return b.explain(ctx, bounded, persistently(func() error { return run(bounded) }))
}

// persistently runs one transaction again when the server has undone it because of others, as it does with one of those that wait for each other
// when somebody changes the tables.
func persistently(run func() error) (err error) {
	for range 3 {
		var e *pgconn.PgError
		if err = run(); !errors.As(err, &e) || e.Code != "40P01" && e.Code != "40001" { // deadlock_detected, serialization_failure
			return err
		}
	}
	return err
}

// explain returns what the caller is told of an error. A context of ours that ended must not look like the caller's.
func (b *Broker) explain(ctx, bounded context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		return fmt.Errorf("pgbroker: the server did not answer within %v: %v", b.options.Timeout, err)
	}
	return fmt.Errorf("pgbroker: %w", err)
}

// saw notes a position that is in the log, and reports whether it is newer than all that were seen.
func (b *Broker) saw(p broker.Position) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Epoch == b.newest.Epoch && !p.After(b.newest) {
		return false
	}
	b.newest = p
	return true
}

// seen returns the newest position that was seen, as the arguments that state wants. Epoch zero is none.
func (b *Broker) seen() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return arguments(b.newest)
}

// arguments returns a position as a statement wants it: nothing else becomes an xid8 but text.
func arguments(p broker.Position) []any {
	return []any{int64(p.Epoch), strconv.FormatUint(p.Major, 10), int64(p.Minor)}
}

// sleep waits, and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
