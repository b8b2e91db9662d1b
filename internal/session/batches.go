package session

import "github.com/swampline/live/transport"

// batches are what a shard offers in one turn. Sessions that have the same to say, as those that follow the same queries do, are offered one
// batch, so that their connections make what they write of it once.
type batches struct {
	last  *transport.Batch
	first map[*transport.Frame]*transport.Batch // by their first frames
}

// known bounds how many batches are compared with.
const known = 64

// of returns a batch of what is queued.
func (bs *batches) of(queue []item) *transport.Batch {
	if bs.last != nil && says(bs.last, queue) {
		return bs.last
	}
	first := queue[0].frame
	bs.last = bs.first[first]
	if bs.last != nil && says(bs.last, queue) {
		return bs.last
	}
	bs.last = &transport.Batch{Frames: make([]*transport.Frame, len(queue))}
	for i := range queue {
		bs.last.Frames[i] = queue[i].frame
	}
	if bs.first == nil {
		bs.first = map[*transport.Frame]*transport.Batch{}
	}
	if len(bs.first) == known {
		clear(bs.first)
	}
	bs.first[first] = bs.last
	return bs.last
}

// says reports whether a batch says what is queued.
func says(b *transport.Batch, queue []item) bool {
	if len(b.Frames) != len(queue) {
		return false
	}
	for i, f := range b.Frames {
		if queue[i].frame != f {
			return false
		}
	}
	return true
}

// forget lets go of all of them.
func (bs *batches) forget() {
	bs.last = nil
	clear(bs.first)
}
