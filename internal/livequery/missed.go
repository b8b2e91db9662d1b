package livequery

import (
	"bytes"
	"maps"
	"slices"
)

// Missed is which rows changed while a member of a window was told nothing. The zero value is none.
//
// Up to where a member holds every row, only its client knows: the window may have been ahead of the log when it came, and then it holds
// rows that the window had lost already, and lacks others in their place. So it is not told change by change what a place
// would bound, but all at once, when it has read on: that the rows which changed and are not in the window are gone, and
// the window, whole. A client that goes in between has its rows and its bound as they were.
type Missed struct {
	last map[string]part
}

// Add takes what an entry meant to the query, wherever in the order.
func (m *Missed) Add(d *Delivery) {
	for _, p := range d.parts {
		if m.last == nil {
			m.last = map[string]part{}
		}
		m.last[p.change.key] = p
	}
}

// Len is how many rows changed.
func (m *Missed) Len() int { return len(m.last) }

// Tell makes of a whole window, which Stream.Whole returned for the member alone, what it is told. That rows are gone goes by the log's
// version: the window is newer than whatever the client holds.
func (m *Missed) Tell(d *Delivery) {
	for n, i := range d.items {
		p, changed := m.last[i.row.key]
		delete(m.last, i.row.key)
		if changed && bytes.Equal(p.change.version, i.row.version) { // it says by whose write, too
			if d.items[n].change = p.change; p.verdict == Create {
				d.items[n].verdict = Create
			}
		}
	}
	version := versionOf(nil, d.Position.String())
	var gone []item
	for _, key := range slices.Sorted(maps.Keys(m.last)) {
		i := item{verdict: Leave, row: &placed{key: key, version: version}}
		if m.last[key].verdict == Delete {
			i.verdict = Delete
		}
		gone = append(gone, i)
	}
	d.items = append(gone, d.items...)
}
