package outbox

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// countLimit is where Stats stops counting.
const countLimit = 10_000

// Stats says how an outbox is doing.
type Stats struct {
	// Waiting is how many entries are in the table, and Refused how many the broker would not take; both count to 10,000 and no further.
	Waiting, Refused int
	// Oldest is how long ago the first of those that wait was written, by the database's clock; zero when none waits. While all
	// goes well it is a fraction of a second.
	Oldest time.Duration
	// Relaying says that this process has the lease. Where several processes run it is so in one.
	Relaying bool
	// Appended is how many entries this process has appended to the broker, Found how many it found on the log after a crash or an error, and so did
	// not append again, and SetAside how many the broker refused it. All count since the process began.
	Appended, Found, SetAside int64
}

// Stats asks the database how many entries wait, and for how long: a few milliseconds' work, however many they are.
func (o *Outbox) Stats(ctx context.Context) (Stats, error) {
	s := Stats{
		Relaying: o.relaying.Load() > 0,
		Appended: o.appended.Load(),
		Found:    o.found.Load(),
		SetAside: o.refused.Load(),
	}
	if err := o.db.QueryRowContext(ctx, o.sql.waiting, countLimit).Scan(&s.Waiting); err != nil {
		return Stats{}, wrap("counting entries", err)
	}
	if err := o.db.QueryRowContext(ctx, o.sql.refused, countLimit).Scan(&s.Refused); err != nil {
		return Stats{}, wrap("counting refused entries", err)
	}
	var oldest int64
	err := o.db.QueryRowContext(ctx, o.sql.oldest).Scan(&oldest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Stats{}, wrap("asking for the oldest entry", err)
	}
	s.Oldest = time.Duration(max(oldest, 0)) * time.Millisecond
	return s, nil
}
