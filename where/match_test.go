package where_test

import (
	"net/url"
	"testing"

	"github.com/swampline/live/where"
)

func TestMatch(t *testing.T) {
	s := todos(t)
	tests := []struct {
		name   string
		filter string
		row    row
		want   bool
	}{
		{"everything", `{}`, row{}, true},
		{"nothing", `[]`, row{}, false},
		{"empty not", `{"not":{}}`, row{}, false},
		{"eq", `{"list_id":7}`, row{"list_id": "7"}, true},
		{"eq other", `{"list_id":7}`, row{"list_id": "8"}, false},
		{"eq beyond float64", `{"list_id":9007199254740993}`, row{"list_id": "9007199254740992"}, false},
		{"eq integral float", `{"list_id":1e3}`, row{"list_id": "1000.0"}, true},
		{"eq null", `{"list_id":null}`, row{}, true},
		{"eq null on a value", `{"list_id":null}`, row{"list_id": "0"}, false},
		{"eq on null", `{"list_id":0}`, row{}, false},
		{"eq null where none is declared", `{"done":null}`, row{}, true},
		{"ne", `{"list_id__ne":5}`, row{"list_id": "5"}, false},
		{"ne on null", `{"list_id__ne":5}`, row{}, true},
		{"ne null", `{"list_id__ne":null}`, row{}, false},
		{"in", `{"list_id":{"in":[1,2]}}`, row{"list_id": "2"}, true},
		{"in with null", `{"list_id":{"in":[null,2]}}`, row{}, true},
		{"in on null", `{"list_id":{"in":[1,2]}}`, row{}, false},
		{"in of none", `{"list_id":{"in":[]}}`, row{"list_id": "1"}, false},
		{"not in of none", `{"not":{"list_id":{"in":[]}}}`, row{}, true},
		{"in of many", `{"list_id":{"in":[1,2,3,4,5,6,7,8,9,10]}}`, row{"list_id": "9"}, true},
		{"lt on null", `{"list_id__lt":5}`, row{}, false},
		{"not lt on null", `{"not":{"list_id__lt":5}}`, row{}, true},
		{"range", `{"list_id":{"gte":2,"lt":5}}`, row{"list_id": "5"}, false},
		{"least integer", `{"list_id__lte":-9223372036854775808}`, row{"list_id": "-9223372036854775808"}, true},
		{"integer on float", `{"price__gt":1}`, row{"price": "1.5"}, true},
		{"negative zero", `{"price":0}`, row{"price": "-0.0"}, true},
		{"contains", `{"title__contains":"ilk"}`, row{"title": `"milk"`}, true},
		{"contains is exact", `{"title__contains":"MILK"}`, row{"title": `"milk"`}, false},
		{"contains nothing", `{"title__contains":""}`, row{"title": `""`}, true},
		{"contains on null", `{"title__contains":""}`, row{}, false},
		{"contains no wildcards", `{"title__contains":"%"}`, row{"title": `"milk"`}, false},
		{"icontains", `{"title__icontains":"äPFEL"}`, row{"title": `"Bratäpfel"`}, true},
		{"icontains sharp s", `{"title__icontains":"STRAẞE"}`, row{"title": `"Hauptstraße"`}, true},
		{"icontains is no full folding", `{"title__icontains":"ss"}`, row{"title": `"ß"`}, false},
		{"icontains Kelvin", `{"title__icontains":"k"}`, row{"title": "\"\u212a\""}, true},
		{"icontains sigma", `{"title__icontains":"ΟΔΟΣ"}`, row{"title": `"οδος"`}, true},
		{"icontains dotless i", `{"title__icontains":"I"}`, row{"title": `"ı"`}, false},
		{"icontains after a false start", `{"title__icontains":"aab"}`, row{"title": `"aAaB"`}, true},
		{"startswith", `{"title__startswith":"mi"}`, row{"title": `"milk"`}, true},
		{"startswith later", `{"title__startswith":"il"}`, row{"title": `"milk"`}, false},
		{"time is an instant", `{"due":"2026-01-02T03:00:00+02:00"}`, row{"due": `"2026-01-02T01:00:00Z"`}, true},
		{"time to the microsecond", `{"due":"2026-01-02T00:00:00.000001Z"}`, row{"due": `"2026-01-02T00:00:00.0000019Z"`}, true},
		{"date", `{"due__gte":"2026-01-02"}`, row{"due": `"2026-01-02T00:00:00Z"`}, true},
		{"opaque", `{"meta__eq":{"b":[1.0],"a":"x"}}`, row{"meta": `{"a":"\u0078", "b":[1]}`}, true},
		{"opaque other", `{"meta__eq":{"a":1}}`, row{"meta": `{"a":2}`}, false},
		{"isnull", `{"title__isnull":true}`, row{}, true},
		{"isnull false", `{"title__isnull":false}`, row{}, false},
		{"or", `[{"list_id":1},{"title":"x"}]`, row{"title": `"x"`}, true},
		{"not or", `{"not":[{"list_id":1},{"title":"x"}]}`, row{"title": `"x"`}, false},

		// What SwampDragon, whose filters this language takes up, got wrong.
		{"SwampDragon: pub=false matched true", `{"done":false}`, row{"done": "true"}, false},
		{"SwampDragon: in never matched strings", `{"title__in":["a","b"]}`, row{"title": `"b"`}, true},
		{"SwampDragon: 0 failed lt 5", `{"list_id__lt":5}`, row{"list_id": "0"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, s, tt.filter)
			r := tt.row.values(t, s)
			if got := p.Match(r); got != tt.want {
				t.Errorf("%s matches %v: %t, want %t", tt.filter, tt.row, got, tt.want)
			}
			if not := parse(t, s, `{"not":`+tt.filter+`}`); not.Match(r) == tt.want {
				t.Errorf("the negation of %s matches %v: %t, want %t", tt.filter, tt.row, tt.want, !tt.want)
			}
			if again := parse(t, s, p.String()); again.String() != p.String() {
				t.Errorf("String of %s is %s, and of that %s", tt.filter, p, again)
			}
		})
	}
}

func TestMatchQuery(t *testing.T) {
	s := todos(t)
	tests := []struct {
		query string
		row   row
		want  bool
	}{
		{"", row{}, true},
		{"done=false", row{"done": "true"}, false},
		{"done=false", row{"done": "false"}, true},
		{"done=false&title__contains=milk", row{"done": "false", "title": `"oat milk"`}, true},
		{"list_id__in=1,2,3", row{"list_id": "3"}, true},
		{"list_id__in=1,2&list_id__in=3", row{"list_id": "3"}, true},
		{"title__in=a,b", row{"title": `"b"`}, true},
		{"title=7", row{"title": `"7"`}, true},
		{"title=null", row{}, false},
		{"list_id__isnull=true", row{}, true},
		{"due=2026-01-02T03:00:00+02:00", row{"due": `"2026-01-02T01:00:00Z"`}, true},
		{"due=2026-01-02T03:00:00%2B02:00", row{"due": `"2026-01-02T01:00:00Z"`}, true},
		{"meta=abc", row{"meta": `"abc"`}, true},
		{"meta=7", row{"meta": `"7"`}, true},
		{`meta={"a":1.0}`, row{"meta": `{"a":1}`}, true},
		{"price=1e1", row{"price": "10"}, true},
	}
	for _, tt := range tests {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		w, err := where.ParseQuery(q, where.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", tt.query, err)
		}
		p, err := s.BindClient(w)
		if err != nil {
			t.Fatalf("%s: %v", tt.query, err)
		}
		if got := p.Match(tt.row.values(t, s)); got != tt.want {
			t.Errorf("%s matches %v: %t, want %t", tt.query, tt.row, got, tt.want)
		}
	}
}

func TestPossible(t *testing.T) {
	s := todos(t)
	title, _ := s.Index("title")
	known := func(field int) bool { return field != title }
	r := row{"list_id": "1", "done": "false"}.values(t, s)
	tests := []struct {
		filter string
		want   bool
	}{
		{`{"list_id":1,"title":"x"}`, true},
		{`{"list_id":2,"title":"x"}`, false},
		{`[{"list_id":2},{"title":"x"}]`, true},
		{`{"not":{"title":"x"}}`, true},
		{`{"not":[{"title":"x"},{"list_id":1}]}`, false},
		{`{"title__in":[]}`, false},
	}
	for _, tt := range tests {
		if got := parse(t, s, tt.filter).Possible(r, known); got != tt.want {
			t.Errorf("%s is possible: %t, want %t", tt.filter, got, tt.want)
		}
	}
	if parse(t, s, `{"title":"x"}`).Possible(r, nil) {
		t.Error("Possible without known must know every field")
	}
}

func TestShortRow(t *testing.T) {
	s := todos(t)
	if !parse(t, s, `{"title":null}`).Match(nil) {
		t.Error("fields behind the end of a row are null")
	}
}

func TestPredicateZero(t *testing.T) {
	var p where.Predicate
	cond, _ := p.SQL(where.SQLite)
	if p.Match(nil) || p.Possible(nil, nil) || p.String() != "[]" || cond != "1=0" || p.Node().Op != where.OpOr {
		t.Error("the zero Predicate must match nothing")
	}
	q := bind(t, todos(t), where.Where{})
	if q.And(&p).String() != "[]" || q.And(bind(t, todos(t), where.Where{})).String() != "[]" {
		t.Error("And of two schemas must match nothing")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	s := todos(t)
	p, r := benchmarked(t, s)
	if n := testing.AllocsPerRun(100, func() { p.Match(r); r[0].Compare(r[1]) }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

func benchmarked(t testing.TB, s *where.Schema) (*where.Predicate, where.Row) {
	p := parse(t, s, `{"done":false,"list_id__in":[1,2,3,4,5,6,7,8,9,10],"title__icontains":"milk","due__gte":"2026-01-01",
		"not":{"price__lt":1}}`)
	r := row{
		"done": "false", "list_id": "7", "title": `"Buy Milk and Bread"`, "due": `"2026-02-03T04:05:06Z"`, "price": "1.5",
	}.values(t, s)
	if !p.Match(r) {
		t.Fatal("must match")
	}
	return p, r
}

func BenchmarkMatch(b *testing.B) {
	s := todos(b)
	b.Run("eq", func(b *testing.B) {
		p, r := parse(b, s, `{"list_id":7}`), row{"list_id": "7"}.values(b, s)
		b.ReportAllocs()
		for b.Loop() {
			p.Match(r)
		}
	})
	b.Run("five", func(b *testing.B) {
		p, r := benchmarked(b, s)
		b.ReportAllocs()
		for b.Loop() {
			p.Match(r)
		}
	})
}

// TestExcludes holds what is plain without a new predicate against the predicate.
func TestExcludes(t *testing.T) {
	s := todos(t)
	filters := []string{
		`{}`, `[]`, `{"list_id":1}`, `{"list_id":2}`, `{"list_id__ne":1}`, `{"list_id__in":[1,2]}`, `{"not":{"list_id__in":[1,2]}}`, `{"list_id":null}`,
		`{"list_id__ne":null}`, `{"list_id":1,"done":true}`, `{"list_id":2,"done":true}`, `{"list_id":1,"done":false}`, `{"list_id__gt":5}`,
		`[{"list_id":1},{"done":true}]`, `[{"list_id":2},{"done":false}]`, `{"list_id__in":[1,2],"title__contains":"a"}`, `{"title":"a"}`,
		`{"list_id__in":[1,2,3,4,5,6,7,8,9,10,11]}`, `{"not":{"list_id__in":[1,2,3,4,5,6,7,8,9,10,11]},"done":true}`, `{"list_id":1,"list_id__gt":0}`,
	}
	other, err := where.NewSchema(where.Field{Name: "list_id", Type: where.Int})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range filters {
		p := parse(t, s, a)
		for _, b := range filters {
			q := parse(t, s, b)
			if got, want := p.Excludes(q), p.And(q).String() == "[]"; got != want {
				t.Errorf("%s and %s: %v, want %v", a, b, got, want)
			}
			if n := testing.AllocsPerRun(10, func() { p.Excludes(q) }); n != 0 {
				t.Errorf("%s and %s: %v allocations", a, b, n)
			}
		}
		if !p.Excludes(parse(t, other, `{}`)) || !p.Excludes(&where.Predicate{}) {
			t.Error("predicates of different schemas have rows in common")
		}
	}
}
