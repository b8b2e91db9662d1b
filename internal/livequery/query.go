package livequery

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/index"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
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

	// Caller holds the values of the request of the caller who came last: for reading rows that all callers share.
	Caller context.Context
	// Asked is what a subscription to it asked for, for others that asked for the same to share; nil before.
	Asked atomic.Pointer[wire.Ask]

	// What a change that concerns the query reads and writes stands together: of a million queries it is in no cache.
	entry index.Entry[*Query]
	// telling is what the entry that is being matched means to the query so far.
	telling *Delivery
	// since is the position from which on this query's verdicts are complete; touched is that of the last entry that
	// concerned it; primed is nil until a list was loaded here. All guarded by the stream's (or channels') lock.
	touched, since broker.Position
	primed         *priming
	window         *Window  // nil unless it is limited
	counter        *counter // nil unless rows are counted
	members        members

	stream  *Stream // nil for a channel
	channel string
	refs    int
	idle    *idler // while nobody refers to it
	// other is a further query of the predicate.
	other *Query
}

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
	// Stranger is the number of who joins a window with other rows, perhaps, than its members have; zero of who has the same. Strangers says that
	// the delivery is for strangers up to that number, and for nobody else; see strangers.
	Stranger, Strangers uint64

	cursor string // the position as clients hold it; empty when nobody needed it yet
	parts  []part
	first  [1]part // what parts refers to while there is one
	items  []item  // of a window
	more   *bool   // of a window: whether rows are beyond it
	whole  bool    // of a window: no other rows than those of items are in it
	count  *int64  // of a counter
	// messages are a channel's, as they stand in the entry.
	messages []*record.Message
	once     sync.Once
	frame    *transport.Frame
	made     atomic.Pointer[made]
}

// made is what somebody else than this module's own protocol makes of a delivery.
type made struct {
	form string
	what any
	next *made // set before the others see it
}

// Made returns what is made of the delivery in a form: what make returned, which is called once for each form, or a few times where several
// shards need it at once; then all are given one. Nobody may modify it.
func (d *Delivery) Made(form string, make func() any) any {
	if what := d.found(form); what != nil {
		return what
	}
	m := &made{form: form, what: make()}
	for {
		m.next = d.made.Load()
		if d.made.CompareAndSwap(m.next, m) {
			return m.what
		}
		if what := d.found(form); what != nil {
			return what
		}
	}
}

func (d *Delivery) found(form string) any {
	for m := d.made.Load(); m != nil; m = m.next {
		if m.form == form {
			return m.what
		}
	}
	return nil
}

// Messages are what was published on a channel. Nobody may modify them.
func (d *Delivery) Messages() []*record.Message { return d.messages }

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
	cursor := d.cursor
	if cursor == "" {
		cursor = d.Position.String()
	}
	if d.Query.stream == nil {
		var room [4][]byte
		items := room[:0]
		for _, m := range d.messages {
			items = append(items, m.Data)
		}
		return wire.ChannelMessage(name, cursor, items...)
	}
	if d.count != nil {
		return wire.Count(name, cursor, *d.count)
	}
	var room [4][]byte
	items := room[:0]
	for _, p := range d.parts {
		items = append(items, p.change.fragment(d.Query.View, p.verdict))
	}
	for _, i := range d.items {
		items = append(items, i.append(nil, d.Query))
	}
	if d.whole {
		return wire.Whole(name, cursor, *d.more, items...)
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
		if d.parts == nil {
			d.parts = d.first[:0]
		}
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

// Count is how many rows the query has, for one that counts.
func (d *Delivery) Count() int64 { return *d.count }

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
