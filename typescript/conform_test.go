package typescript

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// grammar reads the expressions that the package writes, and tells whether JSON is of them.
type grammar struct {
	text    string
	helpers map[string]string // the bodies of interfaces
}

// check reports whether a decoded JSON value is of the type that the text begins with, which it eats.
type check func(v any) bool

func (g *grammar) eat(s string) bool {
	rest, ok := strings.CutPrefix(g.text, s)
	if ok {
		g.text = rest
	}
	return ok
}

func (g *grammar) must(s string) {
	if !g.eat(s) {
		panic(fmt.Sprintf("want %q before %q", s, g.text))
	}
}

func (g *grammar) union() check {
	checks := []check{g.part()}
	for g.eat(" | ") {
		checks = append(checks, g.part())
	}
	return func(v any) bool { return slices.ContainsFunc(checks, func(c check) bool { return c(v) }) }
}

func (g *grammar) part() check {
	list := g.eat("readonly ")
	c := g.primary()
	if !list {
		return c
	}
	g.must("[]")
	return func(v any) bool {
		a, ok := v.([]any)
		return ok && !slices.ContainsFunc(a, func(v any) bool { return !c(v) })
	}
}

func (g *grammar) primary() check {
	switch {
	case g.eat("("):
		c := g.union()
		g.must(")")
		return c
	case g.eat("{ "):
		c := g.members(" }")
		g.must(" }")
		return c
	case g.eat("{}"):
		return func(v any) bool { return v != nil }
	case g.eat("Record<string, "):
		c := g.union()
		g.must(">")
		return func(v any) bool {
			m, ok := v.(map[string]any)
			for _, v := range m {
				ok = ok && c(v)
			}
			return ok
		}
	case strings.HasPrefix(g.text, `"`):
		word := g.word()
		return func(v any) bool { return v == word }
	}
	for name, c := range map[string]check{
		"unknown": func(any) bool { return true },
		"null":    func(v any) bool { return v == nil },
		"string":  func(v any) bool { _, ok := v.(string); return ok },
		"number":  func(v any) bool { _, ok := v.(float64); return ok },
		"boolean": func(v any) bool { _, ok := v.(bool); return ok },
	} {
		if g.eat(name) {
			return c
		}
	}
	for name, body := range g.helpers {
		if g.eat(name) {
			return func(v any) bool {
				inner := &grammar{text: body, helpers: g.helpers}
				return inner.members("")(v)
			}
		}
	}
	panic(fmt.Sprintf("no type: %q", g.text))
}

// word is a quoted string.
func (g *grammar) word() (word string) {
	d := json.NewDecoder(strings.NewReader(g.text))
	if err := d.Decode(&word); err != nil {
		panic(err)
	}
	g.text = g.text[d.InputOffset():]
	return word
}

func (g *grammar) name() string {
	if strings.HasPrefix(g.text, `"`) {
		return g.word()
	}
	end := strings.IndexAny(g.text, "?:")
	name := g.text[:end]
	g.text = g.text[end:]
	return name
}

// members are those of an object, up to an end that is not eaten.
func (g *grammar) members(end string) check {
	type typed struct {
		check
		optional bool
	}
	members := map[string]typed{}
	for {
		name := g.name()
		optional := g.eat("?")
		g.must(": ")
		members[name] = typed{g.union(), optional}
		if g.text == end || end != "" && strings.HasPrefix(g.text, end) {
			break
		}
		g.must("; ")
	}
	return func(v any) bool {
		o, ok := v.(map[string]any)
		for name, m := range members {
			v, there := o[name]
			ok = ok && (there && m.check(v) || !there && m.optional)
		}
		for name := range o {
			_, known := members[name]
			ok = ok && known
		}
		return ok
	}
}

// conforms reports whether JSON is of an expression.
func conforms(t *testing.T, expression string, helpers []string, data []byte) bool {
	t.Helper()
	g := &grammar{text: expression, helpers: map[string]string{}}
	for _, h := range helpers {
		name, body, _ := strings.Cut(strings.TrimPrefix(h, "interface "), " {\n  ")
		g.helpers[name] = strings.ReplaceAll(strings.TrimSuffix(body, ";\n}\n"), ";\n  ", "; ")
	}
	c := g.union()
	if g.text != "" {
		t.Fatalf("%s: cannot read %q", expression, g.text)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return c(v)
}
