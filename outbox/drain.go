package outbox

import (
	"context"
	"time"

	"github.com/swampline/live/broker"
)

var _ broker.Drainer = (*Outbox)(nil)

// Drain waits until every entry that was committed before is on the log, or was set aside because the broker does not take it, whichever process
// relays it. It fails when ctx ends before, or with the database's error. Hubs call it for a write that a client says again, as a process that
// died may have stored it: so it waits for another relay to take over, too. See Options.Lease.
func (o *Outbox) Drain(ctx context.Context) error {
	var last int64
	if err := o.db.QueryRowContext(ctx, o.sql.highest).Scan(&last); err != nil {
		return wrap("asking for the newest entry", err)
	}
	// An entry whose transaction is still open may have a smaller id and come later: it is waited for, too, if it is seen.
	for pause := time.Millisecond; ; pause = min(2*pause, o.o.Poll) {
		var first int64
		if err := o.db.QueryRowContext(ctx, o.sql.lowest).Scan(&first); err != nil {
			return wrap("asking for the oldest entry", err)
		}
		if first == 0 || first > last {
			return nil
		}
		o.Wake()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
