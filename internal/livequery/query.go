package livequery

import (
	"context"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/index"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

// Query is what identical subscriptions share: a predicate over a stream's rows and a view of them, or a channel.
type Query struct {
	// ID is how data messages name the query; unique in a hub.
	ID string
	// Predicate and View are nil for a channel.
	Predicate *where.Predicate
	View      *View

	stream  *Stream // nil for a channel
	channel string
	window  *Window  // nil unless it is limited
	counter *counter // nil unless rows are counted
	// Caller holds the values of the request of the caller who came last: for reading rows that all callers share.
	Caller context.Context
	handle *index.Entry[*Query]
	// since is the position from which on this query's verdicts are complete; touched is that of the last entry that
	// concerned it; primed is set when a list was loaded here. All guarded by the stream's (or channels') lock.
	since, touched, primed broker.Position
	// telling is what the entry that is being matched means to the query so far.
	telling *Delivery
	refs    int
	idle    time.Time

	// members holds the live subscriptions by shard; each shard's goroutine owns its slice.
	members [][]Member
}

// Member is a live subscription to a query. Its methods are called by the goroutine of its shard.
type Member interface {
	// Deliver takes what one entry means to the query.
	Deliver(d *Delivery)
	// Slot is the member's place among its query's members of the shard, kept by the query.
	Slot() *int
}

// Join adds a member. It is called by the shard's goroutine.
func (q *Query) Join(shard int, m Member) {
	*m.Slot() = len(q.members[shard])
	q.members[shard] = append(q.members[shard], m)
}

// Part removes a member that joined. It is called by the shard's goroutine.
func (q *Query) Part(shard int, m Member) {
	members := q.members[shard]
	last := len(members) - 1
	moved := members[last]
	members[*m.Slot()], *moved.Slot() = moved, *m.Slot()
	members[last] = nil
	q.members[shard] = members[:last]
}

// Members returns the live subscriptions of a shard. It is called by the shard's goroutine.
func (q *Query) Members(shard int) []Member { return q.members[shard] }

// Delivery is what one entry means to one query. The message is encoded when the first member takes it, once.
type Delivery struct {
	Query    *Query
	Position broker.Position
	// Unknown says that a row changed which members that are unsure may hold: they must be given a new snapshot.
	Unknown bool
	// Unreadable says that nobody here knows what the entry changed: every member must be given a new snapshot.
	Unreadable bool
	// Bulk says that rows changed of which only a filter is known: every member must be given a new snapshot.
	Bulk bool
	// Followed is when this hub followed the entry that it tells of; zero for what was read meanwhile, or when nobody watches.
	Followed observe.Moment

	// Told is how many things the members of a window were told with this: who took as many lacks none of them. Zero for what is not
	// told to members.
	Told uint64

	parts    []part
	items    []item // of a window
	more     *bool  // of a window: whether rows are beyond it
	count    *int64 // of a counter
	messages [][]byte
	once     sync.Once
	frame    *transport.Frame
}

type part struct {
	change  *Change
	verdict Verdict
}

// Frame returns the message for a member that calls the query by a name. All that call it by its ID share one.
func (d *Delivery) Frame(name string) *transport.Frame {
	if name != d.Query.ID {
		return d.encode(name)
	}
	d.once.Do(func() { d.frame = d.encode(name) })
	return d.frame
}

func (d *Delivery) encode(name string) *transport.Frame {
	cursor := d.Position.String()
	if d.Query.stream == nil {
		return wire.ChannelMessage(name, cursor, d.messages...)
	}
	if d.count != nil {
		return wire.Count(name, cursor, *d.count)
	}
	items := make([][]byte, 0, len(d.parts)+len(d.items))
	for _, p := range d.parts {
		items = append(items, p.change.fragment(d.Query.View, p.verdict))
	}
	for _, i := range d.items {
		items = append(items, i.append(nil, d.Query))
	}
	return wire.Change(name, cursor, d.more, items...)
}

func (d *Delivery) add(c *Change, v Verdict) {
	switch v {
	case Nothing:
	case Unknown:
		d.Unknown = true
	case Doubt:
		d.Unreadable = true
	case Bulk:
		d.Bulk = true
	default:
		d.parts = append(d.parts, part{c, v})
	}
}

// Empty reports whether there is nothing to tell.
func (d *Delivery) Empty() bool {
	return d.parts == nil && d.messages == nil && d.items == nil && d.more == nil && d.count == nil
}

// Fills reports whether the delivery is no entry's but brings what was read meanwhile, as of a position that members may have
// been told already.
func (d *Delivery) Fills() bool { return d.more != nil || d.count != nil }

// OfWindow reports whether the delivery tells of a window's members, not of one subscription that catches up.
func (d *Delivery) OfWindow() bool { return d.items != nil || d.more != nil }

// Windowed reports whether the query is a window.
func (q *Query) Windowed() bool { return q.window != nil }

// Counts reports whether the query is a count.
func (q *Query) Counts() bool { return q.counter != nil }

// Spare is how many rows beyond the first are read for a window.
func (q *Query) Spare() int {
	if q.window == nil {
		return 0
	}
	return q.window.spare()
}

// Limit is how many rows a window has, and its order.
func (q *Query) Limit() (int, []where.Order) { return q.window.limit, q.window.order }

// Keys calls yield with the key of each row that whoever takes the delivery may hold then, besides those that it held.
func (d *Delivery) Keys(yield func(key string)) {
	for _, p := range d.parts {
		if p.verdict == Create || p.verdict == Enter {
			yield(p.change.key)
		}
	}
	for _, i := range d.items {
		if i.verdict == Create || i.verdict == Enter {
			yield(i.row.key)
		}
	}
}
