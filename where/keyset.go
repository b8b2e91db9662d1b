package where

import "fmt"

// After returns the predicate of the rows that come after a row in an order, as [Schema.Comparer] has it: what a list is
// asked for to be read on where it ended ("keyset pagination"). Of the row only the fields of the order count. Every field
// may be in the order, also one that clients cannot sort by, such as an Opaque key that breaks ties. The error says which
// field the schema does not have, or that a field's Arg refused its value.
func (s *Schema) After(order []Order, row Row) (*Predicate, error) {
	var alternatives, equal []*Node
	var first *Node
	for i, by := range order {
		field, ok := s.index[by.Field]
		if !ok {
			return nil, unknownField(by.Field)
		}
		it, err := s.itemOf(field, row.at(field))
		if err != nil {
			return nil, err
		}
		beyond := s.beyond(field, by.Desc, it)
		alternatives = append(alternatives, combine(s, OpAnd, append(equal[:len(equal):len(equal)], beyond)))
		equal = append(equal, in(s, field, []item{it}, false))
		if i == 0 {
			first = combine(s, OpOr, []*Node{beyond, equal[0]})
		}
	}
	// That the first field is not before the row's follows from the alternatives, but an index of a database needs it said.
	root := combine(s, OpOr, alternatives)
	if len(order) > 1 {
		root = combine(s, OpAnd, []*Node{s.notBefore(first), root})
	}
	return &Predicate{schema: s, root: root}, nil
}

// beyond returns the condition that a field comes after a value. Null is the least.
func (s *Schema) beyond(field int, desc bool, it item) *Node {
	null := it.value.IsNull()
	switch {
	case null && desc:
		return constant(false)
	case null:
		return in(s, field, []item{{}}, true)
	case !desc:
		return comparison(s, field, OpGt, it, false)
	}
	less := comparison(s, field, OpLt, it, false)
	if !s.fields[field].Nullable {
		return less
	}
	return combine(s, OpOr, []*Node{less, in(s, field, []item{{}}, false)})
}

// notBefore writes "greater or equal" as one condition, where that is what a disjunction says.
func (s *Schema) notBefore(n *Node) *Node {
	if n.Op != OpOr || len(n.Kids) != 2 {
		return n
	}
	a, b := n.Kids[0], n.Kids[1]
	if a.Op == OpIn {
		a, b = b, a
	}
	if b.Op != OpIn || b.Not || len(b.Values) != 1 || a.Op != OpGt && a.Op != OpLt || a.Field != b.Field || a.Values[0] != b.Values[0] {
		return n
	}
	op := OpGte
	if a.Op == OpLt {
		op = OpLte
	}
	return comparison(s, a.Field, op, a.items()[0], false)
}

// itemOf is a value with its SQL argument.
func (s *Schema) itemOf(field int, v Value) (item, error) {
	it := item{value: v}
	f := &s.fields[field]
	if f.Arg == nil || v.IsNull() {
		return it, nil
	}
	arg, err := f.Arg(v.AppendJSON(nil))
	if err != nil {
		return it, fmt.Errorf("where: field %q: %w", f.Name, err)
	}
	it.arg = arg
	return it, nil
}

// RowJSON returns a row of which only the fields of an order are known: their values as JSON, in that order, as a client
// sends them to say where its list ends. The error is an *[Error].
func (s *Schema) RowJSON(order []Order, values [][]byte) (Row, error) {
	if len(values) != len(order) {
		return nil, malformedOrder("", fmt.Sprintf("want %d values, one for each field of the order, got %d", len(order), len(values)))
	}
	row := make(Row, len(s.fields))
	for i, by := range order {
		field, ok := s.index[by.Field]
		if !ok {
			return nil, unknownField(by.Field)
		}
		v, err := s.ValueJSON(field, values[i])
		if err != nil {
			return nil, err
		}
		row[field] = v
	}
	return row, nil
}
