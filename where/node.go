package where

import (
	"slices"
	"strings"
)

// Op says what a [Node] does.
type Op uint8

// The operations of nodes. Only OpAnd and OpOr have Kids; the others have Field and Values and may be negated by Not.
const (
	OpAnd        Op = iota // all of Kids match; without Kids: everything
	OpOr                   // one of Kids matches; without Kids: nothing
	OpIn                   // the field equals one of Values, which may hold null; eq, ne and isnull are this, too
	OpLt                   // the field is less than Values[0]; never a null, as for all that follow
	OpLte                  // the field is less than or equal to Values[0]
	OpGt                   // the field is greater than Values[0]
	OpGte                  // the field is greater than or equal to Values[0]
	OpContains             // the text holds Values[0]
	OpIContains            // the text holds Values[0] under simple case folding
	OpStartsWith           // the text begins with Values[0]
)

// opLookups names the lookup that says the operation in a filter. OpIn has several.
var opLookups = [...]lookup{
	OpIn: lookupIn, OpLt: lookupLt, OpLte: lookupLte, OpGt: lookupGt, OpGte: lookupGte,
	OpContains: lookupContains, OpIContains: lookupIContains, OpStartsWith: lookupStartsWith,
}

// Node is one node of a normalised predicate: negations stand only at conditions; an OpAnd or OpOr has no kid of its own
// kind, no kid twice, and at most one OpIn per field; Values are sorted and unique, and not empty; everything and nothing
// stand only at the root. Nodes are shared: they must not be changed.
type Node struct {
	Op     Op
	Not    bool // the condition is negated; never set for OpAnd and OpOr
	Field  int  // the field's index in the schema
	Values []Value
	one    [1]Value // what Values refers to while there is one: what a match reads lies together
	Kids   []*Node

	args  []any   // SQL arguments that Field.Arg gave for Values; nil without Arg
	fold  *folded // OpIContains: the operand, prepared
	label string  // the name under which the condition stands in an object: "title__contains"
	text  string  // canonical JSON of the filter
}

// item is a value with the argument that Field.Arg made of it.
type item struct {
	value Value
	arg   any
}

func constant(everything bool) *Node {
	if everything {
		return &Node{Op: OpAnd, text: "{}"}
	}
	return &Node{Op: OpOr, text: "[]"}
}

func (n *Node) constant() (everything, is bool) {
	return n.Op == OpAnd, n.Op <= OpOr && len(n.Kids) == 0
}

// in returns the condition that the field equals one of items, or none of them.
func in(s *Schema, field int, items []item, not bool) *Node {
	if len(items) == 0 {
		return constant(not)
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b item) int { return a.value.Compare(b.value) })
	items = slices.CompactFunc(items, func(a, b item) bool { return a.value == b.value })
	n := &Node{Op: OpIn, Field: field, Not: not}
	n.setItems(items, s.fields[field].Arg != nil)
	name := s.fields[field].Name
	value := items[0].value
	switch {
	case len(items) > 1:
		list := []byte{'['}
		for i, it := range items {
			if i > 0 {
				list = append(list, ',')
			}
			list = it.value.AppendJSON(list)
		}
		n.write(name, lookupIn, string(append(list, ']')))
	case not:
		// "ne" says the negation itself.
		n.name(name+"__"+lookupNe.String(), value.String())
	case value.kind == Opaque && (value.text[0] == '{' || value.text[0] == '['):
		n.write(name, lookupEq, value.String()) // a bare object would be one of lookups
	default:
		n.name(name, value.String())
	}
	return n
}

// comparison returns any other condition.
func comparison(s *Schema, field int, op Op, it item, not bool) *Node {
	n := &Node{Op: op, Field: field, Not: not}
	n.setItems([]item{it}, s.fields[field].Arg != nil)
	if op == OpIContains {
		f := fold(it.value.text)
		n.fold = &f
	}
	n.write(s.fields[field].Name, opLookups[op], it.value.String())
	return n
}

func (n *Node) setItems(items []item, withArgs bool) {
	if n.Values = n.one[:]; len(items) > 1 {
		n.Values = make([]Value, len(items))
	}
	for i, it := range items {
		n.Values[i] = it.value
	}
	if withArgs {
		n.args = make([]any, len(items))
		for i, it := range items {
			n.args[i] = it.arg
		}
	}
}

func (n *Node) items() []item {
	items := make([]item, len(n.Values))
	for i, v := range n.Values {
		items[i].value = v
		if n.args != nil {
			items[i].arg = n.args[i]
		}
	}
	return items
}

// write sets the label and the text of a condition that is said by one lookup.
func (n *Node) write(field string, l lookup, value string) {
	n.name(field+"__"+l.String(), value)
	if n.Not {
		n.text = `{"not":` + n.text + `}`
		n.label = ""
	}
}

// name writes a condition as the object's member. The label is a part of the text where it stands there as it is.
func (n *Node) name(label, value string) {
	n.label, n.text = label, object(label, value)
	if strings.HasPrefix(n.text[len(`{"`):], label) {
		n.label = n.text[len(`{"`):][:len(label)]
	}
}

func object(name, value string) string {
	b := appendString(append(make([]byte, 0, 64), '{'), name)
	return string(append(append(append(b, ':'), value...), '}'))
}

// combine joins kids, which are normalised, by OpAnd or OpOr.
func combine(s *Schema, op Op, kids []*Node) *Node {
	var flat []*Node
	for _, kid := range kids {
		if kid.Op == op {
			flat = append(flat, kid.Kids...) // with no kids it is what changes nothing: everything in an AND
		} else {
			flat = append(flat, kid)
		}
	}
	flat = mergeIns(s, op, flat)
	out := flat[:0]
	for _, kid := range flat {
		if _, is := kid.constant(); !is {
			out = append(out, kid)
		} else if kid.Op != op {
			return kid // nothing in an AND, everything in an OR
		}
	}
	slices.SortFunc(out, func(a, b *Node) int { return strings.Compare(a.text, b.text) })
	out = slices.CompactFunc(out, func(a, b *Node) bool { return a.text == b.text })
	switch {
	case len(out) == 0:
		return constant(op == OpAnd)
	case len(out) == 1:
		return out[0]
	}
	n := &Node{Op: op, Kids: out}
	n.text = joinText(op, out)
	return n
}

// mergeIns leaves at most one OpIn per field, by the algebra of sets. It makes equal filters equal, and a scope of three
// lists with a filter on one of them a predicate on that one, which an index finds.
func mergeIns(s *Schema, op Op, kids []*Node) []*Node {
	var out []*Node
	at := map[int]int{} // field → index in out
	for _, kid := range kids {
		if kid.Op != OpIn {
			out = append(out, kid)
			continue
		}
		if i, ok := at[kid.Field]; ok {
			out[i] = mergeIn(s, op, out[i], kid)
			if out[i].Op != OpIn { // everything or nothing; let it stand
				delete(at, kid.Field)
			}
			continue
		}
		at[kid.Field] = len(out)
		out = append(out, kid)
	}
	return out
}

// mergeIn joins two conditions of one field, each "one of a set" or "none of a set".
func mergeIn(s *Schema, op Op, a, b *Node) *Node {
	if op == OpOr { // a OR b = NOT (NOT a AND NOT b)
		a, b = &Node{Op: OpIn, Field: a.Field, Not: !a.Not, Values: a.Values, args: a.args},
			&Node{Op: OpIn, Field: b.Field, Not: !b.Not, Values: b.Values, args: b.args}
	}
	if a.Not && !b.Not {
		a, b = b, a
	}
	items := a.items()
	if a.Not && b.Not {
		items = append(items, b.items()...)
	} else {
		items = slices.DeleteFunc(items, func(it item) bool { return b.has(it.value) == b.Not })
	}
	return in(s, a.Field, items, (a.Not && b.Not) != (op == OpOr))
}

// has tells whether v is one of the values.
func (n *Node) has(v Value) bool {
	if len(n.Values) <= 8 {
		for i := range n.Values {
			if n.Values[i] == v {
				return true
			}
		}
		return false
	}
	_, found := slices.BinarySearchFunc(n.Values, v, Value.Compare)
	return found
}

// joinText writes an OR as an array. An AND is an object; conditions that cannot be its members, because their name is
// taken or they have none, stand negated under its one "not", whose array negates to an AND.
func joinText(op Op, kids []*Node) string {
	var texts []string
	if op == OpOr {
		for _, kid := range kids {
			texts = append(texts, kid.text)
		}
		return "[" + strings.Join(texts, ",") + "]"
	}
	var rest []string
	taken := map[string]bool{}
	for _, kid := range kids {
		switch {
		case kid.label != "" && !taken[kid.label]:
			taken[kid.label] = true
			texts = append(texts, kid.text[1:len(kid.text)-1])
		case kid.label == "" && kid.Op > OpOr: // {"not":X}
			rest = append(rest, kid.text[len(`{"not":`):len(kid.text)-1])
		default:
			rest = append(rest, `{"not":`+kid.text+`}`)
		}
	}
	switch len(rest) {
	case 0:
	case 1:
		texts = append(texts, `"not":`+rest[0])
	default:
		texts = append(texts, `"not":[`+strings.Join(rest, ",")+"]")
	}
	return "{" + strings.Join(texts, ",") + "}"
}
