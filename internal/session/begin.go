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
func (s *Session) start(sub *subscription, round uint, after broker.Position, resume bool, reason string) {
	defer func() {
		if p := recover(); p != nil {
			s.refuse(sub, round, s.panicked(p))
		}
	}()
	ready, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	err := s.env.Log.Ready(ready)
	var source Source
	if err == nil {
		source, err = s.env.App.Subscribe(s.caller(), sub.message)
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
	case source.Query.Counts(): // it has no history: what counts is whether it is the same
		if !sub.otherRights(source) && source.Query.Stream().UnchangedSince(source.Query, after) {
			kept = s.resumed(sub, round, source, after)
			return
		}
		after = broker.Position{}
	default:
		if sub.otherRights(source) {
			reason = otherRights
		} else {
			reason, err = s.covers(source, after)
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

// otherRights reports whether a client that resumes was sent other rows before than those that it may see now. A cursor alone
// does not tell.
func (sub *subscription) otherRights(source Source) bool {
	tag := sub.message.Tag
	return tag != "" && source.Query.Stream() != nil && source.Query.Tag() != tag
}

// cap makes a subscription to too many rows one to the first of them.
func (s *Session) cap(sub *subscription, round uint, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.round == round {
		sub.message.Limit, sub.message.Capped = limit, true
	}
}

// covers finds out whether the log holds what follows a cursor; the reason says why not.
func (s *Session) covers(source Source, after broker.Position) (reason string, err error) {
	log := s.env.Log
	now := log.Position()
	if after.Epoch != now.Epoch {
		// Or else this hub has yet to find out that the log is another one, of which another hub has told the client.
		if lost, err := log.Beyond(s.ctx, after); err != nil {
			return "", unavailable(err)
		} else if !lost {
			s.awaitNewLog(now)
			now = log.Position()
		}
	}
	if after.Epoch != now.Epoch {
		return epochGone, nil
	}
	gone := false
	if !after.After(now) {
		if _, ok := log.Window(after, 0); ok {
			return "", nil
		}
		if _, err = log.Read(s.ctx, after, 1, newBackfill(source.Query)); err == nil {
			return "", nil
		}
		if gone = errors.Is(err, broker.ErrExpired); !gone {
			return "", unavailable(err)
		}
	}
	// It is trimmed, or the client was served by a hub that is ahead of this one, or the log has lost what the client has.
	lost, err := log.Beyond(s.ctx, after)
	switch {
	case err != nil:
		return "", unavailable(err)
	case lost:
		s.awaitNewLog(after)
		return epochGone, nil
	case gone:
		return historyGone, nil
	}
	return "", nil
}

// awaitNewLog waits until the hub, too, has found out that the log is another one: a snapshot of the old one would be
// followed by a resync at once.
func (s *Session) awaitNewLog(old broker.Position) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	_ = s.env.Log.Wait(ctx, broker.Position{Epoch: old.Epoch, Major: math.MaxUint64, Minor: math.MaxUint64})
	// The hub is in the middle of beginning anew, and of sending back all who are of before.
	s.env.Log.Settle(func(broker.Position) *livequery.Delivery { return nil })
	s.shard.call(ctx, func() {})
}

// resumed answers a subscription that continues after a cursor. It reports false when the subscription is not wanted any
// more.
func (s *Session) resumed(sub *subscription, round uint, source Source, after broker.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.adopt(round, source, after) {
		return false
	}
	if stream := source.Query.Stream(); stream != nil && !stream.PrimedBefore(source.Query, after) {
		sub.beUnsure()
	}
	sub.edge, sub.counted = source.Edge, after
	sub.delivered, sub.resumed = true, sub.message.Tag == ""
	s.append(item{frame: wire.Resumed(sub.message.ID, sub.name, after.String())})
	return true
}

// snapshot loads what the subscription's caller may see, not before a position, and queues it. It reports false when the
// subscription is not wanted any more.
func (s *Session) snapshot(sub *subscription, round uint, source Source, after broker.Position, reason string) (bool, error) {
	loaded := Loaded{At: s.env.Log.Position()}
	if source.Load != nil {
		var err error
		if loaded, err = source.Load(s.caller(), after); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.adopt(round, source, loaded.At) {
		return false, nil
	}
	sub.edge, sub.counted = loaded.Edge, loaded.At
	sub.held = make(map[string]struct{}, len(loaded.Keys))
	for _, key := range loaded.Keys {
		sub.held[key] = struct{}{}
	}
	sub.unsent, sub.resumed = true, false
	listing := loaded.Listing
	if source.Query.Stream() != nil {
		listing.Tag = source.Query.Tag()
	}
	listing.ID, listing.Query, listing.Cursor, listing.Reason = sub.message.ID, sub.name, loaded.At.String(), reason
	s.append(item{frame: wire.Snapshot(listing), rows: sub})
	if reason != "" {
		s.env.Watch.Count(observe.Resyncs, reason, 1)
	}
	return true, nil
}

// adopt gives a subscription that is still loading its query, and makes it read on from a position. The session's lock is
// held.
func (sub *subscription) adopt(round uint, source Source, at broker.Position) bool {
	if sub.state != loading || sub.round != round || sub.session.closed {
		return false
	}
	sub.query, sub.release = source.Query, source.Release
	sub.name = sub.session.nameFor(sub, source.Query.ID)
	sub.forget()
	sub.state, sub.answered = behind, true
	sub.began = sub.session.env.Watch.Now()
	sub.position, sub.queued, sub.told = at, false, 0
	return true
}
