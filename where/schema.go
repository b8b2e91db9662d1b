package where

import (
	"fmt"
	"slices"
	"strings"
)

// Type says what values a field has and how they compare.
type Type uint8

// The types of fields. The zero Type is none of them, and [NewSchema] refuses it.
const (
	Bool   Type = iota + 1 // true and false; lookups eq, ne, in, isnull
	Int                    // 64-bit integers, exact; every lookup but contains, icontains, startswith
	Float                  // finite 64-bit floats, no negative zero; lookups as Int
	Text                   // strings, ordered by bytes; every lookup
	Time                   // instants in the years 0 to 9999 in UTC, cut to microseconds; lookups as Int
	Opaque                 // any other JSON, equal when the JSON is equal; lookups eq, ne, in, isnull
)

var typeNames = [...]string{"null", "bool", "int", "float", "text", "time", "opaque"}

// String returns the name of the type in lower case.
func (t Type) String() string {
	if int(t) >= len(typeNames) {
		return fmt.Sprintf("Type(%d)", uint8(t))
	}
	return typeNames[t]
}

// Field declares one field of a schema.
type Field struct {
	// Name is what filters call the field. It must not be empty or "not", begin with "-", or hold "," or "__".
	Name string
	Type Type

	// Nullable says that the field may be null. Where it is false, [Dialect.OrderBy] leaves out the NULLS clause, so that
	// a plain index serves. Nothing else relies on it: a null in such a field is a null like any other.
	Nullable bool

	// Filter lets clients filter and sort by the field. Scopes may use every field.
	Filter bool

	// Hidden makes the field, towards clients, one that does not exist, whatever Filter says.
	Hidden bool

	// Arg, when set, turns the canonical JSON of a filter's value into the Go value that is handed to SQL, for a column
	// that does not store what the JSON says: an enum that is a word in JSON and a number in the table. It is called
	// when a predicate is bound, never with null, and must always give equal arguments for equal JSON and different
	// ones for different JSON. Its error makes the value an invalid one for the client.
	//
	// Without Arg, a value of an Opaque field reaches SQL as the plain string if it is a JSON string, and as its JSON
	// otherwise. Columns that do not take every string, such as uuid or jsonb, want an Arg: what the database refuses
	// would otherwise be the error of a query instead of the client's.
	//
	// A Text or Opaque field with Arg has the lookups eq, ne, in and isnull only, and cannot be sorted by, for the
	// column's order says nothing about the text's. On Int, Float and Time fields, Arg must keep the order of the values.
	Arg func(json []byte) (any, error)
}

// equalityOnly tells whether SQL could not agree on more than equality.
func (f *Field) equalityOnly() bool {
	switch f.Type {
	case Bool, Opaque:
		return true
	case Text:
		return f.Arg != nil
	}
	return false
}

// ordered tells whether the field can be sorted by.
func (f *Field) ordered() bool { return f.Type == Bool && f.Arg == nil || !f.equalityOnly() }

// lookups returns the lookups that the field's type has.
func (f *Field) lookups() []lookup {
	switch {
	case f.equalityOnly():
		return []lookup{lookupEq, lookupNe, lookupIn, lookupIsNull}
	case f.Type == Text:
		return []lookup{lookupEq, lookupNe, lookupIn, lookupLt, lookupLte, lookupGt, lookupGte,
			lookupContains, lookupIContains, lookupStartsWith, lookupIsNull}
	}
	return []lookup{lookupEq, lookupNe, lookupIn, lookupLt, lookupLte, lookupGt, lookupGte, lookupIsNull}
}

// Schema is an ordered set of fields. It is immutable and safe for concurrent use. The zero value has no fields.
type Schema struct {
	fields []Field
	index  map[string]int
	of     *Schema // the schema of which this one hides fields; nil when it hides none
}

// NewSchema returns the schema of the given fields, in that order. It refuses names that the language cannot say, a
// name given twice, and an unknown type, with a plain error that names the field.
func NewSchema(fields ...Field) (*Schema, error) {
	s := &Schema{fields: slices.Clone(fields), index: make(map[string]int, len(fields))}
	for i, f := range fields {
		if err := checkField(f); err != nil {
			return nil, err
		}
		if _, twice := s.index[f.Name]; twice {
			return nil, fmt.Errorf("where: field %q is declared twice", f.Name)
		}
		s.index[f.Name] = i
	}
	return s, nil
}

func checkField(f Field) error {
	switch {
	case f.Name == "":
		return fmt.Errorf("where: a field without a name")
	case f.Name == "not":
		return fmt.Errorf("where: a field cannot be called %q: the filter language uses the word", f.Name)
	case strings.Contains(f.Name, "__"), strings.Contains(f.Name, ","), strings.HasPrefix(f.Name, "-"):
		return fmt.Errorf(`where: field %q: a name cannot begin with "-" or hold "," or "__"`, f.Name)
	case f.Type < Bool || f.Type > Opaque:
		return fmt.Errorf("where: field %q has no type", f.Name)
	}
	return nil
}

// Index returns the position of the field in the schema and in every [Row].
func (s *Schema) Index(name string) (int, bool) {
	i, ok := s.index[name]
	return i, ok
}

// Hide returns the schema with further fields hidden from clients, as [Field.Hidden] says: [Schema.BindClient] and
// [Schema.CheckOrder] answer as if they did not exist. In everything else it is the same schema: its predicates and the
// original's have the same rows, and [Predicate.And] joins them. Names that the schema does not have are left out.
func (s *Schema) Hide(names ...string) *Schema {
	h := &Schema{fields: slices.Clone(s.fields), index: s.index, of: s.root()}
	for _, name := range names {
		if i, ok := s.index[name]; ok {
			h.fields[i].Hidden = true
		}
	}
	return h
}

// root returns the schema that predicates belong to: that of which this one hides fields, or itself.
func (s *Schema) root() *Schema {
	if s.of != nil {
		return s.of
	}
	return s
}

// Fields returns a copy of the fields, in order.
func (s *Schema) Fields() []Field { return slices.Clone(s.fields) }

// clientField finds a field for a client.
func (s *Schema) clientField(name string) (int, error) {
	i, ok := s.index[name]
	if !ok || s.fields[i].Hidden {
		return 0, unknownField(name)
	}
	if !s.fields[i].Filter {
		return 0, fieldError(CodeFieldNotFilterable, name, "clients cannot filter or sort by it")
	}
	return i, nil
}
