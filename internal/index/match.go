package index

import "github.com/swampline/live/where"

// Match calls yield once for each element whose predicate matches the row was or the row now, and says which of the
// two, in no order. Either row may be nil: it did not, or does not, exist. A predicate that matches neither is not
// yielded. The index must not be used by yield.
//
// Match does not allocate.
func (x *Index[E]) Match(was, now where.Row, yield func(e E, was, now bool)) {
	if was == nil && now == nil {
		return
	}
	x.round++
	q := query[E]{was: was, now: now, round: x.round, yield: yield}
	q.visit(&x.everything, was != nil, now != nil)
	q.visit(&x.residual, was != nil, now != nil)
	for i := range x.fields {
		f := &x.fields[i]
		if f.empty() {
			continue
		}
		q.oldValue, q.newValue = at(was, i), at(now, i)
		q.unchanged = was != nil && now != nil && q.oldValue == q.newValue
		q.equal(f)
		q.between(f)
	}
}

func at(r where.Row, field int) where.Value {
	if field >= len(r) {
		return where.Value{}
	}
	return r[field]
}

// query is one call of Match.
type query[E any] struct {
	was, now where.Row
	round    uint64
	yield    func(e E, was, now bool)

	// In the field that is looked at:
	oldValue, newValue where.Value
	unchanged          bool // both rows exist and hold the same value, so that one visit serves both
}

// equal visits the entries that stand under the field's values.
func (q *query[E]) equal(f *field[E]) {
	if q.was != nil {
		s := f.at(q.oldValue)
		q.visit(&s, true, q.unchanged)
	}
	if q.now != nil && !q.unchanged {
		s := f.at(q.newValue)
		q.visit(&s, false, true)
	}
}

// between visits the entries that stand under intervals around the field's values.
func (q *query[E]) between(f *field[E]) {
	if !f.ranged() {
		return
	}
	old, new := q.was != nil && !q.oldValue.IsNull(), q.now != nil && !q.newValue.IsNull()
	if f.text {
		around(q, &f.texts.ranges, old, q.oldValue.Text(), new, q.newValue.Text())
	} else {
		around(q, &f.numbers.ranges, old, q.oldValue.Number(), new, q.newValue.Number())
	}
}

func around[K key, E any](q *query[E], t *tree[K, E], old bool, was K, new bool, now K) {
	if old {
		stab(q, t.root, t.end, was, true, new, now)
	}
	if new && !q.unchanged {
		stab(q, t.root, t.end, now, false, old, was)
	}
}

// stab visits the entries beneath a node whose intervals contain v, the old value or the new one. An interval that also
// contains the other one, if there is one, is visited with the old one.
func stab[K key, E any](q *query[E], n *node[K, E], end, v K, old, both bool, other K) {
	for i := 0; i < n.n && n.low[i] <= v; i++ {
		if !before(v, n.high[i], end) {
			continue
		}
		if n.kids != nil {
			stab(q, n.kids.node[i], end, v, old, both, other)
			continue
		}
		if both := both && n.low[i] <= other && before(other, n.high[i], end); old || !both {
			q.visit(&n.slots[i], old, !old || both)
		}
	}
}

// visit looks at the entries to which the rows, or one of them, have led.
func (q *query[E]) visit(s *slot[E], was, now bool) {
	if s.more != nil {
		for _, m := range s.more.members {
			q.found(m.entry, was, now)
		}
	} else if s.one.entry != nil {
		q.found(s.one.entry, was, now)
	}
}

// found yields an entry, if it matches.
func (q *query[E]) found(h *Entry[E], was, now bool) {
	several := h.spread != nil
	if several {
		if h.spread.round == q.round {
			return
		}
		h.spread.round = q.round
	}
	// A row that does not lead here can match only if it leads to another place of the entry's.
	was = was && h.exact || (was || several && q.was != nil) && h.predicate.Match(q.was)
	now = now && h.exact || (now || several && q.now != nil) && h.predicate.Match(q.now)
	if was || now {
		q.yield(h.element, was, now)
	}
}
