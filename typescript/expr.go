package typescript

import (
	"regexp"
	"strings"

	"github.com/swampline/live/internal/wire"
)

// expr is an expression for a type.
type expr struct {
	text  string
	union bool // it wants brackets before []
	null  bool // it allows null
}

var (
	unknown = expr{text: "unknown", null: true}
	text    = expr{text: "string"}
	number  = expr{text: "number"}
	boolean = expr{text: "boolean"}

	identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)
)

// given is an expression of the application.
func given(text string) expr {
	if text == unknown.text {
		return unknown
	}
	return expr{text: text, union: !identifier.MatchString(text)}
}

func (e expr) orNull() expr {
	if e.null {
		return e
	}
	return expr{text: e.text + " | null", union: true, null: true}
}

// list is an array of such values. It is read-only, as rows are; a mutable one can be given for it.
func (e expr) list() expr {
	if e.union {
		return expr{text: "readonly (" + e.text + ")[]", union: true}
	}
	return expr{text: "readonly " + e.text + "[]", union: true}
}

// object collects the members of an object.
type object struct{ members []string }

func (o *object) add(name string, optional bool, e expr) {
	mark := ": "
	if optional {
		mark = "?: "
	}
	o.members = append(o.members, member(name)+mark+e.text)
}

func (o *object) expr() expr {
	if len(o.members) == 0 {
		return expr{text: "{}"}
	}
	return expr{text: "{ " + strings.Join(o.members, "; ") + " }"}
}

// width is how long a line of an object may be.
const width = 120

// lines is the object on one line, or when it is long with a line for each member, which begins with indent and two spaces more.
func (o *object) lines(indent string) string {
	if line := o.expr().text; len(line) <= width {
		return line
	}
	return "{\n" + indent + "  " + strings.Join(o.members, ";\n"+indent+"  ") + ";\n" + indent + "}"
}

// member is the name of a member, quoted where it is no identifier.
func member(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quote(name)
}

// quote is a string as TypeScript has it. JSON's strings are strings there too.
func quote(s string) string { return string(wire.AppendString(nil, s)) }
