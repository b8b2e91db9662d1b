// Package history keeps the newest entries of the log in memory, resolved, for subscriptions that catch up.
//
// Most clients that reconnect were away for seconds: what they missed is here, and neither the broker nor the database
// is asked. Who was away longer is served from the broker.
package history

import (
	"slices"
	"sync"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
)

// Window is a bounded run of entries that ends at the newest. Its methods may be called by any goroutine.
type Window struct {
	maxEntries, maxBytes int

	mu      sync.RWMutex
	base    broker.Position // everything after it is held
	entries []*livequery.Entry
	first   int // entries before it are dropped
	bytes   int
}

// New returns an empty window that holds at most so many entries and bytes.
func New(maxEntries, maxBytes int) *Window {
	return &Window{maxEntries: maxEntries, maxBytes: maxBytes}
}

// Reset empties the window: what follows the position comes next.
func (w *Window) Reset(at broker.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base, w.entries, w.first, w.bytes = at, nil, 0, 0
}

// Add appends an entry and drops the oldest ones that are too many.
func (w *Window) Add(e *livequery.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = append(w.entries, e)
	w.bytes += e.Size
	for len(w.entries)-w.first > w.maxEntries || w.bytes > w.maxBytes && len(w.entries)-w.first > 1 {
		oldest := w.entries[w.first]
		w.entries[w.first] = nil
		w.first++
		w.base = oldest.Position
		w.bytes -= oldest.Size
	}
	if w.first > len(w.entries)/2 && w.first > 64 {
		w.entries = append([]*livequery.Entry(nil), w.entries[w.first:]...)
		w.first = 0
	}
}

// Base returns the position after which everything is held.
func (w *Window) Base() broker.Position {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.base
}

// Size is how many entries are held, and their bytes on the log.
func (w *Window) Size() (entries, bytes int) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return len(w.entries) - w.first, w.bytes
}

// Entries returns all entries that are held, oldest first. The slice is the caller's; the entries are shared.
func (w *Window) Entries() []*livequery.Entry {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Clone(w.entries[w.first:])
}

// After returns up to limit entries after the position, and whether the window reaches back to it: it does to its base and to the position
// of each entry that it holds, and to nothing between. A log that went back to an earlier state gives out its offsets again, for other
// entries, so a position that this line of it never had says nothing of what its holder has seen. The slice is the caller's; the entries
// are shared.
func (w *Window) After(p broker.Position, limit int) ([]*livequery.Entry, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	held := w.entries[w.first:]
	if p != w.base {
		i, found := slices.BinarySearchFunc(held, p, func(e *livequery.Entry, p broker.Position) int { return e.Position.Compare(p) })
		if !found {
			return nil, false
		}
		held = held[i+1:]
	}
	return append([]*livequery.Entry(nil), held[:min(limit, len(held))]...), true
}
