// Package livequery holds what identical subscriptions share, and decides what a change means to each.
//
// A [Stream] is the live side of one router: the queries that somebody watches, the index that finds those which a change
// concerns, and the last known state of the rows that they hold. A [Query] is one predicate with its members. The hub
// resolves each entry of the log once, in order; what it resolved serves the members that are live and those that catch
// up alike.
package livequery

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Field is one declared field of a router's model.
type Field struct {
	// Name is how the field is called on the log.
	Name string
	// As is how clients know the field; empty means by its Name. Two fields that no view shows both may share it.
	As string
	// Published fields go to clients; the others serve rights, or views that show them.
	Published bool
	// Version marks the field that is the row's version.
	Version bool
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
	// version is the name of the field that is the row's version, empty without one.
	version string
	// views begins with that of all published fields.
	views []*View
}

// NewSchema returns the schema of a router: its fields, and those of them that predicates may use.
func NewSchema(router string, fields []Field, matchable *where.Schema) (*Schema, error) {
	s := &Schema{Router: router, Fields: fields, Where: matchable, byName: map[string]int{}}
	for i := range fields {
		s.byName[fields[i].Name] = i
		if fields[i].Version {
			s.version = fields[i].Name
		}
		fields[i].quoted = append(wire.AppendString(nil, cmp.Or(fields[i].As, fields[i].Name)), ':')
	}
	for _, f := range matchable.Fields() {
		i, ok := s.byName[f.Name]
		if !ok {
			return nil, fmt.Errorf("livequery: no field %q", f.Name)
		}
		s.matched = append(s.matched, i)
	}
	published := make([]bool, len(fields))
	for i := range fields {
		published[i] = fields[i].Published
	}
	s.AddView("", published)
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

// filter reads a filter that another hub wrote, which may be as large as the application made it.
func (s *Schema) filter(data []byte) (*where.Predicate, error) {
	w, err := where.ParseJSON(data, where.Limits{Nodes: math.MaxInt, Values: math.MaxInt, Depth: len(data)})
	if err != nil {
		return nil, err
	}
	return s.Where.Bind(w)
}

// Values puts fields by name in the order of the schema. What is missing is null: it was published by a node that
// did not know the field yet.
func (s *Schema) Values(fields record.Fields) []json.RawMessage {
	values := make([]json.RawMessage, len(s.Fields))
	for i := range s.Fields {
		if values[i] = fields[s.Fields[i].Name]; values[i] == nil {
			values[i] = null
		}
	}
	return values
}

var null = json.RawMessage("null")
