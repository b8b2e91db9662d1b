package index

import (
	"iter"
	"math"
	"unicode"

	"github.com/swampline/live/where"
)

// interval is a range of values that are not null. A null end is none: the interval is unbounded there.
type interval struct {
	low, high         where.Value
	lowOpen, highOpen bool // the end itself is outside
}

// numbers is the interval in a field whose values numbers stand for. One that begins behind the greatest number, vain knows.
func (i *interval) numbers() reach[uint64] {
	r := reach[uint64]{0, math.MaxUint64}
	if !i.low.IsNull() {
		if r.low = i.low.Number(); i.lowOpen && r.low < math.MaxUint64 {
			r.low++
		}
	}
	if !i.high.IsNull() {
		if r.high = i.high.Number(); !i.highOpen && r.high < math.MaxUint64 {
			r.high++
		}
	}
	return r
}

// texts is the interval in a field of texts. What follows next on a text is the text with a byte of zero behind it.
func (i *interval) texts() reach[string] {
	r := reach[string]{"", beyond}
	if !i.low.IsNull() {
		if r.low = i.low.Text(); i.lowOpen {
			r.low += "\x00"
		}
	}
	if !i.high.IsNull() {
		if r.high = i.high.Text(); !i.highOpen {
			r.high += "\x00"
		}
	}
	return r
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

// conditions are those that must all be met for a node to match.
func conditions(n *where.Node) iter.Seq[*where.Node] {
	return func(yield func(*where.Node) bool) {
		if n.Op != where.OpAnd {
			yield(n)
			return
		}
		for _, kid := range n.Kids {
			if !yield(kid) {
				return
			}
		}
	}
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

// rangeOf intersects those of a node's conditions that are ranges of the field. It returns false if there are none.
func (x *Index[E]) rangeOf(field int, node *where.Node) (fieldRange, bool) {
	r := fieldRange{null: true}
	for n := range conditions(node) {
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
	runes := []rune(prefix.Text())
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
