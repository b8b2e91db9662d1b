package where

import (
	"strconv"
	"strings"
	"time"
)

// TimeLayout is how SQLite's dialect writes a time: UTC, of fixed width, so that the order of the texts is the order of
// the times.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// FormatTime writes t for a SQLite column, in [TimeLayout], cut to microseconds.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

// ParseTime reads what [FormatTime] wrote. The error is that of time.Parse.
func ParseTime(text string) (time.Time, error) { return time.Parse(TimeLayout, text) }

// Dialect is a database's SQL. It is a value: its methods return changed copies. The zero value is [SQLite].
type Dialect struct {
	postgres bool
	before   int // placeholders that stand before the first one
	columns  func(field string) string
	times    func(time.Time) any
}

// The dialects.
var (
	SQLite   = Dialect{}
	Postgres = Dialect{postgres: true}
)

// Starting numbers the placeholders from n, which is 1 otherwise: for a condition behind other arguments. SQLite's
// placeholders have no numbers.
func (d Dialect) Starting(n int) Dialect {
	d.before = n - 1
	return d
}

// Columns sets what stands in SQL for a field: a column, or an expression in parentheses. It is asked for fields of the
// schema only. Without it, a field is the column of the same name, quoted.
func (d Dialect) Columns(column func(field string) string) Dialect {
	d.columns = column
	return d
}

// Times sets what Time fields without Arg hand to SQL. Otherwise that is a time.Time in UTC for PostgreSQL, and text in
// [TimeLayout] for SQLite. The times are cut to microseconds already; the arguments must sort as the times do.
func (d Dialect) Times(arg func(time.Time) any) Dialect {
	d.times = arg
	return d
}

func (d Dialect) column(f *Field) string {
	if d.columns != nil {
		return d.columns(f.Name)
	}
	return `"` + strings.ReplaceAll(f.Name, `"`, `""`) + `"`
}

// SQL returns the predicate as a condition for WHERE, and its arguments. Values stand only in the arguments. The
// condition may be NULL where the predicate does not match, which WHERE takes for false: join it to others by AND or OR,
// in parentheses, but do not negate it; negate the filter. Plain equality compiles to "column = $1", which an index on
// the column serves.
func (p *Predicate) SQL(d Dialect) (cond string, args []any) {
	c := compiler{Dialect: d}
	if p.schema != nil {
		c.fields = p.schema.fields
	}
	c.node(p.node())
	return c.sql.String(), c.args
}

type compiler struct {
	Dialect
	fields []Field
	sql    strings.Builder
	args   []any
}

func (c *compiler) write(parts ...string) {
	for _, part := range parts {
		c.sql.WriteString(part)
	}
}

// bind adds an argument and returns its placeholder.
func (c *compiler) bind(arg any) string {
	c.args = append(c.args, arg)
	if !c.postgres {
		return "?"
	}
	return "$" + strconv.Itoa(c.before+len(c.args))
}

// value adds the argument for n.Values[i].
func (c *compiler) value(n *Node, i int) string {
	if n.args != nil {
		return c.bind(n.args[i])
	}
	placeholder := c.bind(c.arg(n.Values[i]))
	if c.postgres && n.Values[i].kind == Int {
		// Without the cast the placeholder has the column's type, and a value too large for an integer column would be
		// an error instead of no match.
		placeholder += "::bigint"
	}
	return placeholder
}

func (c *compiler) arg(v Value) any {
	switch v.kind {
	case Bool:
		return v.bits != 0
	case Int:
		return int64(v.bits)
	case Float:
		return v.float()
	case Time:
		switch {
		case c.times != nil:
			return c.times(v.time())
		case c.postgres:
			return v.time()
		}
		return FormatTime(v.time())
	case Opaque:
		if s, ok := unquote([]byte(v.text)); ok {
			return s
		}
	}
	return v.text
}

func (c *compiler) node(n *Node) {
	switch n.Op {
	case OpAnd:
		c.join(n.Kids, " AND ", "1=1")
	case OpOr:
		c.join(n.Kids, " OR ", "1=0")
	case OpIn:
		c.in(n)
	default:
		c.condition(n)
	}
}

func (c *compiler) join(kids []*Node, word, empty string) {
	if len(kids) == 0 {
		c.write(empty)
		return
	}
	for i, kid := range kids {
		if i > 0 {
			c.write(word)
		}
		if kid.Op <= OpOr {
			c.write("(")
			c.node(kid)
			c.write(")")
		} else {
			c.node(kid)
		}
	}
}

// bytewise returns the column such that it compares by bytes. A collation is given where the database's or the column's
// own may be another.
func (c *compiler) bytewise(n *Node) string {
	f := &c.fields[n.Field]
	column := c.column(f)
	if f.Type != Text || f.Arg != nil {
		return column
	}
	if c.postgres {
		return column + ` COLLATE "C"`
	}
	return column + " COLLATE BINARY"
}

// in writes equality with one of some values. Null sorts first, so it is Values[0] or not there.
func (c *compiler) in(n *Node) {
	column := c.column(&c.fields[n.Field])
	equal := column
	if !c.postgres {
		equal = c.bytewise(n) // costs nothing; in PostgreSQL it would keep an index from being used
	}
	first := 0
	if n.Values[0].IsNull() {
		first = 1
	}
	switch count := len(n.Values) - first; {
	case count == 0 && n.Not:
		c.write(column, " IS NOT NULL")
	case count == 0:
		c.write(column, " IS NULL")
	case (first == 1) != n.Not: // null matches, too
		c.write("(", column, " IS NULL OR ")
		c.oneOf(n, equal, first)
		c.write(")")
	default: // a NULL makes this NULL, which does not match
		c.oneOf(n, equal, first)
	}
}

func (c *compiler) oneOf(n *Node, column string, first int) {
	one, many := " = ", " IN ("
	if n.Not {
		one, many = " <> ", " NOT IN ("
	}
	if first == len(n.Values)-1 {
		c.write(column, one, c.value(n, first))
		return
	}
	c.write(column, many)
	for i := first; i < len(n.Values); i++ {
		if i > first {
			c.write(", ")
		}
		c.write(c.value(n, i))
	}
	c.write(")")
}

// condition writes a comparison that no null meets; its negation is met by null.
func (c *compiler) condition(n *Node) {
	if n.Not {
		c.write("(", c.column(&c.fields[n.Field]), " IS NULL OR ")
		defer c.write(")")
	}
	column := c.bytewise(n)
	switch n.Op {
	case OpLt, OpLte, OpGt, OpGte:
		op := n.Op
		if n.Not {
			op = OpLt + (OpGte - op) // not less is greater or equal
		}
		c.write(column, [...]string{" < ", " <= ", " > ", " >= "}[op-OpLt], c.value(n, 0))
		return
	}
	if n.Not {
		c.write("NOT ")
	}
	operand := n.Values[0].text
	switch {
	case n.Op == OpContains && c.postgres:
		c.write("strpos(", column, ", ", c.bind(operand), ") > 0")
	case n.Op == OpContains:
		c.write("instr(", column, ", ", c.bind(operand), ") > 0")
	case n.Op == OpIContains && c.postgres:
		c.write(column, " ~ ", c.bind(regex(operand)))
	case n.Op == OpIContains:
		c.write(column, " GLOB ", c.bind(glob(operand)))
	case c.postgres:
		c.write("starts_with(", column, ", ", c.bind(operand), ")")
	default:
		c.startsWith(column, operand)
	}
}

// startsWith writes SQLite's form as a range, which an index serves, and which is exact for valid UTF-8.
func (c *compiler) startsWith(column, prefix string) {
	c.write("(", column, " >= ", c.bind(prefix))
	if after, ok := afterPrefix(prefix); ok {
		c.write(" AND ", column, " < ", c.bind(after))
	}
	c.write(")")
}
