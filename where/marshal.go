package where

import (
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// MarshalJSON returns the filter as JSON of the filter language, for a client that is written in Go: it is what a
// subscribe message carries as "where", and [ParseJSON] reads it back. Go values are written as [Schema.ValueGo] would read
// them. The error says which value has no JSON; a filter that [ParseQuery] made has none before a schema types its values,
// then see [Predicate.String].
func (w Where) MarshalJSON() ([]byte, error) {
	if w.tree == nil {
		return []byte("{}"), nil
	}
	return w.tree.json()
}

// json returns one node as an object or an array.
func (t *tree) json() ([]byte, error) {
	switch {
	case t == nil:
		return []byte("{}"), nil
	case t.kind == treeLeaf:
		return t.leafJSON()
	}
	kids := make([][]byte, len(t.kids))
	for i, kid := range t.kids {
		var err error
		if kids[i], err = kid.json(); err != nil {
			return nil, err
		}
	}
	switch {
	case t.kind == treeNot:
		return negated(kids[0]), nil
	case t.kind == treeOr:
		return array(kids), nil
	}
	return conjunction(kids), nil
}

// conjunction joins filters by AND. The language has an object for that, where a name stands once; filters that do not fit
// into one are those that no negation of matches.
func conjunction(kids [][]byte) []byte {
	names := map[string]bool{}
	var all [][]byte
	fits := true
	for _, kid := range kids {
		if kid[0] != '{' {
			fits = false
			break
		}
		found, _, _ := members(kid)
		for _, m := range found {
			fits = fits && !names[m.name]
			names[m.name] = true
		}
		if inner := kid[1 : len(kid)-1]; len(inner) > 0 {
			all = append(all, inner)
		}
	}
	if fits {
		return enclose('{', all, '}')
	}
	nots := make([][]byte, len(kids))
	for i, kid := range kids {
		nots[i] = negated(kid)
	}
	return negated(array(nots))
}

func negated(filter []byte) []byte {
	return append(append([]byte(`{"not":`), filter...), '}')
}

func array(parts [][]byte) []byte { return enclose('[', parts, ']') }

func enclose(open byte, parts [][]byte, end byte) []byte {
	b := []byte{open}
	for i, part := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, part...)
	}
	return append(b, end)
}

// leafJSON returns a condition.
func (t *tree) leafJSON() ([]byte, error) {
	values := make([][]byte, len(t.operands))
	for i, o := range t.operands {
		var err error
		if values[i], err = o.json(); err != nil {
			return nil, fmt.Errorf("where: field %q: %w", t.field, err)
		}
	}
	name, value := t.field+"__"+t.lookup.String(), array(values)
	if t.lookup != lookupIn {
		value = values[0]
	}
	// A bare object would be one of lookups, a bare array is refused.
	if t.lookup == lookupEq && value[0] != '{' && value[0] != '[' && !strings.Contains(t.field, "__") {
		name = t.field
	}
	b := append([]byte{'{'}, appendString(nil, name)...)
	return append(append(append(b, ':'), value...), '}'), nil
}

// json returns a value.
func (o operand) json() ([]byte, error) {
	switch o.source {
	case sourceJSON:
		return []byte(o.text), nil
	case sourceQuery:
		return nil, errors.New("a value of a query string has no JSON before a schema says of which type it is")
	}
	return valueJSON(o.value)
}

// valueJSON returns the JSON of a Go value, in the order of precedence that ValueGo has.
func valueJSON(v any) ([]byte, error) {
	r := reflect.ValueOf(v)
	if !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil() {
		return []byte("null"), nil
	}
	switch x := v.(type) {
	case json.Marshaler, encoding.TextMarshaler:
	case driver.Valuer:
		value, err := x.Value()
		if _, again := value.(driver.Valuer); err != nil || again {
			return nil, fmt.Errorf("a Go %T without a value", v)
		}
		return valueJSON(value)
	default:
		if r.Kind() == reflect.Pointer {
			return valueJSON(r.Elem().Interface())
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("a Go %T that has no JSON: %w", v, err)
	}
	return data, nil
}
