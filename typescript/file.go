package typescript

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// file is a module on its way.
type file struct {
	types
	routers []string
	fields  map[string]string // Options.Fields
	unused  map[string]string // those of fields that were not met yet
}

// writeRouters writes the interface Routers.
func (f *file) writeRouters(b *bytes.Buffer, routers []live.RouterInfo) error {
	b.WriteString("\nexport interface Routers {\n")
	for _, r := range routers {
		include, err := f.include(r)
		if err != nil {
			return fmt.Errorf("router %s: %w", r.Name, err)
		}
		filter, order := f.reading(r)
		create, update := f.writing(r)
		fmt.Fprintf(b, "  %s: {\n", member(r.Name))
		fmt.Fprintf(b, "    row: %s;\n", f.row(r.Name, r.Fields, fieldsOf(r.Views)).lines("    "))
		fmt.Fprintf(b, "    where: %s;\n", filter)
		fmt.Fprintf(b, "    order: %s;\n", order)
		fmt.Fprintf(b, "    create: %s;\n", create)
		fmt.Fprintf(b, "    update: %s;\n", update)
		fmt.Fprintf(b, "    verbs: %s;\n", f.verbs(r.Verbs))
		fmt.Fprintf(b, "    include: %s;\n", include)
		b.WriteString("  };\n")
	}
	b.WriteString("}\n")
	return nil
}

// writeViews writes the interface Views, if there are any.
func (f *file) writeViews(b *bytes.Buffer, routers []live.RouterInfo) {
	routers = slices.DeleteFunc(slices.Clone(routers), func(r live.RouterInfo) bool { return len(r.Views) == 0 })
	if len(routers) == 0 {
		return
	}
	b.WriteString("\nexport interface Views {\n")
	for _, r := range routers {
		fmt.Fprintf(b, "  %s: {\n", member(r.Name))
		for _, v := range r.Views {
			fmt.Fprintf(b, "    %s: %s;\n", member(v.Name), f.row(r.Name, v.Fields, nil).lines("    "))
		}
		b.WriteString("  };\n")
	}
	b.WriteString("}\n")
}

// fieldsOf returns what each view shows.
func fieldsOf(views []live.ViewInfo) [][]live.FieldInfo {
	all := make([][]live.FieldInfo, len(views))
	for i, v := range views {
		all[i] = v.Fields
	}
	return all
}

// row is a row of these fields, at a path of names. Those that some view lacks are optional.
func (f *file) row(path string, fields []live.FieldInfo, views [][]live.FieldInfo) *object {
	o := &object{}
	for _, field := range fields {
		var shown [][]live.FieldInfo // what the views show inside of the field
		for _, view := range views {
			if i := slices.IndexFunc(view, func(other live.FieldInfo) bool { return other.Name == field.Name }); i >= 0 {
				shown = append(shown, view[i].Nested)
			}
		}
		o.add(field.Name, len(shown) < len(views), f.field(path+"."+field.Name, field, shown))
	}
	return o
}

// field is the value of a field.
func (f *file) field(path string, field live.FieldInfo, views [][]live.FieldInfo) expr {
	if text, ok := f.fields[path]; ok {
		delete(f.unused, path)
		return given(text)
	}
	switch {
	case field.Nested != nil:
		row := f.row(path, field.Nested, views).expr()
		if field.Many {
			return row.list()
		}
		return row.orNull()
	case field.Type == nil:
		return unknown
	}
	value := f.value(field)
	if field.Nullable {
		return value.orNull()
	}
	return value
}

// reading is what a router's rows can be filtered and ordered by.
func (f *file) reading(r live.RouterInfo) (filter, order string) {
	if !r.List {
		return "Filter<{}>", "never"
	}
	var o object
	var names []string
	for _, field := range r.Fields {
		if field.Filter {
			o.add(field.Name, false, f.filter(r.Name, field))
		}
		if field.Order {
			names = append(names, quote(field.Name))
		}
	}
	filter = "Filter<" + o.lines("    ") + ">"
	if len(names) == 0 {
		return filter, "never"
	}
	return filter, "Order<" + strings.Join(names, " | ") + ">"
}

// filter is the type of a field that is filtered by, one of the client's FieldTypes.
func (f *file) filter(router string, field live.FieldInfo) expr {
	if field.Kind == where.Opaque {
		if value := f.field(router+"."+field.Name, field, nil); value.text != unknown.text {
			return expr{text: "Only<" + value.text + ">"}
		}
	}
	name := field.Kind.String()
	if field.Nullable {
		name += "?"
	}
	return expr{text: quote(name)}
}

// writing is what create and update take.
func (f *file) writing(r live.RouterInfo) (create, update string) {
	var o object
	for _, field := range r.Fields {
		switch {
		case !field.Write:
		case field.Decoded:
			o.add(field.Name, true, unknown)
		default:
			value := f.value(field)
			if text, ok := f.fields[r.Name+"."+field.Name]; ok {
				value = given(text)
			}
			o.add(field.Name, true, value)
		}
	}
	data := o.lines("    ")
	if len(o.members) == 0 {
		data = "Record<string, never>" // {} would be anything
	}
	create, update = "never", "never"
	if r.Create {
		create = data
	}
	if r.Update {
		update = data
	}
	return create, update
}

func (f *file) verbs(verbs []live.VerbInfo) string {
	if len(verbs) == 0 {
		return "{}"
	}
	var o object
	for _, v := range verbs {
		o.add(v.Name, false, expr{text: fmt.Sprintf("{ in: %s; out: %s; row: %t }", f.message(v.In, true), f.message(v.Out, false), v.Row)})
	}
	return "{\n      " + strings.Join(o.members, ";\n      ") + ";\n    }"
}

// message is what a verb takes or gives. What it takes can be addressed, as what is decoded always can.
func (f *file) message(t reflect.Type, in bool) string {
	if t == reflect.TypeFor[struct{}]() {
		return "undefined"
	}
	return f.of(t, in).text
}

// include is what the relations add to a row.
func (f *file) include(r live.RouterInfo) (string, error) {
	var o object
	for _, name := range slices.Sorted(maps.Keys(r.Relations)) {
		relation := r.Relations[name]
		for _, router := range []string{relation.Router, relation.Through} {
			if router != "" && !slices.Contains(f.routers, router) {
				return "", fmt.Errorf("relation %q: the router %s is not registered, so what its rows are is not known: register it too", name, router)
			}
		}
		o.add(name, false, related(r, relation))
	}
	return o.lines("    "), nil
}

// related is what a relation adds to a row, once it is known: a row or null behind a key, a list behind a list of keys.
func related(r live.RouterInfo, to live.Relation) expr {
	row := expr{text: "Routers[" + quote(to.Router) + `]["row"]`}
	if to.Through != "" || to.Key == "" {
		return row.list()
	}
	i := slices.IndexFunc(r.Fields, func(f live.FieldInfo) bool { return f.Name == to.Key })
	key := r.Fields[i]
	switch {
	case key.Kind != 0 && key.Kind != where.Opaque, key.Type != nil && scalar(key.Type):
		return row.orNull()
	case key.Type != nil && listed(key.Type) && key.Nullable:
		return row.list().orNull()
	case key.Type != nil && listed(key.Type):
		return row.list()
	}
	return expr{text: row.orNull().text + " | " + row.list().text, union: true, null: true}
}
