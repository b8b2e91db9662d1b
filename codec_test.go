package live

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/swampline/live/where"
)

// color says its text by methods of the value, weekday's stand on the pointer, mood says its JSON, and shape says JSON by
// a method of the pointer and reads none.
type (
	color   int
	weekday int
	mood    int
	shape   struct{ Sides int }
	// maybe is a type of the kind that brings its own null.
	maybe struct {
		sql.NullString
	}
)

var colors = []string{"red", "green"}

func (c color) MarshalText() ([]byte, error) {
	if int(c) >= len(colors) {
		return nil, fmt.Errorf("no color %d", int(c))
	}
	return []byte(colors[c]), nil
}

func (c *color) UnmarshalText(text []byte) error {
	for i, name := range colors {
		if strings.EqualFold(name, string(text)) { // more than MarshalText says
			*c = color(i)
			return nil
		}
	}
	return errors.New("no such color")
}

func (d *weekday) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "day-%d", int(*d)), nil }

func (d *weekday) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "day-%d", (*int)(d))
	return err
}

func (m mood) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]int{"mood": int(m)}) }

func (m *mood) UnmarshalJSON(data []byte) error {
	var in map[string]int
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*m = mood(in["mood"])
	return nil
}

func (s *shape) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `[%d]`, s.Sides), nil }

func (m maybe) MarshalJSON() ([]byte, error) {
	if !m.Valid {
		return []byte("null"), nil
	}
	return json.Marshal(m.String)
}

func (m *maybe) UnmarshalJSON(data []byte) error {
	var s *string
	err := json.Unmarshal(data, &s)
	if s != nil {
		m.String, m.Valid = *s, true
	}
	return err
}

type title string

func ptr[T any](v T) *T { return &v }

var (
	east  = time.FixedZone("east", 5*3600+1800)
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 123456000, east)
	utc   = time.Date(2026, 3, 1, 6, 30, 0, 0, time.UTC)
	id    = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	since = "2026-03-01T12:00:00.123456+05:30"
)

// goTypes is a value of each type that a field can have: its JSON, how filters see it, and what SQLite is asked for.
var goTypes = []struct {
	name  string
	value any
	json  string
	typ   where.Type
	arg   any // of the SQL; nil for null
	null  bool
}{
	{"int", -7, "-7", where.Int, int64(-7), false},
	{"int8", int8(-128), "-128", where.Int, int64(-128), false},
	{"int16", int16(7), "7", where.Int, int64(7), false},
	{"int32", int32(7), "7", where.Int, int64(7), false},
	{"int64", int64(math.MinInt64), "-9223372036854775808", where.Int, int64(math.MinInt64), false},
	{"uint", uint(7), "7", where.Int, int64(7), false},
	{"uint8", uint8(255), "255", where.Int, int64(255), false},
	{"uint16", uint16(7), "7", where.Int, int64(7), false},
	{"uint32", uint32(math.MaxUint32), "4294967295", where.Int, int64(math.MaxUint32), false},
	{"uint64", uint64(math.MaxInt64), "9223372036854775807", where.Int, int64(math.MaxInt64), false},
	{"duration", time.Second, "1000000000", where.Int, int64(time.Second), false},
	{"float64", 1.5, "1.5", where.Float, 1.5, false},
	{"large float64", 1e300, "1e+300", where.Float, 1e300, false},
	{"integral float64", 3.0, "3", where.Float, 3.0, false},
	{"float32", float32(0.25), "0.25", where.Float, 0.25, false},
	{"bool", true, "true", where.Bool, true, false},
	{"string", "milk", `"milk"`, where.Text, "milk", false},
	{"empty string", "", `""`, where.Text, "", false},
	{"string with HTML", `<b>&"</b>`, `"<b>&\"</b>"`, where.Text, `<b>&"</b>`, false},
	{"string with a line separator", "a\u2028b", `"a\u2028b"`, where.Text, "a\u2028b", false},
	{"string in Unicode", "Grüße 🎈", `"Grüße 🎈"`, where.Text, "Grüße 🎈", false},
	{"string with control characters", "a\tb\n\x7f", "\"a\\tb\\n\x7f\"", where.Text, "a\tb\n\x7f", false},
	{"named string", title("milk"), `"milk"`, where.Text, "milk", false},
	{"time with a zone", noon, `"` + since + `"`, where.Time, "2026-03-01T06:30:00.123456Z", false},
	{"time in UTC", utc, `"2026-03-01T06:30:00Z"`, where.Time, "2026-03-01T06:30:00.000000Z", false},

	{"pointer to int", ptr(7), "7", where.Int, int64(7), true},
	{"nil pointer to int", (*int)(nil), "null", where.Int, nil, true},
	{"pointer to zero", ptr(0), "0", where.Int, int64(0), true},
	{"pointer to string", ptr("x"), `"x"`, where.Text, "x", true},
	{"nil pointer to string", (*string)(nil), "null", where.Text, nil, true},
	{"pointer to bool", ptr(false), "false", where.Bool, false, true},
	{"pointer to float", ptr(1.5), "1.5", where.Float, 1.5, true},
	{"pointer to time", &utc, `"2026-03-01T06:30:00Z"`, where.Time, "2026-03-01T06:30:00.000000Z", true},
	{"nil pointer to time", (*time.Time)(nil), "null", where.Time, nil, true},
	{"pointer to uuid", &id, `"` + id.String() + `"`, where.Opaque, id, true},
	{"nil pointer to uuid", (*uuid.UUID)(nil), "null", where.Opaque, nil, true},
	{"pointer to enum", ptr(color(1)), `"green"`, where.Opaque, color(1), true},
	{"pointer to enum of pointer", ptr(weekday(3)), `"day-3"`, where.Opaque, weekday(3), true},

	{"sql.NullString", sql.NullString{String: "x", Valid: true}, `"x"`, where.Text, "x", true},
	{"invalid sql.NullString", sql.NullString{}, "null", where.Text, nil, true},
	{"empty sql.NullString", sql.NullString{Valid: true}, `""`, where.Text, "", true},
	{"sql.NullInt64", sql.NullInt64{Int64: 7, Valid: true}, "7", where.Int, int64(7), true},
	{"invalid sql.NullInt64", sql.NullInt64{}, "null", where.Int, nil, true},
	{"sql.NullInt16", sql.NullInt16{Int16: 7, Valid: true}, "7", where.Int, int64(7), true},
	{"sql.NullInt32", sql.NullInt32{Int32: 7, Valid: true}, "7", where.Int, int64(7), true},
	{"sql.NullByte", sql.NullByte{Byte: 7, Valid: true}, "7", where.Int, int64(7), true},
	{"sql.NullBool", sql.NullBool{Bool: false, Valid: true}, "false", where.Bool, false, true},
	{"sql.NullFloat64", sql.NullFloat64{Float64: 1.5, Valid: true}, "1.5", where.Float, 1.5, true},
	{"sql.NullTime", sql.NullTime{Time: utc, Valid: true}, `"2026-03-01T06:30:00Z"`, where.Time, "2026-03-01T06:30:00.000000Z", true},
	{"invalid sql.NullTime", sql.NullTime{}, "null", where.Time, nil, true},
	{"sql.Null of string", sql.Null[string]{V: "x", Valid: true}, `"x"`, where.Text, "x", true},
	{"sql.Null of uuid", sql.Null[uuid.UUID]{V: id, Valid: true}, `"` + id.String() + `"`, where.Opaque, id, true},
	{"sql.Null of enum", sql.Null[weekday]{V: 3, Valid: true}, `"day-3"`, where.Opaque, weekday(3), true},
	{"invalid sql.Null", sql.Null[uuid.UUID]{}, "null", where.Opaque, nil, true},
	{"pointer to sql.NullString", &sql.NullString{String: "x", Valid: true}, `"x"`, where.Text, "x", true},

	{"uuid", id, `"` + id.String() + `"`, where.Opaque, id, false},
	{"enum with text", color(1), `"green"`, where.Opaque, color(1), false},
	{"enum with text of the pointer", weekday(3), `"day-3"`, where.Opaque, weekday(3), false},
	{"enum with JSON", mood(3), `{"mood":3}`, where.Opaque, mood(3), false},
	{"address, which no driver takes", netip.MustParseAddr("10.0.0.1"), `"10.0.0.1"`, where.Opaque, "10.0.0.1", false},
	{"type with a null of its own", maybe{sql.NullString{String: "x", Valid: true}}, `"x"`, where.Opaque, maybe{sql.NullString{String: "x", Valid: true}}, false},
	{"type with its own null in it", maybe{}, "null", where.Opaque, nil, false},
	{"json.RawMessage", json.RawMessage(`{"a":[1,2]}`), `{"a":[1,2]}`, where.Opaque, json.RawMessage(`{"a":[1,2]}`), true},
	{"bytes", []byte("milk"), `"bWlsaw=="`, where.Opaque, []byte("milk"), true},
	{"nil bytes", []byte(nil), "null", where.Opaque, nil, true},
	{"empty bytes", []byte{}, `""`, where.Opaque, []byte{}, true},

	{"slice", []string{"a", "b"}, `["a","b"]`, where.Opaque, `["a","b"]`, true},
	{"nil slice", []string(nil), "null", where.Opaque, nil, true},
	{"map", map[string]int{"b": 2, "a": 1}, `{"a":1,"b":2}`, where.Opaque, `{"a":1,"b":2}`, true},
	{"nil map", map[string]int(nil), "null", where.Opaque, nil, true},
	{"array", [2]int{1, 2}, `[1,2]`, where.Opaque, `[1,2]`, false},
	{"struct", struct{ A, B int }{1, 2}, `{"A":1,"B":2}`, where.Opaque, `{"A":1,"B":2}`, false},
	{"interface", []any{"a"}, `["a"]`, where.Opaque, `["a"]`, true},
}

func TestEachGoTypeGoesOutComesInAndReachesSQL(t *testing.T) {
	for _, test := range goTypes {
		t.Run(test.name, func(t *testing.T) {
			of := reflect.TypeOf(test.value)
			c, err := codecOf(of)
			if err != nil {
				t.Fatal(err)
			}
			if c.typ != test.typ || c.nullable != test.null {
				t.Errorf("is %s, nullable %v; want %s, %v", c.typ, c.nullable, test.typ, test.null)
			}
			v := reflect.New(of).Elem()
			v.Set(reflect.ValueOf(test.value))
			if data, err := c.encode(v); err != nil || string(data) != test.json {
				t.Errorf("goes out as %s, %v; want %s", data, err, test.json)
			}
			back := reflect.New(of).Elem()
			if err := c.decode([]byte(test.json), back); err != nil {
				t.Errorf("does not come back in: %v", err)
			} else if !same(back.Interface(), test.value) {
				t.Errorf("comes back in as %#v, want %#v", back, test.value)
			}
			checkFilter(t, c, test.json, test.arg)
		})
	}
}

// same compares times as instants.
func same(a, b any) bool {
	if x, ok := a.(time.Time); ok {
		return x.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

// checkFilter filters by the JSON of a value: the row that has it must match, and SQL must be asked for arg.
func checkFilter(t *testing.T, c codec, data string, arg any) {
	t.Helper()
	f := field{name: "f", codec: c, filter: true}
	schema, err := where.NewSchema(f.whereField())
	if err != nil {
		t.Fatal(err)
	}
	w, err := where.ParseJSON([]byte(`{"f":{"in":[`+data+`]}}`), where.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := schema.BindClient(w)
	if err != nil {
		t.Fatalf("cannot be filtered by: %v", err)
	}
	value, err := schema.ValueJSON(0, []byte(data))
	if err != nil || !p.Match(where.Row{value}) {
		t.Errorf("the row that has the value does not match it: %v", err)
	}
	clause, args := p.SQL(where.SQLite)
	switch {
	case arg == nil && (len(args) != 0 || !strings.Contains(clause, "IS NULL")):
		t.Errorf("SQL for null is %s %v", clause, args)
	case arg != nil && (len(args) != 1 || !same(args[0], arg)):
		t.Errorf("SQL is asked %s with %#v, want %#v", clause, args, arg)
	}
}

func TestSpecialValuesGoOut(t *testing.T) {
	for _, test := range []struct {
		name  string
		value any
		want  string // or, with a "!", part of the error
	}{
		{"uint64 over int64", uint64(math.MaxUint64), "18446744073709551615"},
		{"invalid UTF-8", "a\xffb", `"a\ufffdb"`},
		{"nil json.RawMessage", json.RawMessage(nil), "null"},
		{"empty json.RawMessage", json.RawMessage{}, "null"},
		{"json.RawMessage null", json.RawMessage("null"), "null"},
		{"json.RawMessage with spaces", json.RawMessage(` {"a" : 1} `), `{"a":1}`},
		{"json.RawMessage with HTML", json.RawMessage(`"<&>"`), `"<&>"`},
		{"broken json.RawMessage", json.RawMessage(`{"a"`), "!unexpected end"},
		{"nil pointer to json.RawMessage", (*json.RawMessage)(nil), "null"},
		{"JSON by a method of the pointer", shape{3}, "[3]"},
		{"pointer to that", &shape{3}, "[3]"},
		{"not a number", math.NaN(), "!unsupported value: NaN"},
		{"infinite", math.Inf(1), "!unsupported value: +Inf"},
		{"enum without text", color(9), "!no color 9"},
		{"a year that RFC 3339 has not", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "!year outside of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			of := reflect.TypeOf(test.value)
			c, err := codecOf(of)
			if err != nil {
				t.Fatal(err)
			}
			v := reflect.New(of).Elem()
			v.Set(reflect.ValueOf(test.value))
			data, err := c.encode(v)
			if want, fails := strings.CutPrefix(test.want, "!"); fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %s, %v; want an error with %q", data, err, want)
				}
			} else if err != nil || string(data) != test.want {
				t.Errorf("got %s, %v; want %s", data, err, test.want)
			}
		})
	}
}

func TestWrongValuesAreExplained(t *testing.T) {
	for _, test := range []struct {
		value any
		json  string
		want  string
	}{
		{0, `"7"`, `want an integer, got the string "7"`},
		{0, `1.5`, `want an integer that fits int, got the number 1.5`},
		{int8(0), `300`, `want an integer that fits int8, got the number 300`},
		{uint(0), `-1`, `want an integer that fits uint, got the number -1`},
		{0, `null`, `want an integer, got null`},
		{0, `true`, `want an integer, got true`},
		{0, `{}`, `want an integer, got an object`},
		{0.5, `"1"`, `want a number, got the string "1"`},
		{"", `7`, `want a string, got the number 7`},
		{"", `null`, `want a string, got null`},
		{"", `["a"]`, `want a string, got an array`},
		{false, `0`, `want true or false, got the number 0`},
		{false, `null`, `want true or false, got null`},
		{utc, `"yesterday"`, `want a time such as 2006-01-02T15:04:05Z, got the string "yesterday"`},
		{utc, `null`, `want a time such as 2006-01-02T15:04:05Z, got null`},
		{ptr(0), `"x"`, `want an integer or null, got the string "x"`},
		{sql.NullString{}, `7`, `want a string or null, got the number 7`},
		{id, `"x"`, `want a UUID, got the string "x"`},
		{id, `null`, `want a UUID, got null`},
		{color(0), `"blue"`, `want a color, got the string "blue"`},
		{mood(0), `null`, `want a mood, got null`},
		{json.RawMessage{}, ``, `want a JSON value, got nothing`},
		{[]byte{}, `"?"`, `want a base64 string, got the string "?"`},
		{[]string{}, `{}`, `want a JSON value of the right shape, got an object`},
		{struct{}{}, `null`, `want a JSON value of the right shape, got null`},
		{"", `{"` + strings.Repeat("x", 100) + `":1}`, `want a string, got an object`},
		{0, `"` + strings.Repeat("ü", 100) + `"`, `want an integer, got the string "` + strings.Repeat("ü", 19) + `…`},
	} {
		c, err := codecOf(reflect.TypeOf(test.value))
		if err != nil {
			t.Fatal(err)
		}
		err = c.decode([]byte(test.json), reflect.New(reflect.TypeOf(test.value)).Elem())
		if err == nil {
			t.Errorf("%T takes %s", test.value, test.json)
		} else if got := c.explain([]byte(test.json), err); got != test.want {
			t.Errorf("%T refuses %s with %s\nwant %s", test.value, test.json, got, test.want)
		}
	}
}

func TestFilterByWhatIsNotTheSentFormIsRefused(t *testing.T) {
	for _, test := range []struct {
		value any
		json  string
	}{
		{id, `"` + strings.ToUpper(id.String()) + `"`},
		{color(0), `"GREEN"`},
		{color(0), `"blue"`},
		{[]byte{}, `"bWlsaw"`},
	} {
		c, err := codecOf(reflect.TypeOf(test.value))
		if err != nil {
			t.Fatal(err)
		}
		if arg, err := c.arg([]byte(test.json)); err == nil {
			t.Errorf("SQL is asked for %v by %s, which the matcher compares as text", arg, test.json)
		}
	}
}
