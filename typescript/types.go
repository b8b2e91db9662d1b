package typescript

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// types turns Go types into expressions.
type types struct {
	known   map[reflect.Type]string // Options.Types
	names   map[shape]string        // of the interfaces for types that contain themselves
	helpers []string                // these interfaces
	open    []shape                 // the structs that are being looked at, from outside to inside
	err     error
}

// shape is what JSON a type has. The methods of a pointer count only for values that have an address, which those in a map have not.
type shape struct {
	reflect.Type
	addressed bool
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	numberType      = reflect.TypeFor[json.Number]()
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

	// reserved are the names that mean something else in the file.
	reserved = []string{"Routers", "Views", "Filter", "Only", "Order", "Record"}
)

// implements reports whether a type, or a pointer to it, has an interface's methods.
func implements(t, i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }

// value is what a field of a model holds, which package live encodes: what is in a sql.Null stands for itself.
func (ts *types) value(f live.FieldInfo) expr {
	t, null := f.Type, false
	for t.Kind() == reflect.Pointer || isSQLNull(t) {
		if text, ok := ts.known[t]; ok {
			return given(text)
		}
		if null = true; t.Kind() == reflect.Pointer {
			t = t.Elem()
		} else {
			t = t.Field(0).Type
		}
	}
	e := ts.plain(t, f.Kind)
	if null {
		return e.orNull()
	}
	return e
}

// plain is a value that is neither behind a pointer nor in a sql.Null.
func (ts *types) plain(t reflect.Type, kind where.Type) expr {
	if text, ok := ts.known[t]; ok {
		return given(text)
	}
	switch kind {
	case where.Bool:
		return boolean
	case where.Int, where.Float:
		return number
	case where.Text:
		return ts.text(t)
	case where.Time:
		return text
	}
	return ts.of(t, true)
}

// of is what encoding/json makes of a type.
func (ts *types) of(t reflect.Type, addressed bool) expr {
	e, nilable := ts.bare(t, addressed)
	if nilable {
		return e.orNull()
	}
	return e
}

// bare is a type without the null that nil becomes.
func (ts *types) bare(t reflect.Type, addressed bool) (e expr, nilable bool) {
	if text, ok := ts.known[t]; ok {
		return given(text), false
	}
	switch {
	case endless(t):
		return unknown, false
	case t.Kind() == reflect.Pointer:
		return ts.of(t.Elem(), true), true
	case t == timeType:
		return text, false
	case t == numberType:
		return number, false
	case implements(t, jsonMarshaler), implements(t, jsonUnmarshaler):
		return unknown, false
	case t.Implements(textMarshaler), addressed && implements(t, textMarshaler):
		return ts.text(t), false
	case implements(t, textMarshaler), implements(t, textUnmarshaler): // it is not read as it is written
		return unknown, false
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolean, false
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64:
		return number, false
	case reflect.String:
		return ts.text(t), false
	case reflect.Slice:
		if base64(t) {
			return text, true
		}
		return ts.of(t.Elem(), true).list(), true
	case reflect.Array:
		return ts.of(t.Elem(), addressed).list(), false
	case reflect.Map:
		return ts.record(t), true
	case reflect.Struct:
		return ts.structure(shape{t, addressed || !minds(t)}), false
	}
	return unknown, false // an interface, or what cannot be encoded
}

func (ts *types) record(t reflect.Type) expr {
	switch k := t.Key().Kind(); {
	case k == reflect.String, reflect.Int <= k && k <= reflect.Uintptr, t.Key().Implements(textMarshaler):
		return expr{text: "Record<string, " + ts.of(t.Elem(), false).text + ">"}
	}
	return unknown
}

// structure is a struct: an object, or the name of an interface when it contains itself.
func (ts *types) structure(s shape) expr {
	if name, ok := ts.names[s]; ok {
		return expr{text: name}
	}
	if slices.Contains(ts.open, s) {
		ts.names[s] = ts.newName(s.Type)
		return expr{text: ts.names[s]}
	}
	ts.open = append(ts.open, s)
	var o object
	for _, m := range membersOf(s.Type) {
		ts.addMember(&o, m, s.addressed)
	}
	ts.open = ts.open[:len(ts.open)-1]
	name, ok := ts.names[s]
	if !ok {
		return o.expr()
	}
	ts.helpers = append(ts.helpers, "interface "+name+" {\n  "+strings.Join(o.members, ";\n  ")+";\n}\n")
	return expr{text: name}
}

func (ts *types) addMember(o *object, m jsonMember, addressed bool) {
	if m.quoted {
		e := text
		if m.typ.Kind() == reflect.Pointer && !m.omitted() {
			e = e.orNull()
		}
		o.add(m.name, m.optional(), e)
		return
	}
	e, nilable := ts.bare(m.typ, addressed || m.behind)
	if nilable && !m.omitted() {
		e = e.orNull()
	}
	o.add(m.name, m.optional(), e)
}

// minds reports whether it matters to the JSON of a type if its values have an address.
func minds(t reflect.Type) bool {
	switch {
	case implements(t, textMarshaler):
		return !t.Implements(textMarshaler)
	case t.Kind() == reflect.Array:
		return minds(t.Elem())
	case t.Kind() != reflect.Struct:
		return false // what is behind a pointer has an address, what is in a map has none
	}
	for i := range t.NumField() {
		if minds(t.Field(i).Type) {
			return true
		}
	}
	return false
}

// newName makes a name out of that of a Go type.
func (ts *types) newName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[") // of a generic type
	first, size := utf8.DecodeRuneInString(name)
	name = string(unicode.ToUpper(first)) + name[size:] // none of TypeScript's own words begins so
	taken := func(name string) bool {
		for _, other := range ts.names {
			if other == name {
				return true
			}
		}
		return slices.Contains(reserved, name)
	}
	free := name
	for n := 2; taken(free); n++ {
		free = fmt.Sprintf("%s%d", name, n)
	}
	return free
}

// text is a type of texts: the union of its values where it tells them.
func (ts *types) text(t reflect.Type) expr {
	values, err := valuesOf(t)
	if err != nil && ts.err == nil {
		ts.err = err
	}
	if len(values) == 0 {
		return text
	}
	return expr{text: strings.Join(values, " | "), union: len(values) > 1}
}

// isSQLNull reports whether t is sql.Null[T] or one of its older brothers, as package live does.
func isSQLNull(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == "database/sql" && t.NumField() == 2 &&
		t.Field(1).Name == "Valid" && t.Field(1).Type.Kind() == reflect.Bool
}

// base64 reports whether encoding/json writes a slice in base64.
func base64(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !implements(t.Elem(), jsonMarshaler) && !implements(t.Elem(), textMarshaler)
}

// scalar reports whether the values of a type are no JSON arrays, for certain.
func scalar(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return scalar(t.Elem())
	}
	if isSQLNull(t) {
		return scalar(t.Field(0).Type)
	}
	return base64(t) || implements(t, textMarshaler) && !implements(t, jsonMarshaler)
}

// listed reports whether the values of a type are JSON arrays, or null.
func listed(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return listed(t.Elem())
	}
	return (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && !base64(t) && !implements(t, jsonMarshaler) && !implements(t, textMarshaler)
}

// endless reports whether a type contains itself without a struct between: type t []t.
func endless(t reflect.Type) bool {
	var seen []reflect.Type
	for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, t.Kind()) {
		if slices.Contains(seen, t) {
			return true
		}
		seen, t = append(seen, t), t.Elem()
	}
	return false
}
