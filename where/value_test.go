package where_test

import (
	"database/sql"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/swampline/live/where"
)

type word string // a named kind

type shout string // a type that says its own JSON

func (s shout) MarshalText() ([]byte, error) { return []byte(string(s) + "!"), nil }

type pointed struct{ s string }

func (p *pointed) MarshalJSON() ([]byte, error) { return json.Marshal(p.s) }

func TestValueGo(t *testing.T) {
	s := todos(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))
	seven := int32(7)
	pointer := &seven
	tests := []struct {
		field string
		v     any
		want  string // JSON; empty: an error
	}{
		{"list_id", nil, "null"},
		{"list_id", (*int)(nil), "null"},
		{"list_id", (*pointed)(nil), "null"},
		{"list_id", &pointer, "7"},
		{"list_id", uint8(7), "7"},
		{"list_id", 7.0, "7"},
		{"list_id", 7.5, ""},
		{"list_id", "7", ""},
		{"list_id", uint64(math.MaxUint64), ""},
		{"list_id", int64(math.MinInt64), "-9223372036854775808"},
		{"list_id", json.Number("12"), "12"},
		{"list_id", sql.NullInt64{Int64: 3, Valid: true}, "3"},
		{"list_id", sql.NullInt64{}, "null"},
		{"list_id", (*sql.NullInt64)(nil), "null"},
		{"list_id", at, ""},
		{"list_id", func() {}, ""},
		{"done", true, "true"},
		{"done", 1, ""},
		{"price", 7, "7"},
		{"price", math.Copysign(0, -1), "0"},
		{"price", math.NaN(), ""},
		{"price", math.Inf(1), ""},
		{"price", float32(0.1), "0.1"},
		{"title", word("x"), `"x"`},
		{"title", shout("x"), `"x!"`},
		{"title", &pointed{"x"}, `"x"`},
		{"title", json.RawMessage(`"x"`), `"x"`},
		{"title", "\xff", ""},
		{"title", at, ""},
		{"due", at, `"2026-01-02T02:04:05.000006Z"`},
		{"due", &at, `"2026-01-02T02:04:05.000006Z"`},
		{"due", sql.NullTime{Time: at, Valid: true}, `"2026-01-02T02:04:05.000006Z"`},
		{"due", time.Time{}, `"0001-01-01T00:00:00.000000Z"`},
		{"due", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"due", time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), `"9999-12-31T23:59:59.999999Z"`},
		{"due", time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)), ""},
		{"meta", map[string]any{"b": 1, "a": at}, `{"a":"2026-01-02T03:04:05.000006789+01:00","b":1}`},
		{"meta", []int{1, 2}, "[1,2]"},
		{"meta", at, `"2026-01-02T03:04:05.000006789+01:00"`},
	}
	for _, tt := range tests {
		i, _ := s.Index(tt.field)
		v, err := s.ValueGo(i, tt.v)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: a Go %T %v is taken as %v", tt.field, tt.v, tt.v, v)
			}
			continue
		}
		if err != nil || v.String() != tt.want {
			t.Errorf("%s: a Go %T %v: got %v, %v, want %s", tt.field, tt.v, tt.v, v, err, tt.want)
		}
		if back, err := s.ValueJSON(i, v.AppendJSON(nil)); err != nil || back != v || v.IsNull() != (tt.want == "null") {
			t.Errorf("%s: %s reads back as %v, %v", tt.field, v, back, err)
		}
	}
}

func TestInSpreads(t *testing.T) {
	s := todos(t)
	for _, tt := range []struct {
		w    where.Where
		want string
	}{
		{where.In("list_id", []int64{2, 1}), `{"list_id__in":[1,2]}`},
		{where.In("list_id", [2]int{2, 1}), `{"list_id__in":[1,2]}`},
		{where.In("list_id", []int64{}), `[]`},
		{where.In("list_id"), `[]`},
		{where.In("list_id", nil), `{"list_id":null}`},
		{where.In("meta", json.RawMessage(`[1]`)), `{"meta__eq":[1]}`},
		{where.In("meta", []any{[]int{1}}), `{"meta__eq":[1]}`},
	} {
		if got := bind(t, s, tt.w).String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	s := todos(t)
	for field, sorted := range map[string][]string{
		"done":    {"null", "false", "true"},
		"list_id": {"null", "-9223372036854775808", "-1", "0", "9007199254740992", "9007199254740993", "9223372036854775807"},
		"price":   {"null", "-1e300", "-1.5", "0", "5e-324", "1", "1e300"},
		"title":   {"null", `""`, `"B"`, `"a"`, `"aa"`, `"ä"`, `"\uffff"`, `"😀"`},
		"due":     {"null", `"0000-01-01"`, `"1969-12-31T23:59:59.999999Z"`, `"1970-01-01"`, `"9999-12-31"`},
	} {
		i, _ := s.Index(field)
		var values []where.Value
		for _, json := range sorted {
			v, err := s.ValueJSON(i, []byte(json))
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		for a, v := range values {
			for b, w := range values {
				if got := v.Compare(w); got < 0 != (a < b) || got > 0 != (a > b) || (v == w) != (a == b) {
					t.Errorf("%s compared with %s is %d", v, w, got)
				}
			}
		}
	}
}
