package pgsource

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// quote makes an SQL identifier of a name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal makes an SQL string of a text.
func literal(text string) string {
	text = strings.ReplaceAll(text, `'`, `''`)
	if strings.Contains(text, `\`) {
		return ` E'` + strings.ReplaceAll(text, `\`, `\\`) + `'`
	}
	return `'` + text + `'`
}

// longestName is how many bytes PostgreSQL keeps of an identifier.
const longestName = 63

// shorten keeps a name that is too long for PostgreSQL apart from others that begin alike.
func shorten(name string) string {
	if len(name) <= longestName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:longestName-13], "") + "_" + hex.EncodeToString(sum[:6])
}

// parseTable reads the name of a table: "todos", "shop.orders", `"My.Schema"."Orders"`. Case counts, as in quoted names.
func parseTable(text string) (string, error) {
	var parts []string
	for rest := text; ; {
		part, behind, err := parsePart(rest)
		if err != nil {
			return "", fmt.Errorf("the table %q: %w", text, err)
		}
		if parts = append(parts, quote(part)); behind == "" {
			break
		}
		if behind[0] != '.' {
			return "", fmt.Errorf("the table %q: what follows %s is not a dot", text, quote(part))
		}
		rest = behind[1:]
	}
	if len(parts) > 2 {
		return "", fmt.Errorf(`the table %q has %d parts: write "table" or "schema.table", with double quotes around names that contain dots`, text, len(parts))
	}
	return strings.Join(parts, "."), nil
}

// parsePart reads one name and returns what follows.
func parsePart(text string) (part, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexByte(text, '.')
		if end < 0 {
			end = len(text)
		}
		part, rest = text[:end], text[end:]
	} else {
		i := 1
		for ; i < len(text); i++ {
			if text[i] != '"' {
				continue
			}
			if i+1 == len(text) || text[i+1] != '"' {
				break
			}
			i++
		}
		if i >= len(text) {
			return "", "", fmt.Errorf("a double quote is not closed")
		}
		part, rest = strings.ReplaceAll(text[1:i], `""`, `"`), text[i+1:]
	}
	if part == "" || strings.ContainsRune(part, 0) {
		return "", "", fmt.Errorf("a name is empty or no text")
	}
	return part, rest, nil
}
