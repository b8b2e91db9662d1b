package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Serializer says how a T becomes named fields. Its zero value takes the fields that T's tags declare, and nothing else: a
// field without a live tag is never sent, never filtered and never written.
//
// A tag is a name and options:
//
//	live:"id,key"            identifies the row: an integer, a string or a type that marshals to text; exactly one
//	live:"version,version"   an integer that grows with each update of the row: at most one
//	live:"title,write"       clients may set it, in create and update
//	live:"done,filter"       clients may filter and sort by it; so they may by key and version
//	live:"owner_id,scope"    serves the Scope only: it is never sent, and to clients it does not exist
//	live:"-"                 nothing, like no tag
//
// The fields of embedded structs count as T's own. Pointers, sql.Null[T] and its brothers are values that may be null.
// A time.Time is RFC 3339; a []byte is base64; a type with MarshalJSON or MarshalText, such as a uuid.UUID or an enum, is
// what it marshals to, can be filtered by equality, and reaches SQL as the Go value, or as its text if no driver takes that. Any
// other struct, slice or map is one value, in whole as encoding/json writes it: there live tags say nothing.
type Serializer[T any] struct {
	// Computed adds fields that are made of a row by a func, such as "overdue". They are published, and sent again when
	// an update changes what the func returns. Clients can neither filter by them nor write them. The func must depend
	// on the row alone, be safe for concurrent use, and return what encoding/json can encode.
	Computed map[string]func(row T) any
}

// model is a Serializer that was compiled.
type model[T any] struct {
	fields     []field
	computed   []computed[T]
	schema     *livequery.Schema
	key        int
	version    int // -1 without
	fieldNames map[string]int
}

type computed[T any] struct {
	name string
	of   func(T) any
}

// compile checks the declaration and prepares it.
func (s Serializer[T]) compile(router string) (*model[T], error) {
	fields, err := fieldsOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	m := &model[T]{fields: fields, version: -1, fieldNames: map[string]int{}}
	var declared []livequery.Field
	var matchable []where.Field
	for i := range fields {
		f := &fields[i]
		m.fieldNames[f.name] = i
		declared = append(declared, livequery.Field{Name: f.name, Published: !f.scope})
		if f.key {
			m.key = i
		}
		if f.version {
			m.version = i
		}
		if f.matchable() {
			matchable = append(matchable, f.whereField())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Computed)) {
		i, twice := m.fieldNames[name]
		switch {
		case twice:
			return nil, fmt.Errorf("computed field %q: field %s has this name: rename one", name, fields[i].goName)
		case !allowedName(name):
			return nil, fmt.Errorf("computed field %q: the name is not allowed: use letters, digits and single underscores", name)
		case s.Computed[name] == nil:
			return nil, fmt.Errorf("computed field %q has no func: give it one or remove it", name)
		}
		declared = append(declared, livequery.Field{Name: name, Published: true})
		m.computed = append(m.computed, computed[T]{name, s.Computed[name]})
	}
	w, err := where.NewSchema(matchable...)
	if err != nil {
		return nil, err
	}
	m.schema, err = livequery.NewSchema(router, declared, w)
	return m, err
}

// encode returns the JSON of every declared field of a row.
func (m *model[T]) encode(row *T) (record.Object, error) {
	v := reflect.ValueOf(row).Elem()
	o := record.Object{Values: make([]json.RawMessage, 0, len(m.fields)+len(m.computed))}
	for i := range m.fields {
		data, err := m.fields[i].get(v)
		if err != nil {
			return o, err
		}
		o.Values = append(o.Values, data)
	}
	for _, c := range m.computed {
		data, err := wire.Marshal(c.of(*row))
		if err != nil {
			return o, fmt.Errorf("computed field %q: %w", c.name, err)
		}
		o.Values = append(o.Values, data)
	}
	o.Key = keyText(o.Values[m.key])
	if o.Key == "" || bytes.Equal(o.Values[m.key], null) { // null: in an embedded struct that is nil
		return o, fmt.Errorf("field %s: a row has an empty key", m.fields[m.key].goName)
	}
	if m.version >= 0 {
		n, err := strconv.ParseInt(string(o.Values[m.version]), 10, 64)
		if err != nil {
			return o, fmt.Errorf("field %s: %w", m.fields[m.version].goName, err)
		}
		o.Version = &n
	}
	return o, nil
}

// draft returns what a client wrote into a new row, which may have neither key nor version yet. What he did not write is
// null: it is not known before the row is stored.
func (m *model[T]) draft(row *T, written map[string]bool) (record.Object, error) {
	v := reflect.ValueOf(row).Elem()
	o := record.Object{Values: make([]json.RawMessage, len(m.fields))}
	for i := range m.fields {
		o.Values[i] = null
		if !written[m.fields[i].name] {
			continue
		}
		var err error
		if o.Values[i], err = m.fields[i].get(v); err != nil {
			return o, err
		}
	}
	return o, nil
}

// keyText is the text of a key's JSON: a string's content, or the number as it stands.
func keyText(data []byte) string {
	var text string
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}

// parseKey returns the canonical form of a key that a client sent.
func (m *model[T]) parseKey(key string) (Key, *wire.Problem) {
	f := &m.fields[m.key]
	data := []byte(key)
	if f.codec.typ != where.Int {
		data = wire.AppendString(nil, key)
	} else if n, err := strconv.ParseInt(key, 10, 64); err == nil {
		data = strconv.AppendInt(nil, n, 10)
	}
	row := reflect.New(reflect.TypeFor[T]()).Elem()
	err := f.set(row, data)
	if err == nil {
		var canonical json.RawMessage
		if canonical, err = f.get(row); err == nil && key != "" {
			return Key(keyText(canonical)), nil
		}
	}
	message := "want " + f.codec.want
	return "", wire.NewProblem(http.StatusBadRequest, "invalid_key",
		fmt.Sprintf("key: %s, got %s", message, describe(wire.AppendString(nil, key)))).Field(f.name, message)
}

// write decodes what a client wrote into a row. Nothing is refused halfway: all that is wrong is answered at once.
func (m *model[T]) write(row *T, data json.RawMessage) (written map[string]bool, problem *wire.Problem) {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(data, &in); err != nil || in == nil {
		got := describe(data)
		if len(bytes.TrimSpace(data)) > 0 && !json.Valid(data) {
			got = "what is not JSON"
		}
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", "data: want an object of fields, got "+got)
	}
	v := reflect.ValueOf(row).Elem()
	written = map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		code, message := m.writeField(v, name, in[name])
		if code == "" {
			written[name] = true
			continue
		}
		if problem == nil {
			problem = wire.NewProblem(http.StatusUnprocessableEntity, code, fmt.Sprintf("field %q: %s", clip(name), message))
		}
		problem.Field(name, message)
	}
	return written, problem
}

func (m *model[T]) writeField(row reflect.Value, name string, data json.RawMessage) (code, message string) {
	i, ok := m.fieldNames[name]
	if !ok || m.fields[i].scope {
		if j, ok := m.schema.Index(name); !ok || !m.schema.Fields[j].Published {
			return "unknown_field", "no such field"
		}
		return "field_not_writable", "this field is computed"
	}
	f := &m.fields[i]
	if !f.write {
		return "field_not_writable", "this field cannot be written"
	}
	if err := f.set(row, bytes.TrimSpace(data)); err != nil {
		return "invalid_value", f.codec.explain(data, err)
	}
	return "", ""
}

// clip shortens what came from a client before it is quoted.
func clip(s string) string {
	if len(s) > 40 {
		return string(bytes.ToValidUTF8([]byte(s[:40]), nil)) + "…"
	}
	return s
}
