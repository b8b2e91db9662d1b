package where_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/swampline/live/where"
)

// todos is the schema of most tests.
func todos(t testing.TB) *where.Schema {
	t.Helper()
	s, err := where.NewSchema(
		where.Field{Name: "done", Type: where.Bool, Filter: true},
		where.Field{Name: "list_id", Type: where.Int, Filter: true, Nullable: true},
		where.Field{Name: "price", Type: where.Float, Filter: true, Nullable: true},
		where.Field{Name: "title", Type: where.Text, Filter: true, Nullable: true},
		where.Field{Name: "due", Type: where.Time, Filter: true, Nullable: true},
		where.Field{Name: "meta", Type: where.Opaque, Filter: true, Nullable: true},
		where.Field{Name: "status", Type: where.Text, Filter: true, Arg: statusNumber},
		where.Field{Name: "note", Type: where.Text},
		where.Field{Name: "owner_id", Type: where.Int, Filter: true, Hidden: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var errStatus = errors.New("no such status")

func statusNumber(json []byte) (any, error) {
	switch string(json) {
	case `"open"`:
		return int64(1), nil
	case `"shut"`:
		return int64(2), nil
	}
	return nil, errStatus
}

// row is a record as JSON by field; fields that are not in it are null.
type row map[string]string

func (r row) values(t testing.TB, s *where.Schema) where.Row {
	t.Helper()
	values := make(where.Row, len(s.Fields()))
	for name, json := range r {
		i, ok := s.Index(name)
		if !ok {
			t.Fatalf("no field %q", name)
		}
		v, err := s.ValueJSON(i, []byte(json))
		if err != nil {
			t.Fatal(err)
		}
		values[i] = v
	}
	return values
}

func bind(t testing.TB, s *where.Schema, w where.Where) *where.Predicate {
	t.Helper()
	p, err := s.Bind(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t testing.TB, s *where.Schema, json string) *where.Predicate {
	t.Helper()
	w, err := where.ParseJSON([]byte(json), where.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	p, err := s.BindClient(w)
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return p
}

// wantError checks code, field and sentence of an error.
func wantError(t *testing.T, err error, code, field, message string) {
	t.Helper()
	var e *where.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *where.Error", err)
	}
	got := fmt.Sprintf("%s|%s|%s", e.Code, e.Field, e.Message)
	if want := fmt.Sprintf("%s|%s|%s", code, field, message); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
