package live

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// model is a Serializer that was compiled. Its schema has the fields of T, then the computed ones, then the nested ones, each
// in as many variants as the views need.
type model[T any] struct {
	fields     []field
	computed   []computed[T]
	nested     []nested[T]
	schema     *livequery.Schema
	key        int
	version    int // -1 without
	fieldNames map[string]int
	decode     map[string]func(json.RawMessage, *T) error
	views      map[string]*view
}

type computed[T any] struct {
	name string
	of   func(T) any
	from []int // fields; nil when not declared
}

// bare returns a row with the JSON of its own fields.
func (m *model[T]) bare(row *T) (record.Object, error) {
	v := reflect.ValueOf(row).Elem()
	o := record.Object{Row: row, Values: make([]json.RawMessage, len(m.fields), len(m.schema.Fields))}
	for i := range m.fields {
		var err error
		if o.Values[i], err = m.fields[i].get(v); err != nil {
			return o, err
		}
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

// complete adds to bare rows what is made of them: the computed and nested fields that a view shows, or all of them when it is
// nil.
func (m *model[T]) complete(ctx context.Context, v *livequery.View, objects []*record.Object) error {
	for _, o := range objects {
		if err := m.compute(o, func(i int, _ *computed[T]) bool { return v.Shows(i) }); err != nil {
			return err
		}
	}
	return m.nest(ctx, v, objects)
}

// compute adds the computed fields that are needed to a bare row, and leaves room for the nested ones.
func (m *model[T]) compute(o *record.Object, needed func(i int, c *computed[T]) bool) error {
	o.Values = o.Values[:len(m.schema.Fields)]
	for j := range m.computed {
		c, i := &m.computed[j], len(m.fields)+j
		if !needed(i, c) {
			continue
		}
		data, err := wire.Marshal(c.of(*o.Row.(*T)))
		if err != nil {
			return fmt.Errorf("computed field %q: %w", c.name, err)
		}
		o.Values[i] = data
	}
	return nil
}

// changed names the fields that differ between two complete rows. What is not computed of the earlier one is taken to follow
// the fields from which it is made.
func (m *model[T]) changed(was, now *record.Object) []string {
	differs := func(i int) bool { return !bytes.Equal(was.Values[i], now.Values[i]) }
	names := []string{}
	for i := range m.fields {
		if differs(i) {
			names = append(names, m.fields[i].name)
		}
	}
	for j, c := range m.computed {
		if c.from == nil && differs(len(m.fields)+j) || slices.ContainsFunc(c.from, differs) {
			names = append(names, c.name)
		}
	}
	for _, n := range m.nested {
		if !n.same(was.Row.(*T), now.Row.(*T)) {
			names = append(names, n.variants...)
		}
	}
	return names
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

// keyJSON is the JSON of a key's text, as the key field's type reads it.
func (m *model[T]) keyJSON(key string) json.RawMessage {
	if m.fields[m.key].codec.typ != where.Int {
		return wire.AppendString(nil, key)
	}
	if n, err := strconv.ParseInt(key, 10, 64); err == nil {
		return strconv.AppendInt(nil, n, 10)
	}
	return json.RawMessage(key)
}

// parseKey returns the canonical form of a key that a client sent.
func (m *model[T]) parseKey(key string) (Key, *wire.Problem) {
	f := &m.fields[m.key]
	row := reflect.New(reflect.TypeFor[T]()).Elem()
	err := f.set(row, m.keyJSON(key))
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

// write decodes what a client wrote into a row, as his view permits. Nothing is refused halfway: all that is wrong is answered at
// once.
func (m *model[T]) write(v *view, row *T, data json.RawMessage) (written map[string]bool, problem *wire.Problem) {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(data, &in); err != nil || in == nil {
		got := describe(data)
		if len(bytes.TrimSpace(data)) > 0 && !json.Valid(data) {
			got = "what is not JSON"
		}
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", "data: want an object of fields, got "+got)
	}
	written = map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		code, message := m.writeField(v, row, name, in[name])
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

func (m *model[T]) writeField(v *view, row *T, name string, data json.RawMessage) (code, message string) {
	if !v.Has(name) {
		return "unknown_field", "no such field"
	}
	i, ok := m.fieldNames[name]
	switch {
	case !ok && slices.ContainsFunc(m.nested, func(n nested[T]) bool { return n.name == name }):
		return "field_not_writable", "this field holds other rows"
	case !ok:
		return "field_not_writable", "this field is computed"
	case !v.write[i]:
		return "field_not_writable", "this field cannot be written"
	}
	data = bytes.TrimSpace(data)
	if decode := m.decode[name]; decode != nil {
		if err := decode(data, row); err != nil {
			return "invalid_value", explain(name, err)
		}
		return "", ""
	}
	f := &m.fields[i]
	if err := f.set(reflect.ValueOf(row).Elem(), data); err != nil {
		return "invalid_value", f.codec.explain(data, err)
	}
	return "", ""
}

// explain returns what a decoder's error says to the client.
func explain(name string, err error) string {
	var told interface {
		error
		problem() *wire.Problem
	}
	if none, ok := err.(*Error); ok && none == nil || !errors.As(err, &told) {
		return "want a valid value"
	}
	p := told.problem()
	if messages := p.Errors[name]; len(messages) > 0 {
		return messages[0]
	}
	return cmp.Or(p.Detail, "want a valid value")
}

// clip shortens what came from a client before it is quoted.
func clip(s string) string {
	if len(s) > 40 {
		return string(bytes.ToValidUTF8([]byte(s[:40]), nil)) + "…"
	}
	return s
}
