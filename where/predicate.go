package where

import "strings"

// Predicate is a [Where] that a schema has checked, in a normal form. It is immutable and safe for concurrent use. Only
// [Schema.Bind] and [Schema.BindClient] make useful ones; the zero value matches nothing.
type Predicate struct {
	schema *Schema
	root   *Node
}

// And returns the predicate that matches what both match. Predicates of different schemas have no rows in common: the
// result matches nothing, which keeps a mistake from showing rows to anybody.
func (p *Predicate) And(q *Predicate) *Predicate {
	if p.schema != q.schema || p.root == nil || q.root == nil {
		return &Predicate{schema: p.schema, root: constant(false)}
	}
	return &Predicate{schema: p.schema, root: combine(p.schema, OpAnd, []*Node{p.root, q.root})}
}

// Excludes tells whether it is plain that no row matches both: whether And would be a predicate that matches nothing. It does not
// allocate.
func (p *Predicate) Excludes(q *Predicate) bool {
	if p.schema != q.schema || p.root == nil || q.root == nil {
		return true
	}
	for _, n := range [...]*Node{p.root, q.root} {
		if everything, is := n.constant(); is && !everything {
			return true
		}
	}
	for _, a := range p.root.all() {
		for _, b := range q.root.all() {
			if a.Op == OpIn && b.Op == OpIn && a.Field == b.Field && a.excludes(b) {
				return true
			}
		}
	}
	return false
}

// all returns the conditions that must all be met.
func (n *Node) all() []*Node {
	if n.Op == OpAnd {
		return n.Kids
	}
	return []*Node{n}
}

// excludes tells whether no value meets both of two conditions of one field, each "one of a set" or "none of a set".
func (n *Node) excludes(m *Node) bool {
	if n.Not {
		n, m = m, n
	}
	if n.Not {
		return false
	}
	for _, v := range n.Values {
		if m.has(v) != m.Not {
			return false
		}
	}
	return true
}

// Match tells whether the row matches. It does not allocate.
func (p *Predicate) Match(r Row) bool {
	return p.root != nil && p.root.match(r, nil)
}

// Possible tells whether the row could match, whatever the fields that are not known hold: it is false only if no value
// of theirs makes the row match. A nil known knows every field. It may be true without need, for it looks at each
// condition alone.
func (p *Predicate) Possible(r Row, known func(field int) bool) bool {
	return p.root != nil && p.root.match(r, known)
}

// String returns the predicate as canonical JSON of the filter language. Predicates of one schema with the same string
// match the same rows, and filters that differ only in order, nesting, repetition, or in how they say one condition
// have the same string. [ParseJSON], given Limits enough, reads it back.
func (p *Predicate) String() string { return p.node().text }

// Node returns the normalised tree, for building an index over predicates. It must not be changed.
func (p *Predicate) Node() *Node { return p.node() }

func (p *Predicate) node() *Node {
	if p.root == nil {
		return constant(false)
	}
	return p.root
}

// match evaluates the node. Conditions on fields that are not known count as met; since negations stand only at the
// conditions, that can only make more rows match.
func (n *Node) match(r Row, known func(field int) bool) bool {
	switch n.Op {
	case OpAnd:
		for _, kid := range n.Kids {
			if !kid.match(r, known) {
				return false
			}
		}
		return true
	case OpOr:
		for _, kid := range n.Kids {
			if kid.match(r, known) {
				return true
			}
		}
		return false
	}
	if known != nil && !known(n.Field) {
		return true
	}
	return n.holds(r.at(n.Field)) != n.Not
}

// holds evaluates a condition, before its negation.
func (n *Node) holds(v Value) bool {
	if n.Op == OpIn {
		return n.has(v)
	}
	operand := &n.Values[0]
	if v.kind != operand.kind { // a null
		return false
	}
	switch n.Op {
	case OpLt:
		return v.Compare(*operand) < 0
	case OpLte:
		return v.Compare(*operand) <= 0
	case OpGt:
		return v.Compare(*operand) > 0
	case OpGte:
		return v.Compare(*operand) >= 0
	case OpContains:
		return strings.Contains(v.text, operand.text)
	case OpIContains:
		return n.fold.in(v.text)
	}
	return strings.HasPrefix(v.text, operand.text)
}
