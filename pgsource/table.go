package pgsource

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Columns says in which columns a model's fields are, by the fields' names, where that is not the column of the same name. Columns
// are named exactly, as in quotes.
//
// A field that has no tag is named as in Go: funcs of the serializer, and those that say which parents a row touches, find it
// set if it is named here; all others are zero.
//
// The column "-" says that the field is in no column of the table, for it is joined or made up by List. Then the row cannot be made of
// what was captured, and what has changed is loaded anew, by [live.Router.ChangedID].
type Columns map[string]string

// Captured is a router with the table that its rows are in. Table makes one.
type Captured interface {
	prepare() (*table, error)
}

// Table says that the rows of a router are those of a table: "todos", or "shop.orders", with quotes around a name that has a
// dot in it; case counts. The router must be registered before New is called. Its key must be unique in the table. Columns of
// several maps count together.
func Table[T any](r *live.Router[T], name string, columns ...Columns) Captured {
	return captured[T]{r, name, columns}
}

type captured[T any] struct {
	router  *live.Router[T]
	name    string
	columns []Columns
}

// column is a column that is captured, and the field that it is of.
type column struct {
	name, field string
	path        []int
}

// table is what a source does with one router.
type table struct {
	router  string
	hub     *live.Hub
	name    string // as SQL has it
	columns []column
	key     int // of columns
	// reload says that some field is in no column.
	reload bool

	// The router's own methods, for rows as the triggers wrote them.
	publish   func(ctx context.Context, types types, e entry) error
	changedID func(ctx context.Context, keys []live.Key) error
	bulk      func(ctx context.Context) error
}

func (c captured[T]) prepare() (*table, error) {
	if c.router == nil {
		return nil, fmt.Errorf("the table %q has no router", c.name)
	}
	t := &table{router: c.router.Name, hub: c.router.Hub(), changedID: func(ctx context.Context, keys []live.Key) error {
		return c.router.ChangedID(ctx, keys...)
	}}
	t.bulk = func(ctx context.Context) error { return c.router.ChangedWhere(ctx, where.Where{}) }
	t.publish = func(ctx context.Context, types types, e entry) error {
		return publish(ctx, c.router, t, types, e)
	}
	if t.hub == nil {
		return nil, fmt.Errorf("router %s: it is not registered: call hub.Register before pgsource.New", t.router)
	}
	var err error
	if t.name, err = parseTable(c.name); err == nil {
		err = t.mapFields(reflect.TypeFor[T](), c.router.StoredFields(), c.columns)
	}
	if err != nil {
		return nil, fmt.Errorf("router %s: %w", t.router, err)
	}
	return t, nil
}

// mapFields finds the column of each field.
func (t *table) mapFields(model reflect.Type, fields []live.StoredField, columns []Columns) error {
	wanted := Columns{}
	for _, some := range columns {
		maps.Copy(wanted, some)
	}
	for _, f := range fields {
		name, ok := wanted[f.Name]
		if !ok {
			name = f.Name
		}
		delete(wanted, f.Name)
		switch {
		case name == "":
			return fmt.Errorf(`Columns says %q is in the column "": name the column, or "-" if it is in none`, f.Name)
		case name == "-" && f.Key:
			return fmt.Errorf("the key %q is in no column: without it nobody can tell whose row has changed", f.Name)
		case name == "-":
			t.reload = true
			continue
		case f.Key:
			t.key = len(t.columns)
		}
		t.columns = append(t.columns, column{name: name, field: f.Name, path: f.Path})
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		f, ok := model.FieldByName(name)
		if !ok || !f.IsExported() || wanted[name] == "" || wanted[name] == "-" {
			return fmt.Errorf("Columns names %q, which is the name of no field of %s: say it as it is published, or a field without a tag as in Go", name, model)
		}
		t.columns = append(t.columns, column{name: wanted[name], field: name, path: f.Index})
	}
	return nil
}

// image is a row as a trigger wrote it: PostgreSQL's text of each column, nil for null.
type image map[string]*string

func (t *table) image(data []byte) (image, error) {
	if data == nil {
		return nil, nil
	}
	var i image
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, err
	}
	for _, c := range t.columns {
		if _, ok := i[c.name]; !ok {
			return nil, fmt.Errorf("it was captured without the column %q, by triggers of an earlier declaration", c.name)
		}
	}
	return i, nil
}

// types are those of a table's columns, as results have them, on one connection.
type types struct {
	known *pgtype.Map
	oids  []uint32
}

// scan makes a row of an image, as pgx makes one of a result.
func (t *table) scan(types types, i image, row reflect.Value) error {
	for n, c := range t.columns {
		var src []byte
		if text := i[c.name]; text != nil {
			src = []byte(*text)
			if types.oids[n] == pgtype.NumericOID && strings.Trim(*text, "0.") == "" {
				src = []byte("0") // which is what pgx makes of 0.00 in results, where it is binary
			}
		}
		field, ok := field(row, c.path, src != nil)
		if !ok {
			continue // null, in an embedded struct that is not there
		}
		if err := types.known.Scan(types.oids[n], pgtype.TextFormatCode, src, field.Addr().Interface()); err != nil {
			return fmt.Errorf("field %q: column %q: %w", c.field, c.name, err)
		}
	}
	return nil
}

// field follows a path of indices; a pointer on the way that is nil is allocated, or ends it.
func field(v reflect.Value, path []int, allocate bool) (reflect.Value, bool) {
	for _, i := range path {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !allocate {
					return v, false
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// publish tells the router of one entry.
func publish[T any](ctx context.Context, r *live.Router[T], t *table, types types, e entry) error {
	was, now := new(T), new(T)
	for _, side := range []struct {
		data []byte
		row  **T
	}{{e.was, &was}, {e.now, &now}} {
		i, err := t.image(side.data)
		switch {
		case err != nil:
			return err
		case i == nil:
			*side.row = nil
			continue
		}
		if err := t.scan(types, i, reflect.ValueOf(*side.row).Elem()); err != nil {
			return err
		}
	}
	switch {
	case was != nil && now != nil:
		return r.Updated(ctx, *was, *now)
	case now != nil:
		return r.Created(ctx, *now)
	case was != nil:
		return r.Deleted(ctx, *was)
	}
	return fmt.Errorf("entry %d has neither the row that was nor the one that is", e.seq)
}

// keys returns the keys of an entry's rows, as text. PostgreSQL's text of an integer, a string or a UUID is that of live.
func (t *table) keys(e entry) ([]live.Key, error) {
	var keys []live.Key
	for _, data := range [][]byte{e.was, e.now} {
		i, err := t.image(data)
		if err != nil {
			return nil, err
		}
		if i == nil {
			continue
		}
		text := i[t.columns[t.key].name]
		if text == nil {
			return nil, fmt.Errorf("its key %q is null", t.columns[t.key].name)
		}
		if key := live.Key(*text); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// columnList is the columns as SQL.
func (t *table) columnList() string {
	var names []string
	for _, c := range t.columns {
		names = append(names, quote(c.name))
	}
	return strings.Join(names, ", ")
}
