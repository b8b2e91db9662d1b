package where

import (
	"encoding/json"
	"reflect"
	"slices"
)

// Where is a predicate over named fields that no schema has checked yet. It is immutable and safe for concurrent use;
// the zero value matches everything. Mistakes in it (an unknown field, a value of the wrong type) are reported by
// [Schema.Bind] and [Schema.BindClient].
type Where struct{ tree *tree }

// tree is one node of a Where. A nil tree matches everything. Trees are never changed once built.
type tree struct {
	kind     treeKind
	field    string
	lookup   lookup
	operands []operand
	kids     []*tree
}

type treeKind uint8

const (
	treeLeaf treeKind = iota
	treeAnd
	treeOr
	treeNot
)

// operand is a value as it was given. Only binding knows the field's type and can read it.
type operand struct {
	source source
	value  any    // sourceGo
	text   string // sourceJSON: the JSON; sourceQuery: the text
}

type source uint8

const (
	sourceGo source = iota
	sourceJSON
	sourceQuery
)

// lookup is a comparison as the language names it.
type lookup uint8

const (
	lookupEq lookup = iota
	lookupNe
	lookupIn
	lookupLt
	lookupLte
	lookupGt
	lookupGte
	lookupContains
	lookupIContains
	lookupStartsWith
	lookupIsNull
)

var lookupNames = [...]string{
	"eq", "ne", "in", "lt", "lte", "gt", "gte", "contains", "icontains", "startswith", "isnull",
}

func (l lookup) String() string { return lookupNames[l] }

func lookupNamed(name string) (lookup, bool) {
	i := slices.Index(lookupNames[:], name)
	return lookup(max(i, 0)), i >= 0
}

// Eq matches rows whose field equals v. A nil v matches null.
//
// Every function that takes a Go value reads it as [Schema.ValueGo] does. The value is read when the predicate is
// bound, so what a pointer points to must not change before that.
func Eq(field string, v any) Where { return leaf(field, lookupEq, v) }

// Ne matches rows whose field does not equal v; a null does not equal any value.
func Ne(field string, v any) Where { return leaf(field, lookupNe, v) }

// In matches rows whose field equals one of vs, and nothing when there are none. A single argument that is a slice or
// an array, but not of bytes, stands for its elements: In("list_id", ids) with ids of type []int64.
func In(field string, vs ...any) Where {
	if len(vs) == 1 {
		vs = spread(vs[0])
	}
	return leaf(field, lookupIn, vs...)
}

// Lt matches rows whose field is less than v, never a null.
func Lt(field string, v any) Where { return leaf(field, lookupLt, v) }

// Lte matches rows whose field is less than or equal to v, never a null.
func Lte(field string, v any) Where { return leaf(field, lookupLte, v) }

// Gt matches rows whose field is greater than v, never a null.
func Gt(field string, v any) Where { return leaf(field, lookupGt, v) }

// Gte matches rows whose field is greater than or equal to v, never a null.
func Gte(field string, v any) Where { return leaf(field, lookupGte, v) }

// Contains matches rows whose text field holds v, case and all, never a null.
func Contains(field string, v any) Where { return leaf(field, lookupContains, v) }

// IContains matches rows whose text field holds v under Unicode simple case folding, never a null.
func IContains(field string, v any) Where { return leaf(field, lookupIContains, v) }

// StartsWith matches rows whose text field begins with v, never a null.
func StartsWith(field string, v any) Where { return leaf(field, lookupStartsWith, v) }

// IsNull matches rows whose field is null, or is not null when yes is false.
func IsNull(field string, yes bool) Where { return leaf(field, lookupIsNull, yes) }

// And matches what all of ws match, and everything when there are none.
func And(ws ...Where) Where { return Where{&tree{kind: treeAnd, kids: trees(ws)}} }

// Or matches what at least one of ws matches, and nothing when there are none.
func Or(ws ...Where) Where { return Where{&tree{kind: treeOr, kids: trees(ws)}} }

// Not matches exactly the rows that w does not match.
func Not(w Where) Where { return Where{&tree{kind: treeNot, kids: trees([]Where{w})}} }

// Nothing matches no row.
func Nothing() Where { return Or() }

func leaf(field string, l lookup, vs ...any) Where {
	operands := make([]operand, len(vs))
	for i, v := range vs {
		operands[i] = operand{source: sourceGo, value: v}
	}
	return Where{&tree{kind: treeLeaf, field: field, lookup: l, operands: operands}}
}

func trees(ws []Where) []*tree {
	kids := make([]*tree, len(ws))
	for i, w := range ws {
		kids[i] = w.tree
	}
	return kids
}

// spread returns the elements of a slice or array. Bytes, and types that say themselves what their JSON is (a UUID is
// an array of bytes), are one value.
func spread(v any) []any {
	one := []any{v}
	if _, ok := v.(json.Marshaler); ok {
		return one
	}
	r := reflect.ValueOf(v)
	if !r.IsValid() || r.Kind() != reflect.Slice && r.Kind() != reflect.Array || r.Type().Elem().Kind() == reflect.Uint8 {
		return one
	}
	vs := make([]any, r.Len())
	for i := range vs {
		vs[i] = r.Index(i).Interface()
	}
	return vs
}
