package wheretest

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/swampline/live/where"
	"pgregory.net/rapid"
)

// column is a field together with how the databases declare it and how its values are made.
type column struct {
	where.Field
	sqlite, postgres string
	value            func(g *generator) any // a Go value as a model holds it; never nil
	stored           func(v any) any        // what the application writes to the column; nil: v itself
}

var columns = []column{
	{Field: where.Field{Name: "b", Type: where.Bool, Nullable: true}, sqlite: "BOOLEAN", postgres: "boolean",
		value: func(g *generator) any { return g.pick(2) == 0 }},
	{Field: where.Field{Name: "n", Type: where.Int, Nullable: true}, sqlite: "INTEGER", postgres: "bigint",
		value: func(g *generator) any { return g.int() }},
	{Field: where.Field{Name: "small", Type: where.Int}, sqlite: "INTEGER NOT NULL", postgres: "integer NOT NULL",
		value: func(g *generator) any { return g.int() }, stored: func(v any) any { return int64(int32(v.(int64))) }},
	{Field: where.Field{Name: "cents", Type: where.Int, Nullable: true, Arg: toCents}, sqlite: "INTEGER", postgres: "bigint",
		value: func(g *generator) any { return g.int() >> 8 }, stored: func(v any) any { return v.(int64) * 100 }},
	{Field: where.Field{Name: "f", Type: where.Float, Nullable: true}, sqlite: "REAL", postgres: "double precision",
		value: func(g *generator) any { return g.float() }},
	{Field: where.Field{Name: "s", Type: where.Text, Nullable: true}, sqlite: "TEXT", postgres: "text",
		value: func(g *generator) any { return g.text() }},
	{Field: where.Field{Name: `odd "näme`, Type: where.Text}, sqlite: "TEXT NOT NULL COLLATE NOCASE", postgres: "varchar NOT NULL",
		value: func(g *generator) any { return g.text() }},
	{Field: where.Field{Name: "t", Type: where.Time, Nullable: true}, sqlite: "DATETIME", postgres: "timestamptz",
		value: func(g *generator) any { return g.time() }},
	{Field: where.Field{Name: "o", Type: where.Opaque, Nullable: true}, sqlite: "TEXT", postgres: "text",
		value: func(g *generator) any { return g.text() }},
	{Field: where.Field{Name: "size", Type: where.Text, Nullable: true, Arg: toSize}, sqlite: "INTEGER", postgres: "integer",
		value: func(g *generator) any { return sizes[g.pick(len(sizes))] }, stored: storedSize},
}

func newSchema(t testing.TB) *where.Schema {
	t.Helper()
	var fields []where.Field
	for _, c := range columns {
		fields = append(fields, c.Field)
	}
	s, err := where.NewSchema(fields...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func toCents(data []byte) (any, error) {
	var n int64
	err := json.Unmarshal(data, &n)
	if err == nil && (n > math.MaxInt64/100 || n < math.MinInt64/100) {
		err = fmt.Errorf("%d is too much money", n)
	}
	return n * 100, err
}

var sizes = []string{"small", "large", "extra large"}

func toSize(data []byte) (any, error) {
	for i, size := range sizes {
		if string(data) == `"`+size+`"` {
			return int64(i), nil
		}
	}
	return nil, fmt.Errorf("no size %s", data)
}

func storedSize(v any) any {
	stored, _ := toSize([]byte(`"` + v.(string) + `"`))
	return stored
}

// generator draws everything that a check needs.
type generator struct {
	*rapid.T
	schema *where.Schema
	rows   []record
}

// record is one generated row: its values for the databases and for the matcher.
type record struct {
	stored []any
	row    where.Row
	texts  []string
}

func (g *generator) pick(n int) int { return rapid.IntRange(0, n-1).Draw(g.T, "pick") }

func (g *generator) record() record {
	r := record{row: make(where.Row, len(columns)), stored: make([]any, len(columns))}
	for i, c := range columns {
		if c.Nullable && g.pick(5) == 0 {
			continue
		}
		v := c.value(g)
		if c.Name == "small" {
			v = c.stored(v)
		}
		r.stored[i] = v
		if c.stored != nil {
			r.stored[i] = c.stored(v)
		}
		if text, ok := v.(string); ok {
			r.texts = append(r.texts, text)
		}
		data, err := json.Marshal(v)
		if err != nil {
			g.Fatal(err)
		}
		if r.row[i], err = g.schema.ValueJSON(i, data); err != nil {
			g.Fatal(err)
		}
	}
	return r
}

var ints = []int64{
	0, 1, -1, 2, 5, 7, 100, math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1,
	1<<53 - 1, 1 << 53, 1<<53 + 1, -1<<53 - 1, math.MaxInt64 - 1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1,
}

func (g *generator) int() int64 {
	if g.pick(4) == 0 {
		return rapid.Int64().Draw(g.T, "int")
	}
	return ints[g.pick(len(ints))]
}

var floats = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, 0.5, 1.0 / 3, -1.5, 5, 1 << 53, 1<<53 + 2, 1e21, -1e21, 1e-7, 1e300, -1e300,
	math.MaxFloat64, math.SmallestNonzeroFloat64,
}

func (g *generator) float() float64 {
	if g.pick(4) == 0 {
		return rapid.Float64().Draw(g.T, "float")
	}
	return floats[g.pick(len(floats))]
}

// runes are the characters that case, patterns, quoting and encodings stumble over.
var runes = []rune("aAbBkKsSiI\u212a\u017fßẞİıΣσςäÄöÖÅ\u212båée\u0301\u0345ιΙ\u1fbeǅǆǄᏸᏰ 0129.,;:-_%*?[]{}()^$|\\/'\"`~!@#&+=<>\n\t\x01\x7f" +
	"\u00a0\u2028日本👍🏽\U0001F468\u200d\ufeff\ufffd\ufffe\uffff\ud7ff\ue000\U0001E900\U0001E922\U0010FFFE\U0010FFFF")

var texts = []string{
	"", "a", "A", "ab", "straße", "STRASSE", "STRAẞE", "İstanbul", "istanbul", "ΟΔΟΣ", "οδος", "οδοσ", "\u212aelvin", "kelvin",
	"e\u0301", "é", "Bratäpfel", "100%", "a_b", "a*b?", "[a]", "[^a]", "]", "***", "***=a", "(?i)a", `\`, `\\`, `\d`, `'; --`, `"`, "null",
	"true", "0", "7", "1.0", "a ", " a",
}

func (g *generator) text() string {
	switch g.pick(3) {
	case 0:
		return texts[g.pick(len(texts))]
	case 1:
		return rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\x00") }).Draw(g.T, "text")
	}
	return string(rapid.SliceOfN(rapid.SampledFrom(runes), 0, 6).Draw(g.T, "runes"))
}

var zones = []*time.Location{time.UTC, time.FixedZone("", 2*3600), time.FixedZone("", -(9*3600 + 30*60))}

func (g *generator) time() time.Time {
	bases := []time.Time{
		time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1, 1, 1, 12, 0, 0, 0, time.UTC),
		time.Date(0, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 30, 23, 59, 59, 0, time.UTC),
	}
	nanoseconds := []int{0, 1, 999, 1000, 1001, 500_000_000, 999_999_000, 999_999_999}
	t := bases[g.pick(len(bases))].Add(time.Duration(nanoseconds[g.pick(len(nanoseconds))]))
	zone := zones[g.pick(len(zones))]
	if year := t.In(zone).Year(); year < 0 || year > 9999 { // RFC 3339 cannot write it
		zone = time.UTC
	}
	return t.In(zone)
}

// filter is one filter, built in Go and written in JSON.
type filter struct {
	where where.Where
	json  string
}

func (g *generator) filter(depth int) filter {
	kind := g.pick(8)
	if depth == 0 {
		kind = 7
	}
	switch kind {
	case 0, 1:
		kids, jsons := g.filters(depth)
		return filter{where.Or(kids...), "[" + strings.Join(jsons, ",") + "]"}
	case 2, 3:
		// In JSON, an AND of what may have equal names is a negated OR of negations.
		kids, jsons := g.filters(depth)
		for i, kid := range jsons {
			jsons[i] = `{"not":` + kid + `}`
		}
		return filter{where.And(kids...), `{"not":[` + strings.Join(jsons, ",") + "]}"}
	case 4:
		kid := g.filter(depth - 1)
		return filter{where.Not(kid.where), `{"not":` + kid.json + "}"}
	}
	return g.condition()
}

func (g *generator) filters(depth int) (kids []where.Where, jsons []string) {
	for range g.pick(4) {
		kid := g.filter(depth - 1)
		kids, jsons = append(kids, kid.where), append(jsons, kid.json)
	}
	return kids, jsons
}

func (g *generator) condition() filter {
	i := g.pick(len(columns))
	c := columns[i]
	quoted, _ := json.Marshal(c.Name) // cannot fail
	write := func(lookup, value string) string {
		if g.pick(2) == 0 {
			return fmt.Sprintf(`{%s__%s":%s}`, quoted[:len(quoted)-1], lookup, value)
		}
		return fmt.Sprintf(`{%s:{"%s":%s}}`, quoted, lookup, value)
	}
	kinds := 4
	if c.Type == where.Int || c.Type == where.Float || c.Type == where.Time || c.Type == where.Text && c.Arg == nil {
		kinds = 8
	}
	if c.Type == where.Text && c.Arg == nil {
		kinds = 14
	}
	switch kind := g.pick(kinds); kind {
	case 0:
		v, text := g.operand(c, true)
		return filter{where.Eq(c.Name, v), write("eq", text)}
	case 1:
		v, text := g.operand(c, true)
		return filter{where.Ne(c.Name, v), write("ne", text)}
	case 2:
		var values []any
		var list []string
		for range g.pick(4) * g.pick(4) { // up to nine, so that both ways to search are met
			v, text := g.operand(c, true)
			values, list = append(values, v), append(list, text)
		}
		return filter{where.In(c.Name, values), write("in", "["+strings.Join(list, ",")+"]")}
	case 3:
		yes := g.pick(2) == 0
		return filter{where.IsNull(c.Name, yes), write("isnull", fmt.Sprint(yes))}
	case 4, 5, 6, 7:
		v, text := g.operand(c, false)
		ops := []func(string, any) where.Where{where.Lt, where.Lte, where.Gt, where.Gte}
		return filter{ops[kind-4](c.Name, v), write([]string{"lt", "lte", "gt", "gte"}[kind-4], text)}
	default:
		pattern := g.pattern()
		ops := []func(string, any) where.Where{where.Contains, where.IContains, where.StartsWith}
		if kind%3 == 1 {
			pattern = strings.Map(unconfusable, pattern)
		}
		return filter{ops[kind%3](c.Name, pattern), write([]string{"contains", "icontains", "startswith"}[kind%3], jsonText(g, pattern))}
	}
}

// unconfusable drops what icontains refuses.
func unconfusable(r rune) rune {
	if '\ufffd' <= r && r <= '\uffff' {
		return -1
	}
	return r
}

// operand draws a value for a column, as Go value and as JSON: often one that a row has.
func (g *generator) operand(c column, null bool) (any, string) {
	if null && c.Nullable && g.pick(6) == 0 {
		return nil, "null"
	}
	v := c.value(g)
	if c.Type == where.Text && c.Arg == nil || c.Type == where.Opaque {
		if g.pick(2) == 0 {
			v = g.rowText()
		}
	}
	text := jsonText(g, v)
	if n, ok := v.(int64); ok && n%10 == 0 && n != 0 && g.pick(2) == 0 {
		text = fmt.Sprintf("%d.0e1", n/10)
	}
	return v, text
}

func jsonText(g *generator, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		g.Fatal(err)
	}
	return string(data)
}

func (g *generator) rowText() string {
	if len(g.rows) == 0 {
		return ""
	}
	texts := g.rows[g.pick(len(g.rows))].texts
	return texts[g.pick(len(texts))] // one text column is not nullable, so there is one
}

// pattern draws a part of a row's text, often in another case.
func (g *generator) pattern() string {
	if g.pick(4) == 0 {
		return g.text()
	}
	text := []rune(g.rowText())
	if len(text) > 0 {
		from := g.pick(min(2, len(text)))
		text = text[from : from+g.pick(len(text)-from+1)]
	}
	out := make([]rune, len(text))
	change := g.pick(4)
	for i, r := range text {
		switch out[i] = r; change {
		case 0:
			out[i] = unicode.SimpleFold(r)
		case 1:
			out[i] = unicode.ToUpper(r)
		case 2:
			out[i] = unicode.ToLower(r)
		}
	}
	return string(out)
}

func (g *generator) order() []where.Order {
	var out []where.Order
	for _, i := range rapid.Permutation(sortable()).Draw(g.T, "order")[:1+g.pick(3)] {
		out = append(out, where.Order{Field: columns[i].Name, Desc: g.pick(2) == 0})
	}
	return out
}

// sortable returns the columns whose order means something to the databases.
func sortable() []int {
	var out []int
	for i, c := range columns {
		if c.Type != where.Opaque && (c.Type != where.Text || c.Arg == nil) {
			out = append(out, i)
		}
	}
	return out
}
