package pgbroker

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/swampline/live/broker"
)

const (
	// One read returns at most so many entries, and no more once their data is so large: that is what a follower holds in memory, besides one
	// entry of the largest size.
	batchEntries = 500
	batchBytes   = 1 << 20
	// The first read returns fewer: who asks only whether a position is there, or resumes from near the end, needs no more.
	firstEntries = 50
	// firstLook is when a follower that was given something looks again, however rare notifications are. Then it waits twice as long each
	// time, so an entry whose notification was saved is late by no more than it took to commit, and these.
	firstLook = notifyEvery
	// pendingLook is how often it looks at least while there are entries that cannot be read yet: nothing tells when an older transaction
	// of somebody else ends.
	pendingLook = 50 * time.Millisecond
	// apart is the shortest time between two looks of a follower that has all there was: when many write, it takes what they wrote together.
	apart = 2 * time.Millisecond
)

// readSQL asks all that a read depends on in one snapshot. The position that is followed is $4, $5, $6, and epoch 0 is the zero position. It is
// held when all that follows it is: it is exactly the newest that was trimmed, or an entry that is there and was not trimmed.
const readSQL = state + `, place AS MATERIALIZED (
	SELECT s.*,
		$4::bigint = 0 OR s.epoch = $4::bigint AND (
			($5::xid8, $6::bigint) = (s.trimmed_xid, s.trimmed_seq)
			OR ($5::xid8, $6::bigint) > (s.trimmed_xid, s.trimmed_seq) AND EXISTS (SELECT FROM {log} WHERE xid = $5::xid8 AND seq = $6::bigint)
		) AS held,
		CASE WHEN $4::bigint = 0 THEN s.trimmed_xid ELSE $5::xid8 END AS after_xid,
		CASE WHEN $4::bigint = 0 THEN s.trimmed_seq ELSE $6::bigint END AS after_seq
	FROM state AS s
)
SELECT p.epoch, p.alien, p.lost, p.held, p.pending, e.xid, e.seq, e.data
FROM place AS p LEFT JOIN LATERAL (
	SELECT xid, seq, data FROM (
		SELECT xid, seq, data,
			sum(octet_length(data)) OVER (ORDER BY xid, seq ROWS UNBOUNDED PRECEDING) - octet_length(data) AS before
		FROM (
			SELECT xid, seq, data FROM {log}
			WHERE p.held AND NOT p.alien AND NOT p.lost
				AND xid < p.settled AND (xid, seq) > (p.after_xid, p.after_seq)
			ORDER BY xid, seq LIMIT $7::bigint
		) AS next
	) AS sized
	WHERE before < $8::bigint
) AS e ON true
ORDER BY e.xid, e.seq`

// batch is the result of one read.
type batch struct {
	entries []broker.Entry
	bytes   int  // of their data
	held    bool // the position that was followed is in the log
	pending bool // there are entries that cannot be read yet
	full    bool // there may be more
}

// Follow does what broker.Broker says, in batches of at most 500 entries, of which all but the last make at most 1 MiB. No
// connection is held while deliver runs. It returns an error when the server did not answer for Options.Timeout.
func (b *Broker) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if after.Epoch == 0 && !after.IsZero() { // for the statement, epoch 0 is the zero position
		return fmt.Errorf("pgbroker: %v: %w", after, broker.ErrExpired)
	}
	joined := false
	defer func() {
		if joined {
			b.company.leave()
		}
	}()
	limit := firstEntries
	for pause := firstLook; ; limit = batchEntries {
		news := b.company.news() // taken before the log is read: what comes after that is not missed
		looked := time.Now()
		got, err := b.read(ctx, after, limit)
		if err != nil {
			return err
		}
		if !got.held {
			return fmt.Errorf("pgbroker: %v: %w", after, broker.ErrExpired)
		}
		if n := len(got.entries); n > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			after, pause = got.entries[n-1].Position, firstLook
			if b.saw(after) {
				b.trimmer.count(n, got.bytes)
			}
			if err := deliver(got.entries); err != nil {
				return err
			}
			if got.full {
				continue
			}
		}
		if !joined {
			joined = true
			b.company.join()
		}
		longest := b.options.Poll
		if got.pending {
			longest = min(longest, pendingLook)
		}
		if woken, err := wait(ctx, news, min(pause, longest)); err != nil {
			return err
		} else if woken {
			pause = firstLook
			if early := apart - time.Since(looked); early > 0 && !sleep(ctx, early) {
				return ctx.Err()
			}
		} else {
			pause = min(2*pause, b.options.Poll)
		}
	}
}

// wait waits for news, for so long, and reports whether they came.
func wait(ctx context.Context, news <-chan struct{}, pause time.Duration) (woken bool, err error) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-news:
		return true, nil
	case <-timer.C:
		return false, nil
	}
}

// read returns what follows a position, up to so many entries.
func (b *Broker) read(ctx context.Context, after broker.Position, limit int) (got batch, err error) {
	err = b.settled(ctx, func(ctx context.Context) (c condition, err error) {
		c, got, err = b.readOnce(ctx, after, limit)
		return c, err
	})
	return got, err
}

func (b *Broker) readOnce(ctx context.Context, after broker.Position, limit int) (c condition, got batch, err error) {
	args := append([]any{pgx.QueryExecModeExec}, b.seen()...)
	args = append(append(args, arguments(after)...), limit, batchBytes)
	rows, err := b.pool.Query(ctx, b.statements.read, args...)
	if err != nil {
		return c, got, err
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		found = true
		var xid *uint64 // NULL when nothing follows
		var seq *int64
		var data []byte
		if err := rows.Scan(&c.epoch, &c.alien, &c.lost, &got.held, &got.pending, &xid, &seq, &data); err != nil {
			return c, got, err
		}
		if xid != nil {
			at := broker.Position{Epoch: uint64(c.epoch), Major: *xid, Minor: uint64(*seq)}
			got.entries = append(got.entries, broker.Entry{Position: at, Data: data})
			got.bytes += len(data)
		}
	}
	if err := rows.Err(); err != nil {
		return c, got, err
	}
	if !found {
		return c, got, pgx.ErrNoRows
	}
	got.full = len(got.entries) == limit || got.bytes >= batchBytes
	return c, got, nil
}
