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
		var round uint
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
			s.env.Logger.WarnContext(ctx, "live: the broker's history cannot be read; trying again", append([]any{Cause(err)}, s.who(sub.message)...)...)
			s.pause(sub, round)
		}
	}
}

// readable returns a subscription that is behind and can be read on; nil when there is none or when enough is queued. The
// caller holds the lock.
func (s *Session) readable() *subscription {
	if s.closed || s.full(s.env.MaxQueueBytes/2) {
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
func (s *Session) pause(sub *subscription, round uint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != behind || sub.round != round {
		return
	}
	sub.paused = true
	time.AfterFunc(retry, func() {
		s.mu.Lock()
		if sub.round == round {
			sub.paused = false
		}
		s.mu.Unlock()
		s.signal()
	})
}

var (
	errHubGone = errors.New("the hub has stopped")
	errLost    = errors.New("the log was lost or replaced")
)

// readOn brings one subscription a step further. After an error it must be tried again later.
func (s *Session) readOn(ctx context.Context, sub *subscription, round uint) error {
	s.mu.Lock()
	if sub.state != behind || sub.round != round {
		s.mu.Unlock()
		return nil
	}
	if sub.told > 0 && sub.missed == nil {
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
	if !s.replay(sub, round, entries) || len(entries) == chunk {
		return nil
	}
	if query.Windowed() && s.ahead(sub, round) {
		return nil
	}
	if !s.join(ctx, sub, round, query, align) {
		return errHubGone
	}
	return nil
}

// ahead reports whether a subscription stands beyond what this hub has followed of the log: its client comes from another one. What
// the members of a window share is then as of before what the client holds, which would throw it away; so the subscription is left
// alone until the hub is there.
func (s *Session) ahead(sub *subscription, round uint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := sub.reached()
	if sub.state != behind || sub.round != round || s.closed || !at.After(s.env.Log.Position()) {
		return false
	}
	sub.paused = true
	s.env.Running.Add(1)
	go func() {
		defer s.env.Running.Done()
		_ = s.env.Log.Wait(s.ctx, at)
		s.mu.Lock()
		if sub.round == round {
			sub.paused = false
		}
		s.mu.Unlock()
		s.signal()
	}()
	return true
}

// join makes a subscription that has read all there was a member of its query, on the shard's goroutine. What members share,
// a window or a count, is taken as it is between two batches, so that it fits what the shard will have told by then.
func (s *Session) join(ctx context.Context, sub *subscription, round uint, query *livequery.Query, align aligner) bool {
	if !query.Windowed() && !query.Counts() {
		return s.shard.call(ctx, func() { s.goLive(sub, round, nil, broker.Position{}) })
	}
	var ran <-chan struct{}
	s.env.Log.Settle(func(at broker.Position) *livequery.Delivery {
		d, known := align(at)
		ran = s.shard.ask(func() {
			if !known {
				s.startAnew(sub, round)
				return
			}
			s.goLive(sub, round, d, at)
		})
		return nil
	})
	return ran != nil && s.shard.await(ctx, ran)
}

// startAnew reloads a subscription to what this hub does not hold any more.
func (s *Session) startAnew(sub *subscription, round uint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state == behind && sub.round == round {
		sub.reload(unknownRow, broker.Position{})
	}
}

// expired starts a subscription anew that the log does not reach back to. When the log is another one, and the hub has yet
// to find out, that is left to the Resync that will come.
func (s *Session) expired(ctx context.Context, sub *subscription, round uint, from broker.Position) error {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state == behind && sub.round == round {
		sub.reload(reason, broker.Position{})
	}
	return nil
}

// replay tells a subscription that is behind what entries meant to it. It returns false if the subscription is not
// behind any more, or if enough is queued; it keeps the entries that are left for the next time, since they were resolved
// in order, once.
func (s *Session) replay(sub *subscription, round uint, entries []*livequery.Entry) bool {
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

// follow takes one entry of the log. The session's lock is held.
func (sub *subscription) follow(e *livequery.Entry) bool {
	if sub.resumed && sub.query.Stream() != nil && slices.Contains(e.Recheck, sub.session.Who) {
		sub.reload(otherRights, e.Position)
		return false
	}
	knows := livequery.Knowledge{Held: sub.held, Sure: !sub.unsure, Edge: sub.edge, Old: sub.old}
	if sub.missed != nil {
		knows.Edge = nil
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
func (s *Session) goLive(sub *subscription, round uint, shared *livequery.Delivery, at broker.Position) {
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
		if !sub.follow(e) {
			return
		}
	}
	if m := sub.missed; m != nil && shared.Told == sub.told {
		sub.position, shared = at, nil // it missed nothing
	} else if m != nil {
		m.rows.Tell(shared)
	}
	sub.missed = nil
	if shared != nil && (!sub.query.Counts() || sub.counted.IsZero() || shared.Position.After(sub.counted)) {
		sub.tell(shared, sub.position)
	}
	sub.state = live
	sub.held, sub.old, sub.backlog = nil, nil, nil
	sub.query.Join(s.shard.index, sub)
	s.signal()
}

// newBackfill returns a resolver of old history for a query; nil for a channel, which needs none.
func newBackfill(q *livequery.Query) *livequery.Backfill {
	if q.Stream() == nil {
		return nil
	}
	return q.Stream().Backfill()
}

// Resync sends every subscription that is not of the present log back to the beginning: the log was lost or replaced. It
// runs on the shard's goroutine.
func (s *Session) Resync(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := s.shard.begin
	s.renew() // who was to be checked while the hub did not follow, nobody knows
	for _, sub := range s.subs {
		current := sub.position.Epoch == begin.Epoch && !begin.After(sub.position)
		if (sub.state == live || sub.state == behind || sub.state == checking) && !current {
			sub.reload(reason, begin)
		}
	}
}

// Shard returns the shard that owns the session.
func (s *Session) Shard() *Shard { return s.shard }
