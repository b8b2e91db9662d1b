package index

import (
	"encoding/json"
	"unicode"

	"github.com/swampline/live/where"
)

// interval is a range of values that are not null. A null end is none: the interval is unbounded there.
type interval struct {
	low, high         where.Value
	lowOpen, highOpen bool // the end itself is outside
}

// begun tells whether v is not below the interval.
func (i *interval) begun(v where.Value) bool {
	if i.low.IsNull() {
		return true
	}
	c := v.Compare(i.low)
	return c > 0 || c == 0 && !i.lowOpen
}

// contains tells whether v, which may be null, is in the interval.
func (i *interval) contains(v where.Value) bool {
	return !v.IsNull() && i.begun(v) && reaches(i.high, i.highOpen, v)
}

// reaches tells whether an upper end is not below v.
func reaches(high where.Value, open bool, v where.Value) bool {
	if high.IsNull() {
		return true
	}
	c := v.Compare(high)
	return c < 0 || c == 0 && !open
}

// empty tells whether the ends exclude each other.
func (i *interval) empty() bool {
	if i.low.IsNull() || i.high.IsNull() {
		return false
	}
	c := i.low.Compare(i.high)
	return c > 0 || c == 0 && (i.lowOpen || i.highOpen)
}

// compare orders intervals by where they begin, then by where they end.
func (i *interval) compare(j *interval) int {
	if c := compareLow(i.low, i.lowOpen, j.low, j.lowOpen); c != 0 {
		return c
	}
	return compareHigh(i.high, i.highOpen, j.high, j.highOpen)
}

// compareLow orders lower ends: none first, and a closed end before an open one.
func compareLow(a where.Value, aOpen bool, b where.Value, bOpen bool) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	return compareBool(aOpen, bOpen)
}

// compareHigh orders upper ends: none last, and an open end before a closed one.
func compareHigh(a where.Value, aOpen bool, b where.Value, bOpen bool) int {
	if a.IsNull() || b.IsNull() {
		return compareBool(a.IsNull(), b.IsNull())
	}
	if c := a.Compare(b); c != 0 {
		return c
	}
	return compareBool(bOpen, aOpen)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// narrowLow and narrowHigh intersect the interval with another end.
func (i *interval) narrowLow(v where.Value, open bool) {
	if compareLow(v, open, i.low, i.lowOpen) > 0 {
		i.low, i.lowOpen = v, open
	}
}

func (i *interval) narrowHigh(v where.Value, open bool) {
	if compareHigh(v, open, i.high, i.highOpen) < 0 {
		i.high, i.highOpen = v, open
	}
}

// fieldRange is what conditions on one field leave of its values: an interval, and perhaps null.
type fieldRange struct {
	node     *where.Node // the first of the conditions
	interval interval
	null     bool
}

// isRange tells whether the values that meet a condition are an interval, and perhaps null.
func isRange(n *where.Node) bool {
	switch n.Op {
	case where.OpLt, where.OpLte, where.OpGt, where.OpGte:
		return true
	case where.OpStartsWith:
		return !n.Not
	}
	return false
}

// rangeOf intersects those of the nodes that are ranges of the field. It returns false if there are none.
func (x *Index[E]) rangeOf(field int, nodes []*where.Node) (fieldRange, bool) {
	r := fieldRange{null: true}
	for _, n := range nodes {
		if !isRange(n) || n.Field != field {
			continue
		}
		if r.node == nil {
			r.node = n
		}
		r.null = r.null && n.Not
		v := n.Values[0]
		switch {
		case n.Op == where.OpStartsWith:
			r.interval.narrowLow(v, false)
			if after, ok := x.afterPrefix(field, v); ok {
				r.interval.narrowHigh(after, true)
			}
		case n.Op == where.OpLt || n.Op == where.OpLte:
			if n.Not {
				r.interval.narrowLow(v, n.Op == where.OpLte)
			} else {
				r.interval.narrowHigh(v, n.Op == where.OpLt)
			}
		case n.Not:
			r.interval.narrowHigh(v, n.Op == where.OpGte)
		default:
			r.interval.narrowLow(v, n.Op == where.OpGt)
		}
	}
	return r, r.node != nil
}

// afterPrefix returns the least text that is greater than every text with the prefix, if there is one.
func (x *Index[E]) afterPrefix(field int, prefix where.Value) (where.Value, bool) {
	var text string
	if err := json.Unmarshal(prefix.AppendJSON(nil), &text); err != nil {
		return where.Value{}, false
	}
	runes := []rune(text)
	for i := len(runes) - 1; i >= 0; i-- {
		if runes[i] == unicode.MaxRune {
			continue // nothing is greater here; the rune before must be
		}
		if runes[i]++; 0xD800 <= runes[i] && runes[i] < 0xE000 {
			runes[i] = 0xE000 // surrogates are no text
		}
		v, err := x.schema.ValueGo(field, string(runes[:i+1]))
		return v, err == nil
	}
	return where.Value{}, false
}
