package livetest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Row is one row as a client gets it.
type Row struct {
	Key string
	// Version is a number, or the text of a cursor where the model has no version.
	Version json.RawMessage
	// Fields holds the JSON of each field by the name that clients use.
	Fields map[string]json.RawMessage
}

// Decode stores the row's fields in the struct that v points to: by the names of its live tags, so that the model itself can
// take them, or, where it has none, as encoding/json would. What the server does not send stays as it is.
func (r Row) Decode(t testing.TB, v any) {
	t.Helper()
	if err := decodeFields(r.Fields, v); err != nil {
		t.Fatalf("livetest: row %s %s: %v", r.Key, fieldsText(r.Fields), err)
	}
}

// WantFields wants the row to have exactly these fields, with values whose JSON is equal.
func (r Row) WantFields(t testing.TB, want map[string]any) {
	t.Helper()
	wantFields(t, "row "+r.Key, r.Fields, want)
}

// wantFields compares fields, and says of each that differs what it is.
func wantFields(t testing.TB, what string, got map[string]json.RawMessage, want map[string]any) {
	t.Helper()
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		data, err := json.Marshal(want[name])
		value, sent := got[name]
		switch {
		case err != nil:
			t.Fatalf("livetest: field %q: %v", name, err)
		case !sent:
			wrong = append(wrong, fmt.Sprintf("no %q, want %s", name, data))
		case !sameJSON(value, data):
			wrong = append(wrong, fmt.Sprintf("%q is %s, want %s", name, clip(string(value)), data))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, wanted := want[name]; !wanted {
			wrong = append(wrong, fmt.Sprintf("%q is %s, and is not wanted", name, clip(string(got[name]))))
		}
	}
	if wrong != nil {
		t.Fatalf("livetest: %s: %s", what, strings.Join(wrong, "; "))
	}
}

// sameJSON reports whether two texts are the same JSON, in whatever spelling.
func sameJSON(a, b []byte) bool {
	x, errX := anyJSON(a)
	y, errY := anyJSON(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func anyJSON(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // an int64 does not fit a float
	err = d.Decode(&v)
	return v, err
}

// keyText returns a key as text.
func keyText(key any) string {
	if m, ok := key.(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(key)
}

// decodeFields stores fields in the struct that v points to.
func decodeFields(fields map[string]json.RawMessage, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("cannot decode into a %T: want a pointer to a struct", v)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return decode(data, p.Elem())
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// decode stores JSON in a value, as the serializer wrote it: structs by their live tags, values that may be null as null.
func decode(data []byte, v reflect.Value) error {
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		if string(data) == "null" {
			v.SetZero()
			return nil
		}
		v.Set(reflect.New(t.Elem()))
		return decode(data, v.Elem())
	case isSQLNull(t):
		v.SetZero()
		if string(data) == "null" {
			return nil
		}
		v.Field(1).SetBool(true)
		return decode(data, v.Field(0))
	case reflect.PointerTo(t).Implements(unmarshaler):
	case t.Kind() == reflect.Struct && tagged(t):
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		return decodeStruct(fields, v)
	}
	return json.Unmarshal(data, v.Addr().Interface())
}

// decodeStruct stores fields in a struct by its live tags.
func decodeStruct(fields map[string]json.RawMessage, v reflect.Value) error {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		tag, ok := sf.Tag.Lookup("live")
		if embedded := embeddedStruct(sf); embedded != nil && !ok {
			if inner, ok := reach(v.Field(i)); ok && tagged(embedded) {
				if err := decodeStruct(fields, inner); err != nil {
					return err
				}
			}
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		data, sent := fields[name]
		if !ok || !sent || !sf.IsExported() {
			continue
		}
		if err := decode(data, v.Field(i)); err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
	}
	return nil
}

// reach returns an embedded struct, allocated if it is behind a pointer that can be set.
func reach(v reflect.Value) (reflect.Value, bool) {
	if v.Kind() != reflect.Pointer {
		return v, true
	}
	if v.IsNil() {
		if !v.CanSet() {
			return v, false
		}
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem(), true
}

// embeddedStruct returns the struct type that a field embeds, nil if it does not.
func embeddedStruct(sf reflect.StructField) reflect.Type {
	t := sf.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !sf.Anonymous || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// tagged reports whether a struct, or one that it embeds, has a live tag.
func tagged(t reflect.Type) bool {
	for i := range t.NumField() {
		sf := t.Field(i)
		if _, ok := sf.Tag.Lookup("live"); ok {
			return true
		}
		if embedded := embeddedStruct(sf); embedded != nil && embedded != t && tagged(embedded) {
			return true
		}
	}
	return false
}

// isSQLNull reports whether t is sql.Null[T] or one of its older brothers.
func isSQLNull(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == "database/sql" && t.NumField() == 2 && t.Field(1).Name == "Valid"
}
