package where

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits bounds what a client's filter may cost. A field that is not positive means the default. How many bytes a
// filter has is the caller's to bound.
type Limits struct {
	Nodes  int // conditions, objects and arrays together; default 50
	Values int // values of one "in"; default 100
	Depth  int // nesting of objects and arrays in JSON; default 32
}

func (l Limits) orDefault() Limits {
	if l.Nodes <= 0 {
		l.Nodes = 50
	}
	if l.Values <= 0 {
		l.Values = 100
	}
	if l.Depth <= 0 {
		l.Depth = 32
	}
	return l
}

// parser counts what it has built against the limits.
type parser struct {
	limits Limits
	nodes  int
}

func (p *parser) count() error {
	if p.nodes++; p.nodes > p.limits.Nodes {
		return tooLarge("", fmt.Sprintf("the filter has more than %d conditions, objects and arrays", p.limits.Nodes))
	}
	return nil
}

// ParseJSON reads a filter from JSON, as the package documentation describes it. An empty object matches everything, an
// empty array nothing. It keeps no reference to data. The error is an *[Error] with [CodeMalformedFilter],
// [CodeUnknownOperator] or [CodeFilterTooLarge]; fields and values are checked by [Schema.BindClient].
func ParseJSON(data []byte, l Limits) (Where, error) {
	p := &parser{limits: l.orDefault()}
	if depth(data) > p.limits.Depth {
		return Where{}, tooLarge("", fmt.Sprintf("the filter is nested deeper than %d", p.limits.Depth))
	}
	if !json.Valid(data) || !utf8.Valid(data) {
		return Where{}, malformed("the filter is not valid JSON")
	}
	t, err := p.filter(bytes.TrimSpace(data))
	if err != nil {
		return Where{}, err
	}
	return Where{t}, nil
}

// filter reads an object or array of conditions.
func (p *parser) filter(data []byte) (*tree, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	switch data[0] {
	case '{':
		return p.object(data)
	case '[':
		or := &tree{kind: treeOr}
		for _, element := range elements(data) {
			kid, err := p.filter(element)
			if err != nil {
				return nil, err
			}
			or.kids = append(or.kids, kid)
		}
		return or, nil
	}
	return nil, malformed("a filter is an object of conditions or an array of filters, not " + describe(data))
}

func (p *parser) object(data []byte) (*tree, error) {
	ms, twice, ok := members(data)
	if !ok {
		return nil, malformed("the name " + quote(twice) + " stands twice in one object")
	}
	and := &tree{kind: treeAnd}
	for _, m := range ms {
		var kids []*tree
		var err error
		if m.name == "not" {
			var kid *tree
			kid, err = p.filter(m.value)
			kids = []*tree{{kind: treeNot, kids: []*tree{kid}}}
		} else {
			kids, err = p.member(m)
		}
		if err != nil {
			return nil, err
		}
		and.kids = append(and.kids, kids...)
	}
	return and, nil
}

// member reads `"field": value`, `"field__lookup": value` or `"field": {"lookup": value, …}`.
func (p *parser) member(m member) ([]*tree, error) {
	field, l, named, err := splitName(m.name)
	if err != nil {
		return nil, err
	}
	if !named && m.value[0] == '[' {
		return nil, fieldError(CodeMalformedFilter, field, `want a value or an object of lookups; several values stand under "in"`)
	}
	if named || m.value[0] != '{' {
		kid, err := p.condition(field, l, m.value)
		return []*tree{kid}, err
	}
	lookups, twice, ok := members(m.value)
	if !ok {
		return nil, fieldError(CodeMalformedFilter, field, "the lookup "+quote(twice)+" stands twice")
	}
	if len(lookups) == 0 {
		return nil, fieldError(CodeMalformedFilter, field, `want a value or an object of lookups such as {"gt": 5}`)
	}
	kids := make([]*tree, len(lookups))
	for i, sub := range lookups {
		l, ok := lookupNamed(sub.name)
		if !ok {
			return nil, unknownLookup(field, sub.name)
		}
		if kids[i], err = p.condition(field, l, sub.value); err != nil {
			return nil, err
		}
	}
	return kids, nil
}

func (p *parser) condition(field string, l lookup, value []byte) (*tree, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	values := [][]byte{value}
	if l == lookupIn {
		if value[0] != '[' {
			return nil, fieldError(CodeMalformedFilter, field, `"in" wants an array, not `+describe(value))
		}
		values = elements(value)
		if len(values) > p.limits.Values {
			return nil, p.tooManyValues(field)
		}
	}
	t := &tree{kind: treeLeaf, field: field, lookup: l}
	for _, v := range values {
		t.operands = append(t.operands, operand{source: sourceJSON, text: string(v)})
	}
	return t, nil
}

func (p *parser) tooManyValues(field string) *Error {
	return tooLarge(field, fmt.Sprintf(`"in" has more than %d values`, p.limits.Values))
}

// splitName takes "title__contains" apart. A name without lookup asks for eq.
func splitName(name string) (field string, l lookup, named bool, err error) {
	i := strings.LastIndex(name, "__")
	if i < 0 {
		return name, lookupEq, false, nil
	}
	l, ok := lookupNamed(name[i+2:])
	if !ok {
		return "", 0, false, unknownLookup(name[:i], name[i+2:])
	}
	return name[:i], l, true, nil
}

func unknownLookup(field, name string) *Error {
	return fieldError(CodeUnknownOperator, field,
		"unknown lookup "+quote(name)+", want one of "+strings.Join(lookupNames[:], ", "))
}

// ParseQuery reads a filter from a query string: field=value, field__lookup=value, joined by AND. Values are text and
// take the field's type when they are bound; the values of "in" are separated by commas, and only "in" may be given
// several times; isnull wants true or false. A time's "+" may stand unescaped. The names that the caller keeps for itself
// must be gone from q. Errors are as for [ParseJSON].
func ParseQuery(q url.Values, l Limits) (Where, error) {
	p := &parser{limits: l.orDefault()}
	and := &tree{kind: treeAnd}
	for _, name := range slices.Sorted(maps.Keys(q)) { // sorted, for the first error to be always the same one
		field, l, _, err := splitName(name)
		if err != nil {
			return Where{}, err
		}
		if len(q[name]) == 0 {
			continue
		}
		kid, err := p.query(field, l, q[name])
		if err != nil {
			return Where{}, err
		}
		same := func(t *tree) bool { return t.field == field && t.lookup == l }
		if slices.ContainsFunc(and.kids, same) { // done=… and done__eq=…
			return Where{}, givenTwice(field, l)
		}
		and.kids = append(and.kids, kid)
	}
	return Where{and}, nil
}

func (p *parser) query(field string, l lookup, values []string) (*tree, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	t := &tree{kind: treeLeaf, field: field, lookup: l}
	if l != lookupIn {
		if len(values) > 1 {
			return nil, givenTwice(field, l)
		}
		t.operands = []operand{{source: sourceQuery, text: values[0]}}
		return t, nil
	}
	n := 0
	for _, v := range values {
		if n += strings.Count(v, ",") + 1; n > p.limits.Values {
			return nil, p.tooManyValues(field)
		}
	}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			t.operands = append(t.operands, operand{source: sourceQuery, text: part})
		}
	}
	return t, nil
}

func givenTwice(field string, l lookup) *Error {
	return fieldError(CodeMalformedFilter, field, l.String()+` is given twice; several values stand under "in"`)
}
