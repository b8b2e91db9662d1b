package live

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/swampline/live/where"
)

// field is one field of a model that its tag declares.
type field struct {
	name   string
	goName string
	path   []int // through embedded structs
	codec  codec

	key, version, write, filter, scope bool
	// fromJSON says that only a json tag declares it.
	fromJSON bool
}

var (
	fieldName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,163}$`)
	tagOptions = "key, version, write, filter or scope"
)

// allowedName reports whether a field may have a name: one that the filter language can say.
func allowedName(name string) bool {
	return fieldName.MatchString(name) && !strings.Contains(name, "__")
}

// declaration is what declares fields besides the live tags.
type declaration struct {
	tags Tags
	// options stand in place of those in the tags, by the field's name.
	options map[string]string
}

// tag returns what the struct field's tags say: a name and options, as a live tag has them. Without ok it says nothing.
func (d declaration) tag(sf reflect.StructField) (tag string, fromJSON, ok bool) {
	if tag, ok = sf.Tag.Lookup("live"); ok || d.tags != FromJSON || !sf.IsExported() {
		return tag, false, ok
	}
	if tag, ok = sf.Tag.Lookup("json"); !ok || tag == "-" {
		return "-", true, ok
	}
	name, _, _ := strings.Cut(tag, ",")
	if name == "" && sf.Anonymous {
		return "", true, false // encoding/json, too, takes its fields for the model's own
	}
	return cmp.Or(name, sf.Name), true, true
}

// override puts the options in place of those of a tag.
func (d declaration) override(tag string) string {
	name, _, _ := strings.Cut(tag, ",")
	options, ok := d.options[name]
	switch {
	case !ok:
		return tag
	case strings.TrimSpace(options) == "-":
		return "-"
	}
	return name + "," + options
}

// fieldsOf returns the declared fields of a struct type, those of embedded structs included.
func fieldsOf(t reflect.Type, d declaration) ([]field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a model is a struct, and %s is not: put it into a field of one", t)
	}
	w := walker{declaration: d, removed: map[string]bool{}}
	fields, err := w.walk(t, place{})
	if err != nil {
		return nil, err
	}
	fields = outermost(fields)
	for _, name := range sortedKeys(d.options) {
		if !w.removed[name] && !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return nil, fmt.Errorf("there are options for %q, which is the name of no field of %s: say it as it is published, or remove it", name, t)
		}
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf(`%s has no field with a live tag: declare what may be sent, such as ID int64 %s`, t, "`live:\"id,key\"`")
	}
	return fields, checkFields(t, fields)
}

// place is where in a model a struct is embedded.
type place struct {
	path  []int
	name  string         // as Go selects it, with a dot behind
	maybe bool           // behind a pointer that may be nil
	types []reflect.Type // that embed it
}

// walker collects the fields of a model, and the names of those that an option removed.
type walker struct {
	declaration
	removed map[string]bool
}

// outermost leaves out the fields that only a json tag declares and that a field further outside shadows, as encoding/json does.
func outermost(fields []field) []field {
	depth := map[string]int{}
	for _, f := range fields {
		if known, ok := depth[f.name]; !ok || len(f.path) < known {
			depth[f.name] = len(f.path)
		}
	}
	return slices.DeleteFunc(fields, func(f field) bool { return f.fromJSON && len(f.path) > depth[f.name] })
}

// walk collects the declared fields of a struct, those of the structs that it embeds included.
func (w *walker) walk(t reflect.Type, in place) ([]field, error) {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, fromJSON, tagged := w.tag(sf)
		at := append(slices.Clone(in.path), i)
		if sf.Anonymous && !tagged {
			inner := sf.Type
			pointer := inner.Kind() == reflect.Pointer
			if pointer {
				inner = inner.Elem()
			}
			if inner.Kind() != reflect.Struct || inner == t || slices.Contains(in.types, inner) {
				continue
			}
			more, err := w.walk(inner, place{at, in.name + sf.Name + ".", in.maybe || pointer, append(slices.Clone(in.types), t)})
			if err != nil {
				return nil, err
			}
			if pointer && !sf.IsExported() && len(more) > 0 {
				return nil, fmt.Errorf("field %s: the embedded %s is not exported, so it cannot be allocated: embed it by value or export it", more[0].goName, sf.Name)
			}
			fields = append(fields, more...)
			continue
		}
		if !tagged || tag == "-" {
			continue
		}
		name := tag
		if tag = w.override(tag); tag == "-" {
			name, _, _ = strings.Cut(name, ",")
			w.removed[name] = true
			continue
		}
		f, err := parseField(sf, tag)
		if err != nil && fromJSON {
			return nil, fmt.Errorf("field %s%s: %w (its json tag publishes it: to leave it out, set Options: {%q: \"-\"})", in.name, sf.Name, err, f.name)
		}
		if err != nil {
			return nil, fmt.Errorf("field %s%s: %w", in.name, sf.Name, err)
		}
		f.path, f.goName, f.fromJSON = at, in.name+sf.Name, fromJSON
		if in.maybe {
			f.codec.nullable = true
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// parseField reads a tag: a name, then options.
func parseField(sf reflect.StructField, tag string) (field, error) {
	name, options, _ := strings.Cut(tag, ",")
	f := field{name: name, goName: sf.Name}
	switch {
	case !sf.IsExported():
		return f, fmt.Errorf("it is not exported, so it cannot be read: rename it or remove its live tag")
	case name == "":
		return f, fmt.Errorf(`its live tag has no name: write live:"%s"`, strings.ToLower(sf.Name))
	case name == "not":
		return f, fmt.Errorf("the name %q is not allowed: the filter language uses the word", name)
	case !allowedName(name):
		return f, fmt.Errorf("the name %q is not allowed: use letters, digits and single underscores", name)
	}
	for option := range strings.SplitSeq(options, ",") {
		switch strings.TrimSpace(option) {
		case "":
		case "key":
			f.key = true
		case "version":
			f.version = true
		case "write":
			f.write = true
		case "filter":
			f.filter = true
		case "scope":
			f.scope = true
		default:
			return f, fmt.Errorf("unknown tag option %q (want %s)", option, tagOptions)
		}
	}
	var err error
	if f.codec, err = codecOf(sf.Type); err != nil {
		return f, err
	}
	return f, f.check(sf.Type)
}

// check refuses options that contradict each other or the field's type.
func (f *field) check(t reflect.Type) error {
	switch {
	case f.scope && (f.key || f.version || f.write || f.filter):
		return fmt.Errorf("scope means that the field serves rights only and is never sent: it goes with no other option")
	case f.key && f.version:
		return fmt.Errorf("a key cannot be the version: tag another field version, or none")
	case f.version && f.write:
		return fmt.Errorf("a version cannot be written by clients: remove the option write")
	case f.version && (f.codec.typ != where.Int || f.codec.nullable):
		return fmt.Errorf("a version is an integer that grows with each update, not %s", t)
	case f.key && (f.codec.nullable || t.Kind() != reflect.String && f.codec.typ != where.Int && !marshalsItself(t)):
		return fmt.Errorf("a key is an integer, a string or a type that marshals to text, not %s", t)
	case f.codec.oneWay && (f.key || f.write || f.filter || f.scope):
		return fmt.Errorf("%s marshals itself and nothing reads it back: give it UnmarshalText or UnmarshalJSON, or remove the options", t)
	case f.codec.shapeless && (f.filter || f.scope):
		return fmt.Errorf("%s cannot be compared in SQL: filter by a field of its own, and remove the option", t)
	}
	return nil
}

func checkFields(t reflect.Type, fields []field) error {
	names := map[string]string{}
	keys, versions := 0, 0
	for _, f := range fields {
		if other, twice := names[f.name]; twice {
			return fmt.Errorf("fields %s and %s are both called %q: rename one or remove its live tag", other, f.goName, f.name)
		}
		names[f.name] = f.goName
		if f.key {
			keys++
		}
		if f.version {
			versions++
		}
	}
	switch {
	case keys == 0:
		return fmt.Errorf(`%s has no key: tag the field that identifies a row, such as ID int64 %s`, t, "`live:\"id,key\"`")
	case keys > 1:
		return fmt.Errorf("%s has %d fields tagged key: a row has one, leave the option on that", t, keys)
	case versions > 1:
		return fmt.Errorf("%s has %d fields tagged version: a row has one, leave the option on that", t, versions)
	}
	return nil
}

// matchable reports whether predicates may use the field.
func (f *field) matchable() bool { return f.key || f.version || f.filter || f.scope }

// whereField declares the field to the filter language.
func (f *field) whereField() where.Field {
	return where.Field{
		Name: f.name, Type: f.codec.typ, Nullable: f.codec.nullable, Arg: f.codec.arg,
		Filter: !f.scope, Hidden: f.scope,
	}
}

// get returns the field's JSON.
func (f *field) get(row reflect.Value) (json.RawMessage, error) {
	v, ok := at(row, f.path, false)
	if !ok {
		return null, nil
	}
	data, err := f.codec.encode(v)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", f.goName, err)
	}
	return data, nil
}

// set decodes JSON into the field of an addressable row.
func (f *field) set(row reflect.Value, data []byte) error {
	v, _ := at(row, f.path, true)
	fresh := reflect.New(v.Type()).Elem() // decode into nothing that the row before shares
	if err := f.codec.decode(data, fresh); err != nil {
		return err
	}
	v.Set(fresh)
	return nil
}

// at follows a path of field indices. A nil pointer on the way ends it, or is allocated anew; so is, when writing, every
// pointer on the way, because the row before may share it.
func at(v reflect.Value, path []int, write bool) (reflect.Value, bool) {
	for _, i := range path {
		if v.Kind() == reflect.Pointer {
			switch {
			case write:
				fresh := reflect.New(v.Type().Elem())
				if !v.IsNil() {
					fresh.Elem().Set(v.Elem())
				}
				v.Set(fresh)
			case v.IsNil():
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}
