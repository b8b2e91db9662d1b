package pgbroker

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/swampline/live/broker"
)

const (
	// trimBatch is how many entries one transaction deletes. It has an id of its own, so what is committed meanwhile is read after it.
	trimBatch = 1000
	// trimPause is the shortest time between two trims of one instance.
	trimPause = 100 * time.Millisecond
)

// tooManySQL finds the newest entry that is one, or some bytes, too many, for the $1 entries and $2 bytes that may be held.
const tooManySQL = `SELECT e.xid, e.seq FROM (SELECT * FROM {meta} LIMIT 1) AS m CROSS JOIN LATERAL (
	SELECT xid, seq FROM (
		SELECT xid, seq, row_number() OVER newest AS n, sum(octet_length(data)) OVER newest AS bytes
		FROM {log}
		WHERE (xid, seq) > (m.trimmed_xid, m.trimmed_seq) AND xid < pg_snapshot_xmin(pg_current_snapshot())
		WINDOW newest AS (ORDER BY xid DESC, seq DESC ROWS UNBOUNDED PRECEDING)
	) AS counted
	WHERE n > $1::bigint OR bytes > $2::bigint AND n > 1
	ORDER BY xid DESC, seq DESC LIMIT 1
) AS e`

// tooOldSQL finds the newest entry before the first that is not older than $1 microseconds. Times are not in the order of the log, as a transaction
// may last: an entry that is not too old keeps what comes after it.
const tooOldSQL = `SELECT e.xid, e.seq
FROM (SELECT * FROM {meta} LIMIT 1) AS m
LEFT JOIN LATERAL (
	SELECT xid, seq FROM {log}
	WHERE (xid, seq) > (m.trimmed_xid, m.trimmed_seq) AND at >= clock_timestamp() - $1::bigint * interval '1 microsecond'
	ORDER BY xid, seq LIMIT 1
) AS young ON true
CROSS JOIN LATERAL (
	SELECT xid, seq FROM {log}
	WHERE (xid, seq) > (m.trimmed_xid, m.trimmed_seq) AND xid < pg_snapshot_xmin(pg_current_snapshot())
		AND (xid, seq) < (coalesce(young.xid, pg_snapshot_xmin(pg_current_snapshot())), coalesce(young.seq, 0))
	ORDER BY xid DESC, seq DESC LIMIT 1
) AS e`

// trimSQL deletes entries after $1, $2 up to $3, $4; the trigger notes how far, in this transaction. The lower bound is where the
// last trim ended: without it PostgreSQL would look again at all that was deleted and not vacuumed.
const trimSQL = `DELETE FROM {log} WHERE (xid, seq) IN (
	SELECT xid, seq FROM {log}
	WHERE (xid, seq) > ($1::xid8, $2::bigint) AND (xid, seq) <= ($3::xid8, $4::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	ORDER BY xid, seq LIMIT $5::bigint
)`

// trimmer bounds the log now and then.
type trimmer struct {
	b       *Broker
	due     chan struct{}
	entries int // after how many, or how many bytes, of new entries a trim is due
	bytes   int
	every   time.Duration // and after how long

	mu                   sync.Mutex
	newEntries, newBytes int
	last                 time.Time
	failed               bool
	done                 broker.Position // up to where this instance trimmed
}

func (t *trimmer) init(b *Broker) {
	t.b = b
	t.due = make(chan struct{}, 1)
	part := func(n int) int { return max(1, n/16) }
	t.entries, t.bytes = part(b.options.MaxEntries), part(b.options.MaxBytes)
	t.every = min(max(b.options.MaxAge/16, time.Second), time.Minute)
	t.last = time.Now()
}

// bounded reports whether anything is ever trimmed.
func (t *trimmer) bounded() bool {
	o := t.b.options
	return o.MaxEntries < math.MaxInt || o.MaxBytes < math.MaxInt || o.MaxAge < math.MaxInt64
}

// count is told what new entries were appended or read. When enough came, a trim is due.
func (t *trimmer) count(entries, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newEntries += entries
	t.newBytes += bytes
	if t.newEntries < t.entries && t.newBytes < t.bytes && time.Since(t.last) < t.every {
		return
	}
	t.newEntries, t.newBytes, t.last = 0, 0, time.Now()
	select {
	case t.due <- struct{}{}:
	default:
	}
}

// run trims when it is due, until ctx ends.
func (t *trimmer) run(ctx context.Context) {
	if !t.bounded() {
		return
	}
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for sleep(ctx, trimPause) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.trim(ctx)
		case <-t.due:
			t.trim(ctx)
		}
	}
}

// perhaps trims if that is due. Append does so where nobody follows; what goes wrong then is no error of who appended.
func (t *trimmer) perhaps(ctx context.Context) {
	if !t.bounded() {
		return
	}
	select {
	case <-t.due:
		t.trim(ctx)
	default:
	}
}

// trim trims, and logs the first failure in a row.
func (t *trimmer) trim(ctx context.Context) {
	err := t.trimNow(ctx)
	t.mu.Lock()
	news := err != nil && !t.failed && ctx.Err() == nil
	t.failed = err != nil
	t.mu.Unlock()
	if news {
		t.b.options.Logger.Warn("pgbroker: the log cannot be trimmed", "error", err)
	}
}

// trimNow deletes what is beyond the bounds.
func (t *trimmer) trimNow(ctx context.Context) error {
	o := t.b.options
	var upto broker.Position
	find := func(sql string, args ...any) error {
		return t.b.do(ctx, func(ctx context.Context) error {
			var p broker.Position
			var seq int64
			err := t.b.pool.QueryRow(ctx, t.b.names.fill(sql), append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&p.Major, &seq)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if p.Minor = uint64(seq); err == nil && p.After(upto) {
				upto = p
			}
			return err
		})
	}
	if o.MaxEntries < math.MaxInt || o.MaxBytes < math.MaxInt {
		if err := find(tooManySQL, int64(o.MaxEntries), int64(o.MaxBytes)); err != nil {
			return err
		}
	}
	if o.MaxAge < math.MaxInt64 {
		if err := find(tooOldSQL, o.MaxAge.Microseconds()); err != nil {
			return err
		}
	}
	if upto.IsZero() {
		return nil
	}
	return t.delete(ctx, upto)
}

// delete deletes all up to a position, in batches, unless another instance does so now.
func (t *trimmer) delete(ctx context.Context, upto broker.Position) error {
	t.mu.Lock()
	from := t.done
	t.mu.Unlock()
	if !upto.After(from) { // the log is another one
		from = broker.Position{}
	}
	for {
		n, err := t.deleteBatch(ctx, from, upto)
		if err != nil || n < 0 {
			return err
		}
		if n < trimBatch {
			break
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = upto
	return nil
}

// deleteBatch returns how many entries it deleted; fewer than none when another instance trims.
func (t *trimmer) deleteBatch(ctx context.Context, from, upto broker.Position) (n int64, err error) {
	err = t.b.do(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, t.b.pool, func(tx pgx.Tx) error {
			var mine bool
			err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", pgx.QueryExecModeExec, t.b.names.trimming).Scan(&mine)
			if err != nil || !mine {
				n = -1
				return err
			}
			args := append(append([]any{pgx.QueryExecModeExec}, arguments(from)[1:]...), arguments(upto)[1:]...)
			tag, err := tx.Exec(ctx, t.b.names.fill(trimSQL), append(args, trimBatch)...)
			n = tag.RowsAffected()
			return err
		})
	})
	return n, err
}
