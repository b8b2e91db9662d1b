package session

import (
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/where"
)

// maxMissed is of how many rows a member of a window that was behind is told at most that they are gone: with more, its rows are read
// anew.
const maxMissed = 4096

// missed is what a subscription to a window that was live, and is behind, has read on the log and was not told: see livequery.Missed. Until
// it is told, its position stays what it was.
type missed struct {
	rows livequery.Missed
	upto broker.Position
}

// aligner returns what a subscription lacks of what its query's members share, when the engine holds still at a position.
type aligner func(at broker.Position) (*livequery.Delivery, bool)

// align returns the subscription's aligner. The session's lock is held; it is not when the aligner is called.
func (sub *subscription) align() aligner {
	query := sub.query
	if sub.missed != nil {
		return func(at broker.Position) (*livequery.Delivery, bool) { return query.Stream().Whole(query, at) }
	}
	var edge where.Row
	var fills uint64
	if sub.bounds != nil {
		edge, fills = sub.edge, sub.fills
	}
	return func(at broker.Position) (*livequery.Delivery, bool) {
		return query.Stream().Align(query, edge, fills, at)
	}
}

// reached is the position up to which a subscription has read the log. The session's lock is held.
func (sub *subscription) reached() broker.Position {
	if sub.missed != nil {
		return sub.missed.upto
	}
	return sub.position
}

// miss takes what an entry meant, nil when it did not concern the query, and reports whether the subscription goes on. The
// session's lock is held.
func (sub *subscription) miss(d *livequery.Delivery, at broker.Position) bool {
	m := sub.missed
	m.upto = at
	if d == nil {
		return true
	}
	if sub.defeated(d) {
		return false
	}
	if m.rows.Add(d); m.rows.Len() > maxMissed {
		sub.reload(tooSlow, at)
		return false
	}
	return true
}
