package engine

import "github.com/swampline/live/broker"

// Copies tells entries that came by before, for who reads the log beside an engine. Make one with NewCopies. Its methods may be called by any
// goroutine.
type Copies struct{ known *copies }

// NewCopies returns one that remembers nothing yet.
func NewCopies() Copies { return Copies{newCopies()} }

// Read takes the entry at a position, and reports whether it is a copy of one that stands before it. An entry that is read again, because
// what was made of it was lost, is none.
func (c Copies) Read(id string, at broker.Position) bool {
	if c.known.later(id, at) {
		return true
	}
	c.known.follow(id, at)
	return false
}
