package engine

import (
	"sort"
	"sync"

	"github.com/swampline/live/broker"
)

const (
	// stride is how many entries lie between two marks.
	stride = 64
	// maxMarks bounds how many there are: what they cost is 24 KiB.
	maxMarks = 1024
)

// marks are positions that the engine has passed, at even distances. Whoever reads old history begins at one that lies a little before his
// place, and so knows of what was published late across it. The zero marks are of no log. Its methods may be called by any goroutine.
type marks struct {
	mu     sync.Mutex
	at     []broker.Position
	passed int // entries since the last one
}

// begin forgets all marks and sets the first one where the engine begins to follow: those from before a piece of history that it never saw
// are of no use to who reads behind it, and it was trimmed.
func (m *marks) begin(p broker.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.passed = []broker.Position{p}, 0
}

// pass notes an entry, in the order of the log.
func (m *marks) pass(p broker.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passed++; m.passed < stride {
		return
	}
	if m.passed = 0; len(m.at) == maxMarks {
		m.at = append([]broker.Position(nil), m.at[maxMarks/2:]...)
	}
	m.at = append(m.at, p)
}

// before returns a mark with as many entries between it and a position as lie between two marks, or more; the oldest, with fewer, where
// there is none. It reports false when all marks lie behind the position.
func (m *marks) before(p broker.Position) (broker.Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.at) == 0 || m.at[0].Epoch != p.Epoch {
		return broker.Position{}, false
	}
	n := sort.Search(len(m.at), func(i int) bool { return !p.After(m.at[i]) })
	if n == 0 {
		return broker.Position{}, false
	}
	return m.at[max(n-2, 0)], true
}
