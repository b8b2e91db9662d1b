package index

import (
	"math"

	"github.com/swampline/live/where"
)

// field holds the entries that a field's value leads to. Values are found by what tells them apart, which is less than a
// Value: a number, or a text. So a map holds more of them in the memory that is near, and hashes them faster.
type field[E any] struct {
	null    slot[E]
	text    bool // the field's values are texts
	numbers side[uint64, E]
	texts   side[string, E]
}

// side is the part of a field for one kind of keys.
type side[K key, E any] struct {
	equal  map[K]slot[E] // nil when empty, since a map that has been large stays so
	ranges tree[K, E]
}

// beyond is greater than every text: where UTF-8 has a byte like this, it is none.
const beyond = "\xff"

func newField[E any](f where.Field) field[E] {
	x := field[E]{text: f.Type == where.Text || f.Type == where.Opaque}
	x.numbers.ranges.end, x.texts.ranges.end = math.MaxUint64, beyond
	return x
}

// empty reports whether no value leads anywhere.
func (f *field[E]) empty() bool {
	return f.null.len() == 0 && f.numbers.equal == nil && f.texts.equal == nil && !f.ranged()
}

// ranged reports whether an interval is there.
func (f *field[E]) ranged() bool { return f.numbers.ranges.root != nil || f.texts.ranges.root != nil }

// values is how many values lead somewhere.
func (f *field[E]) values() int {
	n := len(f.numbers.equal) + len(f.texts.equal)
	if f.null.len() > 0 {
		n++
	}
	return n
}

// at returns the slot of a value: a copy, which shares the list.
func (f *field[E]) at(v where.Value) slot[E] {
	switch {
	case v.IsNull():
		return f.null
	case f.text:
		return f.texts.equal[v.Text()]
	}
	return f.numbers.equal[v.Number()]
}

func (f *field[E]) add(v where.Value, m member[E]) int32 {
	switch {
	case v.IsNull():
		return f.null.add(m)
	case f.text:
		return f.texts.add(v.Text(), m)
	}
	return f.numbers.add(v.Number(), m)
}

func (f *field[E]) remove(v where.Value, at int32) {
	switch {
	case v.IsNull():
		f.null.remove(at)
	case f.text:
		f.texts.remove(v.Text(), at)
	default:
		f.numbers.remove(v.Number(), at)
	}
}

// addRange and removeRange are for intervals that are not empty.
func (f *field[E]) addRange(i *interval, m member[E]) int32 {
	if f.text {
		return f.texts.ranges.add(i.texts(), m)
	}
	return f.numbers.ranges.add(i.numbers(), m)
}

func (f *field[E]) removeRange(i *interval, at int32) {
	if f.text {
		f.texts.ranges.remove(i.texts(), at)
	} else {
		f.numbers.ranges.remove(i.numbers(), at)
	}
}

// estimate returns about how many entries stand under intervals that hold the begin of one that has a begin.
func (f *field[E]) estimate(i *interval) int {
	if f.text {
		return f.texts.ranges.estimate(i.texts().low)
	}
	return f.numbers.ranges.estimate(i.numbers().low)
}

// vain reports whether no value can be in an interval.
func (f *field[E]) vain(i *interval) bool {
	if f.text {
		r := i.texts()
		return !before(r.low, r.high, beyond)
	}
	r := i.numbers()
	return !before(r.low, r.high, math.MaxUint64) || i.lowOpen && i.low.Number() == math.MaxUint64
}

// blurred reports whether values are led to an interval that are not in it: one that ends right before the greatest number looks
// like one without an end.
func (f *field[E]) blurred(i *interval) bool {
	if f.text || i.high.IsNull() || i.numbers().high != math.MaxUint64 {
		return false
	}
	return i.highOpen || i.high.Number() != math.MaxUint64
}

func (s *side[K, E]) add(v K, m member[E]) int32 {
	if s.equal == nil {
		s.equal = map[K]slot[E]{}
	}
	there := s.equal[v]
	list := there.more
	at := there.add(m)
	if list == nil || there.more != list {
		s.equal[v] = there
	}
	return at
}

func (s *side[K, E]) remove(v K, at int32) {
	there := s.equal[v]
	there.remove(at)
	if there.len() > 0 {
		return // of two or more, which stand in the list that the map's copy of the slot shares
	}
	delete(s.equal, v)
	if len(s.equal) == 0 {
		s.equal = nil
	}
}
