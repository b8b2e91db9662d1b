package livebun

import (
	"strings"

	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"
)

// withoutComment returns a statement without the comment that bun puts before it.
func withoutComment(query string) string {
	if rest, ok := strings.CutPrefix(query, "/* "); ok {
		if _, rest, ok := strings.Cut(rest, " */ "); ok {
			return rest
		}
	}
	return query
}

// after returns what comes after the table in a statement that begins with verb and the table of a type, be it with its alias. It is false for all others.
func after(query, verb string, table *schema.Table) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(query, verb+" "+string(table.SQLName)+" ")
	if !ok {
		return "", false
	}
	return strings.TrimPrefix(rest, "AS "+string(table.SQLAlias)+" "), true
}

// conditions returns the WHERE of a statement, from what comes after its table. It is false if there is more to say of which rows are
// written than conditions on these, or if it cannot be told for sure. What cannot be understood is such a case: nothing here may be
// mistaken for something else.
func conditions(rest string, database dialect.Name) (where string, ok bool) {
	start := -1
	for t := (tokens{text: rest, database: database}); ; {
		word, at, ok := t.next()
		switch {
		case !ok:
			return "", false
		case word == "": // the end
			return strings.TrimSpace(rest[max(start, 0):]), start >= 0
		case start >= 0 && unrepeatable[word]:
			return "", false
		case t.depth > 0:
		case start < 0 && (word == "FROM" || word == "JOIN" || word == "USING"):
			return "", false
		case start < 0 && word == "WHERE":
			start = at + len(word)
		case word == "RETURNING" && start >= 0:
			return strings.TrimSpace(rest[start:at]), true
		case start >= 0 && (word == "ORDER" || word == "LIMIT" || word == "WHERE"):
			return "", false
		}
	}
}

// unrepeatable are words of conditions that need not hold for the same rows when they are asked twice, or not in a SELECT: what is read by them before is
// not what is written.
var unrepeatable = map[string]bool{
	"SELECT": true, "CURRENT": true, // of a cursor
	"RANDOM": true, "RANDOMBLOB": true, "GEN_RANDOM_UUID": true, "CLOCK_TIMESTAMP": true, "TIMEOFDAY": true, "NEXTVAL": true,
}

// tokens are the words of a statement that are not quoted.
type tokens struct {
	text     string
	database dialect.Name
	at       int
	// depth is that of the parentheses around what was read last.
	depth int
}

// next returns the next word in upper case, empty at the end, and where it begins. It is false where the text has what this does not know.
func (t *tokens) next() (word string, at int, ok bool) {
	for t.at < len(t.text) {
		switch c := t.text[t.at]; {
		case c == '\'' || c == '"':
			if !t.quoted(c) {
				return "", 0, false
			}
		case c == '(':
			t.depth++
			t.at++
		case c == ')':
			if t.depth--; t.depth < 0 {
				return "", 0, false
			}
			t.at++
		case c == '`', c == ';', c == '$', c == 0, c == '[' && t.database != dialect.PG,
			strings.HasPrefix(t.text[t.at:], "--"), strings.HasPrefix(t.text[t.at:], "/*"):
			return "", 0, false
		case letter(c):
			at := t.at
			for t.at < len(t.text) && (letter(t.text[t.at]) || digit(t.text[t.at])) {
				t.at++
			}
			if t.at < len(t.text) && t.text[t.at] == '\'' { // E'…', U&'…' has a sign between
				return "", 0, false
			}
			return strings.ToUpper(t.text[at:t.at]), at, true
		case c == '&' && strings.HasPrefix(t.text[t.at:], "&'"), c == '&' && strings.HasPrefix(t.text[t.at:], `&"`):
			return "", 0, false
		default:
			t.at++
		}
	}
	return "", t.at, t.depth == 0
}

// quoted passes over a string or a name.
func (t *tokens) quoted(quote byte) bool {
	for t.at++; t.at < len(t.text); t.at++ {
		switch t.text[t.at] {
		case '\\':
			if t.database != dialect.PG && t.database != dialect.SQLite {
				return false
			}
		case quote:
			if t.at++; t.at == len(t.text) || t.text[t.at] != quote {
				return true
			}
		}
	}
	return false
}

func letter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

func digit(c byte) bool { return c >= '0' && c <= '9' }
