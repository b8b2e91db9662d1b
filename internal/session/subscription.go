package session

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// state is where a subscription is on its way to live.
type state uint8

const (
	loading  state = iota // its authorisation or its snapshot is under way
	behind                // it reads on from the log, as fast as the client takes it
	checking              // its rights are evaluated anew; until they are it is told nothing
	live                  // its shard tells it of each entry
	ended
)

// subscription is one session's interest in a query. The session's lock guards it. There may be a million, most of which are live and long past
// their beginning: what only the others need is its way.
type subscription struct {
	// What a delivery reads and writes comes first, in 128 bytes: see Session.
	session *Session
	query   *livequery.Query
	*way    // nil for one that has arrived: it is live, and its client has its answer
	*bounds // nil unless the query is a window or a count
	// name is how data messages name the query, towards this session: usually the query's own ID. Nil before there is a query.
	name *string
	// position is that up to which everything is queued. When data is queued, from is that up to which everything was before.
	position, from broker.Position
	// queuedIn is the round of the session in which data was queued for it.
	queuedIn uint64
	// began is when it was last given a snapshot or its cursor was taken: what the hub followed before kept nobody waiting.
	began observe.Moment
	state state
	// over says that it ended, though its shard may not know yet.
	over bool
	// paid says that its client was charged for being answered from the beginning.
	paid bool
	// answered says that the client was given a snapshot or its cursor was taken.
	answered bool
	// resumed says that all that the client holds it holds by rights that this session never saw, and no tag tells that they are these.
	resumed bool
	// unsent says that its snapshot is in the queue; delivered, that an answer is past recall.
	unsent, delivered bool
	// unsure says that it may hold rows by states that this hub never saw.
	unsure bool
	// paused says that the log could not be read, and that it is too early to try again.
	paused bool
	// doubted says that it alone is to be rechecked, and was not yet. It is set by any goroutine.
	doubted atomic.Bool

	// round counts the changes of state, so that work that was begun in one is not ended in another.
	round   uint32
	slot    int32 // see livequery.Member
	release func()
	// ask is what the client asked for, known when it has arrived; origin, who wants to know of its end, nil for nobody.
	ask    *wire.Ask
	origin *wire.Origin
	id     int64
}

// way is what a subscription needs until it is where its client is.
type way struct {
	message wire.Message
	// asked is how the client asked for it, and load what it is loading for, or loaded for last.
	asked, load load
	// owed is why the snapshot that is unsent is a resync; empty when it is none. It counts if that is dropped.
	owed string
	// prepare gives its query's window rows that reach as far as the client's; nil when nobody need. Prepared is how often that was in vain.
	prepare  func(ctx context.Context) error
	prepared int
	// missed is what a member that is behind has read and was not told; nil when there is none.
	missed *missed
	// held are the keys of all rows that the subscription may hold, known while it catches up from its own snapshot.
	held map[string]struct{}
	// old resolves entries that this hub no longer holds in memory; backlog are entries that were read and not told.
	old     *livequery.Backfill
	backlog []*livequery.Entry
}

// bounds is what a client knows of what a query's members share.
type bounds struct {
	// edge is the place in a window's order up to which the client holds every row, nil when it holds all, while told is zero. Told is how
	// many things a window's members were told with the last frame that the client took as one of them; from the first on, only the
	// client knows up to where it holds every row. Telling is what told will be when what is queued is taken.
	edge          where.Row
	told, telling uint64
	// fills is how often a list had taken the window's place when the client was given its own; zero when that was not here.
	fills uint64
	// stranger is not zero while the client's rows may be others than the window's: see livequery.Delivery.Stranger.
	stranger uint64
	// counted is the position of the count that was told last, and number what it was, if that is numbered: what a client shows that came with
	// a cursor is not known.
	counted  broker.Position
	number   int64
	numbered bool
}

// subscribe takes a subscription under its id; it returns the work that is left, nil when it was refused.
func (s *Session) subscribe(m wire.Message) func() {
	after, resume, problem := m.After()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil
	case problem != nil:
	case s.subs.of(m.ID) != nil:
		problem = wire.NewProblem(http.StatusConflict, "id_in_use", fmt.Sprintf("subscription %d exists: unsubscribe it first", m.ID))
	case len(s.subs) >= s.maxSubscriptions():
		problem = wire.NewProblem(http.StatusTooManyRequests, "too_many_subscriptions",
			fmt.Sprintf("a session may have %d subscriptions", s.maxSubscriptions()))
	}
	if problem != nil {
		s.append(item{frame: s.refusal(m.ID, problem)})
		return nil
	}
	sub := &subscription{session: s, id: m.ID}
	if m.Presence != nil {
		sub.origin = &wire.Origin{Stays: s.Stays, Again: sub.again}
	}
	m.Origin = sub.origin
	asked := load{after: after, resume: resume}
	sub.way = &way{message: m, asked: asked, load: asked}
	s.subs.add(sub)
	s.env.Subscriptions.Add(1)
	start := func() { s.start(sub, 0, after, resume, "") } // after is zero, which Wait takes for reached, without a cursor
	if s.Stays && s.env.Log.Position().IsZero() {
		// It may be long until the hub follows the log, and the client may want to say something else.
		s.spawn(func() {
			if s.ready() == nil {
				s.inTurn(sub, 0, start)
			}
		})
		return nil
	}
	return start
}

// says returns the message that asked for the subscription, as far as it still counts. The session's lock is held.
func (sub *subscription) says() wire.Message {
	if sub.way != nil {
		return sub.message
	}
	return sub.ask.Message(sub.id, sub.origin)
}

// message returns what a subscription says, for who does not hold the lock.
func (s *Session) message(sub *subscription) wire.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sub.says()
}

// arrive lets go of the way of a subscription that is at its end. The session's lock is held.
func (sub *subscription) arrive() {
	if sub.way == nil || sub.state != live || !sub.delivered || sub.unsent {
		return
	}
	known := sub.query.Asked.Load()
	sub.ask = wire.AskOf(&sub.message, known)
	if known == nil && sub.ask.Shared() {
		sub.query.Asked.Store(sub.ask)
	}
	sub.way = nil
}

// depart gives a subscription that has arrived a way again. The session's lock is held.
func (sub *subscription) depart() {
	if sub.way == nil {
		sub.way = &way{message: sub.says()}
	}
}

// beUnsure notes that the subscription may hold rows by states that this hub never saw. The session's lock is held.
func (sub *subscription) beUnsure() {
	if !sub.unsure {
		sub.unsure = true
		sub.query.Stream().Unsure(sub.query, 1)
	}
}

// nameFor returns the name of a query for one of the session's subscriptions. Data that carries a name is for every
// subscription that was told the name, and they must be in one place then: so a second one of the same query, which
// catches up while the first is live, calls it by another name.
func (s *Session) nameFor(sub *subscription, q *livequery.Query) *string {
	for _, other := range s.subs {
		if other != sub && other.name != nil && *other.name == q.ID {
			name := q.ID + "." + strconv.FormatInt(sub.id, 36)
			return &name
		}
	}
	return &q.ID
}

// forget drops what was read for the subscription and not told, and ends what is under way for it.
func (sub *subscription) forget() {
	sub.round++
	if sub.way != nil {
		sub.old, sub.backlog, sub.missed = nil, nil, nil
	}
	sub.pause(false)
}

// reload sends a subscription back to the beginning: its rights are evaluated anew and its rows are read anew, as they are
// after a position. The session's lock is held; on the goroutine of the shard when the subscription is live.
func (sub *subscription) reload(reason string, after broker.Position) {
	sub.begin(load{after: after, reason: reason})
}

// begin makes a subscription load. The session's lock is held; on the goroutine of the shard when the subscription is live.
func (sub *subscription) begin(l load) {
	s := sub.session
	s.detach(sub)
	sub.become(loading)
	sub.load = l
	sub.forget()
	sub.held = nil
	round, router := sub.round, sub.message.Router
	s.spawn(func() {
		s.label(router)
		s.inTurn(sub, round, func() { s.start(sub, round, l.after, l.resume, l.reason) })
	})
}

// inTurn runs f, which loads a subscription, as soon as fewer than the permitted number are loading, and there is room for what comes of
// it, unless it is not wanted any more.
func (s *Session) inTurn(sub *subscription, round uint32, f func()) {
	if s.enter(s.ctx, &s.loads) != nil {
		return
	}
	defer s.exit(&s.loads)
	if s.room(s.ctx, s.env.MaxQueueBytes) == nil && sub.wants(round) {
		f()
	}
}

// wants reports whether a load that was begun in a round is still to be done.
func (sub *subscription) wants(round uint32) bool {
	sub.session.mu.Lock()
	defer sub.session.mu.Unlock()
	return sub.state == loading && sub.round == round
}

// spawn runs f, which a poll waits for, on a goroutine of its own. The session's lock is held.
func (s *Session) spawn(f func()) {
	s.busy++
	s.env.Running.Add(1)
	go func() {
		defer s.env.Running.Done()
		defer s.answered()
		f()
	}()
}

// detach takes a subscription from its query. On the goroutine of the shard when the subscription is live. The session's
// lock is held.
func (s *Session) detach(sub *subscription) {
	if sub.query == nil {
		return
	}
	if sub.state == live {
		sub.query.Part(s.shard.index, sub)
	}
	if sub.unsure {
		sub.unsure = false
		sub.query.Stream().Unsure(sub.query, -1)
	}
	sub.release()
	sub.query, sub.release = nil, nil
}

// refuse ends a subscription that could not be authorised or loaded.
func (s *Session) refuse(sub *subscription, round uint32, err error) {
	problem := s.problem(err, s.message(sub))
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != loading && sub.state != checking || sub.round != round || s.closed {
		return
	}
	s.detach(sub)
	sub.become(ended)
	s.subs.remove(sub)
	s.env.Subscriptions.Add(-1)
	s.append(item{frame: sub.lastWord(problem)})
	how := wire.Refused
	if problem.Status >= http.StatusInternalServerError || problem.Status == http.StatusTooManyRequests { // nobody says that he may not
		how = wire.Lost
	}
	sub.origin.End(how)
}

// unsubscribe ends a subscription at the client's wish.
func (s *Session) unsubscribe(m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs.of(m.ID)
	if sub == nil {
		if !s.closed {
			s.append(item{frame: s.refusal(m.ID, wire.NewProblem(http.StatusNotFound, "not_found", "no such subscription"))})
		}
		return
	}
	s.subs.remove(sub)
	s.env.Subscriptions.Add(-1)
	s.end(sub, wire.Unsubscribed)
	s.append(item{frame: wire.Result(m.ID, wire.Answer{})})
}

// end takes a subscription out. The lock is held; what belongs to the shard is done there.
func (s *Session) end(sub *subscription, how wire.End) {
	sub.origin.End(how)
	sub.over = true
	if sub.state != live {
		s.detach(sub)
		sub.become(ended)
		return
	}
	s.shard.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sub.state == live {
			s.detach(sub)
		}
		sub.become(ended)
	})
}
