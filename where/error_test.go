package where_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/swampline/live/where"
)

func TestErrors(t *testing.T) {
	s := todos(t)
	const (
		shape    = "a filter is an object of conditions or an array of filters, not "
		notJSON  = "the filter is not valid JSON"
		rangeInt = " is outside the range of a 64-bit integer"
		lookups  = ", want one of eq, ne, in, lt, lte, gt, gte, contains, icontains, startswith, isnull"
		aTime    = `want a time such as "2006-01-02T15:04:05Z" in the years 0 to 9999, got `
	)
	tests := []struct{ filter, code, field, message string }{
		{``, where.CodeMalformedFilter, "", notJSON},
		{`{`, where.CodeMalformedFilter, "", notJSON},
		{`{"title":"` + "\xff" + `"}`, where.CodeMalformedFilter, "", notJSON},
		{`null`, where.CodeMalformedFilter, "", shape + "null"},
		{`"abc"`, where.CodeMalformedFilter, "", shape + `the string "abc"`},
		{`[7]`, where.CodeMalformedFilter, "", shape + "the number 7"},
		{`{"not":true}`, where.CodeMalformedFilter, "", shape + "true"},
		{`{"done":true,"done":false}`, where.CodeMalformedFilter, "", `the name "done" stands twice in one object`},
		{`{"done":true,"\u0064one":false}`, where.CodeMalformedFilter, "", `the name "done" stands twice in one object`},
		{`{"list_id":{"lt":1,"lt":2}}`, where.CodeMalformedFilter, "list_id", `field "list_id": the lookup "lt" stands twice`},
		{`{"list_id":[1,2]}`, where.CodeMalformedFilter, "list_id", `field "list_id": want a value or an object of lookups; several values stand under "in"`},
		{`{"list_id":{}}`, where.CodeMalformedFilter, "list_id", `field "list_id": want a value or an object of lookups such as {"gt": 5}`},
		{`{"list_id__in":1}`, where.CodeMalformedFilter, "list_id", `field "list_id": "in" wants an array, not the number 1`},

		{`{"nope":1}`, where.CodeUnknownField, "nope", `unknown field "nope"`},
		{`{"":1}`, where.CodeUnknownField, "", `unknown field ""`},
		{`{"owner_id":1}`, where.CodeUnknownField, "owner_id", `unknown field "owner_id"`},
		{`{"owner_id__contains":"x"}`, where.CodeUnknownField, "owner_id", `unknown field "owner_id"`},
		{`{"note":1}`, where.CodeFieldNotFilterable, "note", `field "note": clients cannot filter or sort by it`},

		{`{"title__like":"x"}`, where.CodeUnknownOperator, "title", `field "title": unknown lookup "like"` + lookups},
		{`{"title":{"like":"x"}}`, where.CodeUnknownOperator, "title", `field "title": unknown lookup "like"` + lookups},
		{`{"done__lt":true}`, where.CodeUnknownOperator, "done", `field "done": a field of type bool has no "lt", want one of eq, ne, in, isnull`},
		{`{"list_id__contains":1}`, where.CodeUnknownOperator, "list_id",
			`field "list_id": a field of type int has no "contains", want one of eq, ne, in, lt, lte, gt, gte, isnull`},
		{`{"meta__gt":1}`, where.CodeUnknownOperator, "meta", `field "meta": a field of type opaque has no "gt", want one of eq, ne, in, isnull`},
		{`{"status__contains":"op"}`, where.CodeUnknownOperator, "status", `field "status": a field of type text has no "contains", want one of eq, ne, in, isnull`},

		{`{"list_id":"abc"}`, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got the string "abc"`},
		{`{"list_id":"7"}`, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got the string "7"`},
		{`{"list_id":1.5}`, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got the number 1.5`},
		{`{"list_id__eq":{"a":1}}`, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got an object`},
		{`{"list_id__in":[1,[]]}`, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got an array`},
		{`{"list_id":9223372036854775808}`, where.CodeInvalidValue, "list_id", `field "list_id": the number 9223372036854775808` + rangeInt},
		{`{"list_id":-1e19}`, where.CodeInvalidValue, "list_id", `field "list_id": the number -1e19` + rangeInt},
		{`{"list_id":1e999999999}`, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got "1e999999999"`},
		{`{"list_id__lt":null}`, where.CodeInvalidValue, "list_id", `field "list_id": "lt" wants a value, got null`},
		{`{"list_id__isnull":1}`, where.CodeInvalidValue, "list_id", `field "list_id": "isnull" wants true or false, got the number 1`},
		{`{"done":"false"}`, where.CodeInvalidValue, "done", `field "done": want true or false, got the string "false"`},
		{`{"price":1e309}`, where.CodeInvalidValue, "price", `field "price": want a number, got the number 1e309`},
		{`{"title":false}`, where.CodeInvalidValue, "title", `field "title": want a string, got false`},
		{`{"title":"a\u0000"}`, where.CodeInvalidValue, "title", `field "title": a value cannot hold the character U+0000`},
		{`{"meta":"\\\u0000"}`, where.CodeInvalidValue, "meta", `field "meta": a value cannot hold the character U+0000`},
		{`{"title__icontains":"\ud800"}`, where.CodeInvalidValue, "title", `field "title": "icontains" cannot search for the character U+FFFD`},
		{`{"due":"tomorrow"}`, where.CodeInvalidValue, "due", `field "due": ` + aTime + `the string "tomorrow"`},
		{`{"due":"2026-01-02T03:04:05"}`, where.CodeInvalidValue, "due", `field "due": ` + aTime + `the string "2026-01-02T03:04:05"`},
		{`{"due":"2026-02-30"}`, where.CodeInvalidValue, "due", `field "due": ` + aTime + `the string "2026-02-30"`},
		{`{"due":"0000-01-01T00:00:00+01:00"}`, where.CodeInvalidValue, "due", `field "due": ` + aTime + `the string "0000-01-01T00:00:00+01:00"`},
		{`{"meta__eq":{"a":1,"a":2}}`, where.CodeInvalidValue, "meta", `field "meta": want a JSON value, got an object`},
		{`{"status":"odd"}`, where.CodeInvalidValue, "status", `field "status": "odd" is not one of its values`},
		{`{"list_id":"` + strings.Repeat("é", 50) + `"}`, where.CodeInvalidValue, "list_id",
			`field "list_id": want an integer, got the string "` + strings.Repeat("é", 40) + `…"`},

		{`{"title__contains":"` + strings.Repeat("x", 1001) + `"}`, where.CodeFilterTooLarge, "title", `field "title": "contains" takes at most 1000 bytes`},
		{strings.Repeat("[", 33) + strings.Repeat("]", 33), where.CodeFilterTooLarge, "", "the filter is nested deeper than 32"},
		{"[" + strings.Repeat("{},", 49) + "{}]", where.CodeFilterTooLarge, "", "the filter has more than 50 conditions, objects and arrays"},
		{`{"list_id__in":[` + strings.Repeat("1,", 100) + `1]}`, where.CodeFilterTooLarge, "list_id", `field "list_id": "in" has more than 100 values`},
	}
	for _, tt := range tests {
		t.Run(clip(tt.filter), func(t *testing.T) {
			w, err := where.ParseJSON([]byte(tt.filter), where.Limits{})
			if err == nil {
				_, err = s.BindClient(w)
			}
			wantError(t, err, tt.code, tt.field, tt.message)
		})
	}
}

func clip(s string) string { return s[:min(len(s), 40)] }

func TestErrorsQuery(t *testing.T) {
	s := todos(t)
	tests := []struct {
		query                string
		code, field, message string
	}{
		{"done=true&done=false", where.CodeMalformedFilter, "done", `field "done": eq is given twice; several values stand under "in"`},
		{"done=true&done__eq=true", where.CodeMalformedFilter, "done", `field "done": eq is given twice; several values stand under "in"`},
		{"owner_id=1", where.CodeUnknownField, "owner_id", `unknown field "owner_id"`},
		{"not=1", where.CodeUnknownField, "not", `unknown field "not"`},
		{"done__=1", where.CodeUnknownOperator, "done",
			`field "done": unknown lookup "", want one of eq, ne, in, lt, lte, gt, gte, contains, icontains, startswith, isnull`},
		{"done=0", where.CodeInvalidValue, "done", `field "done": want true or false, got "0"`},
		{"list_id=", where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got ""`},
		{"list_id=null", where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got "null"`},
		{"list_id=0x7", where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got "0x7"`},
		{"price=NaN", where.CodeInvalidValue, "price", `field "price": want a number, got "NaN"`},
		{"title=%ff", where.CodeInvalidValue, "title", `field "title": want text in valid UTF-8`},
		{"list_id__isnull=1", where.CodeInvalidValue, "list_id", `field "list_id": "isnull" wants true or false, got "1"`},
		{"list_id__in=" + strings.Repeat(",", 100), where.CodeFilterTooLarge, "list_id", `field "list_id": "in" has more than 100 values`},
	}
	for _, tt := range tests {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		w, err := where.ParseQuery(q, where.Limits{})
		if err == nil {
			_, err = s.BindClient(w)
		}
		wantError(t, err, tt.code, tt.field, tt.message)
	}
	_, err := where.ParseQuery(url.Values{"a": {"1"}, "b": {"1"}}, where.Limits{Nodes: 1})
	wantError(t, err, where.CodeFilterTooLarge, "", "the filter has more than 1 conditions, objects and arrays")
}

// TestHiddenIsUnknown asks everything of a hidden field and of a missing one, and wants one answer.
func TestHiddenIsUnknown(t *testing.T) {
	s := todos(t)
	for _, format := range []string{
		`{"F":1}`, `{"F":"x"}`, `{"F":null}`, `{"F__contains":"x"}`, `{"F__nope":1}`, `{"F":{"in":[1,"x"]}}`,
		`{"F":{"in":3}}`, `{"F__isnull":3}`, `{"not":{"F":1}}`, `[{"done":true},{"F__lt":{}}]`, `{"F__in":[]}`,
	} {
		ask := func(field string) string {
			w, err := where.ParseJSON([]byte(strings.ReplaceAll(format, "F", field)), where.Limits{})
			if err == nil {
				_, err = s.BindClient(w)
			}
			if err == nil {
				t.Fatalf("%s is taken for %s", format, field)
			}
			return strings.ReplaceAll(err.Error(), field, "F")
		}
		if hidden, missing := ask("owner_id"), ask("nothing_"); hidden != missing {
			t.Errorf("%s\nhidden:  %s\nmissing: %s", format, hidden, missing)
		}
	}
}

func TestErrorUnwrap(t *testing.T) {
	_, err := todos(t).Bind(where.Eq("status", "odd"))
	if !errors.Is(err, errStatus) {
		t.Errorf("%v does not wrap the error of Arg", err)
	}
}

func TestBindAllowsEveryField(t *testing.T) {
	s := todos(t)
	if got := bind(t, s, where.And(where.Eq("note", "x"), where.Eq("owner_id", 7))).String(); got != `{"note":"x","owner_id":7}` {
		t.Errorf("got %s", got)
	}
	_, err := s.Bind(where.Eq("nope", 1))
	wantError(t, err, where.CodeUnknownField, "nope", `unknown field "nope"`)
	_, err = s.Bind(where.Not(where.Eq("list_id", "7")))
	wantError(t, err, where.CodeInvalidValue, "list_id", `field "list_id": want an integer, got the string "7"`)
	_, err = s.Bind(where.Eq("title", "\xff"))
	wantError(t, err, where.CodeInvalidValue, "title", `field "title": want text in valid UTF-8`)
}

func TestNewSchema(t *testing.T) {
	for _, fields := range [][]where.Field{
		{{Type: where.Int}},
		{{Name: "not", Type: where.Int}},
		{{Name: "a__b", Type: where.Int}},
		{{Name: "a,b", Type: where.Int}},
		{{Name: "-a", Type: where.Int}},
		{{Name: "a"}},
		{{Name: "a", Type: where.Opaque + 1}},
		{{Name: "a", Type: where.Int}, {Name: "a", Type: where.Text}},
	} {
		if _, err := where.NewSchema(fields...); err == nil {
			t.Errorf("%v is taken", fields)
		}
	}
	s := todos(t)
	s.Fields()[0].Name = "changed"
	if i, ok := s.Index("done"); !ok || i != 0 || s.Fields()[0].Name != "done" {
		t.Error("Fields must return a copy")
	}
}
