package session

import (
	"context"
	"slices"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// item is a frame in the queue.
type item struct {
	frame *transport.Frame
	// data names the subscription whose data the frame is, nil for answers. Data can be read from the log again; it is what
	// overflow drops.
	data *subscription
	// told is set on what a window's members are told: how many things they were told with it.
	told uint64
	// rows names the subscription whose snapshot the frame is. It is dropped only when rights are evaluated anew.
	rows *subscription
	// cursor says that the frame claims that everything before it was sent.
	cursor bool
	// followed is when the hub followed the entry that the frame tells of; zero when the session was not yet there, or nobody watches.
	followed observe.Moment
}

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

// append queues a frame. The caller holds the lock.
func (s *Session) append(i item) {
	s.queue = append(s.queue, i)
	s.hold(i.size())
	if i.data != nil {
		s.data += i.size()
	}
	s.signal()
}

// drop takes frames that are not to be sent out of the queue. The caller holds the lock.
func (s *Session) drop(unwanted func(item) bool) {
	freed := 0
	s.queue = slices.DeleteFunc(s.queue, func(i item) bool {
		if !unwanted(i) {
			return false
		}
		if freed += i.size(); i.data != nil {
			s.data -= i.size()
		}
		return true
	})
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

func (s *Session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// overflow drops the data that is queued and sends the subscriptions that it belonged to back to where the client is: the
// log holds what was dropped. The others have lost nothing. It runs on the shard's goroutine; the caller holds the lock.
func (s *Session) overflow() {
	s.env.Watch.Count(observe.Overflows, s.Transport, 1)
	s.drop(func(i item) bool { return i.data != nil || i.cursor })
	for _, sub := range s.subs {
		if !sub.queued {
			continue
		}
		sub.queued, sub.position, sub.counted = false, sub.from, broker.Position{}
		if sub.state == live {
			sub.query.Part(s.shard.index, sub)
			sub.state = behind
		}
		if sub.state == behind {
			if sub.old.Used() {
				sub.beUnsure() // what it was told by old history goes out of mind with it
			}
			sub.forget()
		}
	}
}

// take returns what is queued. The caller holds the lock.
func (s *Session) take() []*transport.Frame {
	if len(s.queue) == 0 {
		return nil
	}
	frames := make([]*transport.Frame, len(s.queue))
	for n, i := range s.queue {
		frames[n] = i.frame
		if i.followed != 0 && (s.oldest == 0 || i.followed < s.oldest) {
			s.oldest = i.followed
		}
		if i.data != nil {
			i.data.queued = false
			if i.told > 0 {
				i.data.told = i.told
			}
		}
		if i.rows != nil {
			i.rows.unsent, i.rows.delivered, i.rows.told = false, true, 0
		}
	}
	clear(s.queue)
	s.queue, s.data = s.queue[:0], 0
	s.inFlight = s.bytes
	if cap(s.queue) > 256 {
		s.queue = nil
	}
	return frames
}

// took tells who watches of frames that a transport takes: how many, and how long the oldest waited. Next and Poll call it, without the
// lock: the goroutine that called them is the only one for which frames are taken.
func (s *Session) took(frames []*transport.Frame) {
	if s.env.Watch == nil {
		return
	}
	s.env.Watch.Count(observe.Deliveries, s.Transport, len(frames))
	s.env.Watch.Since(observe.DeliveryDelay, s.Transport, s.oldest)
	s.oldest = 0
}

// Next returns the frames that are ready, at least one.
func (s *Session) Next(ctx context.Context) ([]*transport.Frame, error) {
	s.drained(true)
	for {
		if err := s.catchUp(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock()
		frames, closed, ended := s.take(), s.closed, s.closedError()
		s.mu.Unlock()
		if frames != nil {
			s.took(frames)
			return frames, nil
		}
		if closed {
			return nil, ended
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
	s.sent()
	if s.streams = streams; !streams {
		s.free()
	}
	s.mu.Unlock()
}

// Cursor queues the position up to which the session was told everything, behind what is queued.
func (s *Session) Cursor() {
	s.shard.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if frame := s.cursor(); frame != nil && !s.closed {
			s.append(item{frame: frame, cursor: true})
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
		case sub.query != nil && sub.query.Counts() && sub.query.Stream().Stale(sub.query):
			at = sub.counted // nobody may take himself for up to date whose count is being made
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
	return wire.Cursor(reached.String())
}
