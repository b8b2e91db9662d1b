package session

import (
	"context"

	"github.com/swampline/live/transport"
)

// A stream that has nothing to say needs no goroutine: it is parked. Then the goroutine of its shard offers the connection what is queued, at
// the end of each turn, and what sessions have in common is made ready for the wire once. Whatever takes longer than a write that does not wait, or
// needs the log, is left to a goroutine of the connection's, as it was before there was parking: it calls Next.
//
// What is queued in a turn and taken at its end counts nowhere but in the session, so that sessions share no counter.

// long is how many bytes of answers and snapshots a shard offers at most: it does nothing else while they are made ready for the wire, and they
// are this session's alone.
const long = 16 << 10

// Park leaves the session to its shard, unless there is something that only Next does. What a subscription has to read on in memory is read
// here: where that says nothing to the client, no goroutine was needed.
func (s *Session) Park(p transport.Parked) bool {
	for {
		sub, round, parked := s.park(p)
		if sub == nil {
			return parked
		}
		if s.readOn(context.Background(), sub, round) != nil { // it waits for nothing but the shard
			return false
		}
	}
}

// park parks the session, or returns a subscription that must read on before, if it can do so in memory.
func (s *Session) park(p transport.Parked) (sub *subscription, round uint32, parked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams = true
	s.sent()
	s.parks = true
	if s.closed || len(s.queue) > 0 {
		return nil, 0, false
	}
	if sub = s.readable(); sub == nil {
		s.parked, s.wake, s.parks = p, nil, false
		return nil, 0, true
	}
	at := sub.reached()
	if _, held := s.env.Log.Window(at, 0); !held || at.After(s.env.Log.Position()) { // the broker may take its time
		return nil, 0, false
	}
	return sub, sub.round, false
}

// offer offers a parked session's connection what is queued. It runs on the shard's goroutine, without the lock.
func (s *Session) offer() {
	s.mu.Lock()
	s.touched = false
	p := s.parked
	if p == nil || len(s.queue) == 0 && !s.needsNext() {
		s.mu.Unlock()
		return
	}
	s.parked = nil // whoever does not take it all may come by Next, or park again, before Offer has returned
	if s.needsNext() {
		s.count()
		s.mu.Unlock()
		s.shard.label(s.Transport)
		p.Resume()
		return
	}
	s.offering = true
	b := s.shard.batches.of(s.queue)
	s.handOver()
	s.mu.Unlock()
	s.took(b.Frames)

	s.shard.label(s.Transport)
	taken := p.Offer(b)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.offering = false
	if taken && !s.abandoned {
		s.sent()
		if s.parked = p; s.needsNext() { // there may have been no room for what is to be read on
			s.signal()
		}
	}
	s.count()
}

// needsNext reports whether there is something to do that only Next does. The caller holds the lock.
func (s *Session) needsNext() bool {
	return s.closed || s.bytes-s.data > long || s.readable() != nil
}

// resume has the connection of a parked session come by Next, when there is no shard any more.
func (s *Session) resume() {
	s.mu.Lock()
	p := s.parked
	s.parked = nil
	s.mu.Unlock()
	if p != nil {
		p.Resume()
	}
}
