package where

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Value is one field's value: null, or a scalar of one of the types. It is immutable and comparable: two values of the
// same field are equal by == exactly when the eq lookup says so, and a Value can be the key of a map. The zero value
// is null.
type Value struct {
	kind Type   // 0 is null
	bits uint64 // Bool: 0 or 1; Int, and Time as microseconds since 1970: the int64; Float: its bits
	text string // Text: the text; Opaque: the canonical JSON
}

// Row is one row's values, by the field's position in the schema. Fields behind its end count as null.
type Row []Value

func (r Row) at(field int) Value {
	if field >= len(r) {
		return Value{}
	}
	return r[field]
}

// IsNull tells whether v is null.
func (v Value) IsNull() bool { return v.kind == 0 }

// Compare returns -1, 0 or +1 as v sorts before, with or after w. Null sorts before everything, false before true,
// text by its bytes. It is meant for two values of one field; values of different types are ordered by type.
func (v Value) Compare(w Value) int {
	if v.kind != w.kind {
		return cmp.Compare(v.kind, w.kind)
	}
	switch v.kind {
	case Bool:
		return cmp.Compare(v.bits, w.bits)
	case Int, Time:
		return cmp.Compare(int64(v.bits), int64(w.bits))
	case Float:
		return cmp.Compare(v.float(), w.float())
	}
	return strings.Compare(v.text, w.text)
}

// Number returns what tells v from the other values of a Bool, Int, Float or Time field, in an order that is Compare's: for
// building an index over values. It is 0 for values of other fields, and for null.
func (v Value) Number() uint64 {
	const sign = 1 << 63
	switch v.kind {
	case Bool:
		return v.bits
	case Int, Time:
		return v.bits ^ sign
	case Float:
		if v.bits&sign != 0 {
			return ^v.bits
		}
		return v.bits | sign
	}
	return 0
}

// Text returns what tells v from the other values of a Text or Opaque field: the text, whose order is Compare's, or the canonical
// JSON. It is empty for values of other fields, and for null.
func (v Value) Text() string { return v.text }

// AppendJSON appends the value's canonical JSON to b: the same text for equal values of a field.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(b, v.bits != 0)
	case Int:
		return strconv.AppendInt(b, int64(v.bits), 10)
	case Float:
		return strconv.AppendFloat(b, v.float(), 'g', -1, 64)
	case Text:
		return appendString(b, v.text)
	case Time:
		return append(v.time().AppendFormat(append(b, '"'), TimeLayout), '"')
	case Opaque:
		return append(b, v.text...)
	}
	return append(b, "null"...)
}

// String returns the value's canonical JSON.
func (v Value) String() string { return string(v.AppendJSON(nil)) }

func (v Value) float() float64 { return math.Float64frombits(v.bits) }

func (v Value) time() time.Time { return time.UnixMicro(int64(v.bits)).UTC() }

func boolValue(b bool) Value {
	if b {
		return Value{kind: Bool, bits: 1}
	}
	return Value{kind: Bool}
}

func intValue(n int64) Value { return Value{kind: Int, bits: uint64(n)} }

// floatValue refuses what JSON and SQL cannot say. Adding zero turns a negative zero, which equals zero in SQL, into it.
func floatValue(f float64) (Value, bool) {
	return Value{kind: Float, bits: math.Float64bits(f + 0)}, !math.IsNaN(f) && !math.IsInf(f, 0)
}

func timeValue(t time.Time) (Value, bool) {
	year := t.UTC().Year()
	return Value{kind: Time, bits: uint64(t.UnixMicro())}, 0 <= year && year <= 9999
}

// ValueJSON reads a field's JSON value, as it stands in a record or in a filter. null is the null value of every field.
// Reading is strict: a string is no number. A number whose value is integral is an integer however it is written (1.0,
// 1e3). A time is an RFC 3339 string with a zone, or a date, which is midnight UTC. The error is an *[Error] with
// [CodeInvalidValue].
func (s *Schema) ValueJSON(field int, data []byte) (Value, error) {
	f := &s.fields[field]
	data = bytes.TrimSpace(data)
	if string(data) == "null" {
		return Value{}, nil
	}
	var v Value
	ok := false
	switch f.Type {
	case Bool:
		v, ok = boolValue(string(data) == "true"), string(data) == "true" || string(data) == "false"
	case Int:
		return intFromJSON(f, data)
	case Float:
		v, ok = floatFromJSON(data)
	case Text:
		v.kind = Text
		v.text, ok = unquote(data)
	case Time:
		var text string
		if text, ok = unquote(data); ok {
			v, ok = timeFromText(text)
		}
	case Opaque:
		v.kind = Opaque
		v.text, ok = canonical(data)
	}
	if !ok {
		return Value{}, wrongValue(f, describe(data))
	}
	return v, nil
}

func intFromJSON(f *Field, data []byte) (Value, error) {
	if n, ok := smallInt(data); ok {
		return intValue(n), nil
	}
	d, ok := parseDecimal(data)
	if !ok {
		return Value{}, wrongValue(f, describe(data))
	}
	if d.digits != "" && d.exp < 0 {
		return Value{}, wrongValue(f, describe(data))
	}
	n, ok := d.int64()
	if !ok {
		return Value{}, fieldError(CodeInvalidValue, f.Name, describe(data)+" is outside the range of a 64-bit integer")
	}
	return intValue(n), nil
}

func floatFromJSON(data []byte) (Value, bool) {
	if _, ok := parseDecimal(data); !ok {
		return Value{}, false
	}
	x, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return Value{}, false
	}
	return floatValue(x)
}

func timeFromText(text string) (Value, bool) {
	if len(text) == len(time.DateOnly) {
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return Value{}, false
		}
		return timeValue(t)
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil { // stricter than time.Parse, which takes "05,3" and more
		return Value{}, false
	}
	return timeValue(t)
}

// ValueGo reads a Go value for a field: nil and nil pointers are null; booleans, numbers and strings of any named type,
// time.Time, and pointers to all of these are what they say; a type that says what its JSON is (json.Marshaler,
// encoding.TextMarshaler) is read by its JSON, a driver.Valuer such as sql.NullString by its value, and everything else
// by its JSON as [Schema.ValueJSON] reads it. The error is an *[Error] with [CodeInvalidValue].
func (s *Schema) ValueGo(field int, v any) (Value, error) {
	f := &s.fields[field]
	if v, ok := fastGo(f.Type, v); ok {
		return v, nil
	}
	r := reflect.ValueOf(v)
	if !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil() {
		return Value{}, nil
	}
	switch x := v.(type) {
	case time.Time:
		if f.Type != Opaque { // its JSON must not make it a Text
			return Value{}, wrongValue(f, "a Go time.Time of the year "+strconv.Itoa(x.UTC().Year()))
		}
	case *time.Time:
		return s.ValueGo(field, *x)
	case json.Marshaler, encoding.TextMarshaler:
	case driver.Valuer:
		return s.valueOfValuer(field, x)
	default:
		if r.Kind() == reflect.Pointer {
			return s.ValueGo(field, r.Elem().Interface())
		}
	}
	if text, isText := v.(string); isText && !utf8.ValidString(text) {
		return Value{}, fieldError(CodeInvalidValue, f.Name, "want text in valid UTF-8")
	}
	data, err := json.Marshal(v)
	if err != nil {
		return Value{}, wrongValue(f, fmt.Sprintf("a Go %T that has no JSON", v))
	}
	return s.ValueJSON(field, data)
}

// fastGo takes the common Go types without a detour.
func fastGo(t Type, v any) (Value, bool) {
	switch x := v.(type) {
	case bool:
		return boolValue(x), t == Bool
	case int:
		return intValue(int64(x)), t == Int
	case int64:
		return intValue(x), t == Int
	case float64:
		v, ok := floatValue(x)
		return v, ok && t == Float
	case string:
		return Value{kind: Text, text: x}, t == Text && utf8.ValidString(x)
	case time.Time:
		v, ok := timeValue(x)
		return v, ok && t == Time
	}
	return Value{}, false
}

func (s *Schema) valueOfValuer(field int, x driver.Valuer) (Value, error) {
	v, err := x.Value()
	if _, again := v.(driver.Valuer); err != nil || again {
		return Value{}, wrongValue(&s.fields[field], fmt.Sprintf("a Go %T without a value", x))
	}
	return s.ValueGo(field, v)
}

// valueQuery reads a value from a query string, where everything is text, by the field's type. An opaque value is the
// string itself, unless it is a JSON object, array or string, or the field's Arg refuses the string and takes the JSON.
func (s *Schema) valueQuery(field int, text string) (Value, error) {
	f := &s.fields[field]
	if !utf8.ValidString(text) {
		return Value{}, fieldError(CodeInvalidValue, f.Name, "want text in valid UTF-8")
	}
	v, ok := Value{}, false
	switch f.Type {
	case Text:
		return Value{kind: Text, text: text}, nil
	case Time:
		// A "+" that was not escaped reaches us as a space; no time has a space there.
		if i := len(text) - len("+00:00"); i > 0 && text[i] == ' ' {
			text = text[:i] + "+" + text[i+1:]
		}
		v, ok = timeFromText(text)
	case Opaque:
		return opaqueQuery(f, text), nil
	default:
		if text != "null" {
			var err error
			v, err = s.ValueJSON(field, []byte(text))
			ok = err == nil
		}
	}
	if !ok {
		return Value{}, wrongValue(f, quote(text))
	}
	return v, nil
}

func opaqueQuery(f *Field, text string) Value {
	asString := Value{kind: Opaque, text: string(appendString(nil, text))}
	asJSON, ok := canonical([]byte(text))
	if !ok || asJSON == "null" {
		return asString
	}
	switch asJSON[0] {
	case '{', '[', '"':
		return Value{kind: Opaque, text: asJSON}
	}
	if f.Arg != nil {
		if _, err := f.Arg([]byte(asString.text)); err != nil {
			return Value{kind: Opaque, text: asJSON}
		}
	}
	return asString
}

var typeWants = [...]string{
	Bool: "true or false", Int: "an integer", Float: "a number", Text: "a string",
	Time: `a time such as "2006-01-02T15:04:05Z" in the years 0 to 9999`, Opaque: "a JSON value",
}

func wrongValue(f *Field, got string) *Error {
	return fieldError(CodeInvalidValue, f.Name, "want "+typeWants[f.Type]+", got "+got)
}
