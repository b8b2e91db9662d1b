// Package index finds which of up to a million standing predicates a changed row concerns, at a cost that follows the
// predicates that it does concern and not those that exist.
//
// # How
//
// A row can only match a predicate if it meets some condition of it. So each predicate stands where a row that meets one
// chosen condition is led to: under a value of a field (equality, IN, IS NULL), or under an interval of a field (less,
// greater, startswith). A row visits, field by field, the place of its own value and the intervals around that value, and
// evaluates what it finds there. Where the condition is the whole predicate there is nothing left to evaluate.
//
// An OR stands under each of its branches, an AND under the branch that promises the fewest vain visits: the index
// compares how crowded the places are at this moment, and reconsiders the inhabitants of a crowded place as it grows, so
// that neither a tenant that all predicates name nor an unlucky order of arrival turns the index into a scan.
//
// Only predicates that name no such condition (contains, negated equality) are evaluated for every row.
package index

import "github.com/swampline/live/where"

// Index is a set of predicates with an element for each. It is not safe for concurrent use: [Index.Match] writes, too.
type Index[E any] struct {
	schema     *where.Schema
	fields     []field[E]
	everything slot[E] // predicates that match every row
	residual   slot[E] // predicates that no condition leads to
	count      int
	round      uint64 // counts calls of Match, see spread.round
	plan       plan   // scratch of Insert
}

// Entry is one predicate's membership of an [Index], for [Index.Remove]. The zero value is none yet.
type Entry[E any] struct {
	element   E
	predicate *where.Predicate // nil unless it is a member
	exact     bool             // every row that is led here matches
	movable   bool             // it could stand elsewhere
	first     place            // where it stands, when there is one place
	spread    *spread          // where it stands, when there are several; none when it matches nothing
}

// spread is the places of an entry that stands in several, or in none.
type spread struct {
	round  uint64 // the last round that found the entry, so that one of several places yields it
	places []place
}

// place says where an entry stands. The zero node stands for the lists of the Index.
type place struct {
	node  *where.Node // a condition on the field; for an interval, the node whose conditions leave it
	value int32       // which of the node's values, or one of those below
	at    int32       // the position in the slot
}

// The values of place.value that are no position in node.Values.
const (
	valueNull      = -1 // with a node
	listResidual   = -2 // without
	listEverything = -3
	intervals      = -4 // and less: of the field of this number less so many
)

// New returns an empty index for predicates and rows of the schema.
func New[E any](schema *where.Schema) *Index[E] {
	x := &Index[E]{schema: schema}
	for _, f := range schema.Fields() {
		x.fields = append(x.fields, newField[E](f))
	}
	return x
}

// Len returns how many entries there are.
func (x *Index[E]) Len() int { return x.count }

// Add puts a predicate, bound to the index's schema, and its element into the index. Nothing is shared: predicates that
// are equal are entries of their own.
func (x *Index[E]) Add(p *where.Predicate, e E) *Entry[E] {
	h := &Entry[E]{}
	x.Insert(h, p, e)
	return h
}

// Insert is Add with an entry that the caller has room for, in its element say: it is a member of no index yet, and must not
// be copied while it is.
func (x *Index[E]) Insert(h *Entry[E], p *where.Predicate, e E) {
	*h = Entry[E]{element: e, predicate: p}
	x.decide(p.Node())
	x.enter(h)
	x.count++
	x.reconsiderAround(h)
}

// Remove takes an entry out of the index that it was added to. Removing it again does nothing.
func (x *Index[E]) Remove(h *Entry[E]) {
	if h.predicate == nil {
		return
	}
	x.leave(h)
	x.count--
	*h = Entry[E]{}
}

// places is how many places an entry has.
func (h *Entry[E]) places() int {
	if h.spread != nil {
		return len(h.spread.places)
	}
	return 1
}

func (h *Entry[E]) place(i int32) *place {
	if h.spread != nil {
		return &h.spread.places[i]
	}
	return &h.first
}

// enter puts an entry where the plan says.
func (x *Index[E]) enter(h *Entry[E]) {
	h.movable, h.exact = x.plan.movable, exact(h.predicate.Node()) && !x.plan.blurred
	if n := len(x.plan.spots); n != 1 {
		h.spread = &spread{places: make([]place, n)}
	}
	for i := range x.plan.spots {
		s, m := &x.plan.spots[i], member[E]{h, int32(i)}
		pl := h.place(int32(i))
		pl.node, pl.value = s.node, s.value
		switch {
		case s.node == nil:
			pl.at = x.list(s.value).add(m)
		case s.value <= intervals:
			pl.at = x.fields[intervals-s.value].addRange(&s.interval, m)
		default:
			pl.at = x.fields[s.node.Field].add(s.key(), m)
		}
	}
}

// leave takes an entry out of all its places.
func (x *Index[E]) leave(h *Entry[E]) {
	for i := range h.places() {
		pl := *h.place(int32(i)) // read late: leaving one place may move the entry within another
		switch {
		case pl.node == nil:
			x.list(pl.value).remove(pl.at)
		case pl.value <= intervals:
			field := int(intervals - pl.value)
			r, _ := x.rangeOf(field, pl.node)
			x.fields[field].removeRange(&r.interval, pl.at)
		default:
			x.fields[pl.node.Field].remove(pl.key(), pl.at)
		}
	}
	h.first, h.spread = place{}, nil
}

func (x *Index[E]) list(value int32) *slot[E] {
	if value == listEverything {
		return &x.everything
	}
	return &x.residual
}

func (pl *place) key() where.Value { return valueAt(pl.node, pl.value) }

func valueAt(n *where.Node, value int32) where.Value {
	if value == valueNull {
		return where.Value{}
	}
	return n.Values[value]
}
