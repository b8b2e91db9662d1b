package where_test

import (
	"database/sql"
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/where"
)

// TestMarshal wants the text, and that it binds to what the filter itself binds to.
func TestMarshal(t *testing.T) {
	s := todos(t)
	title := "milk"
	tests := []struct {
		w    where.Where
		want string
	}{
		{where.Where{}, `{}`},
		{where.And(), `{}`},
		{where.Nothing(), `[]`},
		{where.Eq("done", false), `{"done":false}`},
		{where.Eq("title", &title), `{"title":"milk"}`},
		{where.Eq("title", (*string)(nil)), `{"title":null}`},
		{where.Eq("title", sql.NullString{String: "a", Valid: true}), `{"title":"a"}`},
		{where.Eq("list_id", sql.NullInt64{}), `{"list_id":null}`},
		{where.Eq("due", time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)), `{"due":"2026-01-02T03:04:05.000006Z"}`},
		{where.Eq("meta", []int{1}), `{"meta__eq":[1]}`},
		{where.Eq("meta", map[string]int{"a": 1}), `{"meta__eq":{"a":1}}`},
		{where.In("list_id", []int64{1, 2}), `{"list_id__in":[1,2]}`},
		{where.In("list_id"), `{"list_id__in":[]}`},
		{where.IsNull("due", true), `{"due__isnull":true}`},
		{where.And(where.Eq("done", true), where.Not(where.StartsWith("title", "a"))), `{"done":true,"not":{"title__startswith":"a"}}`},
		{where.And(where.Gt("price", 1.5), where.Lt("price", 9)), `{"price__gt":1.5,"price__lt":9}`},
		{where.And(where.Ne("list_id", 1), where.Ne("list_id", 2)), `{"not":[{"not":{"list_id__ne":1}},{"not":{"list_id__ne":2}}]}`},
		{
			where.And(where.Or(where.Eq("done", true), where.Eq("list_id", 1)), where.Eq("title", "a")),
			`{"not":[{"not":[{"done":true},{"list_id":1}]},{"not":{"title":"a"}}]}`,
		},
		{where.And(where.Where{}, where.Eq("done", true)), `{"done":true}`},
		{where.Not(where.Not(where.Contains("title", `"`))), `{"not":{"not":{"title__contains":"\""}}}`},
	}
	for _, tt := range tests {
		got, err := tt.w.MarshalJSON()
		if err != nil || string(got) != tt.want {
			t.Errorf("got %s, %v, want %s", got, err, tt.want)
			continue
		}
		if same, want := parse(t, s, string(got)).String(), bind(t, s, tt.w).String(); same != want {
			t.Errorf("%s reads back as %s, want %s", got, same, want)
		}
	}
}

func TestMarshalKeepsWhatWasParsed(t *testing.T) {
	s := todos(t)
	for _, filter := range []string{
		`{"list_id":{"in":[1,2],"ne":2},"not":[{"done":true},{"title__contains":"x"}]}`,
		`[{"list_id":1,"not":{"not":{"title":"a"}}},[{"meta__eq":{"b":[1,{}]}}]]`,
		`{"list_id__ne":1,"not":{"list_id":{"ne":3,"gt":1}},"title":"a"}`,
	} {
		w, err := where.ParseJSON([]byte(filter), where.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := parse(t, s, string(data)).String(), bind(t, s, w).String(); got != want {
			t.Errorf("%s is written as %s: that is %s, want %s", filter, data, got, want)
		}
	}
}

func TestMarshalSaysWhatHasNoJSON(t *testing.T) {
	query, err := where.ParseQuery(url.Values{"list_id": {"7"}}, where.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for w, want := range map[*where.Where]string{
		&query:                                   `field "list_id": a value of a query string`,
		ptr(where.Eq("price", math.NaN())):       `field "price": a Go float64 that has no JSON`,
		ptr(where.Not(where.Eq("a", func() {}))): `field "a": a Go func() that has no JSON`,
	} {
		if data, err := w.MarshalJSON(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %s, %v, want the error %s", data, err, want)
		}
	}
}

func ptr[T any](v T) *T { return &v }
