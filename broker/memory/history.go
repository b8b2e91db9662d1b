package memory

import (
	"sort"
	"time"
)

// segmentLen is the number of records that are allocated, and let go, together.
const segmentLen = 256

// record is an entry as it is held: its data, and when it was appended.
type record struct {
	data []byte
	at   time.Duration
}

type segment [segmentLen]record

// history is a queue of records, numbered from 1. It is not safe for concurrent use.
//
// It is a sliding window over segments: a record is at a computed place, nothing is moved when others go, and memory
// follows what is held rather than the most that was ever held.
type history struct {
	// first is the offset of the oldest record that is held, next that of the record to come. They are equal when
	// nothing is held.
	first, next uint64
	bytes       int
	// segments are those from the one in which first lies; there is none when first is at the start of one to come.
	segments []*segment
}

// at returns the record with an offset that is held.
func (h *history) at(offset uint64) *record {
	i := (offset-1)/segmentLen - (h.first-1)/segmentLen
	return &h.segments[i][(offset-1)%segmentLen]
}

// push adds a record and returns its offset. The record's time must not be before that of the record that was pushed
// last.
func (h *history) push(r record) uint64 {
	offset := h.next
	if (offset-1)%segmentLen == 0 {
		h.segments = append(h.segments, new(segment))
	}
	h.next++
	*h.at(offset) = r
	h.bytes += len(r.data)
	return offset
}

// trim drops the oldest records until no more than so many records and bytes are held, and none from before oldest.
func (h *history) trim(records, bytes int, oldest time.Duration) {
	for h.first < h.next && (h.next-h.first > uint64(records) || h.bytes > bytes || h.at(h.first).at < oldest) {
		h.drop()
	}
}

// drop forgets the oldest record.
func (h *history) drop() {
	r := h.at(h.first)
	h.bytes -= len(r.data)
	*r = record{} // lets the data go before the segment does
	h.first++
	if (h.first-1)%segmentLen == 0 {
		h.segments[0] = nil // append copies the window, when it must, without what lies before it
		h.segments = h.segments[1:]
	}
}

// since returns the offset of the oldest record that is not from before oldest; next, when there is none.
func (h *history) since(oldest time.Duration) uint64 {
	if h.first == h.next || h.at(h.first).at >= oldest {
		return h.first
	}
	n := sort.Search(int(h.next-h.first), func(i int) bool { return h.at(h.first+uint64(i)).at >= oldest })
	return h.first + uint64(n)
}
