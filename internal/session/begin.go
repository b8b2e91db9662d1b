package session

import (
	"context"
	"errors"
	"math"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
)

// load is why a subscription is loading. With resume it continues after a position if history covers that. Otherwise its rows
// are read as they are after the position, and with a reason its snapshot is a resync.
type load struct {
	after  broker.Position
	resume bool
	reason string
}

// The reasons of a resync.
const (
	historyGone = "history"
	epochGone   = "epoch"
	tooSlow     = "overflow"
	unknownRow  = "unknown"
	otherRights = "rights"
	bulkChange  = "bulk"
)

// start authorises a subscription, for the first time or anew, and gives it its first answer: resumed, when a cursor is given
// that history covers, or else a snapshot. With a reason the snapshot is a resync, of a position that is not before after.
func (s *Session) start(sub *subscription, round uint32, after broker.Position, resume bool, reason string) {
	defer func() {
		if p := recover(); p != nil {
			s.refuse(sub, round, s.panicked(p))
		}
	}()
	err := s.ready()
	var source Source
	m := s.message(sub)
	if err == nil {
		source, err = s.app().Subscribe(s.caller(), m)
	}
	if err != nil {
		s.refuse(sub, round, err)
		return
	}
	kept := false
	defer func() {
		if !kept {
			source.Release()
		}
	}()
	switch {
	case !resume:
		err = s.env.Log.Wait(s.ctx, after)
	case source.Since.After(after): // of another epoch covers finds out
		if after = (broker.Position{}); !source.Query.Counts() {
			reason = unknownRow
		}
	case source.Query.Counts(): // it has no history: what counts is whether it is the same
		if _, held := s.env.Log.Window(after, 0); held && !otherRightsThan(m.Tag, source) && source.Query.Stream().UnchangedSince(source.Query, after, "") {
			kept = s.resumed(sub, round, source, after)
			return
		}
		after = broker.Position{}
	default:
		if otherRightsThan(m.Tag, source) {
			reason = otherRights
		} else {
			reason, err = s.covers(after)
		}
		if err == nil && reason == "" && source.Prepare != nil {
			err = source.Prepare(s.caller())
		}
		if err == nil && reason == "" {
			kept = s.resumed(sub, round, source, after)
			return
		}
		after = broker.Position{}
	}
	if err == nil && round == 0 { // what the client asked for; what the hub does of itself is not charged
		err = s.pay(sub)
	}
	if err == nil {
		kept, err = s.snapshot(sub, round, source, after, reason)
	}
	var many *TooMany
	if errors.As(err, &many) {
		s.cap(sub, round, many.Limit)
		s.start(sub, round, after, false, reason)
		return
	}
	if err != nil {
		s.refuse(sub, round, err)
	}
}

// ready waits until the hub follows the log.
func (s *Session) ready() error {
	if s.Stays {
		return s.env.Log.Ready(s.ctx)
	}
	return s.env.Log.ReadySoon(s.ctx)
}

// otherRightsThan reports whether a client that resumes with a tag was sent other rows before than those that it may see now. A cursor alone
// does not tell.
func otherRightsThan(tag string, source Source) bool {
	if tag == "" || source.Query.Stream() == nil {
		return false
	}
	rights, _ := livequery.CutMark(tag)
	return source.Query.Tag() != rights
}

// cap makes a subscription to too many rows one to the first of them.
func (s *Session) cap(sub *subscription, round uint32, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.round == round {
		sub.message.Limit, sub.message.Capped = limit, true
	}
}

// covers finds out whether the log holds what follows a cursor; the reason says why not. A cursor that no entry of the log has is one
// of a log that it was before, even if it lies between others: nobody knows what its client has seen.
func (s *Session) covers(after broker.Position) (reason string, err error) {
	log := s.env.Log
	if now := log.Position(); after.Epoch != now.Epoch || after.After(now) {
		// The client was served by a hub that is ahead of this one, or the log has lost what the client has.
		lost, err := log.Beyond(s.ctx, after)
		switch {
		case err != nil:
			return "", unavailable(err)
		case !lost && after.Epoch != now.Epoch:
			s.awaitNewLog(now)
		case !lost:
			s.await(after)
		case after.Epoch == now.Epoch:
			return s.lost()
		}
	}
	now := log.Position()
	if after.Epoch != now.Epoch {
		return epochGone, nil
	}
	if after.After(now) { // it is slow: what follows is read when it is there, and whether it is what follows is seen then
		return "", nil
	}
	held, err := log.Holds(s.ctx, after)
	if err != nil {
		return "", unavailable(err)
	} else if held {
		return "", nil
	}
	lost, err := log.Beyond(s.ctx, after)
	if err != nil {
		return "", unavailable(err)
	} else if lost {
		return s.lost()
	}
	return historyGone, nil
}

// lost is the answer for a cursor beyond the end of the log. If the hub is beyond it, too, it has yet to find that out.
func (s *Session) lost() (reason string, err error) {
	now := s.env.Log.Position()
	beyond, err := s.env.Log.Beyond(s.ctx, now)
	if err != nil {
		return "", unavailable(err)
	} else if beyond {
		s.awaitNewLog(now)
	}
	return epochGone, nil
}

// await waits until the hub has come to a position, unless that takes long.
func (s *Session) await(at broker.Position) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	_ = s.env.Log.Wait(ctx, at)
}

// awaitNewLog waits until the hub, too, has found out that the log is another one: a snapshot of the old one would be
// followed by a resync at once.
func (s *Session) awaitNewLog(old broker.Position) {
	s.await(broker.Position{Epoch: old.Epoch, Major: math.MaxUint64, Minor: math.MaxUint64})
	// The hub is in the middle of beginning anew, and of sending back all who are of before.
	s.env.Log.Settle(func(broker.Position) *livequery.Delivery { return nil })
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.shard.call(ctx, func() {})
}

// resumed answers a subscription that continues after a cursor. It reports false when the subscription is not wanted any
// more.
func (s *Session) resumed(sub *subscription, round uint32, source Source, after broker.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.adopt(round, source, after) {
		return false
	}
	if stream := source.Query.Stream(); stream != nil {
		if _, mark := livequery.CutMark(sub.message.Tag); !stream.Knows(source.Query, after, mark) {
			sub.beUnsure()
		}
	}
	if sub.bounds != nil {
		sub.edge, sub.counted = source.Edge, after
	}
	sub.delivered, sub.resumed = true, sub.message.Tag == ""
	s.append(item{frame: wire.Resumed(sub.id, *sub.name, after.String())})
	return true
}

// snapshot loads what the subscription's caller may see, not before a position, and queues it. It reports false when the
// subscription is not wanted any more.
func (s *Session) snapshot(sub *subscription, round uint32, source Source, after broker.Position, reason string) (bool, error) {
	loaded := Loaded{At: s.env.Log.Position()}
	if source.Load != nil {
		var err error
		if loaded, err = source.Load(s.caller(), after, reason != ""); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.adopt(round, source, loaded.At) {
		return false, nil
	}
	if sub.bounds != nil {
		sub.edge, sub.fills, sub.counted = loaded.Edge, loaded.Fills, loaded.At
		if n := loaded.Listing.Count; n != nil {
			sub.number, sub.numbered = *n, true
		}
	}
	sub.held = make(map[string]struct{}, len(loaded.Keys))
	for _, key := range loaded.Keys {
		sub.held[key] = struct{}{}
	}
	if !sub.unsent {
		sub.owed = reason
	}
	sub.unsent, sub.resumed = true, false
	listing := loaded.Listing
	if source.Query.Stream() != nil {
		listing.Tag = livequery.WithMark(source.Query.Tag(), loaded.Mark)
	}
	listing.ID, listing.Query, listing.Cursor, listing.Reason = sub.id, *sub.name, loaded.At.String(), reason
	s.append(item{frame: wire.Snapshot(listing), sub: sub, kind: rows})
	if reason != "" {
		s.env.Watch.Count(observe.Resyncs, reason, 1)
	}
	return true, nil
}

// adopt gives a subscription that is still loading its query, and makes it read on from a position. The session's lock is
// held.
func (sub *subscription) adopt(round uint32, source Source, at broker.Position) bool {
	if sub.state != loading || sub.round != round || sub.session.closed {
		return false
	}
	sub.query, sub.release = source.Query, source.Release
	sub.name = sub.session.nameFor(sub, source.Query)
	sub.prepare, sub.prepared = source.Prepare, 0
	sub.forget()
	sub.become(behind)
	sub.answered = true
	sub.began = sub.session.env.Watch.Now()
	sub.position, sub.queuedIn, sub.bounds = at, 0, nil
	if source.Query.Windowed() || source.Query.Counts() {
		sub.bounds = &bounds{}
	}
	return true
}
