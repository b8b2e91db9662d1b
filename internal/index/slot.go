package index

import "slices"

// slot holds the entries of one place, in no order. The many slots that hold a single entry, one for each of a million
// different values, need no allocation.
type slot[E any] struct {
	one  member[E] // the only member, while there is no list
	more *list[E]
}

// list holds the members of a slot that once had two or more.
type list[E any] struct {
	members []member[E]
	next    int // the next member to reconsider
}

// member is an entry and the index of its place, which is told when the member moves within the slot.
type member[E any] struct {
	entry *Entry[E]
	place int32
}

func (s *slot[E]) len() int {
	switch {
	case s.more != nil:
		return len(s.more.members)
	case s.one.entry != nil:
		return 1
	}
	return 0
}

// add returns the position of the new member.
func (s *slot[E]) add(m member[E]) int32 {
	switch {
	case s.more != nil:
		s.more.members = append(s.more.members, m)
	case s.one.entry == nil:
		s.one = m
		return 0
	default:
		s.more = &list[E]{members: []member[E]{s.one, m}}
		s.one = member[E]{}
	}
	return int32(len(s.more.members) - 1)
}

// remove fills the gap with the last member.
func (s *slot[E]) remove(at int32) {
	if s.more == nil {
		s.one = member[E]{}
		return
	}
	ms := s.more.members
	last := len(ms) - 1
	ms[at] = ms[last]
	ms[at].entry.place(ms[at].place).at = at
	ms[last] = member[E]{}
	ms = ms[:last]
	if cap(ms) > 64 && len(ms) < cap(ms)/4 {
		ms = slices.Clone(ms)
	}
	s.more.members = ms
	if last == 0 {
		s.more = nil
	}
}
