package where

import (
	"strconv"
	"strings"
)

// decimal is a JSON number taken apart without loss: ±digits × 10^exp. digits has neither leading nor trailing zeros and
// is empty for zero, so equal numbers have equal decimals.
type decimal struct {
	negative bool
	digits   string
	exp      int
}

// maxExponent keeps the arithmetic on exponents far from overflow; a number beyond it is none that anybody stores.
const maxExponent = 1_000_000

// parseDecimal reads a number by JSON's grammar. It refuses everything else, and exponents beyond reason.
func parseDecimal(data []byte) (decimal, bool) {
	var d decimal
	rest := string(data)
	rest, d.negative = strings.CutPrefix(rest, "-")
	whole, rest := cutDigits(rest)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return decimal{}, false
	}
	fraction := ""
	if after, ok := strings.CutPrefix(rest, "."); ok {
		if fraction, rest = cutDigits(after); fraction == "" {
			return decimal{}, false
		}
	}
	if rest != "" {
		exp, ok := parseExponent(rest)
		if !ok {
			return decimal{}, false
		}
		d.exp = exp
	}
	d.exp -= len(fraction)
	d.digits = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(d.digits, "0")
	d.exp += len(d.digits) - len(trimmed)
	d.digits = trimmed
	if d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

func cutDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// parseExponent reads "e5", "E+05", "e-5".
func parseExponent(s string) (int, bool) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	sign := 1
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	digits, rest := cutDigits(s)
	if digits == "" || rest != "" {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return sign * n, err == nil && n <= maxExponent
}

// smallInt reads the integers that nearly all integers are, without detour.
func smallInt(data []byte) (int64, bool) {
	digits := data
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(data) {
		n = -n
	}
	return n, true
}

// int64 returns the number when it is an integer in range.
func (d decimal) int64() (int64, bool) {
	if d.digits == "" {
		return 0, true
	}
	if d.exp < 0 || len(d.digits)+d.exp > 19 { // 19 digits hold every int64
		return 0, false
	}
	text := d.digits + strings.Repeat("0", d.exp)
	if d.negative {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// append appends the number in its one canonical form, plain while that stays readable.
func (d decimal) append(b []byte) []byte {
	if d.digits == "" {
		return append(b, '0')
	}
	if d.negative {
		b = append(b, '-')
	}
	point := len(d.digits) + d.exp // where the point stands, counted from the first digit
	switch {
	case point > 21 || point < -5:
		b = append(b, d.digits[0])
		if len(d.digits) > 1 {
			b = append(append(b, '.'), d.digits[1:]...)
		}
		return strconv.AppendInt(append(b, 'e'), int64(point-1), 10)
	case d.exp >= 0:
		return append(append(b, d.digits...), strings.Repeat("0", d.exp)...)
	case point > 0:
		return append(append(append(b, d.digits[:point]...), '.'), d.digits[point:]...)
	}
	return append(append(append(b, "0."...), strings.Repeat("0", -point)...), d.digits...)
}
