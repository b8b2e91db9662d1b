package pgsource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
)

// entry is a row of the capture table.
type entry struct {
	seq        int64
	xid        string
	router, op string
	was, now   []byte
}

const (
	// atOnce is how many entries are read at once, and deleted when they are published.
	atOnce = 500
	// most is how many entries of one transaction are published one by one. A router of one that has more gets one for all.
	most = 10_000
)

// transaction is what one transaction of the database changed.
type transaction struct {
	xid     string
	entries []entry
	// seqs are all of its entries, bulk the routers of those whose rows are not in entries.
	seqs []int64
	bulk map[string]bool
}

func (t *transaction) add(e entry) {
	t.seqs = append(t.seqs, e.seq)
	switch {
	case e.op == "bulk" || e.op == "truncate" || t.bulk[e.router]:
		t.bulk[e.router] = true
	case len(t.entries) < most:
		t.entries = append(t.entries, e)
	default:
		t.bulk[e.router] = true
		for _, e := range t.entries {
			t.bulk[e.router] = true
		}
		t.entries = nil
	}
}

// notified takes a notification, whichever of the connection's reads finds it.
func (r *runner) notified(*pgconn.PgConn, *pgconn.Notification) { r.woken = true }

// drain publishes everything that is committed. The cursor keeps the order of one snapshot; what is committed later is read by the next.
func (r *runner) drain(ctx context.Context) (err error) {
	if err := r.exec(ctx, r.query(), pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = r.exec(ctx, "CLOSE live_pgsource", pgx.QueryExecModeSimpleProtocol)
		}
	}()
	var current *transaction
	var done []int64 // published, and to be deleted
	for {
		entries, err := r.fetch(ctx)
		if err != nil {
			return err
		}
		last := len(entries) < atOnce
		for _, e := range entries {
			if current != nil && current.xid != e.xid {
				if err := r.publish(ctx, current); err != nil {
					return err
				}
				done, current = append(done, current.seqs...), nil
			}
			if current == nil {
				current = &transaction{xid: e.xid, bulk: map[string]bool{}}
			}
			current.add(e)
		}
		if last && current != nil {
			if err := r.publish(ctx, current); err != nil {
				return err
			}
			done = append(done, current.seqs...)
		}
		if len(done) > 0 {
			if err := r.exec(ctx, "DELETE FROM "+r.changes()+" WHERE seq = ANY ($1)", done); err != nil {
				return err
			}
			done = done[:0]
		}
		if last {
			return nil
		}
	}
}

// fetch reads the next entries of the cursor.
func (r *runner) fetch(ctx context.Context) ([]entry, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := r.conn.Query(ctx, fmt.Sprintf("FETCH %d FROM live_pgsource", atOnce), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e entry, err error) {
		err = row.Scan(&e.seq, &e.xid, &e.router, &e.op, &e.was, &e.now)
		return e, err
	})
}

// publish puts what a transaction changed on the log, as one batch. What cannot be published as it is, such as a row that was captured
// by an earlier declaration, becomes a new list for the router's subscribers: it must not keep all that follows from them. An error
// says that the log took nothing, or that ctx has ended.
func (r *runner) publish(ctx context.Context, t *transaction) error {
	err := r.hub.Batch(ctx, func(ctx context.Context) error {
		return r.tell(ctx, t)
	})
	if err != nil && errors.Is(err, broker.ErrTooLarge) && ctx.Err() == nil {
		r.options.Logger.ErrorContext(ctx, "live: pgsource: a row is too large for the broker: subscribers read anew", "err", err)
		err = r.hub.Batch(ctx, func(ctx context.Context) error { return r.tellAnew(ctx, t.routers()) })
	}
	return err
}

// tell tells the routers what a transaction changed.
func (r *runner) tell(ctx context.Context, t *transaction) error {
	bulk := maps.Clone(t.bulk)
	reload := map[string][]live.Key{}
	for _, e := range t.entries {
		if bulk[e.router] {
			continue
		}
		table := r.byName[e.router]
		var err error
		if table.reload {
			var keys []live.Key
			keys, err = table.keys(e)
			reload[e.router] = append(reload[e.router], keys...)
		} else {
			err = guard(func() error { return table.publish(ctx, r.types[e.router], e) })
		}
		if err := r.anew(ctx, bulk, e.router, err); err != nil {
			return err
		}
	}
	for name, keys := range reload {
		if bulk[name] {
			continue
		}
		err := guard(func() error { return r.byName[name].changedID(ctx, keys) })
		if err := r.anew(ctx, bulk, name, err); err != nil {
			return err
		}
	}
	return r.tellAnew(ctx, bulk)
}

// anew notes that a router's subscribers must read anew because of err.
func (r *runner) anew(ctx context.Context, bulk map[string]bool, router string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	bulk[router] = true
	r.options.Logger.ErrorContext(ctx, "live: pgsource: a change cannot be published as it is: subscribers read anew", "router", router, "err", err)
	return nil
}

// tellAnew tells the routers that any row may have changed.
func (r *runner) tellAnew(ctx context.Context, routers map[string]bool) error {
	for name := range routers {
		if err := r.byName[name].bulk(ctx); err != nil {
			return err
		}
	}
	return nil
}

// routers are those that a transaction concerns.
func (t *transaction) routers() map[string]bool {
	routers := maps.Clone(t.bulk)
	for _, e := range t.entries {
		routers[e.router] = true
	}
	return routers
}

// guard makes a panic of the application's funcs an error.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}
