// Package livequery holds what identical subscriptions share, and decides what a change means to each.
//
// A [Stream] is the live side of one router: the queries that somebody watches, the index that finds those which a change
// concerns, and the last known state of the rows that they hold. A [Query] is one predicate with its members. The hub
// resolves each entry of the log once, in order; what it resolved serves the members that are live and those that catch
// up alike.
package livequery

import (
	"encoding/json"
	"fmt"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Field is one declared field of a router's model.
type Field struct {
	Name string
	// Published fields go to clients; the others serve rights only.
	Published bool
	// quoted is the name as it stands in an object, with the colon.
	quoted []byte
}

// Schema is what the stream of a router knows of its model.
type Schema struct {
	Router string
	Fields []Field
	// Where types the fields that predicates may use.
	Where *where.Schema
	// matched holds, for each field of Where, its index in Fields.
	matched []int
	byName  map[string]int
}

// NewSchema returns the schema of a router: its fields, and those of them that predicates may use.
func NewSchema(router string, fields []Field, matchable *where.Schema) (*Schema, error) {
	s := &Schema{Router: router, Fields: fields, Where: matchable, byName: map[string]int{}}
	for i := range fields {
		s.byName[fields[i].Name] = i
		fields[i].quoted = append(wire.AppendString(nil, fields[i].Name), ':')
	}
	for _, f := range matchable.Fields() {
		i, ok := s.byName[f.Name]
		if !ok {
			return nil, fmt.Errorf("livequery: no field %q", f.Name)
		}
		s.matched = append(s.matched, i)
	}
	return s, nil
}

// Index returns a field's place in Fields.
func (s *Schema) Index(name string) (int, bool) {
	i, ok := s.byName[name]
	return i, ok
}

// Row returns the part of a row that predicates see.
func (s *Schema) Row(values []json.RawMessage) (where.Row, error) {
	row := make(where.Row, len(s.matched))
	for i, field := range s.matched {
		v, err := s.Where.ValueJSON(i, values[field])
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", s.Fields[field].Name, err)
		}
		row[i] = v
	}
	return row, nil
}

// values puts fields by name in the order of the schema. What is missing is null: it was published by a node that
// did not know the field yet.
func (s *Schema) values(fields record.Fields) []json.RawMessage {
	values := make([]json.RawMessage, len(s.Fields))
	for i := range s.Fields {
		if values[i] = fields[s.Fields[i].Name]; values[i] == nil {
			values[i] = null
		}
	}
	return values
}

var null = json.RawMessage("null")

// AppendRow appends a row as clients get it: key, version and published fields. Only, when not nil, selects fields by index.
func (s *Schema) AppendRow(b []byte, op, key string, version []byte, values []json.RawMessage, only []bool) []byte {
	b = append(b, '{')
	if op != "" {
		b = append(b, `"op":"`...)
		b = append(b, op...)
		b = append(b, `",`...)
	}
	b = append(b, `"key":`...)
	b = wire.AppendString(b, key)
	b = append(b, `,"version":`...)
	b = append(b, version...)
	if values == nil {
		return append(b, '}')
	}
	b = append(b, `,"fields":{`...)
	first := true
	for i := range s.Fields {
		if !s.Fields[i].Published || only != nil && !only[i] {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, s.Fields[i].quoted...)
		b = append(b, values[i]...)
	}
	return append(b, "}}"...)
}
