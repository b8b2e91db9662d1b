package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// Nested is a field that holds other rows, as objects of their published fields: an order with its lines, a task with its owner.
// [One] and [Many] make it.
//
// What it holds is loaded in one call for a whole list, and once more when the row is published, for it travels with the row to
// every hub. So it is a copy that is as old as the row's last publishing: it is sent again when the func key returns another key
// for the row, and when the row is touched, see [Router.Touch]; rows that are wanted live by themselves are better declared in
// [Serializer.Relations]. Clients can neither filter nor order by it, nor write it.
//
// Where the serializer has Views, the nested rows are shown in the view of the same name: of has either no Views, or each that shows
// the field. A serializer that is nested in itself, directly or by way of others, comes without nested fields there.
type Nested[T any] interface {
	compile(name string, in compiling) (nesting[T], error)
}

// One makes a nested field that holds one row, or null: that which load returns for a row's key. Load is called once for all rows
// of a list, with each key once, in the order of the rows. It gets the context of who lists or publishes, but what it returns goes
// to whoever sees the row, so it must not depend on the caller. Its error fails the list; a row that is published is published
// without the field, which is null until it is touched, and the publisher is given the error.
//
//	Nested: map[string]live.Nested[Task]{
//		"owner": live.One(&users, func(t Task) int64 { return t.OwnerID }, db.UsersByID),
//	}
func One[T, C any, K comparable](of *Serializer[C], key func(row T) K, load func(ctx context.Context, keys []K) (map[K]C, error)) Nested[T] {
	o := &others[T, C, K]{serializer: of, key: key}
	if load != nil {
		o.load = func(ctx context.Context, keys []K) (map[K][]C, error) {
			found, err := load(ctx, keys)
			rows := make(map[K][]C, len(found))
			for k, row := range found {
				rows[k] = []C{row}
			}
			return rows, err
		}
	}
	return o
}

// Many makes a nested field that holds a list of rows, which may be empty: those that load returns for a row's key, in that
// order. It serves one-to-many and many-to-many alike. What [One] says of load holds here, too.
func Many[T, C any, K comparable](of *Serializer[C], key func(row T) K, load func(ctx context.Context, keys []K) (map[K][]C, error)) Nested[T] {
	return &others[T, C, K]{serializer: of, key: key, load: load, many: true}
}

// nested is a Nested that was compiled.
type nested[T any] struct {
	nesting[T]
	name string
	// variants are the names under which the field stands on the log: one for each shape that a view needs. First is
	// the place of the first in the schema; of tells which one a view shows.
	variants []string
	first    int
	of       map[string]int
}

// nesting loads and encodes what is nested in rows.
type nesting[T any] interface {
	// shape tells what the objects look like in a view.
	shape(view string) string
	// encode returns, for each row, its JSON in each of the views.
	encode(ctx context.Context, rows []*T, views []string) ([][]json.RawMessage, error)
	// same reports whether two states of a row hold the same others, as far as their key tells.
	same(was, now *T) bool
	// info is what the rows show in a view, and whether there are many.
	info(view string) (fields []FieldInfo, many bool)
}

// others are the rows of type C that belong to one of type T.
type others[T, C any, K comparable] struct {
	serializer *Serializer[C]
	model      *model[C]
	key        func(T) K
	load       func(context.Context, []K) (map[K][]C, error)
	many       bool
}

func (o *others[T, C, K]) compile(name string, in compiling) (nesting[T], error) {
	switch {
	case o.serializer == nil:
		return nil, fmt.Errorf("nested field %q has no serializer: say how its rows become fields", name)
	case o.key == nil || o.load == nil:
		return nil, fmt.Errorf("nested field %q wants two funcs: one that returns a row's key, and one that loads what belongs to keys", name)
	}
	s := *o.serializer
	if len(s.Views) > 0 {
		for _, view := range in.views {
			if _, ok := s.Views[view]; !ok {
				return nil, fmt.Errorf("nested field %q is shown in the view %q, which the serializer of its rows, %s, does not have: declare it there",
					name, view, reflect.TypeFor[C]())
			}
		}
	} else {
		s.Views = map[string]View{}
		for _, view := range in.views {
			s.Views[view] = View{}
		}
	}
	compiled := *o
	var err error
	if compiled.model, err = s.compile(in); err != nil {
		return nil, fmt.Errorf("nested field %q: %w", name, err)
	}
	return &compiled, nil
}

func (o *others[T, C, K]) shape(view string) string {
	v, text := o.model.views[view], ""
	for i, f := range o.model.schema.Fields {
		if v.Shows(i) {
			text += f.Name + " "
		}
	}
	return text
}

func (o *others[T, C, K]) same(was, now *T) bool { return o.key(*was) == o.key(*now) }

func (o *others[T, C, K]) info(view string) ([]FieldInfo, bool) {
	fields := o.model.info(view)
	for i := range fields { // what can be done with rows is a matter of their router
		f := &fields[i]
		f.Write, f.Decoded, f.Filter, f.Order = false, false, false, false
	}
	return fields, o.many
}

func (o *others[T, C, K]) encode(ctx context.Context, rows []*T, views []string) (all [][]json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil { // so that a row which is published can go without
			err = session.NewPanicError(p)
		}
	}()
	keys := make([]K, len(rows))
	var unique []K
	known := map[K][]*record.Object{}
	for i, row := range rows {
		keys[i] = o.key(*row)
		if _, ok := known[keys[i]]; !ok {
			known[keys[i]] = nil
			unique = append(unique, keys[i])
		}
	}
	found, err := o.load(ctx, slices.Clone(unique))
	if err != nil {
		return nil, err
	}
	var objects []*record.Object
	for _, k := range unique {
		of := found[k]
		for i := range of {
			object, err := o.model.bare(&of[i])
			if err != nil {
				return nil, err
			}
			objects = append(objects, &object)
		}
		known[k] = objects[len(objects)-len(of):]
	}
	if err := o.model.complete(ctx, o.needed(views), objects); err != nil {
		return nil, err
	}
	written := map[K][]json.RawMessage{}
	for _, k := range unique {
		for _, view := range views {
			written[k] = append(written[k], o.append(nil, o.model.views[view].View, known[k]))
		}
	}
	all = make([][]json.RawMessage, len(rows))
	for i, k := range keys {
		all[i] = written[k]
	}
	return all, nil
}

// needed returns the view that shows what several views need: nil, for all, when there are several.
func (o *others[T, C, K]) needed(views []string) *livequery.View {
	if len(views) > 1 {
		return nil
	}
	return o.model.views[views[0]].View
}

// append appends the rows that belong to one.
func (o *others[T, C, K]) append(b []byte, v *livequery.View, objects []*record.Object) []byte {
	if !o.many {
		if len(objects) == 0 {
			return append(b, null...)
		}
		return v.AppendFields(b, objects[0].Values, nil)
	}
	b = append(b, '[')
	for i, object := range objects {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.AppendFields(b, object.Values, nil)
	}
	return append(b, ']')
}

// addNested compiles the nested fields, and returns them as the schema has them. Shown tells which names each view has.
func (m *model[T]) addNested(fields map[string]Nested[T], shown map[string]map[string]bool, in compiling) ([]livequery.Field, error) {
	var declared []livequery.Field
	for _, name := range sortedKeys(fields) {
		if fields[name] == nil {
			return nil, fmt.Errorf("nested field %q is nil: make it with live.One or live.Many", name)
		}
		n := nested[T]{name: name, first: len(m.fields) + len(m.computed) + len(declared), of: map[string]int{}}
		in.views = nil
		for _, view := range sortedKeys(shown) {
			if shown[view][name] {
				in.views = append(in.views, view)
			}
		}
		var err error
		if n.nesting, err = fields[name].compile(name, in); err != nil {
			return nil, err
		}
		var shapes []string
		for _, view := range append([]string{""}, in.views...) {
			shape := n.shape(view)
			i := slices.Index(shapes, shape)
			if i < 0 {
				i = len(shapes)
				shapes = append(shapes, shape)
				stored := name
				if view != "" {
					stored += "@" + view
				}
				n.variants = append(n.variants, stored)
				declared = append(declared, livequery.Field{Name: stored, As: name, Published: view == ""})
			}
			n.of[view] = i
		}
		m.nested = append(m.nested, n)
	}
	return declared, nil
}

// nest adds the nested fields that a view shows, or all of them when it is nil. What cannot be loaded is left out.
func (m *model[T]) nest(ctx context.Context, v *livequery.View, objects []*record.Object) error {
	if len(objects) == 0 || len(m.nested) == 0 {
		return nil
	}
	rows := make([]*T, len(objects))
	for i, o := range objects {
		rows[i] = o.Row.(*T)
	}
	var failed []error
	for _, n := range m.nested {
		var views []string // one for each variant that is needed
		var places []int
		for i := range n.variants {
			if v.Shows(n.first + i) {
				views, places = append(views, n.viewOf(i)), append(places, n.first+i)
			}
		}
		if len(views) == 0 {
			continue
		}
		columns, err := n.encode(ctx, rows, views)
		if err != nil {
			failed = append(failed, fmt.Errorf("nested field %q: %w", n.name, err))
			continue
		}
		for i, o := range objects {
			for j, place := range places {
				o.Values[place] = columns[i][j]
			}
		}
	}
	return errors.Join(failed...)
}

// viewOf returns a view that shows a variant.
func (n *nested[T]) viewOf(variant int) string {
	for _, view := range sortedKeys(n.of) {
		if n.of[view] == variant {
			return view
		}
	}
	return ""
}
