package livequery

import (
	"encoding/json"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Verdict is what a change means to one query.
type Verdict uint8

// The verdicts. Unknown says that nobody here knows whether members that resumed hold the row; Doubt, that nobody here
// knows what the row is now; Bulk, that many rows may have changed and nobody here knows which.
const (
	Nothing Verdict = iota
	Create
	Enter
	Update
	Leave
	Delete
	Unknown
	Doubt
	Bulk
	verdicts
)

var ops = [verdicts]string{Create: "create", Enter: "enter", Update: "update", Leave: "leave", Delete: "delete"}

// Entry is one entry of the log as this hub resolved it.
type Entry struct {
	Position broker.Position
	Changes  []*Change
	Messages []record.Message
	// Recheck names callers whose rights changed.
	Recheck []string
	// Unreadable says that the entry could not be decoded: whatever it changed, nobody here knows.
	Unreadable bool
	// Size is the length of the entry on the log, in bytes.
	Size int
	// Followed is when this hub followed the entry; zero when it did not, or when nobody watches.
	Followed observe.Moment
}

// Streams yields each stream that the entry changed, once.
func (e *Entry) Streams() iter.Seq[*Stream] {
	return func(yield func(*Stream) bool) {
		var seen []*Stream
		for _, c := range e.Changes {
			if slices.Contains(seen, c.stream) {
				continue
			}
			seen = append(seen, c.stream)
			if !yield(c.stream) {
				return
			}
		}
	}
}

// Change is one record of an entry, with what the stream knew of the row when it came by.
type Change struct {
	stream  *Stream
	key     string
	version []byte // as JSON
	number  *int64 // the model's own version
	after   *int64 // the version to which it names what changed, nil when that is not known
	op      record.Op
	values  []json.RawMessage // nil when the row is gone
	changed []bool            // by field; nil when not known
	// was is the row before, as far as predicates see it, nil when it did not exist. When the publisher, this hub and lists
	// differ on what it was, others are the further ones: all were true once, and a member may hold the row by any.
	was    where.Row
	others []where.Row
	now    where.Row
	// wasUnknown says that neither the publisher nor this hub knows what the row was.
	wasUnknown bool
	// listed says that was is what only a list showed.
	listed bool
	// contiguous says that the row was just what members hold, so the changed fields alone bring them up to date.
	contiguous bool
	// list is the number of the list that alone has shown what the row was, where it is contiguous to that: only who was given that list, or a later
	// one, is brought up to date. Zero when the log told it, too.
	list uint64
	// stale says that a newer version went by before; now is that newer one.
	stale bool
	// again says that the row is said to be what members hold of it already, for who does not know it.
	again bool
	// doubtful says that versions do not tell what the row is now: members that might see it must look.
	doubtful bool
	// private says that it was resolved for one subscription, without what the stream knows.
	private  bool
	mutation string
	by       json.RawMessage // who made it, nil when that is not known
	// silent says by view where an update changes nothing that the view shows, its version included; nil for nowhere.
	silent []bool
	// fragments are the change as it stands in messages, as far as it was encoded.
	fragments atomic.Pointer[fragment]
	// bulk is set in place of all these when any row that it matches may have changed.
	bulk *where.Predicate
}

// fragment is a change as it stands in the messages of one view that tell of one verdict.
type fragment struct {
	view    *View
	verdict Verdict
	data    []byte
	next    *fragment // set before the others see it
}

// encoded returns the change as it was encoded, if it was.
func (c *Change) encoded(view *View, v Verdict) []byte {
	for f := c.fragments.Load(); f != nil; f = f.next {
		if f.view == view && f.verdict == v {
			return f.data
		}
	}
	return nil
}

// outrank gives a delete the log's version in place of the model's, which no client holds to be older than its own. A delete
// may name an older version than the row had in the end, for its publisher may have loaded it long before. Where it is not known what
// the row was before, whoever holds it by a newer one must be told no less that it is gone.
func (c *Change) outrank(at broker.Position) { c.version = versionOf(nil, at.String()) }

// judge tells what the change means, given whether a predicate matches what the row was and is. This is the truth table of
// the delivery contract.
func (c *Change) judge(was, other, now bool) Verdict {
	seen := was || other
	switch {
	case c.doubtful && (seen || now):
		return Doubt
	case c.stale && now:
		return Nothing // the newer version has been told already to those who see it
	case seen && !now:
		if c.op == record.Delete && !c.stale {
			return Delete
		}
		return Leave
	case c.wasUnknown && !now:
		return Unknown
	case !now:
		return Nothing
	case !seen && c.op == record.Create:
		return Create
	case was && c.again:
		return Nothing
	case was && c.contiguous:
		return Update
	}
	return Enter
}

// matches tells which of the change's rows a predicate matches.
func (c *Change) matches(p *where.Predicate) (was, other, now bool) { return c.seen(p.Match) }

// seen tells which of the change's rows a subscription may hold.
func (c *Change) seen(match func(where.Row) bool) (was, other, now bool) {
	holds := func(row where.Row) bool { return row != nil && match(row) }
	return holds(c.was), slices.ContainsFunc(c.others, holds), holds(c.now)
}

// verdict judges the change for one predicate.
func (c *Change) verdict(p *where.Predicate) Verdict {
	if c.bulk != nil {
		return c.overlap(p)
	}
	return c.judge(c.matches(p))
}

// overlap tells what a bulk change means to a predicate: nothing only if no row can match both.
func (c *Change) overlap(p *where.Predicate) Verdict {
	if p.Excludes(c.bulk) {
		return Nothing
	}
	return Bulk
}

// within returns what a verdict comes to for those who see a view: an update may have nothing for them.
func (c *Change) within(view *View, v Verdict) Verdict {
	if v == Update && c.silent != nil && c.silent[view.number] {
		return Nothing
	}
	return v
}

// fragment returns the change as it stands in a message, encoded once for each view and verdict.
func (c *Change) fragment(view *View, v Verdict) []byte {
	if b := c.encoded(view, v); b != nil {
		return b
	}
	f := &fragment{view: view, verdict: v, data: c.encode(view, v)}
	for {
		f.next = c.fragments.Load()
		if c.fragments.CompareAndSwap(f.next, f) {
			return f.data
		}
		if b := c.encoded(view, v); b != nil { // another shard was faster: share its bytes
			return b
		}
	}
}

func (c *Change) encode(view *View, v Verdict) []byte {
	var values []json.RawMessage
	var only []bool
	switch v {
	case Create, Enter:
		values = c.values
	case Update:
		values, only = c.values, c.changed
	}
	size := 64 + len(c.key) + len(c.version) + len(c.mutation) + len(c.by)
	for i := range values {
		if only == nil || only[i] {
			size += len(values[i]) + len(view.schema.Fields[i].quoted) + 1
		}
	}
	b := view.AppendRow(make([]byte, 0, size), ops[v], c.key, c.version, values, only)
	if c.mutation != "" {
		b = append(b[:len(b)-1], `,"mutation":`...)
		b = append(wire.AppendString(b, c.mutation), '}')
	}
	return slices.Clip(appendBy(b, c.by))
}

// appendBy adds to an item who made the change, if that is known.
func appendBy(b []byte, by json.RawMessage) []byte {
	if by == nil {
		return b
	}
	b = append(b[:len(b)-1], `,"by":`...)
	return append(append(b, by...), '}')
}
