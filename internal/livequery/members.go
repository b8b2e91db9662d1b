package livequery

import (
	"slices"
	"sync/atomic"
)

// Member is a live subscription to a query. Its methods are called by the goroutine of its shard.
type Member interface {
	// Deliver takes what entries mean to the query, in order. They are its own only until it returns.
	Deliver(run []*Delivery)
	// Slot is the member's place among its query's members of the shard, kept by the query.
	Slot() *int32
}

// members are the live subscriptions of a query, by shard. Most queries have members of one shard, if they have more than one at all:
// so there is room for the members of the first shard that has one, and for one member of it without a further allocation;
// what other shards have follows as a list.
type members struct {
	crew
	further atomic.Pointer[crew]
}

// crew is the members of one shard, whose goroutine owns all but the owner.
type crew struct {
	owner atomic.Int32 // the shard's index and one; zero for nobody's yet
	all   []Member
	one   [1]Member // what all refers to while there is one
	next  *crew     // set before the others see it
}

// of returns the members of a shard, nil when it never had one.
func (m *members) of(shard int) *crew {
	if m.owner.Load() == int32(shard+1) {
		return &m.crew
	}
	for c := m.further.Load(); c != nil; c = c.next {
		if c.owner.Load() == int32(shard+1) {
			return c
		}
	}
	return nil
}

// claim returns the members of a shard, which becomes one that has some.
func (m *members) claim(shard int) *crew {
	if c := m.of(shard); c != nil {
		return c
	}
	if m.owner.CompareAndSwap(0, int32(shard+1)) {
		return &m.crew
	}
	c := &crew{}
	c.owner.Store(int32(shard + 1))
	for {
		c.next = m.further.Load()
		if m.further.CompareAndSwap(c.next, c) {
			return c
		}
	}
}

func (c *crew) add(m Member) {
	switch len(c.all) {
	case 0:
		c.one[0] = m
		c.all = c.one[:]
	default:
		c.all = append(c.all, m)
		c.one[0] = nil
	}
	*m.Slot() = int32(len(c.all) - 1)
}

// remove fills the gap with the last member.
func (c *crew) remove(m Member) {
	last := len(c.all) - 1
	moved := c.all[last]
	c.all[*m.Slot()], *moved.Slot() = moved, *m.Slot()
	c.all[last] = nil
	switch c.all = c.all[:last]; {
	case last == 0:
		c.all = nil
	case cap(c.all) > 64 && last < cap(c.all)/4:
		c.all = slices.Clone(c.all)
	}
}

// Join adds a member. It is called by the shard's goroutine.
func (q *Query) Join(shard int, m Member) { q.members.claim(shard).add(m) }

// Part removes a member that joined. It is called by the shard's goroutine.
func (q *Query) Part(shard int, m Member) { q.members.of(shard).remove(m) }

// Members returns the live subscriptions of a shard. It is called by the shard's goroutine.
func (q *Query) Members(shard int) []Member {
	if c := q.members.of(shard); c != nil {
		return c.all
	}
	return nil
}
