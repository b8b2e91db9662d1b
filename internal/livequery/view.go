package livequery

import (
	"cmp"
	"encoding/json"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// View is the part of a schema's fields that an audience sees. The others do not exist to it.
type View struct {
	// Name is empty for the view of all published fields.
	Name string
	// Where is the schema's, with the fields that the view lacks hidden from clients.
	Where *where.Schema

	schema *Schema
	number int
	shown  []bool
	names  map[string]struct{}
}

// AddView declares a view: whether it shows each field, by index. It is called before the schema is used.
func (s *Schema) AddView(name string, shown []bool) *View {
	v := &View{Name: name, schema: s, number: len(s.views), shown: shown, names: map[string]struct{}{}}
	var hidden []string
	for i := range s.Fields {
		if shown[i] {
			v.names[cmp.Or(s.Fields[i].As, s.Fields[i].Name)] = struct{}{}
		} else {
			hidden = append(hidden, s.Fields[i].Name)
		}
	}
	v.Where = s.Where.Hide(hidden...)
	s.views = append(s.views, v)
	return v
}

// View returns the view of a name, nil if there is none. Without a name it is that of all published fields.
func (s *Schema) View(name string) *View {
	for _, v := range s.views {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Has reports whether the view shows a field of a name.
func (v *View) Has(name string) bool {
	_, ok := v.names[name]
	return ok
}

// Shows reports whether the view shows a field, by its index. A nil view shows every one.
func (v *View) Shows(field int) bool { return v == nil || v.shown[field] }

// any reports whether the view shows one of the fields that are selected by index.
func (v *View) any(fields []bool) bool {
	for i, selected := range fields {
		if selected && v.shown[i] {
			return true
		}
	}
	return false
}

// silent reports by view which show none of the fields that are selected by index; nil when every one shows some.
func (s *Schema) silent(fields []bool) []bool {
	var silent []bool
	for i, v := range s.views {
		if v.any(fields) {
			continue
		}
		if silent == nil {
			silent = make([]bool, len(s.views))
		}
		silent[i] = true
	}
	return silent
}

// AppendRow appends a row as the view's audience gets it: key, version and fields. Only, when not nil, selects fields by
// index.
func (v *View) AppendRow(b []byte, op, key string, version []byte, values []json.RawMessage, only []bool) []byte {
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
	b = append(b, `,"fields":`...)
	return append(v.AppendFields(b, values, only), '}')
}

// AppendFields appends the object of the fields that the view shows.
func (v *View) AppendFields(b []byte, values []json.RawMessage, only []bool) []byte {
	b = append(b, '{')
	first := true
	for i := range v.schema.Fields {
		if !v.shown[i] || only != nil && !only[i] {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, v.schema.Fields[i].quoted...)
		b = append(b, values[i]...)
	}
	return append(b, '}')
}
