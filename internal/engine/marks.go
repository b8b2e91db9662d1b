package engine

import (
	"sort"
	"sync"

	"github.com/swampline/live/broker"
)

const (
	// stride is how many entries lie between two marks, or more between old ones: an agedth of how long ago they were.
	stride = 64
	aged   = 64
	// maxMarks bounds how many there are, which is enough for a thousand million entries: what they cost is 32 KiB.
	maxMarks = 1024
)

// marks are positions that the engine has passed, at distances that grow with their age. Whoever reads old history begins at one that lies a little before his
// place, and so knows of what was published late across it. The zero marks are of no log. Its methods may be called by any goroutine.
type marks struct {
	mu     sync.Mutex
	all    []mark
	passed int // entries since it began
}

// mark is a position that so many entries were passed before.
type mark struct {
	at     broker.Position
	passed int
}

// begin forgets all marks and sets the first one where the engine begins to follow: those from before a piece of history that it never saw
// are of no use to who reads behind it, and it was trimmed.
func (m *marks) begin(p broker.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all, m.passed = []mark{{at: p}}, 0
}

// pass notes an entry, in the order of the log.
func (m *marks) pass(p broker.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passed++; m.passed%stride != 0 {
		return
	}
	if len(m.all) == maxMarks {
		m.thin()
	}
	m.all = append(m.all, mark{p, m.passed})
}

// thin drops marks that lie closer together than their age asks for. The first one stays: nothing is read from before it. The lock is held.
func (m *marks) thin() {
	kept := m.all[:1]
	for i, one := range m.all[1:] {
		next := m.passed
		if i+2 < len(m.all) {
			next = m.all[i+2].passed
		}
		last := kept[len(kept)-1].passed
		if next-last > max(stride, (m.passed-last)/aged) {
			kept = append(kept, one)
		}
	}
	m.all = kept
}

// before returns a mark with as many entries between it and a position as lie between two marks, or more; the oldest, with fewer, where
// there is none. It reports false when the position lies before all that was passed.
func (m *marks) before(p broker.Position) (broker.Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) == 0 || m.all[0].at.Epoch != p.Epoch {
		return broker.Position{}, false
	}
	n := sort.Search(len(m.all), func(i int) bool { return !p.After(m.all[i].at) })
	if n == 0 {
		return broker.Position{}, false
	}
	return m.all[max(n-2, 0)].at, true
}
