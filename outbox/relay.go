package outbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"time"

	"github.com/swampline/live/broker"
)

const (
	// soon is how long after a look that was asked for the next one comes, if it found nothing. Each one after it takes twice as long.
	soon = 2 * time.Millisecond
	// readBytes is how much data is read at once, if one row is not more.
	readBytes = 4 << 20
)

// relay is one Run: it waits for the lease, and relays while it has it.
type relay struct {
	*Outbox
	lease
	log log // what was found on the log, and waits to be deleted
	// limit is how many rows are read at once: less than Options.Batch while they are large.
	limit int
	// progress says that something went well since the last failure.
	progress bool
}

// row is an entry that waits.
type row struct {
	id   int64
	data []byte
}

// Run relays until ctx ends, and returns ctx's error. Among all processes that run it on the same table one is at work; the others wait to take
// over. While the database or the broker is away it tries again, ever less often up to every 5 s: nothing makes it return but ctx.
// When it returns, nothing of it runs.
func (o *Outbox) Run(ctx context.Context) error {
	r := &relay{Outbox: o, lease: lease{owner: newOwner()}, limit: o.o.Batch}
	failures := 0
	for ctx.Err() == nil {
		held, err := r.acquire(ctx)
		if held {
			o.relaying.Add(1)
			err = r.lead(ctx)
			o.relaying.Add(-1)
			if !errors.Is(err, errLost) {
				r.release(ctx) // so that another may try, whose way to the broker may be better
			}
		}
		if ctx.Err() != nil {
			break
		}
		if r.progress {
			failures, r.progress = 0, false
		}
		if err == nil || errors.Is(err, errLost) {
			pause(ctx, o.o.Lease/3)
			continue
		}
		failures++
		o.o.Logger.Warn("outbox: entries cannot be relayed; trying again", "table", o.o.Table, "error", err)
		pause(ctx, min(5*time.Second, 50*time.Millisecond<<min(failures, 10)))
	}
	return ctx.Err()
}

// newOwner returns a name that is no other's, and tells who reads the table which process it is.
func newOwner() string {
	host, _ := os.Hostname() // without it the name is less telling, and as good
	return fmt.Sprintf("%.60s:%d:%.12s", host, os.Getpid(), rand.Text())
}

// pause waits for up to so long, with jitter, or until ctx ends.
func pause(ctx context.Context, longest time.Duration) {
	t := time.NewTimer(longest/2 + mathrand.N(longest/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// lead relays while the lease is held. It returns at the first error: what comes next begins with reading the log back.
func (r *relay) lead(ctx context.Context) error {
	if err := r.readBack(ctx); err != nil {
		return err
	}
	wait := r.o.Poll
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		n, err := r.look(ctx)
		if err != nil {
			return err
		}
		r.progress = true
		if n > 0 {
			wait = soon
			continue
		}
		if err := r.idle(ctx); err != nil {
			return err
		}
		timer.Reset(min(wait, r.o.Lease/3))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
			wait = soon
		case <-timer.C:
			wait = min(2*wait, r.o.Poll)
		}
	}
}

// idle gives a sign of life when it is due. Nothing waits to be confirmed then, so the position may follow the log's head: that history no
// longer reaches what was confirmed last must not come from others having written all the while.
func (r *relay) idle(ctx context.Context) error {
	if !r.due() {
		return nil
	}
	confirmed := r.confirmed
	if r.log.empty() {
		short, cancel := r.limited(ctx)
		head, err := r.to.Head(short)
		cancel()
		if err != nil {
			return wrap("asking the broker for its head", err)
		}
		confirmed = head
	}
	return r.renew(ctx, confirmed)
}

// look relays the first rows that there are, and returns how many they were.
func (r *relay) look(ctx context.Context) (int, error) {
	rows, err := r.read(ctx)
	if err != nil {
		return 0, wrap("reading the table", err)
	}
	if len(rows) == 0 {
		r.log.forget()
		return 0, nil
	}
	var done []int64 // the rows that are on the log
	confirmed := r.confirmed
	for _, row := range rows {
		if r.due() {
			if err := r.confirm(ctx, confirmed, done); err != nil {
				return 0, err
			}
			done = done[:0]
		}
		r.log.reached(row.id)
		if r.log.take(row) {
			r.found.Add(1)
			done = append(done, row.id)
			continue
		}
		p, err := r.append(ctx, row)
		if err == nil {
			done, confirmed = append(done, row.id), p
			continue
		}
		if e := r.confirm(ctx, confirmed, done); e != nil {
			return 0, errors.Join(err, e)
		}
		if !errors.Is(err, broker.ErrTooLarge) {
			return 0, err
		}
		if err := r.setAside(ctx, row, err); err != nil {
			return 0, err
		}
		done = done[:0]
	}
	return len(rows), r.confirm(ctx, confirmed, done)
}

// read returns the first rows, in the order of their ids.
func (r *relay) read(ctx context.Context) (found []row, err error) {
	ctx, cancel := r.limited(ctx)
	defer cancel()
	query := r.db.QueryContext
	if isolation := r.o.Dialect.looking(); isolation != nil {
		tx, err := r.db.BeginTx(ctx, isolation)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback()
		query = tx.QueryContext
	}
	rows, err := query(ctx, r.sql.first, r.limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	size := 0
	for size < readBytes && rows.Next() {
		var next row
		if err := rows.Scan(&next.id, &next.data); err != nil {
			return nil, err
		}
		size += len(next.data)
		found = append(found, next)
	}
	if size < readBytes {
		r.limit = min(2*r.limit, r.o.Batch)
	} else {
		r.limit = max(1, len(found)) // what lies behind was sent by the database for nothing
	}
	return found, errors.Join(rows.Err(), rows.Close())
}

// append appends one row's entry to the broker, if the lease is held long enough for that.
func (r *relay) append(ctx context.Context, row row) (broker.Position, error) {
	ctx, cancel := r.limited(ctx)
	defer cancel()
	if deadline, _ := ctx.Deadline(); deadline.After(r.until) {
		return broker.Position{}, errLost // perhaps not yet, but too soon
	}
	p, err := r.to.Append(ctx, row.data)
	if err != nil {
		return p, fmt.Errorf("outbox: appending row %d to the broker: %w", row.id, err)
	}
	r.appended.Add(1)
	return p, nil
}

// confirm deletes rows that are on the log, stores how far the log has been written, and renews the lease. The position stays where it is while rows wait whose
// entries were found on the log behind it: the next relay must find these too.
func (r *relay) confirm(ctx context.Context, confirmed broker.Position, done []int64) error {
	if !r.log.empty() {
		confirmed = r.confirmed
	}
	if len(done) == 0 {
		if r.due() {
			return r.renew(ctx, confirmed)
		}
		return nil
	}
	return r.settled(ctx, confirmed, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, r.sql.remove(done))
		return wrap("deleting rows that are on the log", err)
	})
}

// setAside moves a row that the broker will never take out of the way.
func (r *relay) setAside(ctx context.Context, row row, cause error) error {
	reason := cause.Error()
	reason = string([]rune(reason)[:min(500, len([]rune(reason)))])
	err := r.settled(ctx, r.confirmed, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, r.sql.setAside, reason, row.id); err != nil {
			return wrap("setting a row aside", err)
		}
		_, err := tx.ExecContext(ctx, r.sql.remove([]int64{row.id}))
		return wrap("setting a row aside", err)
	})
	if err != nil {
		return err
	}
	r.refused.Add(1)
	r.o.Logger.Error("outbox: the broker refuses an entry; its row was moved to the table of refused ones",
		"table", r.o.Table+"_refused", "entry", row.id, "bytes", len(row.data), "error", cause)
	return nil
}
