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
	round      uint64 // counts calls of Match, see Entry.round
	plan       plan   // scratch of Add
}

// field holds the entries that a field's value leads to.
type field[E any] struct {
	equal  map[where.Value]slot[E] // nil when empty, since a map that has been large stays so
	ranges tree[E]
}

// Entry is one predicate's membership of an [Index], for [Index.Remove].
type Entry[E any] struct {
	element   E
	predicate *where.Predicate // nil once removed
	round     uint64           // the last round that found the entry, so that one of several places yields it
	exact     bool             // every row that is led here matches
	movable   bool             // it could stand elsewhere
	places    []place[E]       // where it stands; nowhere when it matches nothing
	first     [1]place[E]      // what places refers to when there is one, which saves an allocation
}

// place says where an entry stands. The zero node stands for the lists of the Index.
type place[E any] struct {
	node  *where.Node // a condition on the field
	span  *span[E]    // its interval; nil for equality
	value int32       // equality: which of the node's values, or null
	at    int32       // the position in the slot
}

// The values of place.value that are no position in node.Values.
const (
	valueNull      = -1 // with a node
	listResidual   = -2 // without
	listEverything = -3
)

// New returns an empty index for predicates and rows of the schema.
func New[E any](schema *where.Schema) *Index[E] {
	return &Index[E]{schema: schema, fields: make([]field[E], len(schema.Fields()))}
}

// Len returns how many entries there are.
func (x *Index[E]) Len() int { return x.count }

// Add puts a predicate, bound to the index's schema, and its element into the index. Nothing is shared: predicates that
// are equal are entries of their own.
func (x *Index[E]) Add(p *where.Predicate, e E) *Entry[E] {
	h := &Entry[E]{element: e, predicate: p, exact: exact(p.Node())}
	x.decide(p.Node())
	x.enter(h)
	x.count++
	x.reconsiderAround(h)
	return h
}

// Remove takes an entry out of the index that it was added to. Removing it again does nothing.
func (x *Index[E]) Remove(h *Entry[E]) {
	if h.predicate == nil {
		return
	}
	x.leave(h)
	x.count--
	var none E
	h.element, h.predicate = none, nil
}

// enter puts an entry where the plan says.
func (x *Index[E]) enter(h *Entry[E]) {
	h.movable = x.plan.movable
	h.places = h.first[:0]
	if n := len(x.plan.spots); n > 1 {
		h.places = make([]place[E], 0, n)
	}
	for i := range x.plan.spots {
		s := &x.plan.spots[i]
		m := member[E]{h, int32(len(h.places))}
		pl := place[E]{node: s.node, value: s.value}
		switch {
		case s.node == nil:
			pl.at = x.list(s.value).add(m)
		case s.ranged:
			pl.span, pl.at = x.fields[s.node.Field].ranges.add(&s.interval, m)
		default:
			pl.at = x.fields[s.node.Field].add(s.key(), m)
		}
		h.places = append(h.places, pl)
	}
}

// leave takes an entry out of all its places.
func (x *Index[E]) leave(h *Entry[E]) {
	for i := range h.places {
		pl := h.places[i] // read late: leaving one place may move the entry within another
		switch {
		case pl.node == nil:
			x.list(pl.value).remove(pl.at)
		case pl.span != nil:
			x.fields[pl.node.Field].ranges.remove(pl.span, pl.at)
		default:
			x.fields[pl.node.Field].remove(pl.key(), pl.at)
		}
	}
	h.places, h.first = nil, [1]place[E]{}
}

func (x *Index[E]) list(value int32) *slot[E] {
	if value == listEverything {
		return &x.everything
	}
	return &x.residual
}

func (pl *place[E]) key() where.Value { return valueAt(pl.node, pl.value) }

func valueAt(n *where.Node, value int32) where.Value {
	if value == valueNull {
		return where.Value{}
	}
	return n.Values[value]
}

func (f *field[E]) add(key where.Value, m member[E]) int32 {
	if f.equal == nil {
		f.equal = map[where.Value]slot[E]{}
	}
	s := f.equal[key]
	list := s.more
	at := s.add(m)
	if list == nil || s.more != list {
		f.equal[key] = s
	}
	return at
}

func (f *field[E]) remove(key where.Value, at int32) {
	s := f.equal[key]
	s.remove(at)
	if s.len() > 0 {
		return // of two or more, which stand in the list that the map's copy of the slot shares
	}
	delete(f.equal, key)
	if len(f.equal) == 0 {
		f.equal = nil
	}
}
