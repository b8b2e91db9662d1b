package session

import (
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
)

// Slot is the subscription's place among its query's members.
func (sub *subscription) Slot() *int32 { return &sub.slot }

// Deliver takes what entries mean to the query, in order. It runs on the shard's goroutine. A parked connection is offered what is queued before
// it is too much: the client may be as fast as anybody.
func (sub *subscription) Deliver(run []*livequery.Delivery) {
	s := sub.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range run {
		if s.parked != nil && s.full(s.env.MaxQueueBytes/2) {
			s.mu.Unlock()
			s.offer()
			s.mu.Lock()
		}
		if sub.state != live || sub.over {
			return
		}
		if !sub.lacks(d) {
			continue
		}
		before := sub.position
		if s.shard.upto.After(before) { // it was quiet for long, and history may not reach back to what it was told last
			before = s.shard.upto
		}
		sub.tell(d, before)
		if s.full(s.env.MaxQueueBytes) {
			s.overflow()
		}
	}
}

// lacks reports whether a delivery is news. What was read meanwhile is as of the position that was told last, or later.
func (sub *subscription) lacks(d *livequery.Delivery) bool {
	switch {
	case d.Strangers != 0:
		return sub.stranger != 0 && sub.stranger <= d.Strangers && !sub.position.After(d.Position)
	case d.Query.Counts():
		return !sub.counted.After(d.Position)
	case d.Fills():
		return !sub.position.After(d.Position)
	}
	return d.Position.After(sub.position)
}

// tell queues a delivery, and reports whether the subscription goes on. Everything up to the position before was told
// before. The session's lock is held.
func (sub *subscription) tell(d *livequery.Delivery, before broker.Position) bool {
	if sub.defeated(d) {
		return false
	}
	if sub.query.Counts() {
		sub.tellCount(d, before)
		return true
	}
	if d.Strangers != 0 {
		sub.stranger = 0
	}
	if !d.Empty() {
		sub.queue(d, before)
		if sub.way != nil && sub.held != nil {
			d.Keys(func(key string) { sub.held[key] = struct{}{} })
		}
	}
	sub.position = d.Position
	return true
}

// tellCount queues a count unless the client shows it. The session's lock is held.
func (sub *subscription) tellCount(d *livequery.Delivery, before broker.Position) {
	if n := d.Count(); !sub.numbered || sub.number != n {
		sub.queue(d, before)
		sub.number, sub.numbered = n, true
	}
	sub.counted = d.Position
}

// lacksCount reports whether a subscription that becomes a member lacks the count that members share: it is newer than its own, or was read
// after the same position and is another. What its client shows may be as of a later one, at another hub: then the next tells. The session's
// lock is held.
func (sub *subscription) lacksCount(d *livequery.Delivery) bool {
	if sub.counted == d.Position {
		return sub.numbered && sub.number != d.Count()
	}
	return sub.counted.IsZero() || d.Position.After(sub.counted)
}

// queue queues what a delivery says. The session's lock is held.
func (sub *subscription) queue(d *livequery.Delivery, before broker.Position) {
	s := sub.session
	if s.Dialect != nil {
		s.translateDelivery(sub, d, before)
		return
	}
	sub.note(d, before)
	s.append(item{frame: d.Frame(*sub.name), sub: sub, kind: data})
}

// note notes that data is about to be queued for the subscription. The session's lock is held.
func (sub *subscription) note(d *livequery.Delivery, before broker.Position) {
	s := sub.session
	if !sub.queued() {
		sub.from = before
		sub.settle()
		sub.queuedIn = s.round
	}
	if d.Told > 0 {
		sub.telling = d.Told
	}
	if d.Followed != 0 && d.Followed >= sub.began && (s.followed == 0 || d.Followed < s.followed) {
		s.followed = d.Followed
	}
}

// queued reports whether data of the subscription is queued. The session's lock is held.
func (sub *subscription) queued() bool { return sub.queuedIn == sub.session.round }

// settle notes what was told by what is not queued any more. The session's lock is held.
func (sub *subscription) settle() {
	if sub.bounds != nil && sub.telling > 0 && !sub.queued() {
		sub.told, sub.telling = sub.telling, 0
	}
}

// taken notes that the transport has taken the subscription's snapshot. The session's lock is held.
func (sub *subscription) taken() {
	sub.unsent, sub.delivered = false, true
	if sub.way != nil {
		sub.owed = ""
	}
	if sub.bounds != nil {
		sub.told = 0
	}
	sub.arrive()
}

// unqueue takes note that what was queued of its data was dropped, and reports whether any was. The session's lock is held.
func (sub *subscription) unqueue() bool {
	if !sub.queued() {
		return false
	}
	sub.queuedIn, sub.position = 0, sub.from
	if sub.bounds != nil {
		sub.telling, sub.counted, sub.numbered = 0, broker.Position{}, false
	}
	return true
}

// defeated reloads a subscription that a delivery does not bring up to date, and reports that. The session's lock is held.
func (sub *subscription) defeated(d *livequery.Delivery) bool {
	switch {
	case d.Bulk:
		sub.reload(bulkChange, d.Position)
	case d.Unreadable || d.Unknown && sub.unsure:
		sub.reload(unknownRow, d.Position)
	default:
		return false
	}
	return true
}
