package where

import (
	"strconv"
	"strings"
)

// Explain tells whether the row matches, and if it does not, in words, the first condition that stopped it and what the row has
// there: "owner_id = 7, and the row has 9". Of an OR it names the alternative that comes closest. The sentence is for people who
// look for a mistake, and may change. It holds the row's values, hidden fields' too: it is not for every client.
func (p *Predicate) Explain(r Row) (ok bool, why string) {
	if p.root == nil {
		return false, "it matches no row"
	}
	if p.root.match(r, nil) {
		return true, ""
	}
	return false, p.root.why(p.schema, r)
}

// why words what stopped a row that does not match.
func (n *Node) why(s *Schema, r Row) string {
	switch {
	case n.Op == OpAnd:
		for _, kid := range n.Kids {
			if !kid.match(r, nil) {
				return kid.why(s, r)
			}
		}
	case n.Op == OpOr && len(n.Kids) == 0:
		return "it matches no row"
	case n.Op == OpOr:
		closest, least := n.Kids[0], n.Kids[0].missing(r)
		for _, kid := range n.Kids[1:] {
			if m := kid.missing(r); m < least {
				closest, least = kid, m
			}
		}
		return "none of " + strconv.Itoa(len(n.Kids)) + " alternatives, the closest: " + closest.why(s, r)
	}
	return n.say(s) + ", and the row has " + clip(r.at(n.Field).String())
}

// missing counts the conditions that would have to change for the row to match.
func (n *Node) missing(r Row) int {
	switch {
	case n.match(r, nil):
		return 0
	case n.Op == OpAnd:
		sum := 0
		for _, kid := range n.Kids {
			sum += kid.missing(r)
		}
		return sum
	case n.Op == OpOr:
		least := n.Kids[0].missing(r) // an empty one stands only at the root
		for _, kid := range n.Kids[1:] {
			least = min(least, kid.missing(r))
		}
		return least
	}
	return 1
}

// listed is how many values of an IN are named.
const listed = 5

// say words a condition.
func (n *Node) say(s *Schema) string {
	field := s.fields[n.Field].Name
	value := clip(n.Values[0].String())
	if n.Op != OpIn {
		said := field + " " + [...]string{
			OpLt: "<", OpLte: "<=", OpGt: ">", OpGte: ">=",
			OpContains: "contains", OpIContains: "icontains", OpStartsWith: "startswith",
		}[n.Op] + " " + value
		if n.Not {
			said = "not " + said
		}
		return said
	}
	if len(n.Values) == 1 {
		return field + map[bool]string{false: " = ", true: " != "}[n.Not] + value
	}
	var values []string
	for _, v := range n.Values[:min(listed, len(n.Values))] {
		values = append(values, clip(v.String()))
	}
	if more := len(n.Values) - len(values); more > 0 {
		values = append(values, strconv.Itoa(more)+" more")
	}
	return field + map[bool]string{false: " in (", true: " not in ("}[n.Not] + strings.Join(values, ", ") + ")"
}
