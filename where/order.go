package where

import (
	"fmt"
	"slices"
	"strings"
)

// Order is one field to sort by. Rows that it finds equal are sorted by the next one.
type Order struct {
	Field string
	Desc  bool // greatest first, nulls last; otherwise nulls first, then the least
}

// String returns the order as [ParseOrder] reads it.
func (o Order) String() string {
	if o.Desc {
		return "-" + o.Field
	}
	return o.Field
}

// maxOrder is how many fields a client may sort by.
const maxOrder = 16

// ParseOrder reads "-created_at,title": names separated by commas, "-" for descending. The empty string is no order. The
// error is an *[Error] with [CodeMalformedOrder]; whether the fields exist is checked by [Schema.CheckOrder].
func ParseOrder(s string) ([]Order, error) {
	if s == "" {
		return nil, nil
	}
	if strings.Count(s, ",") >= maxOrder {
		return nil, malformedOrder("", fmt.Sprintf("an order has at most %d fields", maxOrder))
	}
	var out []Order
	for part := range strings.SplitSeq(s, ",") {
		name, desc := strings.CutPrefix(part, "-")
		if name == "" {
			return nil, malformedOrder("", `an order is field names separated by commas, with "-" in front for descending`)
		}
		if slices.ContainsFunc(out, func(o Order) bool { return o.Field == name }) {
			return nil, malformedOrder(name, "the order names "+quote(name)+" twice")
		}
		out = append(out, Order{Field: name, Desc: desc})
	}
	return out, nil
}

func malformedOrder(field, message string) *Error {
	return &Error{Code: CodeMalformedOrder, Field: clip(field), Message: message}
}

// CheckOrder tells whether a client may sort by o: by Filter fields whose type has an order that SQL agrees with, which
// Opaque fields, and Bool and Text fields with Arg, do not. The error is an *[Error].
func (s *Schema) CheckOrder(o []Order) error {
	for _, by := range o {
		i, err := s.clientField(by.Field)
		if err != nil {
			return err
		}
		if !s.fields[i].ordered() {
			return fieldError(CodeMalformedOrder, by.Field, "its values have no order")
		}
	}
	return nil
}

// Comparer returns a function that compares rows by o: negative when a comes first, 0 when o does not tell. It agrees
// with [Dialect.OrderBy]. Fields that the schema does not have are left out.
func (s *Schema) Comparer(o []Order) func(a, b Row) int {
	type key struct {
		field int
		desc  bool
	}
	var keys []key
	for _, by := range o {
		if i, ok := s.index[by.Field]; ok {
			keys = append(keys, key{i, by.Desc})
		}
	}
	return func(a, b Row) int {
		for _, k := range keys {
			c := a.at(k.field).Compare(b.at(k.field))
			if c != 0 && k.desc {
				return -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	}
}

// OrderBy returns what stands behind ORDER BY, and the empty string for no order: nulls first when ascending and last
// when descending, text by its bytes, as [Value.Compare] has it. Fields that the schema does not have are left out.
func (d Dialect) OrderBy(s *Schema, o []Order) string {
	c := compiler{Dialect: d, fields: s.fields}
	var parts []string
	for _, by := range o {
		i, ok := s.index[by.Field]
		if !ok {
			continue
		}
		part, nulls := c.bytewise(&Node{Field: i}), " NULLS FIRST"
		if by.Desc {
			part, nulls = part+" DESC", " NULLS LAST"
		}
		if d.postgres && s.fields[i].Nullable { // SQLite does so by itself
			part += nulls
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
