package session

import (
	"context"
	"errors"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// rights is what a session knows of its caller. The session's lock guards it.
type rights struct {
	// renewed is the context that Refresh returned last, nil before.
	renewed context.Context
	// renewing is closed when the newest Refresh, the round-th, is over; nil when none is under way.
	renewing chan struct{}
	round    uint
	// checked is the position of the newest recheck of the log that the session has followed.
	checked broker.Position
}

// renewed is a session's context with the values of another one, which may end as it likes.
type renewed struct {
	context.Context
	values context.Context
}

func (c renewed) Value(key any) any { return c.values.Value(key) }

// caller returns the context that the application's code sees: the values of the request that opened the session, or what Refresh
// made of them. While they are being renewed it waits, so that nothing is decided by the old ones.
func (s *Session) caller() context.Context {
	for {
		s.mu.Lock()
		ctx, renewing := s.rights.renewed, s.rights.renewing
		s.mu.Unlock()
		if ctx == nil {
			ctx = s.ctx
		}
		if renewing == nil {
			return ctx
		}
		select {
		case <-renewing:
		case <-s.ctx.Done():
			return s.ctx
		}
	}
}

// Recheck evaluates the session's rights anew, as an entry of the log at a position demands, or, with the zero position, at any
// rate. From then on nothing is delivered that the old rights let through: what is queued is dropped, and is read from the log
// again by those who still may. It runs on the shard's goroutine and does not wait for the application.
func (s *Session) Recheck(at broker.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if !at.IsZero() && (at == s.rights.checked || s.rights.checked.After(at)) {
		s.recheckResumed(at)
		return
	}
	if !at.IsZero() {
		s.rights.checked = at
	}
	s.renew()
	for _, sub := range s.subs {
		sub.catchPosition()
	}
	s.recall()
	for _, sub := range s.subs {
		sub.check()
	}
}

// catchPosition moves a live subscription that was quiet for long to where its shard is: history may not reach back to what it was told
// last. It runs on the shard's goroutine; the session's lock is held.
func (sub *subscription) catchPosition() {
	if sub.state != live || sub.queued() || !sub.session.shard.upto.After(sub.position) {
		return
	}
	if !sub.query.Counts() || sub.query.Stream().Current(sub.query, sub.counted) {
		sub.position = sub.session.shard.upto
	}
}

// again has one subscription rechecked. Whoever reads what stands on the log behind the reason for it finds it doubted.
func (sub *subscription) again() {
	sub.doubted.Store(true)
	sub.session.shard.Do(func() { sub.session.recheckOne(sub) })
}

// recheckOne is Recheck for one subscription, whose rights changed though its caller's did not: what it is about became another. It
// runs on the shard's goroutine.
func (s *Session) recheckOne(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.doubted.Store(false)
	if s.closed || sub.over {
		return
	}
	sub.catchPosition()
	s.drop(func(i item) bool { return i.sub == sub || i.kind == cursor })
	sub.recall()
	sub.check()
}

// recheckResumed reloads what resumed behind the hub's back: after the session was rechecked, and before the log came to the entry that
// demanded it. It asked with a cursor from before that. The session's lock is held.
func (s *Session) recheckResumed(at broker.Position) {
	for _, sub := range s.subs {
		if sub.resumed && sub.state != loading && sub.query.Stream() != nil && at.After(sub.position) {
			sub.reload(otherRights, at)
		}
	}
}

// Renew has what the session's context holds renewed, without evaluating anything anew now. It runs on the shard's goroutine.
func (s *Session) Renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew()
}

// renew asks Refresh. One that was asked before, and is not over, may have read what was before this: it does not count. The
// session's lock is held.
func (s *Session) renew() {
	if s.env.Refresh == nil || s.closed {
		return
	}
	if s.rights.renewing == nil {
		s.rights.renewing = make(chan struct{})
	}
	s.rights.round++
	round := s.rights.round
	s.spawn(func() {
		ctx, err := s.refresh()
		s.mu.Lock()
		newest := s.rights.round == round
		if newest && err == nil {
			s.rights.renewed = renewed{s.ctx, ctx}
			close(s.rights.renewing)
			s.rights.renewing = nil
		}
		s.mu.Unlock()
		if newest && err != nil { // whoever waits is woken by the session's end
			s.End(s.problem(err, wire.Message{}), nil)
		}
	})
}

// refresh calls the application. It is given the values of the request that opened the session, whatever came of earlier
// calls: so contexts do not pile up.
func (s *Session) refresh() (ctx context.Context, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(p)
		}
	}()
	if ctx, err = s.env.Refresh(s.ctx); err == nil && ctx == nil {
		err = errors.New("live: Options.Refresh returned neither a context nor an error")
	}
	return ctx, err
}

// End closes every subscription with a problem and ends the session with a last frame. Nothing that is queued for them is
// delivered any more.
func (s *Session) End(p *wire.Problem, last *transport.Frame) {
	s.finishWith(func() {
		s.signedOut = true
		s.recall()
		for _, sub := range s.subs {
			s.append(item{frame: sub.lastWord(p)})
		}
	}, last, p.Label())
}

// recall drops the data and the snapshots that are queued, and the cursors that claim them. Subscriptions stand where their
// client is; those whose snapshot is dropped, nobody knows where: until they are given another no cursor is told. The session's lock is held.
func (s *Session) recall() {
	s.drop(func(i item) bool { return i.kind != answer })
	for _, sub := range s.subs {
		sub.recall()
	}
}

// recall takes back what was queued for a subscription and is dropped. The session's lock is held.
func (sub *subscription) recall() {
	sub.unqueue()
	if sub.unsent {
		sub.position = broker.Position{}
	}
}

// check suspends a subscription and has its rights evaluated anew. It runs on the shard's goroutine; the session's lock is held.
func (sub *subscription) check() {
	s := sub.session
	lacks := sub.unsent // the snapshot that it was to be given is dropped
	if sub.unsent = false; !sub.delivered {
		sub.answered = false
	}
	switch {
	case !sub.answered && sub.asked.resume && sub.message.Channel == "" && sub.message.Tag == "":
		sub.begin(load{after: sub.asked.after, reason: otherRights})
		return
	case !sub.answered:
		sub.begin(sub.asked)
		return
	case sub.state == loading || lacks:
		again := sub.load
		if lacks && sub.owed != "" { // what happened since is not why its client must be given its rows anew
			again.reason = sub.owed
		}
		sub.begin(again)
		return
	case sub.resumed && sub.query.Stream() != nil:
		// Whether these are the rights by which the client got what it holds, nobody knows: they may have been new when it came.
		sub.reload(otherRights, sub.position)
		return
	case sub.state == live:
		sub.query.Part(s.shard.index, sub)
	case sub.old.Used():
		sub.beUnsure() // what it was told by old history goes out of mind with it
	}
	sub.become(checking)
	sub.forget()
	round, router := sub.round, sub.message.Router
	s.spawn(func() {
		s.label(router)
		s.authorise(sub, round)
	})
}

// authorise asks the application whether a suspended subscription may go on. If it may see what it saw it reads on where it was;
// if it may see something else it is given that, whole.
func (s *Session) authorise(sub *subscription, round uint32) {
	defer func() {
		if p := recover(); p != nil {
			s.refuse(sub, round, s.panicked(p))
		}
	}()
	source, err := s.app().Subscribe(s.caller(), s.message(sub))
	if err != nil {
		s.refuse(sub, round, err)
		return
	}
	defer source.Release() // of the two references to one query, or of one that loading finds again
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case sub.state != checking || sub.round != round || s.closed:
	case source.Query == sub.query:
		sub.become(behind)
		s.signal()
	default:
		sub.reload(otherRights, sub.position)
	}
}
