package where

import (
	"strings"
	"unicode"
)

// folded is an icontains operand, prepared for a search in linear time (Knuth, Morris, Pratt), so that no operand makes
// matching slow.
type folded struct {
	runes []rune // each the least of its fold orbit
	fall  []int  // fall[i]: how much of the operand is matched still when the rune after i matched ones does not match
}

// foldRune returns the least rune of r's orbit under simple case folding: 'K' for 'k' and for the Kelvin sign.
func foldRune(r rune) rune {
	if r < unicode.MaxASCII {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	for {
		next := unicode.SimpleFold(r) // the next greater of the orbit, from the greatest the least
		if next <= r {
			return next
		}
		r = next
	}
}

func fold(operand string) folded {
	var f folded
	for _, r := range operand {
		f.runes = append(f.runes, foldRune(r))
	}
	f.fall = make([]int, len(f.runes))
	for i, n := 1, 0; i < len(f.runes); i++ {
		for n > 0 && f.runes[i] != f.runes[n] {
			n = f.fall[n-1]
		}
		if f.runes[i] == f.runes[n] {
			n++
		}
		f.fall[i] = n
	}
	return f
}

// in tells whether text holds the operand. It looks no further than a NUL, since SQLite's GLOB does not either and
// PostgreSQL stores none.
func (f *folded) in(text string) bool {
	if len(f.runes) == 0 {
		return true
	}
	n := 0
	for _, r := range text {
		if r == 0 {
			return false
		}
		r = foldRune(r)
		for n > 0 && r != f.runes[n] {
			n = f.fall[n-1]
		}
		if r == f.runes[n] {
			n++
		}
		if n == len(f.runes) {
			return true
		}
	}
	return false
}

// writeClass writes a rune with a fold orbit as a bracket expression of the orbit, which GLOB and regular expressions
// read alike: no rune that is special in one of them has an orbit. It returns false for other runes.
func writeClass(b *strings.Builder, r rune) bool {
	next := unicode.SimpleFold(r)
	if next == r {
		return false
	}
	b.WriteByte('[')
	for b.WriteRune(r); next != r; next = unicode.SimpleFold(next) {
		b.WriteRune(next)
	}
	b.WriteByte(']')
	return true
}

// glob returns the SQLite pattern for "holds the operand, whatever the case".
func glob(operand string) string {
	var b strings.Builder
	b.WriteByte('*')
	for _, r := range operand {
		switch {
		case writeClass(&b, r):
		case r == '*' || r == '?' || r == '[':
			b.WriteByte('[')
			b.WriteRune(r)
			b.WriteByte(']')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('*')
	return b.String()
}

// regex returns the PostgreSQL regular expression for the same.
func regex(operand string) string {
	var b strings.Builder
	for _, r := range operand {
		if writeClass(&b, r) {
			continue
		}
		if strings.ContainsRune(`.*+?()[]{}|^$\`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// afterPrefix returns the least text that is greater than every text with the prefix; false when there is none.
func afterPrefix(prefix string) (string, bool) {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		if runes[i] == unicode.MaxRune {
			continue // nothing is greater here; the rune before must be
		}
		if runes[i]++; runes[i] == 0xD800 {
			runes[i] = 0xE000 // surrogates are no text
		}
		return string(runes[:i+1]), true
	}
	return "", false
}
