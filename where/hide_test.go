package where_test

import (
	"errors"
	"testing"

	"github.com/swampline/live/where"
)

// hiding has a field that clients may use, one that they may not, and one that is hidden from all.
func hiding(t *testing.T) *where.Schema {
	t.Helper()
	s, err := where.NewSchema(
		where.Field{Name: "id", Type: where.Int, Filter: true},
		where.Field{Name: "price", Type: where.Int, Filter: true},
		where.Field{Name: "owner", Type: where.Int, Hidden: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is what a client is told of a filter and an order by a field.
func answer(t *testing.T, s *where.Schema, field string) (filter, order string) {
	t.Helper()
	for i, err := range []error{
		func() error { _, err := s.BindClient(where.Eq(field, 1)); return err }(),
		s.CheckOrder([]where.Order{{Field: field}}),
	} {
		text := "fine"
		var bad *where.Error
		if errors.As(err, &bad) {
			text = bad.Code + ": " + bad.Message
		}
		if i == 0 {
			filter = text
		} else {
			order = text
		}
	}
	return filter, order
}

func TestHideMakesFieldsUnknownToClients(t *testing.T) {
	s := hiding(t)
	guest := s.Hide("price", "no such field")
	for _, test := range []struct {
		schema      *where.Schema
		field, want string
	}{
		{s, "price", "fine"},
		{guest, "id", "fine"},
		{guest, "price", `unknown_field: unknown field "price"`},
		{guest, "owner", `unknown_field: unknown field "owner"`},
		{guest, "nope", `unknown_field: unknown field "nope"`},
		{guest.Hide("id"), "price", `unknown_field: unknown field "price"`},
		{guest.Hide("id"), "id", `unknown_field: unknown field "id"`},
	} {
		if filter, order := answer(t, test.schema, test.field); filter != test.want || order != test.want {
			t.Errorf("%s: filter %s, order %s, want %s", test.field, filter, order, test.want)
		}
	}
}

func TestPredicatesOfAHidingSchemaAreThoseOfTheOriginal(t *testing.T) {
	s := hiding(t)
	guest := s.Hide("price").Hide("id")
	scope, err := s.Bind(where.Lt("price", 5))
	if err != nil {
		t.Fatal(err)
	}
	p, err := guest.Bind(where.Eq("id", 1)) // the application may say everything
	if err != nil {
		t.Fatal(err)
	}
	row := func(id, price string) where.Row {
		r := make(where.Row, 3)
		for i, data := range []string{id, price, "7"} {
			if r[i], err = s.ValueJSON(i, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	for _, both := range []*where.Predicate{scope.And(p), p.And(scope)} {
		if both.String() != `{"id":1,"price__lt":5}` || !both.Match(row("1", "4")) || both.Match(row("1", "5")) || both.Match(row("2", "4")) {
			t.Errorf("%s is not what both match", both)
		}
	}
	other, err := hiding(t).Hide("price").Bind(where.Eq("id", 1))
	if err != nil {
		t.Fatal(err)
	}
	if scope.And(other).Match(row("1", "4")) {
		t.Error("predicates of different schemas have a row in common")
	}
}
