package where_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/swampline/live/where"
)

// unlimited lets canonical filters be read back, which may be larger than what they were made from.
var unlimited = where.Limits{Nodes: 1 << 20, Values: 1 << 20, Depth: 1 << 20}

func FuzzParseJSON(f *testing.F) {
	s := todos(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := where.ParseJSON(data, where.Limits{})
		if err != nil {
			checkError(t, err)
			return
		}
		checkBound(t, s, w)
	})
}

func FuzzParseQuery(f *testing.F) {
	s := todos(f)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		w, err := where.ParseQuery(q, where.Limits{})
		if err != nil {
			checkError(t, err)
			return
		}
		checkBound(t, s, w)
	})
}

// FuzzBind binds one condition of a Go value under every lookup.
func FuzzBind(f *testing.F) {
	s := todos(f)
	f.Fuzz(func(t *testing.T, field, text string, n int64, x float64) {
		for _, v := range []any{text, n, x, nil, []byte(text), []any{text, n}} {
			for _, lookup := range []func(string, any) where.Where{
				where.Eq, where.Ne, where.Lt, where.Lte, where.Gt, where.Gte,
				where.Contains, where.IContains, where.StartsWith,
				func(field string, v any) where.Where { return where.In(field, v) },
			} {
				checkBound(t, s, where.Not(lookup(field, v)))
			}
		}
		checkBound(t, s, where.IsNull(field, n > 0))
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *where.Error
	if !errors.As(err, &e) || e.Code == "" || e.Message == "" || len(e.Message) > 1000 {
		t.Fatalf("not a useful error: %#v", err)
	}
}

// checkBound wants of a filter that can be bound that its text reads back as itself, that it and its negation part the
// rows, and that it compiles.
func checkBound(t *testing.T, s *where.Schema, w where.Where) {
	t.Helper()
	p, err := s.Bind(w)
	if err != nil {
		checkError(t, err)
		return
	}
	read, err := where.ParseJSON([]byte(p.String()), unlimited)
	if err != nil {
		t.Fatalf("%s does not parse: %v", p, err)
	}
	again, err := s.Bind(read)
	if err != nil {
		t.Fatalf("%s does not bind: %v", p, err)
	}
	if again.String() != p.String() {
		t.Fatalf("%s reads back as %s", p, again)
	}
	not := bind(t, s, where.Not(w))
	for _, r := range []row{{}, {"title": `"aBc"`, "list_id": "0", "price": "0.5", "done": "true", "meta": "{}", "due": `"2026-01-02"`}} {
		values := r.values(t, s)
		if p.Match(values) == not.Match(values) || p.Match(values) != again.Match(values) {
			t.Fatalf("%s, its negation %s and its copy %s do not fit on %v", p, not, again, r)
		}
	}
	p.SQL(where.SQLite)
	p.SQL(where.Postgres)
}

// FuzzParseOrder reads orders: what is accepted is printed as it was, and checked without harm.
func FuzzParseOrder(f *testing.F) {
	s := todos(f)
	for _, text := range []string{"", "title", "-due,title", "a,a", "-", ",", "--a", "owner_id", "a,-a", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		order, err := where.ParseOrder(text)
		if err != nil {
			checkError(t, err)
			return
		}
		names := make([]string, len(order))
		for i, by := range order {
			names[i] = by.String()
		}
		if strings.Join(names, ",") != text {
			t.Fatalf("%q is read as %q", text, names)
		}
		if err := s.CheckOrder(order); err != nil {
			checkError(t, err)
		}
	})
}
