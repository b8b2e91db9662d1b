package where

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxPattern is how many bytes a contains, icontains or startswith operand may have. Databases compile patterns, at a
// cost that grows with their length.
const maxPattern = 1000

// Bind checks w against the schema and returns the predicate. Every field is allowed: it is for filters that the
// application itself wrote, such as a scope. The error is an *[Error].
func (s *Schema) Bind(w Where) (*Predicate, error) {
	return s.bindWith(w, func(name string) (int, error) {
		if i, ok := s.index[name]; ok {
			return i, nil
		}
		return 0, unknownField(name)
	})
}

// BindClient is [Schema.Bind] for a filter that a client wrote: only fields with Filter are allowed, and a Hidden one
// gets the very answer that a field gets that does not exist. The error is an *[Error] that the client may see.
func (s *Schema) BindClient(w Where) (*Predicate, error) { return s.bindWith(w, s.clientField) }

func (s *Schema) bindWith(w Where, find func(string) (int, error)) (*Predicate, error) {
	b := binder{schema: s, find: find}
	root, err := b.bind(w.tree, false)
	if err != nil {
		return nil, err
	}
	return &Predicate{schema: s.root(), root: root}, nil
}

type binder struct {
	schema *Schema
	find   func(name string) (int, error)
}

// bind turns t, or its negation, into normalised nodes. Negation is pushed down to the conditions, where two truth
// values make it exact.
func (b *binder) bind(t *tree, negated bool) (*Node, error) {
	switch {
	case t == nil:
		return constant(!negated), nil
	case t.kind == treeLeaf:
		return b.leaf(t, negated)
	case t.kind == treeNot:
		return b.bind(t.kids[0], !negated)
	}
	kids := make([]*Node, len(t.kids))
	for i, kid := range t.kids {
		var err error
		if kids[i], err = b.bind(kid, negated); err != nil {
			return nil, err
		}
	}
	if (t.kind == treeAnd) != negated {
		return combine(b.schema, OpAnd, kids), nil
	}
	return combine(b.schema, OpOr, kids), nil
}

func (b *binder) leaf(t *tree, negated bool) (*Node, error) {
	i, err := b.find(t.field)
	if err != nil {
		return nil, err
	}
	f := &b.schema.fields[i]
	if err := checkLookup(f, t.lookup); err != nil {
		return nil, err
	}
	if t.lookup == lookupIsNull {
		yes, err := isNullOperand(f, t.operands[0])
		if err != nil {
			return nil, err
		}
		return in(b.schema, i, []item{{}}, yes == negated), nil
	}
	items := make([]item, len(t.operands))
	for j, o := range t.operands {
		if items[j], err = b.schema.item(i, o); err != nil {
			return nil, err
		}
	}
	switch t.lookup {
	case lookupEq, lookupIn:
		return in(b.schema, i, items, negated), nil
	case lookupNe:
		return in(b.schema, i, items, !negated), nil
	}
	if err := checkOperand(f, t.lookup, items[0].value); err != nil {
		return nil, err
	}
	return comparison(b.schema, i, lookupOps[t.lookup], items[0], negated), nil
}

var lookupOps = [...]Op{
	lookupLt: OpLt, lookupLte: OpLte, lookupGt: OpGt, lookupGte: OpGte,
	lookupContains: OpContains, lookupIContains: OpIContains, lookupStartsWith: OpStartsWith,
}

func checkLookup(f *Field, l lookup) error {
	var names []string
	for _, has := range f.lookups() {
		if has == l {
			return nil
		}
		names = append(names, has.String())
	}
	return fieldError(CodeUnknownOperator, f.Name,
		fmt.Sprintf("a field of type %s has no %q, want one of %s", f.Type, l, strings.Join(names, ", ")))
}

// item reads one operand and asks Arg for its SQL argument.
func (s *Schema) item(field int, o operand) (item, error) {
	f := &s.fields[field]
	var it item
	var err error
	switch o.source {
	case sourceGo:
		it.value, err = s.ValueGo(field, o.value)
	case sourceJSON:
		it.value, err = s.ValueJSON(field, []byte(o.text))
	case sourceQuery:
		it.value, err = s.valueQuery(field, o.text)
	}
	if err != nil {
		return item{}, err
	}
	if it.value.IsNull() {
		return it, nil
	}
	if hasNUL(it.value) {
		return item{}, fieldError(CodeInvalidValue, f.Name, "a value cannot hold the character U+0000")
	}
	if f.Arg != nil {
		data := it.value.AppendJSON(nil)
		if it.arg, err = f.Arg(data); err != nil {
			refused := fieldError(CodeInvalidValue, f.Name, clip(string(data))+" is not one of its values")
			refused.cause = err
			return item{}, refused
		}
	}
	return it, nil
}

// hasNUL finds the character that PostgreSQL cannot store and C strings end at, in text or escaped in canonical JSON.
func hasNUL(v Value) bool {
	if v.kind == Text {
		return strings.IndexByte(v.text, 0) >= 0
	}
	for rest := v.text; v.kind == Opaque; {
		i := strings.IndexByte(rest, '\\')
		if i < 0 {
			return false
		}
		if strings.HasPrefix(rest[i:], `\u0000`) {
			return true
		}
		rest = rest[i+2:] // past what is escaped, which may be a backslash
	}
	return false
}

func checkOperand(f *Field, l lookup, v Value) error {
	if v.IsNull() {
		return fieldError(CodeInvalidValue, f.Name, fmt.Sprintf("%q wants a value, got null", l))
	}
	if l < lookupContains {
		return nil
	}
	if len(v.text) > maxPattern {
		return tooLarge(f.Name, fmt.Sprintf("%q takes at most %d bytes", l, maxPattern))
	}
	if i := strings.IndexFunc(v.text, confusable); l == lookupIContains && i >= 0 {
		r, _ := utf8.DecodeRuneInString(v.text[i:])
		return fieldError(CodeInvalidValue, f.Name, fmt.Sprintf("%q cannot search for the character %U", l, r))
	}
	return nil
}

// confusable tells which characters SQLite's GLOB takes for one another.
func confusable(r rune) bool { return '\uFFFD' <= r && r <= '\uFFFF' }

func isNullOperand(f *Field, o operand) (bool, error) {
	text := o.text
	if yes, ok := o.value.(bool); ok {
		return yes, nil
	}
	if text != "true" && text != "false" {
		got := quote(text)
		if o.source == sourceJSON {
			got = describe([]byte(text))
		}
		return false, fieldError(CodeInvalidValue, f.Name, `"isnull" wants true or false, got `+got)
	}
	return text == "true", nil
}
