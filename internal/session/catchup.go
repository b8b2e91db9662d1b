package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
)

const (
	// chunk is how many entries are read from the log at once.
	chunk = 256
	// retry is the time until a subscription that could not be read from the broker is tried again.
	retry = time.Second
	// patience is how long the broker may take to answer.
	patience = 10 * time.Second
)

// catchUp reads on from the log for the subscriptions that are behind, until they are live or the client has enough to
// take. Transports call it, through Next and Poll, when they are ready to send: so history is read as fast as the
// client takes it, and no faster.
func (s *Session) catchUp(ctx context.Context) error {
	for {
		s.mu.Lock()
		sub := s.readable()
		var round uint32
		if sub != nil {
			round = sub.round
		}
		s.mu.Unlock()
		if sub == nil {
			return nil
		}
		err := s.readOn(ctx, sub, round)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.env.Logger.WarnContext(ctx, "live: the broker's history cannot be read; trying again", append([]any{Cause(err)}, s.who(s.message(sub))...)...)
			s.pause(sub, round)
		}
	}
}

// readable returns a subscription that is behind and can be read on; nil when there is none or when enough is queued. The
// caller holds the lock.
func (s *Session) readable() *subscription {
	if s.lagging == 0 || s.closed || s.full(s.env.MaxQueueBytes/2) {
		return nil
	}
	for _, sub := range s.subs {
		if sub.state == behind && !sub.paused {
			return sub
		}
	}
	return nil
}

// pause leaves a subscription alone for a while.
func (s *Session) pause(sub *subscription, round uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != behind || sub.round != round {
		return
	}
	sub.pause(true)
	time.AfterFunc(retry, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sub.round == round {
			sub.pause(false)
		}
		s.signal()
	})
}

var (
	errHubGone = errors.New("the hub has stopped")
	errLost    = errors.New("the log was lost or replaced")
)

// readOn brings one subscription a step further. After an error it must be tried again later.
func (s *Session) readOn(ctx context.Context, sub *subscription, round uint32) error {
	s.mu.Lock()
	if sub.state != behind || sub.round != round {
		s.mu.Unlock()
		return nil
	}
	if sub.settle(); sub.bounds != nil && sub.told > 0 && sub.missed == nil {
		sub.missed = &missed{upto: sub.position}
	}
	from, old, entries, query := sub.reached(), sub.old, sub.backlog, sub.query
	align := sub.align()
	if old == nil {
		old = newBackfill(sub.query)
		sub.old = old
	}
	s.mu.Unlock()

	if len(entries) == 0 {
		var err error
		entries, err = s.env.Log.Read(ctx, from, chunk, old)
		if errors.Is(err, broker.ErrExpired) {
			return s.expired(ctx, sub, round, from)
		}
		if err != nil {
			return err
		}
	}
	// The shard was told of a recheck before anybody could read its entry; what follows it is not for who has not been rechecked.
	if (sub.doubted.Load() || slices.ContainsFunc(entries, s.rechecks)) && !s.shard.call(ctx, func() {}) {
		return errHubGone
	}
	if !s.replay(sub, round, entries) || len(entries) == chunk {
		return nil
	}
	if ahead, err := s.ahead(ctx, sub, round); ahead || err != nil {
		return err
	}
	if !s.join(ctx, sub, round, query, align) {
		return errHubGone
	}
	return nil
}

// ahead reports whether a subscription stands beyond what this hub has followed of the log. Its client comes from another hub; what the
// members of a window share is as of before what the client holds, which would throw it away, and whether the position is one of this log
// is not known before the hub is there. So the subscription is left alone until then. If the log ends before it, it is of a log that was
// before, and the subscription starts anew.
func (s *Session) ahead(ctx context.Context, sub *subscription, round uint32) (bool, error) {
	s.mu.Lock()
	at := sub.reached()
	ahead := sub.state == behind && sub.round == round && !s.closed && at.After(s.env.Log.Position())
	s.mu.Unlock()
	if !ahead {
		return false, nil
	}
	lost, err := s.env.Log.Beyond(ctx, at)
	if err != nil {
		return true, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != behind || sub.round != round || s.closed {
		return true, nil
	}
	if lost {
		sub.reload(epochGone, broker.Position{})
		return true, nil
	}
	sub.pause(true)
	s.env.Running.Add(1)
	go func() {
		defer s.env.Running.Done()
		_ = s.env.Log.Wait(s.ctx, at)
		s.mu.Lock()
		defer s.mu.Unlock()
		if sub.round == round {
			sub.pause(false)
		}
		s.signal()
	}()
	return true, nil
}

// join makes a subscription that has read all there was a member of its query, on the shard's goroutine. What members share,
// a window or a count, is taken as it is between two batches, so that it fits what the shard will have told by then.
func (s *Session) join(ctx context.Context, sub *subscription, round uint32, query *livequery.Query, align aligner) bool {
	if !query.Windowed() && !query.Counts() {
		return s.shard.call(ctx, func() { s.goLive(sub, round, nil, broker.Position{}) })
	}
	var ran <-chan struct{}
	s.env.Log.Settle(func(at broker.Position) *livequery.Delivery {
		d, known := align(at)
		ran = s.shard.ask(func() {
			if !known {
				s.prepareAgain(sub, round)
				return
			}
			s.goLive(sub, round, d, at)
		})
		return nil
	})
	return ran != nil && s.shard.await(ctx, ran)
}

// manyTries is how often a window is read for one subscription that would join it.
const manyTries = 3

// prepareAgain has the rows of a window read for a subscription that cannot join it: since it was prepared the window has lost them, or so
// many that it does not reach as far as the client's. If that is in vain, or the subscription was a member before, it is resynced. It runs on
// the shard's goroutine.
func (s *Session) prepareAgain(sub *subscription, round uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != behind || sub.round != round || s.closed {
		return
	}
	if sub.prepare == nil || sub.prepared == manyTries {
		sub.reload(unknownRow, broker.Position{})
		return
	}
	sub.prepared++
	sub.pause(true)
	prepare := sub.prepare
	s.spawn(func() {
		err := prepare(s.caller())
		s.mu.Lock()
		defer s.mu.Unlock()
		if sub.state != behind || sub.round != round || s.closed {
			return
		}
		if sub.pause(false); err != nil { // what is wrong, loading says
			sub.reload(unknownRow, broker.Position{})
		}
		s.signal()
	})
}

// expired starts a subscription anew that the log does not reach back to. When the log is another one, and the hub has yet
// to find out, that is left to the Resync that will come.
func (s *Session) expired(ctx context.Context, sub *subscription, round uint32, from broker.Position) error {
	reason := epochGone
	if from.Epoch == s.env.Log.Position().Epoch {
		lost, err := s.env.Log.Beyond(ctx, from)
		if err != nil {
			return err
		} else if lost {
			return errLost
		}
		reason = tooSlow
	}
	now := s.env.Log.Position()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case sub.state != behind || sub.round != round:
	case reason == tooSlow && sub.query.Counts() && !sub.resumed: // it needs no history: the number as it is now is all that there is to tell
		sub.position = now
	default:
		sub.reload(reason, broker.Position{})
	}
	return nil
}

// replay tells a subscription that is behind what entries meant to it. It returns false if the subscription is not
// behind any more, or if enough is queued; it keeps the entries that are left for the next time, since they were resolved
// in order, once.
func (s *Session) replay(sub *subscription, round uint32, entries []*livequery.Entry) bool {
	for i, e := range entries {
		s.mu.Lock()
		goesOn := sub.state == behind && sub.round == round && !s.closed && sub.follow(e)
		full := goesOn && s.full(s.env.MaxQueueBytes)
		if full {
			sub.backlog = entries[i+1:]
		}
		s.mu.Unlock()
		if !goesOn || full {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.round == round {
		sub.backlog = nil
	}
	return true
}

// rechecks reports whether an entry says that the caller's rights changed.
func (s *Session) rechecks(e *livequery.Entry) bool { return slices.Contains(e.Recheck, s.Who) }

// follow takes one entry of the log. The session's lock is held.
func (sub *subscription) follow(e *livequery.Entry) bool {
	if sub.resumed && sub.query.Stream() != nil && sub.session.rechecks(e) {
		sub.reload(otherRights, e.Position)
		return false
	}
	knows := livequery.Knowledge{Held: sub.held, Sure: !sub.unsure, Old: sub.old}
	if sub.bounds != nil && sub.missed == nil {
		knows.Edge = sub.edge
	}
	d := sub.query.Replay(e, knows)
	if d != nil {
		d.Unreadable = d.Unreadable || d.Unknown
	}
	switch {
	case sub.missed != nil:
		return sub.miss(d, e.Position)
	case d == nil:
		sub.position = e.Position
		return true
	}
	return sub.tell(d, sub.position)
}

// goLive makes a subscription that has read all there was a member of its query. It runs on the shard's goroutine: what
// the shard has told its members by now is what remains to be read, and it is in memory. What else is there by now it
// reads, too: that may have been matched before the query, or its doubts, were known to the stream. Where members share
// something, it is brought up to the position of that and given what it lacks.
func (s *Session) goLive(sub *subscription, round uint32, shared *livequery.Delivery, at broker.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != behind || sub.round != round || s.closed || s.shard.upto.IsZero() {
		return
	}
	if sub.old.Used() {
		sub.beUnsure()
	}
	entries, ok := s.env.Log.Window(sub.reached(), chunk)
	if !ok || len(entries) == chunk {
		return // far behind once more: read on
	}
	for _, e := range entries {
		if shared != nil && e.Position.After(at) {
			break
		}
		if sub.doubted.Load() || s.rechecks(e) {
			return // the shard may come to it next: read on when it has
		}
		if !sub.follow(e) {
			return
		}
	}
	sub.settle()
	if m := sub.missed; m != nil && shared.Told == sub.told {
		sub.position, shared = at, nil // it missed nothing, and is a stranger if it was one
	} else if m != nil {
		m.rows.Tell(shared)
	}
	if shared != nil {
		sub.stranger = shared.Stranger
	}
	sub.missed = nil
	if shared != nil && (!sub.query.Counts() || sub.lacksCount(shared)) {
		sub.tell(shared, sub.position)
	}
	sub.become(live)
	sub.held, sub.old, sub.backlog = nil, nil, nil
	sub.query.Join(s.shard.index, sub)
	sub.arrive()
	s.signal()
}

// newBackfill returns a resolver of old history for a query; nil for a channel, which needs none.
func newBackfill(q *livequery.Query) *livequery.Backfill {
	if q.Stream() == nil {
		return nil
	}
	return q.Stream().Backfill()
}

// Resync sends every subscription that is not of the present log back to the beginning: the log was lost or replaced, or went back. Whoever was to
// be rechecked while the hub did not follow, nobody knows: so the others are authorised anew, those that are loading above all, and
// what is queued is not delivered. Only who resumed, with no tag, from where the hub begins or later, was authorised after all that it
// missed. It runs on the shard's goroutine.
func (s *Session) Resync(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := s.shard.begin
	s.renew()
	current := map[*subscription]bool{}
	for _, sub := range s.subs {
		// Memory begins where the log began anew. Who is live was told cursors beyond his position, and nobody became it since.
		_, held := s.env.Log.Window(sub.position, 0)
		current[sub] = held && sub.state != live
	}
	s.recall()
	for _, sub := range s.subs {
		follows := sub.state == live || sub.state == behind || sub.state == checking
		switch {
		case follows && !current[sub] && sub.delivered:
			sub.reload(reason, begin)
		case !sub.delivered:
			sub.unsent, sub.answered = false, false
			sub.begin(sub.asked)
		case sub.state == behind && sub.resumed && sub.query.Stream() != nil:
			sub.rewind()
		default:
			sub.check()
		}
	}
}

// Shard returns the shard that owns the session.
func (s *Session) Shard() *Shard { return s.shard }
