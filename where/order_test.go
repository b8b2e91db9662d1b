package where_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live/where"
)

func TestParseOrder(t *testing.T) {
	got, err := where.ParseOrder("-due,title")
	if want := []where.Order{{Field: "due", Desc: true}, {Field: "title"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := where.ParseOrder(""); err != nil || got != nil {
		t.Errorf("no order: got %v, %v", got, err)
	}
	shape := `an order is field names separated by commas, with "-" in front for descending`
	for text, message := range map[string]string{
		",": shape, "a,": shape, "-": shape,
		"a,b,-a":                 `the order names "a" twice`,
		strings.Repeat("a,", 16): "an order has at most 16 fields",
	} {
		_, err := where.ParseOrder(text)
		field := ""
		if strings.Contains(message, "twice") {
			field = "a"
		}
		wantError(t, err, where.CodeMalformedOrder, field, message)
	}
}

func TestCheckOrder(t *testing.T) {
	s := todos(t)
	if err := s.CheckOrder([]where.Order{{Field: "done"}, {Field: "due", Desc: true}}); err != nil {
		t.Error(err)
	}
	check := func(field string) error { return s.CheckOrder([]where.Order{{Field: field}}) }
	wantError(t, check("x"), where.CodeUnknownField, "x", `unknown field "x"`)
	wantError(t, check("owner_id"), where.CodeUnknownField, "owner_id", `unknown field "owner_id"`)
	wantError(t, check("note"), where.CodeFieldNotFilterable, "note", `field "note": clients cannot filter or sort by it`)
	wantError(t, check("meta"), where.CodeMalformedOrder, "meta", `field "meta": its values have no order`)
	wantError(t, check("status"), where.CodeMalformedOrder, "status", `field "status": its values have no order`)
}

func TestOrderBy(t *testing.T) {
	s := todos(t)
	o := []where.Order{{Field: "due", Desc: true}, {Field: "gone"}, {Field: "title"}, {Field: "done"}}
	if got, want := where.Postgres.OrderBy(s, o), `"due" DESC NULLS LAST, "title" COLLATE "C" NULLS FIRST, "done"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := where.SQLite.OrderBy(s, o), `"due" DESC, "title" COLLATE BINARY, "done"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := where.SQLite.OrderBy(s, nil); got != "" {
		t.Errorf("no order: got %s", got)
	}
}

func TestComparer(t *testing.T) {
	s := todos(t)
	var rows []where.Row
	for _, r := range []row{
		{"title": `"b"`, "list_id": "1"}, {"title": `"a"`, "list_id": "2"}, {"list_id": "2"}, {"title": `"B"`, "list_id": "10"},
	} {
		rows = append(rows, r.values(t, s))
	}
	slices.SortFunc(rows, s.Comparer([]where.Order{{Field: "list_id", Desc: true}, {Field: "gone"}, {Field: "title"}}))
	title, _ := s.Index("title")
	var got []string
	for _, r := range rows {
		got = append(got, r[title].String())
	}
	if want := []string{`"B"`, "null", `"a"`, `"b"`}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
