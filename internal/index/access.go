package index

import (
	"slices"

	"github.com/swampline/live/where"
)

// plan says where an entry is to stand.
type plan struct {
	spots   []spot
	movable bool // there was a choice
	blurred bool // rows are led to an interval that are not in it
}

// spot is a place to be taken: an interval, a value, or without a node one of the index's lists.
type spot struct {
	node     *where.Node
	value    int32 // as in place
	interval interval
}

func (s *spot) key() where.Value { return valueAt(s.node, s.value) }

// option describes one way to lead rows to a condition.
type option struct {
	kind optionKind
	size int // how many entries stand there already: what rows would visit beside this one
	// of is how many places there are of which rows visit one. Of two equally crowded ways, the one with more is visited
	// by fewer rows.
	of float64
	// paid says that rows go the way anyhow, for others: intervals of the field stand in the tree.
	paid bool
}

type optionKind uint8

const (
	never   optionKind = iota // no row meets the condition, so nothing need stand anywhere
	equal                     // values
	between                   // intervals with two ends
	wide                      // intervals with one end or none: many rows are in them
	no                        // the condition leads nowhere
)

// tolerance is how many times more crowded the usually better way must be to be given up. With less, predicates that
// differ only in conditions that lead nowhere would be spread over all the others, and rows visit all of those.
const tolerance = 4

// few is how many vain visits beside cost less than the way through a tree that is not there yet.
const few = 4

// better tells whether o promises fewer vain visits than p.
func (o option) better(p option) bool {
	switch {
	case o.kind == p.kind:
		if o.size > tolerance*p.size || p.size > tolerance*o.size {
			return o.size < p.size
		}
		return o.of > p.of
	case o.kind == between && p.kind == equal:
		return p.size > tolerance*o.size+few || o.paid && p.size > tolerance*o.size
	case o.kind == equal && p.kind == between:
		return !p.better(o)
	}
	return o.kind < p.kind
}

// decide makes the plan for a predicate.
func (x *Index[E]) decide(root *where.Node) {
	clear(x.plan.spots)
	x.plan = plan{spots: x.plan.spots[:0]}
	switch {
	case root.Op == where.OpAnd && len(root.Kids) == 0:
		x.plan.spots = append(x.plan.spots, spot{value: listEverything})
	case !x.choose(root):
		x.plan.spots = append(x.plan.spots[:0], spot{value: listResidual})
		x.plan.movable = false
	}
}

// choose adds the spots of a node to the plan, and returns false if it has none.
func (x *Index[E]) choose(n *where.Node) bool {
	switch {
	case n.Op == where.OpOr:
		for _, kid := range n.Kids {
			if !x.choose(kid) {
				return false
			}
		}
		return true
	case n.Op == where.OpAnd:
		return x.chooseOne(n)
	case n.Op == where.OpIn && !n.Not:
		for i := range n.Values {
			x.plan.spots = append(x.plan.spots, spot{node: n, value: int32(i)})
		}
		return true
	}
	return x.chooseRange(n.Field, n)
}

// chooseOne adds the spots of the best of several conditions that must all be met.
func (x *Index[E]) chooseOne(n *where.Node) bool {
	kids := n.Kids
	at, ways, best := -1, 0, option{kind: no}
	for i, kid := range kids {
		if isRange(kid) && slices.ContainsFunc(kids[:i], func(k *where.Node) bool { return isRange(k) && k.Field == kid.Field }) {
			continue // part of the interval that was judged already
		}
		o := x.judge(kid, n)
		if o.kind == no {
			continue
		}
		ways++
		if at < 0 || o.better(best) {
			at, best = i, o
		}
	}
	if at < 0 {
		return false
	}
	x.plan.movable = x.plan.movable || ways > 1
	if isRange(kids[at]) {
		return x.chooseRange(kids[at].Field, n)
	}
	return x.choose(kids[at])
}

func (x *Index[E]) chooseRange(field int, node *where.Node) bool {
	r, ok := x.rangeOf(field, node)
	if !ok {
		return false
	}
	if !x.fields[field].vain(&r.interval) {
		x.plan.spots = append(x.plan.spots, spot{node: node, value: int32(intervals - field), interval: r.interval})
		x.plan.blurred = x.plan.blurred || x.fields[field].blurred(&r.interval)
	}
	if r.null {
		x.plan.spots = append(x.plan.spots, spot{node: r.node, value: valueNull})
	}
	return true
}

// judge describes what choose would do with one of the conditions of an AND.
func (x *Index[E]) judge(n *where.Node, among *where.Node) option {
	switch {
	case n.Op == where.OpOr:
		return x.judgeOr(n.Kids)
	case n.Op == where.OpAnd:
		return x.judgeAnd(n)
	case n.Op == where.OpIn && !n.Not:
		f := &x.fields[n.Field]
		o := option{kind: equal, of: float64(f.values()) / float64(len(n.Values))}
		for _, v := range n.Values {
			s := f.at(v)
			o.size += s.len()
		}
		return o
	}
	return x.judgeRange(n.Field, among)
}

func (x *Index[E]) judgeOr(kids []*where.Node) option {
	var o option
	for _, kid := range kids {
		k := x.judge(kid, kid)
		if k.kind == never {
			continue
		}
		if o.kind == never || k.of < o.of {
			o.of = k.of
		}
		o.paid = k.kind <= o.kind && o.paid || k.kind >= o.kind && k.paid
		o.kind = max(o.kind, k.kind)
		o.size += k.size
	}
	o.of /= float64(len(kids))
	return o
}

func (x *Index[E]) judgeAnd(n *where.Node) option {
	best := option{kind: no}
	for _, kid := range n.Kids {
		if o := x.judge(kid, n); o.better(best) {
			best = o
		}
	}
	return best
}

func (x *Index[E]) judgeRange(field int, node *where.Node) option {
	r, ok := x.rangeOf(field, node)
	if !ok {
		return option{kind: no}
	}
	f := &x.fields[field]
	var o option
	if r.null {
		o = option{kind: equal, size: f.null.len()}
	}
	switch i := &r.interval; {
	case f.vain(i):
	case i.low.IsNull() || i.high.IsNull():
		o.kind = wide
	default:
		o.kind, o.paid = between, f.ranged()
		o.size += f.estimate(i)
	}
	return o
}

const (
	crowded         = 16 // how many neighbours make one look for a better place
	reconsiderLimit = 8  // how many neighbours one Add reconsiders at most
)

// reconsiderAround gives some neighbours of a new entry, where it is crowded, the chance to move. Each place remembers
// whom it asked last, so that by the time that a place has doubled, everybody there has been asked: what an Add costs
// stays bounded, and no place stays crowded with entries that have a better one.
//
// An entry that stands under an interval also asks those that stand under a value that it might have stood under: they
// came before others made the way through the tree worth while.
func (x *Index[E]) reconsiderAround(h *Entry[E]) {
	asked := 0
	for i := 0; i < h.places() && asked < reconsiderLimit; i++ {
		pl := *h.place(int32(i))
		switch {
		case pl.node == nil:
		case pl.value > intervals:
			asked += x.ask(h, pl.node.Field, pl.key(), crowded)
		case h.movable:
			for n := range conditions(pl.node) {
				if n.Op == where.OpIn && !n.Not && len(n.Values) == 1 && asked < reconsiderLimit {
					asked += x.ask(h, n.Field, n.Values[0], 0)
				}
			}
		}
	}
}

// ask has two of those who stand under a value reconsidered, if they are more than so many, and returns how many it asked.
func (x *Index[E]) ask(h *Entry[E], field int, v where.Value, many int) (asked int) {
	for range 2 {
		s := x.fields[field].at(v)
		if s.len() <= many {
			break
		}
		neighbour := s.one.entry
		if s.more != nil {
			s.more.next++
			s.more.next %= len(s.more.members)
			neighbour = s.more.members[s.more.next].entry
		}
		if neighbour != h {
			x.reconsider(neighbour)
			asked++
		}
	}
	return asked
}

// reconsider moves an entry if it would be put elsewhere now.
func (x *Index[E]) reconsider(h *Entry[E]) {
	if !h.movable {
		return
	}
	x.decide(h.predicate.Node())
	same := len(x.plan.spots) == h.places()
	for i := 0; same && i < h.places(); i++ {
		s, pl := &x.plan.spots[i], h.place(int32(i))
		same = s.node == pl.node && s.value == pl.value
	}
	if !same {
		x.leave(h)
		x.enter(h)
	}
}

// exact tells whether every row that is led to the node's spots matches the node.
func exact(n *where.Node) bool {
	switch n.Op {
	case where.OpOr:
		return !slices.ContainsFunc(n.Kids, func(kid *where.Node) bool { return !exact(kid) })
	case where.OpAnd:
		return !slices.ContainsFunc(n.Kids, func(kid *where.Node) bool {
			return !isRange(kid) || !exact(kid) || kid.Field != n.Kids[0].Field
		})
	case where.OpIn:
		return !n.Not
	}
	return isRange(n) && n.Op != where.OpStartsWith
}
