package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/swampline/live/broker"
)

// lease is the right to relay, as one Run has it: a row of the database with the term in which it was taken. Nobody takes it before it has
// expired by the database's clock, and by ours that is not before until.
type lease struct {
	owner     string
	term      int64
	until     time.Time
	renewed   time.Time
	confirmed broker.Position // as the row has it
}

// errLost says that another relay has the lease.
var errLost = errors.New("outbox: another relay has taken over")

// limited bounds one call of the database or the broker, so that one that hangs does not outlast the lease.
func (r *relay) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.o.Lease/3)
}

// acquire takes the lease if nobody has it, or if this relay had it last. It is carried out though ctx ends: nobody would know whether the lease
// must be given back.
func (r *relay) acquire(ctx context.Context) (bool, error) {
	ctx, cancel := r.limited(context.WithoutCancel(ctx))
	defer cancel()
	asked := time.Now()
	lasts := r.o.Lease.Milliseconds()
	if changed, err := affected(r.db.ExecContext(ctx, r.sql.acquire, r.owner, lasts, lasts, r.owner)); err != nil || changed == 0 {
		return false, wrap("taking the lease", err)
	}
	var confirmed string
	err := r.db.QueryRowContext(ctx, r.sql.holder, r.owner).Scan(&r.term, &confirmed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil // somebody took it in between
	}
	if err != nil {
		return false, wrap("taking the lease", err)
	}
	r.renewed, r.until = asked, asked.Add(r.o.Lease)
	r.confirmed = broker.Position{}
	if confirmed != "" {
		if r.confirmed, err = broker.ParsePosition(confirmed); err != nil {
			return false, fmt.Errorf("outbox: the stored position %q: %w", confirmed, err)
		}
	}
	return true, nil
}

// due reports whether it is time for a sign of life.
func (r *relay) due() bool { return time.Since(r.renewed) >= r.o.Lease/3 }

// settled runs do in a transaction that is valid only while the lease is held, renews the lease and stores the position up to which the log
// has no entry whose row still waits. It is carried out though ctx has ended: it saves the next relay work.
func (r *relay) settled(ctx context.Context, confirmed broker.Position, do func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := r.limited(context.WithoutCancel(ctx))
	defer cancel()
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return wrap("beginning a transaction", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	asked := time.Now()
	// This comes first: it locks the lease until the end of the transaction, and in SQLite takes the place of the one writer.
	changed, err := affected(tx.ExecContext(ctx, r.sql.renew, cursor(confirmed), r.term))
	if err != nil {
		return wrap("renewing the lease", err)
	}
	if changed == 0 {
		return errLost
	}
	if err := do(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return wrap("committing", err)
	}
	r.renewed, r.until, r.confirmed = asked, asked.Add(r.o.Lease), confirmed
	return nil
}

// renew gives a sign of life.
func (r *relay) renew(ctx context.Context, confirmed broker.Position) error {
	return r.settled(ctx, confirmed, func(context.Context, *sql.Tx) error { return nil })
}

// release gives the lease back, so that nobody waits for its end. If that fails, they wait.
func (r *relay) release(ctx context.Context) {
	ctx, cancel := r.limited(context.WithoutCancel(ctx))
	defer cancel()
	if _, err := r.db.ExecContext(ctx, r.sql.release, r.term); err != nil {
		r.o.Logger.Debug("outbox: the lease was not given back", "error", err)
	}
}

// cursor is how a position is stored: empty when there is none.
func cursor(p broker.Position) string {
	if p.IsZero() {
		return ""
	}
	return p.String()
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("outbox: %s: %w", doing, err)
}
