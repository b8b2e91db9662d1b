package where

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// cursor walks over JSON that json.Valid has accepted, so that it can cut values out of it as they were written:
// numbers must not pass through float64, and members must be seen twice when they stand there twice.
type cursor struct {
	data []byte
	pos  int
}

func (c *cursor) skipSpace() {
	for c.pos < len(c.data) {
		switch c.data[c.pos] {
		case ' ', '\t', '\n', '\r':
			c.pos++
		default:
			return
		}
	}
}

// next skips space and steps over the next byte.
func (c *cursor) next() byte {
	c.skipSpace()
	c.pos++
	return c.data[c.pos-1]
}

// value cuts out the next value.
func (c *cursor) value() []byte {
	c.skipSpace()
	start, depth := c.pos, 0
	for {
		switch c.data[c.pos] {
		case '"':
			c.skipString()
		case '{', '[':
			depth++
			c.pos++
			continue
		case '}', ']':
			depth--
			c.pos++
		default:
			c.skipToken()
		}
		if depth == 0 {
			return c.data[start:c.pos]
		}
	}
}

func (c *cursor) skipString() {
	for c.pos++; c.data[c.pos] != '"'; c.pos++ {
		if c.data[c.pos] == '\\' {
			c.pos++
		}
	}
	c.pos++
}

// skipToken steps over a number or word, or one byte of space or punctuation.
func (c *cursor) skipToken() {
	for first := true; c.pos < len(c.data); first = false {
		switch c.data[c.pos] {
		case ' ', '\t', '\n', '\r', ',', ':':
			if first {
				c.pos++
			}
			return
		case '"', '{', '}', '[', ']':
			return
		}
		c.pos++
	}
}

// elements cuts a valid array into its elements.
func elements(array []byte) [][]byte {
	c := cursor{data: array, pos: 1}
	if c.skipSpace(); c.data[c.pos] == ']' {
		return nil
	}
	var out [][]byte
	for {
		out = append(out, c.value())
		if c.next() == ']' {
			return out
		}
	}
}

// member is one name and value of an object.
type member struct {
	name  string
	value []byte
}

// members cuts a valid object into its members. It reports a name that stands there twice: two readers would take
// different ones of the two.
func members(object []byte) (out []member, twice string, ok bool) {
	c := cursor{data: object, pos: 1}
	if c.skipSpace(); c.data[c.pos] == '}' {
		return nil, "", true
	}
	seen := map[string]bool{}
	for {
		name, _ := unquote(c.value())
		if seen[name] {
			return nil, name, false
		}
		seen[name] = true
		c.next() // the colon
		out = append(out, member{name, c.value()})
		if c.next() == '}' {
			return out, "", true
		}
	}
}

// depth returns how deep objects and arrays are nested. It reads data that may not be valid JSON.
func depth(data []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			now++
			deepest = max(deepest, now)
		case b == '}' || b == ']':
			now--
		}
	}
	return deepest
}

// unquote reads a JSON string. What is not valid Unicode in it becomes U+FFFD, as everywhere in encoding/json.
func unquote(data []byte) (string, bool) {
	if len(data) < 2 || data[0] != '"' || data[len(data)-1] != '"' {
		return "", false
	}
	if inner := data[1 : len(data)-1]; plain(inner) {
		return string(inner), true
	}
	var s string
	err := json.Unmarshal(data, &s)
	return s, err == nil
}

// plain tells whether the inside of a JSON string is the string itself.
func plain(inner []byte) bool {
	for _, b := range inner {
		if b < ' ' || b == '"' || b == '\\' {
			return false
		}
	}
	return utf8.Valid(inner)
}

// appendString appends s as JSON. It escapes what JSON demands and nothing else.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// canonical returns the one compact text of a JSON value: members sorted by name, numbers and strings in one form each.
// It refuses what is not JSON, and objects with a name twice.
func canonical(data []byte) (string, bool) {
	if len(data) >= 2 && data[0] == '"' && data[len(data)-1] == '"' && plain(data[1:len(data)-1]) {
		return string(data), true
	}
	if !json.Valid(data) {
		return "", false
	}
	b, ok := appendCanonical(nil, bytes.TrimSpace(data))
	return string(b), ok
}

func appendCanonical(b, data []byte) ([]byte, bool) {
	switch data[0] {
	case '{':
		return appendObject(b, data)
	case '[':
		b = append(b, '[')
		for i, element := range elements(data) {
			if i > 0 {
				b = append(b, ',')
			}
			var ok bool
			if b, ok = appendCanonical(b, element); !ok {
				return nil, false
			}
		}
		return append(b, ']'), true
	case '"':
		s, ok := unquote(data)
		return appendString(b, s), ok
	case 't', 'f', 'n':
		return append(b, data...), true
	}
	d, ok := parseDecimal(data)
	return d.append(b), ok
}

func appendObject(b, data []byte) ([]byte, bool) {
	ms, _, ok := members(data)
	if !ok {
		return nil, false
	}
	slices.SortFunc(ms, func(a, b member) int { return strings.Compare(a.name, b.name) })
	b = append(b, '{')
	for i, m := range ms {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, m.name), ':')
		if b, ok = appendCanonical(b, m.value); !ok {
			return nil, false
		}
	}
	return append(b, '}'), true
}

// describe says in words what a JSON value is, for a message.
func describe(data []byte) string {
	if len(data) == 0 {
		return "nothing"
	}
	switch data[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		if s, ok := unquote(data); ok {
			return "the string " + quote(s)
		}
	case 't', 'f', 'n':
		if w := string(data); w == "true" || w == "false" || w == "null" {
			return w
		}
	default:
		if _, ok := parseDecimal(data); ok {
			return "the number " + clip(string(data))
		}
	}
	return quote(string(data))
}
