package outbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/swampline/live/broker"
)

// log is what the relay before us, or we before an error, may have appended without deleting the rows: the entries behind the position that was
// confirmed last. Its zero value is empty.
type log struct {
	entries map[hash]int // how often each is there: two rows may be alike after all
	// through is the greatest id of the rows that were there when the log was read: what was appended is of one of them.
	through int64
}

// hash stands for an entry's bytes.
type hash [sha256.Size]byte

// take reports whether the row's entry is on the log, for one row each time that it is.
func (l *log) take(r row) bool {
	if l.empty() {
		return false
	}
	h := hash(sha256.Sum256(r.data))
	n := l.entries[h]
	if n == 0 {
		return false
	}
	l.entries[h] = n - 1
	return true
}

// reached says that all rows before id have been dealt with.
func (l *log) reached(id int64) {
	if id > l.through {
		l.forget()
	}
}

func (l *log) forget() { l.entries = nil }

// empty reports whether no row waits whose entry may be on the log.
func (l *log) empty() bool { return l.entries == nil }

// readBack reads the log from the position that was confirmed last to its head. Nobody appends meanwhile, as the lease is ours.
func (r *relay) readBack(ctx context.Context) error {
	r.log = log{}
	short, cancel := r.limited(ctx)
	defer cancel()
	head, err := r.to.Head(short)
	if err != nil {
		return wrap("asking the broker for its head", err)
	}
	if err := r.db.QueryRowContext(short, r.sql.highest).Scan(&r.log.through); err != nil {
		return wrap("reading the table", err)
	}
	// A position is stored before the first entry is appended, so where there is none nothing can be on the log.
	if r.log.through == 0 || r.confirmed.IsZero() || r.confirmed == head {
		return r.renew(ctx, head)
	}
	err = r.follow(ctx, head)
	if errors.Is(err, broker.ErrExpired) {
		r.o.Logger.Warn("outbox: the broker's history does not reach back to what was confirmed last; some entries may be appended twice",
			"table", r.o.Table, "confirmed", r.confirmed.String(), "head", head.String())
		return r.renew(ctx, head) // what was found is kept, and the old position is of no use any more
	}
	return err
}

// errRead ends Follow.
var errRead = errors.New("outbox: the log has been read")

// follow collects what the log holds behind the confirmed position up to its head.
func (r *relay) follow(ctx context.Context, head broker.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(r.o.Lease/3, cancel) // the log may be long; each batch of it may not
	defer silence.Stop()
	r.log.entries = map[hash]int{}
	err := r.to.Follow(ctx, r.confirmed, func(entries []broker.Entry) error {
		silence.Reset(r.o.Lease / 3)
		for _, e := range entries {
			r.log.entries[sha256.Sum256(e.Data)]++
			if !head.After(e.Position) {
				return errRead
			}
		}
		if r.due() {
			return r.renew(ctx, r.confirmed)
		}
		return nil
	})
	if errors.Is(err, errRead) {
		return nil
	}
	return wrap("reading the log back", err)
}
