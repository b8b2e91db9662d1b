package live

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// codec turns a field of a Go type into JSON and back, and knows how the type is filtered.
type codec struct {
	typ      where.Type
	nullable bool
	encode   func(v reflect.Value) ([]byte, error)
	decode   func(data []byte, v reflect.Value) error
	// arg turns JSON into what SQL compares a column with, when that is not the JSON's own value.
	arg func(data []byte) (any, error)
	// shapeless values are any JSON: a column may hold the same in another spelling, so SQL cannot agree on what is equal.
	shapeless bool
	// oneWay values marshal themselves, and nothing reads them back.
	oneWay bool
	// want names the values that the type takes, for error messages.
	want string
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	bytesType       = reflect.TypeFor[[]byte]()
	rawType         = reflect.TypeFor[json.RawMessage]()
	valuer          = reflect.TypeFor[driver.Valuer]()
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	nullStringType  = reflect.TypeFor[sql.NullString]()
	null            = []byte("null")
	marshalsItself  = func(t reflect.Type) bool { return implements(t, jsonMarshaler) || implements(t, textMarshaler) }
	databaseSQLPath = nullStringType.PkgPath()
)

func implements(t, i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }

// codecOf returns the codec of a field's type.
func codecOf(t reflect.Type) (codec, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return pointerCodec(t)
	case isSQLNull(t):
		return sqlNullCodec(t)
	case t == timeType:
		return plainCodec(where.Time, "a time such as 2006-01-02T15:04:05Z"), nil
	case t == bytesType:
		c := plainCodec(where.Opaque, "a base64 string")
		c.nullable, c.arg = true, argOf(t, c)
		return c, nil
	case t == rawType:
		c := rawCodec()
		c.shapeless = true
		return c, nil
	case marshalsItself(t):
		c := plainCodec(where.Opaque, "a "+t.Name())
		c.nullable, c.arg = nilable(t), argOf(t, c)
		c.oneWay = !implements(t, jsonUnmarshaler) && !implements(t, textUnmarshaler)
		return c, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return plainCodec(where.Bool, "true or false"), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return plainCodec(where.Int, "an integer"), nil
	case reflect.Float32, reflect.Float64:
		return plainCodec(where.Float, "a number"), nil
	case reflect.String:
		return plainCodec(where.Text, "a string"), nil
	case reflect.Slice, reflect.Map, reflect.Struct, reflect.Array, reflect.Interface:
		c := plainCodec(where.Opaque, "a JSON value of the right shape")
		c.nullable, c.shapeless = nilable(t), true
		return c, nil
	}
	return codec{}, fmt.Errorf("a value of type %s cannot be sent: remove the live tag", t)
}

func nilable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	return false
}

// plainCodec is encoding/json, with null refused where the type has none: encoding/json would ignore it.
func plainCodec(typ where.Type, want string) codec {
	return codec{
		typ: typ, want: want,
		encode: func(v reflect.Value) ([]byte, error) {
			switch {
			case v.Kind() == reflect.String && typ == where.Text:
				return wire.AppendString(nil, v.String()), nil
			case v.CanInt() && typ == where.Int:
				return strconv.AppendInt(nil, v.Int(), 10), nil
			case v.CanAddr():
				return wire.Marshal(v.Addr().Interface()) // reaches methods of the pointer
			}
			return wire.Marshal(v.Interface())
		},
		decode: func(data []byte, v reflect.Value) error {
			if bytes.Equal(data, null) && !nilable(v.Type()) && !implements(v.Type(), jsonUnmarshaler) {
				return errNull
			}
			if err := json.Unmarshal(data, v.Addr().Interface()); err != nil || !bytes.Equal(data, null) {
				return err
			}
			// A type that reads JSON itself may have a null. It has if it says null again.
			if again, err := wire.Marshal(v.Addr().Interface()); err != nil || !bytes.Equal(again, null) {
				return errNull
			}
			return nil
		},
	}
}

var errNull = errors.New("null")

// rawCodec is the codec of json.RawMessage. An empty one, as a database has it that knows no null there, is null.
func rawCodec() codec {
	c := plainCodec(where.Opaque, "a JSON value")
	encode := c.encode
	c.encode = func(v reflect.Value) ([]byte, error) {
		if v.Len() == 0 {
			return null, nil
		}
		return encode(v)
	}
	c.nullable, c.arg = true, argOf(rawType, c)
	return c
}

// pointerCodec is the codec of what a pointer points to, with nil as null.
func pointerCodec(t reflect.Type) (codec, error) {
	c, err := codecOf(t.Elem())
	if err != nil {
		return c, err
	}
	if t.Elem().Kind() == reflect.Pointer {
		return c, fmt.Errorf("a pointer to a pointer cannot be sent: point to the value, or remove the live tag")
	}
	of := c
	c.nullable = true
	c.want += " or null"
	c.encode = func(v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return null, nil
		}
		return of.encode(v.Elem())
	}
	c.decode = func(data []byte, v reflect.Value) error {
		if bytes.Equal(data, null) {
			v.SetZero()
			return nil
		}
		fresh := reflect.New(t.Elem()) // never write through a pointer that the row before shares
		if err := of.decode(data, fresh.Elem()); err != nil {
			return err
		}
		v.Set(fresh)
		return nil
	}
	return c, nil
}

// isSQLNull reports whether t is sql.Null[T] or one of its older brothers: a value and whether it is valid.
func isSQLNull(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || t.PkgPath() != databaseSQLPath || t.NumField() != 2 {
		return false
	}
	return t.Field(1).Name == "Valid" && t.Field(1).Type.Kind() == reflect.Bool
}

// sqlNullCodec is the codec of the value in a sql.Null, with an invalid one as null.
func sqlNullCodec(t reflect.Type) (codec, error) {
	c, err := codecOf(t.Field(0).Type)
	if err != nil {
		return c, err
	}
	of := c
	c.nullable = true
	c.want += " or null"
	c.encode = func(v reflect.Value) ([]byte, error) {
		if !v.Field(1).Bool() {
			return null, nil
		}
		return of.encode(v.Field(0))
	}
	c.decode = func(data []byte, v reflect.Value) error {
		v.SetZero()
		if bytes.Equal(data, null) {
			return nil
		}
		if err := of.decode(data, v.Field(0)); err != nil {
			return err
		}
		v.Field(1).SetBool(true)
		return nil
	}
	return c, nil
}

// argOf makes SQL see the Go value that the JSON stands for: an enum is stored as its number, a UUID as its driver wants it.
// What no driver takes is stored as its text.
func argOf(t reflect.Type, c codec) func([]byte) (any, error) {
	return func(data []byte) (any, error) {
		v := reflect.New(t).Elem()
		if err := c.decode(data, v); err != nil {
			return nil, err
		}
		again, err := c.encode(v)
		switch {
		case err != nil:
			return nil, err
		case data[0] == '"' && keyText(again) != keyText(data):
			// SQL would find what the matcher, which compares the JSON, does not: a UUID in capitals.
			return nil, errors.New("not in the form in which it is sent")
		case !t.Implements(valuer) && reflect.PointerTo(t).Implements(valuer):
			return v.Addr().Interface(), nil
		case t.Implements(valuer) || storable(t):
			return v.Interface(), nil
		}
		return keyText(again), nil
	}
}

// storable reports whether database/sql takes a type as it is.
func storable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Array, reflect.Interface, reflect.Func, reflect.Chan:
		return false
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8
	}
	return true
}

// explain says in a sentence why a client's value was refused.
func (c codec) explain(data []byte, err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok && c.typ == where.Int && strings.HasPrefix(e.Value, "number") {
		return fmt.Sprintf("want an integer that fits %s, got %s", e.Type, describe(data))
	}
	return fmt.Sprintf("want %s, got %s", c.want, describe(data))
}

// describe names a JSON value, shortened.
func describe(data []byte) string {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return "nothing"
	}
	text := string(data)
	if len(text) > 40 {
		text = string(bytes.ToValidUTF8(data[:40], nil)) + "…"
	}
	switch data[0] {
	case '"':
		return "the string " + text
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f', 'n':
		return text
	}
	return "the number " + text
}
