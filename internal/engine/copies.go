package engine

import (
	"sync"

	"github.com/swampline/live/broker"
)

// maxCopies is how many of the newest entries with an id are remembered.
const maxCopies = 10_000

// copies tells entries that came by before: the relay of an outbox, and a hub whose broker did not answer, append an entry again when they
// cannot know whether it is on the log. The later one is skipped by every hub that followed the first within the newest maxCopies entries
// that have an id. A hub that began to follow between the two tells its clients of the second: a row's change is then told once more, which its version
// makes harmless, and a message of a channel comes twice to who resumes there from before it. Its methods may be called by any goroutine.
type copies struct {
	mu    sync.Mutex
	first map[string]broker.Position
	order []string // a ring, oldest at next
	next  int
}

func newCopies() *copies { return &copies{first: map[string]broker.Position{}} }

// reset forgets all: what the log was before it began anew, nobody was told of who resumes on it.
func (c *copies) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.first)
	c.order, c.next = nil, 0
}

// follow takes the entry at a position, in order, and reports whether it is a copy. An empty id is no one's.
func (c *copies) follow(id string, at broker.Position) bool {
	if id == "" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.first[id]; known {
		return true
	}
	c.first[id] = at
	if len(c.order) < maxCopies {
		c.order = append(c.order, id)
		return false
	}
	delete(c.first, c.order[c.next])
	c.order[c.next] = id
	c.next = (c.next + 1) % maxCopies
	return false
}

// later reports whether the entry at a position is known to be a copy of one before it.
func (c *copies) later(id string, at broker.Position) bool {
	if id == "" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first, known := c.first[id]
	return known && at.After(first)
}
