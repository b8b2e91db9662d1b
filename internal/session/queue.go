package session

import (
	"context"
	"slices"
	"sync"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/transport"
)

// item is a frame in the queue. A parked session's is filled and emptied with every change, so it is small.
type item struct {
	frame *transport.Frame
	// sub is the subscription that the frame is of, as its kind says; nil for answers and cursors.
	sub  *subscription
	kind kind
}

// kind is what becomes of a frame in the queue when it is not sent.
type kind uint8

const (
	answer kind = iota // it cannot be dropped
	data               // of a subscription: it can be read from the log again, and is what overflow drops
	rows               // a subscription's snapshot: it is dropped only when rights are evaluated anew
	cursor             // it claims that everything before it was sent
)

// weight is what a queued frame costs beside its text: its place in the queue, the frame itself and its cursor.
const weight = 256

// size is what the item counts for. A frame that many sessions share counts in each of their queues: it is gone when the last one has
// let go of it.
func (i item) size() int { return len(i.frame.Data) + weight }

// push queues a frame.
func (s *Session) push(i item) {
	s.mu.Lock()
	if !s.closed {
		s.append(i)
	}
	s.mu.Unlock()
}

// append queues a frame, in the words of the session's protocol. The caller holds the lock.
func (s *Session) append(i item) {
	if s.Dialect != nil {
		s.translate(i)
		return
	}
	s.enqueue(i)
}

// enqueue queues a frame as it is. The caller holds the lock.
func (s *Session) enqueue(i item) {
	if len(s.queue) == cap(s.queue) {
		s.grow()
	}
	s.queue = append(s.queue, i)
	switch i.kind {
	case data:
		s.data += i.size()
	case rows:
		s.snapshots++
	}
	s.hold(i.size())
	s.signal()
}

// places are those of a queue that is longer than a few, which it is for a short time.
type places [64]item

var spare = sync.Pool{New: func() any { return new(places) }}

// grow makes room in the queue, where append does not do as well. The caller holds the lock.
func (s *Session) grow() {
	switch cap(s.queue) {
	case 0:
		s.queue = s.few[:0]
	case len(s.few):
		s.queue = append(spare.Get().(*places)[:0], s.queue...)
		clear(s.few[:])
	}
}

// empty empties the queue, and leaves its places to others. The caller holds the lock.
func (s *Session) empty() {
	clear(s.queue)
	if cap(s.queue) == len(places{}) {
		spare.Put((*places)(s.queue[:len(places{})]))
	}
	s.queue, s.data, s.snapshots = nil, 0, 0
}

// drop takes frames that are not to be sent out of the queue. The caller holds the lock.
func (s *Session) drop(unwanted func(item) bool) {
	freed := 0
	s.queue = slices.DeleteFunc(s.queue, func(i item) bool {
		if !unwanted(i) {
			return false
		}
		freed += i.size()
		switch i.kind {
		case data:
			s.data -= i.size()
		case rows:
			s.snapshots--
		}
		return true
	})
	if s.data == 0 {
		s.followed = 0
	}
	s.hold(-freed)
}

// sent says that the transport is done with what it took. The caller holds the lock.
func (s *Session) sent() {
	s.hold(-s.inFlight)
	s.inFlight = 0
}

// full reports whether the queue is over its bound. What the transport has taken and not yet sent counts, too: the client has not taken
// it. A round is different: all of its answers travel in it, whatever their size, and what they leave room for is as much data as
// ever. The caller holds the lock.
func (s *Session) full(bound int) bool {
	if s.streams {
		return s.bytes > bound
	}
	return s.data > bound
}

// signal tells whoever serves the session that there may be something to do: the goroutine in Next or Poll, or else the shard. The caller
// holds the lock.
func (s *Session) signal() {
	if s.wake != nil {
		select {
		case s.wake <- struct{}{}:
		default: // it is known
		}
	}
	if (s.parked != nil || s.offering) && !s.touched {
		s.touched = true
		s.shard.touch(s)
	}
}

// overflow drops the data that is queued and sends the subscriptions that it belonged to back to where the client is: the
// log holds what was dropped. The others have lost nothing. It runs on the shard's goroutine; the caller holds the lock.
func (s *Session) overflow() {
	s.env.Watch.Count(observe.Overflows, s.Transport, 1)
	s.drop(func(i item) bool { return i.kind == data || i.kind == cursor })
	for _, sub := range s.subs {
		if !sub.unqueue() {
			continue
		}
		if sub.state == live {
			sub.query.Part(s.shard.index, sub)
			sub.become(behind)
		}
		if sub.state == behind {
			sub.rewind()
		}
	}
}

// rewind has a subscription that is behind, and whose queued data was dropped, read on from its position. The caller holds the lock.
func (sub *subscription) rewind() {
	if sub.old.Used() {
		sub.beUnsure() // what it was told by old history goes out of mind with it
	}
	sub.forget()
}

// take returns what is queued. The caller holds the lock.
func (s *Session) take() []*transport.Frame {
	if len(s.queue) == 0 {
		return nil
	}
	frames := make([]*transport.Frame, len(s.queue))
	for n, i := range s.queue {
		frames[n] = i.frame
	}
	s.handOver()
	return frames
}

// handOver notes that the transport has taken what is queued, and empties the queue. The caller holds the lock.
func (s *Session) handOver() {
	s.oldest, s.followed = s.followed, 0
	s.round++ // so no subscription has anything queued
	if s.snapshots > 0 {
		for _, i := range s.queue {
			if i.kind == rows {
				i.sub.taken()
			}
		}
	}
	s.empty()
	s.inFlight = s.bytes
}

// took tells who watches of frames that a transport takes: how many, and how long the oldest waited. Whoever took them calls it, without the
// lock, before anybody else can take any.
func (s *Session) took(frames []*transport.Frame) {
	if s.env.Watch == nil {
		return
	}
	s.env.Watch.Count(observe.Deliveries, s.Transport, len(frames))
	s.env.Watch.Since(observe.DeliveryDelay, s.Transport, s.oldest)
}

// Next returns the frames that are ready: at least one, unless it was called because the session could not be parked and can be now.
func (s *Session) Next(ctx context.Context) ([]*transport.Frame, error) {
	s.drained(true)
	for {
		if err := s.catchUp(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock()
		frames, closed, ended := s.take(), s.closed, s.closedError()
		parks := s.parks
		s.parks = false
		s.mu.Unlock()
		if frames != nil {
			s.took(frames)
			return frames, nil
		}
		if closed {
			return nil, ended
		}
		if parks { // what it was called for is done, and said nothing to the client
			return nil, nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// drained notes that a transport comes for frames, so those that it took before are sent; and whether it comes again and again.
func (s *Session) drained(streams bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = nil
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.sent()
	if s.streams = streams; !streams {
		s.free()
	}
}

// Cursor queues the position up to which the session was told everything, behind what is queued.
func (s *Session) Cursor() {
	s.shard.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if frame := s.cursor(); frame != nil && !s.closed {
			s.append(item{frame: frame, kind: cursor})
		}
	})
}

// cursor returns the position up to which every answered subscription was told everything; nil when there is none. It runs
// on the shard's goroutine; the caller holds the lock.
func (s *Session) cursor() *transport.Frame {
	reached := s.shard.upto
	for _, sub := range s.subs {
		if !sub.answered {
			continue
		}
		at := sub.position
		switch {
		case sub.query != nil && sub.query.Counts() && !sub.query.Stream().Current(sub.query, sub.counted):
			at = sub.counted // nobody may take himself for up to date whose count is being made, or was made and is on its way to him
		case sub.state == live && s.shard.upto.After(at):
			at = s.shard.upto
		}
		if at.Epoch != reached.Epoch { // between two logs
			return nil
		}
		if reached.After(at) {
			reached = at
		}
	}
	if reached.IsZero() {
		return nil
	}
	return s.shard.cursor(reached)
}
