package broker

import (
	"cmp"
	"errors"
	"strconv"
)

// Position is a place in the log: an epoch and an ordered offset of up to two 64-bit words. A Redis stream id and a
// PostgreSQL (xid, sequence) pair need both words; a broker with one counter leaves Minor zero.
//
// The zero Position is before everything. Positions of different epochs have no order: the log was lost or replaced
// between them, and nobody can tell what is missing.
type Position struct {
	// Epoch names one life of the log. A broker draws a new random one whenever it cannot vouch for the
	// continuity of its history (it lost its data, or a replica that lagged took over).
	Epoch uint64
	// Major and Minor are the offset within the epoch, compared in this order.
	Major, Minor uint64
}

// IsZero reports whether p is the zero Position.
func (p Position) IsZero() bool { return p == Position{} }

// Compare returns -1, 0 or +1 as p lies before, at or after q. It is meaningful within one epoch only; across epochs it
// orders by epoch so that sorting stays total.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Major, q.Major), cmp.Compare(p.Minor, q.Minor))
}

// After reports whether p lies after q in the same epoch.
func (p Position) After(q Position) bool { return p.Epoch == q.Epoch && p.Compare(q) > 0 }

// String returns the position as a cursor: the opaque, URL-safe token that clients hold.
//
// The form is epoch "." major ["." minor]. Major and minor are in base 36 behind one digit that counts their digits, so
// that within one epoch cursors compare as byte strings just as their positions compare: a client may ask "is
// this after that?" without knowing what is inside.
func (p Position) String() string {
	if p.IsZero() {
		return "0"
	}
	return string(p.AppendTo(make([]byte, 0, 40)))
}

// AppendTo appends the cursor form of p to b.
func (p Position) AppendTo(b []byte) []byte {
	if p.IsZero() {
		return append(b, '0')
	}
	b = strconv.AppendUint(b, p.Epoch, 36)
	b = appendOrdered(append(b, '.'), p.Major)
	if p.Minor != 0 {
		b = appendOrdered(append(b, '.'), p.Minor)
	}
	return b
}

// appendOrdered appends n in base 36 behind a digit that holds its length.
func appendOrdered(b []byte, n uint64) []byte {
	var digits [13]byte
	d := strconv.AppendUint(digits[:0], n, 36)
	b = strconv.AppendUint(b, uint64(len(d)), 36)
	return append(b, d...)
}

var errCursor = errors.New("broker: not a cursor")

// ParsePosition reads the cursor form that String returns. It accepts no other spelling of the same position, so a
// cursor that was parsed is printed byte for byte as it was.
func ParsePosition(s string) (Position, error) {
	if s == "0" {
		return Position{}, nil
	}
	epoch, rest, err := parseDigits(s, untilDot(s))
	if err != nil || rest == "" {
		return Position{}, errCursor
	}
	p := Position{Epoch: epoch}
	if p.Major, rest, err = parseOrdered(rest); err != nil {
		return Position{}, err
	}
	if rest != "" {
		if p.Minor, rest, err = parseOrdered(rest); err != nil || rest != "" || p.Minor == 0 {
			return Position{}, errCursor
		}
	}
	if p.IsZero() {
		return Position{}, errCursor
	}
	return p, nil
}

// untilDot returns the number of bytes of s before its first dot.
func untilDot(s string) int {
	for i := range len(s) {
		if s[i] == '.' {
			return i
		}
	}
	return len(s)
}

// parseOrdered reads "." and what appendOrdered wrote.
func parseOrdered(s string) (uint64, string, error) {
	if len(s) < 3 || s[0] != '.' {
		return 0, "", errCursor
	}
	n, rest, err := parseDigits(s[1:], 1)
	if err != nil || n > uint64(len(rest)) {
		return 0, "", errCursor
	}
	return parseDigits(rest, int(n))
}

// parseDigits reads n canonical base 36 digits (lower case, no leading zero) from the beginning of s.
func parseDigits(s string, n int) (uint64, string, error) {
	var canonical [13]byte
	d := s[:n]
	v, err := strconv.ParseUint(d, 36, 64)
	if err != nil || string(strconv.AppendUint(canonical[:0], v, 36)) != d {
		return 0, "", errCursor
	}
	return v, s[n:], nil
}
