package live

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/where"
)

// Serializer says how a T becomes named fields. Its zero value takes the fields that T's tags declare, and nothing else: a
// field without a live tag is never sent, never filtered and never written.
//
// A tag is a name and options:
//
//	live:"id,key"            identifies the row: an integer, a string or a type that marshals to text; exactly one
//	live:"version,version"   an integer that grows with each update of the row: at most one
//	live:"title,write"       clients may set it, in create and update
//	live:"done,filter"       clients may filter and sort by it; so they may by key and version
//	live:"owner_id,scope"    serves the Scope only: it is never sent, and to clients it does not exist
//	live:"-"                 nothing, like no tag
//
// The fields of embedded structs count as T's own. Pointers, sql.Null[T] and its brothers are values that may be null.
// A time.Time is RFC 3339; a []byte is base64; a type with MarshalJSON or MarshalText, such as a uuid.UUID or an enum, is
// what it marshals to, can be filtered by equality, and reaches SQL as the Go value, or as its text if no driver takes that. Any
// other struct, slice or map is one value, in whole as encoding/json writes it: there live tags say nothing.
//
// The funcs of a serializer are called by many goroutines at once. They make what is sent to whoever sees the row, so they must
// depend on the row and not on the caller; what depends on the caller is his View.
type Serializer[T any] struct {
	// Tags says which tags declare fields; zero means live tags only.
	Tags Tags

	// Options declare fields as a tag would, by the name under which the field is published: for models that a generator wrote.
	// They stand in place of the options in the tag; "-" removes the field.
	//
	//	Tags:    live.FromJSON,
	//	Options: map[string]string{"id": "key", "title": "write,filter", "password_hash": "-"},
	Options map[string]string

	// Computed adds fields that are made of a row, by name, such as "overdue". They are published; clients can neither filter
	// by them nor write them.
	//
	//	"overdue": {From: []string{"due", "done"}, Of: func(t Task) any { return !t.Done && t.Due.Before(today()) }},
	Computed map[string]Computed[T]

	// Nested adds fields that hold other rows: see [One] and [Many].
	Nested map[string]Nested[T]

	// Decode reads what a client writes into a field, by name, in place of encoding/json; a field with a decoder can be written,
	// whatever its tag says. It may set anything of the row, which is a copy; data is valid JSON. Several run in the order of
	// the names. An error refuses the value as invalid_value; it is logged nowhere. An *[Error] shows the client its
	// message for the field, or its Detail; of any other error he is only told that the value is not valid.
	Decode map[string]func(data json.RawMessage, row *T) error

	// Views are the audiences that see less than all published fields, by name; View chooses one for the caller. It is asked for
	// each subscription and each call, with the context that Scope gets. The empty name is that of all published
	// fields. An error refuses: an *[Error] as it says, any other, a panic, or a name that is not in Views, as internal.
	//
	//	Views: map[string]live.View{"guest": {Except: []string{"price"}, Write: []string{}}},
	//	View: func(ctx context.Context) (string, error) {
	//		if signedIn(ctx) {
	//			return "", nil
	//		}
	//		return "guest", nil
	//	},
	Views map[string]View
	View  func(ctx context.Context) (string, error)

	// Relations are rows of other routers that belong to a row, by name: a client that asks to include them is told where they
	// are, and subscribes to them.
	Relations map[string]Relation
}

// Computed is a field that is made of a row.
type Computed[T any] struct {
	// From names the fields, published or scope, of which Of makes its value. With it, an update that changes one of them sends
	// the computed field again, and one that changes none does not. Without it, Of is called for the row as it was, too,
	// and the field is sent when the value differs.
	From []string
	// Of returns what encoding/json can encode.
	Of func(row T) any
}

// Tags says which struct tags declare the fields of a model.
type Tags int

const (
	// LiveTags means live tags only: what has none stays out.
	LiveTags Tags = iota
	// FromJSON publishes the fields without a live tag, too, that have a json tag, under the name that encoding/json gives them,
	// to be read only: json:"-" and fields without a tag stay out. Every field is sent whatever its value, and a number is a
	// number: the options omitempty, omitzero and string of a json tag say nothing here.
	FromJSON
)

// compiling is what a serializer must know of those that it is nested in.
type compiling struct {
	router string
	// views are those that show what is nested.
	views []string
	// outer are the nested fields of the serializers in which this one is nested.
	outer []uintptr
}

// compile checks the declaration and prepares it.
func (s Serializer[T]) compile(in compiling) (*model[T], error) {
	fields, err := fieldsOf(reflect.TypeFor[T](), declaration{s.Tags, s.Options})
	if err != nil {
		return nil, err
	}
	m := &model[T]{fields: fields, version: -1, fieldNames: map[string]int{}, decode: maps.Clone(s.Decode)}
	var declared []livequery.Field
	var matchable []where.Field
	for i := range fields {
		f := &fields[i]
		m.fieldNames[f.name] = i
		declared = append(declared, livequery.Field{Name: f.name, Published: !f.scope, Version: f.version})
		if f.key {
			m.key = i
		}
		if f.version {
			m.version = i
		}
		if f.matchable() {
			matchable = append(matchable, f.whereField())
		}
	}
	if err := m.addDecoders(s.Decode); err != nil {
		return nil, err
	}
	if err := m.checkNames("computed", sortedKeys(s.Computed)); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(s.Computed) {
		if err := m.addComputed(name, s.Computed[name]); err != nil {
			return nil, err
		}
		declared = append(declared, livequery.Field{Name: name, Published: true})
	}
	nested := s.Nested
	if self := reflect.ValueOf(s.Nested).Pointer(); self != 0 { // that of the map: a router holds a copy of its serializer
		if slices.Contains(in.outer, self) {
			nested = nil
		}
		in.outer = append(slices.Clone(in.outer), self)
	}
	if err := m.checkNames("nested", sortedKeys(nested)); err != nil {
		return nil, err
	}
	shown, err := s.shown(declared, sortedKeys(nested))
	if err != nil {
		return nil, err
	}
	others, err := m.addNested(nested, shown, in)
	if err != nil {
		return nil, err
	}
	w, err := where.NewSchema(matchable...)
	if err != nil {
		return nil, err
	}
	if m.schema, err = livequery.NewSchema(in.router, append(declared, others...), w); err != nil {
		return nil, err
	}
	if err := m.addViews(s.Views, shown); err != nil {
		return nil, err
	}
	return m, m.checkRelations(s.Relations)
}

// shown returns the names that each view has.
func (s Serializer[T]) shown(declared []livequery.Field, nested []string) (map[string]map[string]bool, error) {
	var published []string
	for _, f := range declared {
		if f.Published {
			published = append(published, f.Name)
		}
	}
	published = append(published, nested...)
	shown := map[string]map[string]bool{}
	for _, name := range sortedKeys(s.Views) {
		if !allowedName(name) {
			return nil, fmt.Errorf("view %q: the name is not allowed: use letters, digits and single underscores", name)
		}
		var err error
		if shown[name], err = s.Views[name].names(published); err != nil {
			return nil, fmt.Errorf("view %q: %w", name, err)
		}
	}
	return shown, nil
}

// checkNames refuses names of further fields that are taken or cannot be said.
func (m *model[T]) checkNames(kind string, names []string) error {
	for _, name := range names {
		i, twice := m.fieldNames[name]
		switch {
		case twice:
			return fmt.Errorf("%s field %q: field %s has this name: rename one", kind, name, m.fields[i].goName)
		case slices.ContainsFunc(m.computed, func(c computed[T]) bool { return c.name == name }):
			return fmt.Errorf("%s field %q: a computed field has this name: rename one", kind, name)
		case !allowedName(name):
			return fmt.Errorf("%s field %q: the name is not allowed: use letters, digits and single underscores", kind, name)
		}
	}
	return nil
}

func (m *model[T]) addComputed(name string, c Computed[T]) error {
	if c.Of == nil {
		return fmt.Errorf("computed field %q has no func: give it one or remove it", name)
	}
	out := computed[T]{name: name, of: c.Of}
	for _, from := range c.From {
		i, ok := m.fieldNames[from]
		if !ok {
			return fmt.Errorf("computed field %q is made from %q, which is no field of the model: want one of %s", name, from, list(sortedKeys(m.fieldNames)))
		}
		out.from = append(out.from, i)
	}
	m.computed = append(m.computed, out)
	return nil
}

// addDecoders makes the fields writable that have a decoder.
func (m *model[T]) addDecoders(decoders map[string]func(json.RawMessage, *T) error) error {
	var published []string
	for _, f := range m.fields {
		if !f.scope && !f.version {
			published = append(published, f.name)
		}
	}
	for _, name := range sortedKeys(decoders) {
		i, ok := m.fieldNames[name]
		switch {
		case !ok || m.fields[i].scope:
			return fmt.Errorf("a decoder is declared for %q, which is no published field of the model: want one of %s", name, list(published))
		case m.fields[i].version:
			return fmt.Errorf("a decoder is declared for %q, which is the version, and no client can write it: remove it", name)
		case decoders[name] == nil:
			return fmt.Errorf("the decoder of %q has no func: give it one or remove it", name)
		}
		m.fields[i].write = true
	}
	return nil
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](of map[K]V) []K { return slices.Sorted(maps.Keys(of)) }
