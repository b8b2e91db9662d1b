package session

import (
	"fmt"
	"net/http"
	"strconv"

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

// subscription is one session's interest in a query. The session's lock guards it.
type subscription struct {
	session *Session
	message wire.Message
	state   state
	query   *livequery.Query
	release func()
	slot    int
	// name is how data messages name the query, towards this session.
	name string
	// paid says that its client was charged for being answered from the beginning.
	paid bool
	// answered says that the client was given a snapshot or its cursor was taken.
	answered bool
	// asked is how the client asked for it, and load what it is loading for, or loaded for last.
	asked, load load
	// resumed says that all that the client holds it holds by rights that this session never saw, and no tag tells that they are these.
	resumed bool
	// unsent says that its snapshot is in the queue; delivered, that an answer is past recall.
	unsent, delivered bool
	// position is that up to which everything is queued. When data is queued, from is that up to which everything was before.
	position, from broker.Position
	queued         bool
	// edge is the place in a window's order up to which the client holds every row, nil when it holds all, while told is zero. Told is how
	// many things a window's members were told with the last frame that the client took as one of them; from the first on, only the
	// client knows up to where it holds every row. counted is the position of the count that was told last.
	edge    where.Row
	told    uint64
	counted broker.Position
	// missed is what a member that is behind has read and was not told; nil when there is none.
	missed *missed
	// held are the keys of all rows that the subscription may hold, known while it catches up from its own snapshot.
	held map[string]struct{}
	// unsure says that it may hold rows by states that this hub never saw.
	unsure bool
	// old resolves entries that this hub no longer holds in memory; backlog are entries that were read and not told.
	old     *livequery.Backfill
	backlog []*livequery.Entry
	// paused says that the log could not be read, and that it is too early to try again.
	paused bool
	// began is when it was last given a snapshot or its cursor was taken: what the hub followed before kept nobody waiting.
	began observe.Moment
	// round counts the changes of state, so that work that was begun in one is not ended in another.
	round uint
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
	case s.subs[m.ID] != nil:
		problem = wire.NewProblem(http.StatusConflict, "id_in_use", fmt.Sprintf("subscription %d exists: unsubscribe it first", m.ID))
	case len(s.subs) >= s.env.MaxSubscriptions:
		problem = wire.NewProblem(http.StatusTooManyRequests, "too_many_subscriptions",
			fmt.Sprintf("a session may have %d subscriptions", s.env.MaxSubscriptions))
	}
	if problem != nil {
		s.append(item{frame: s.refusal(m.ID, problem)})
		return nil
	}
	sub := &subscription{session: s, message: m, asked: load{after: after, resume: resume}}
	sub.load = sub.asked
	s.subs[m.ID] = sub
	s.env.Subscriptions.Add(1)
	return func() { s.start(sub, 0, after, resume, "") } // after is zero, which Wait takes for reached, without a cursor
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
func (s *Session) nameFor(sub *subscription, query string) string {
	for _, other := range s.subs {
		if other != sub && other.name == query {
			return query + "." + strconv.FormatInt(sub.message.ID, 36)
		}
	}
	return query
}

// forget drops what was read for the subscription and not told, and ends what is under way for it.
func (sub *subscription) forget() {
	sub.round++
	sub.old, sub.backlog, sub.missed, sub.paused = nil, nil, nil, false
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
	sub.state, sub.load = loading, l
	sub.forget()
	sub.held = nil
	round := sub.round
	s.spawn(func() {
		select {
		case s.loads <- struct{}{}:
			defer func() { <-s.loads }()
		case <-s.ctx.Done():
			return
		}
		if s.room(s.ctx, s.env.MaxQueueBytes) == nil {
			s.start(sub, round, l.after, l.resume, l.reason)
		}
	})
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
func (s *Session) refuse(sub *subscription, round uint, err error) {
	problem := s.problem(err, sub.message)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != loading && sub.state != checking || sub.round != round || s.closed {
		return
	}
	s.detach(sub)
	sub.state = ended
	delete(s.subs, sub.message.ID)
	s.env.Subscriptions.Add(-1)
	s.append(item{frame: sub.lastWord(problem)})
}

// unsubscribe ends a subscription at the client's wish.
func (s *Session) unsubscribe(m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[m.ID]
	if sub == nil {
		if !s.closed {
			s.append(item{frame: s.refusal(m.ID, wire.NewProblem(http.StatusNotFound, "not_found", "no such subscription"))})
		}
		return
	}
	delete(s.subs, m.ID)
	s.env.Subscriptions.Add(-1)
	s.end(sub)
	s.append(item{frame: wire.Result(m.ID, wire.Answer{})})
}

// end takes a subscription out. The lock is held; what belongs to the shard is done there.
func (s *Session) end(sub *subscription) {
	if sub.state != live {
		s.detach(sub)
		sub.state = ended
		return
	}
	s.shard.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sub.state == live {
			s.detach(sub)
		}
		sub.state = ended
	})
}

// Slot is the subscription's place among its query's members.
func (sub *subscription) Slot() *int { return &sub.slot }

// Deliver takes what an entry means to the query. It runs on the shard's goroutine.
func (sub *subscription) Deliver(d *livequery.Delivery) {
	s := sub.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.state != live || s.subs[sub.message.ID] != sub || !sub.lacks(d) {
		return
	}
	before := sub.position
	if s.shard.upto.After(before) { // it was quiet for long, and history may not reach back to what it was told last
		before = s.shard.upto
	}
	sub.tell(d, before)
	if s.full(s.env.MaxQueueBytes) {
		s.overflow()
	}
}

// lacks reports whether a delivery is news. What was read meanwhile is as of the position that was told last, or later.
func (sub *subscription) lacks(d *livequery.Delivery) bool {
	if d.Fills() {
		return d.Query.Counts() || !sub.position.After(d.Position)
	}
	return d.Position.After(sub.position)
}

// tell queues a delivery, and reports whether the subscription goes on. Everything up to the position before was told
// before. The session's lock is held.
func (sub *subscription) tell(d *livequery.Delivery, before broker.Position) bool {
	if sub.defeated(d) {
		return false
	}
	if !d.Empty() {
		if !sub.queued {
			sub.queued, sub.from = true, before
		}
		i := item{frame: d.Frame(sub.name), data: sub, told: d.Told}
		if d.Followed >= sub.began {
			i.followed = d.Followed
		}
		sub.session.append(i)
		if sub.held != nil {
			d.Keys(func(key string) { sub.held[key] = struct{}{} })
		}
	}
	if sub.query.Counts() {
		sub.counted = d.Position
		return true
	}
	sub.position = d.Position
	return true
}

// defeated reloads a subscription that a delivery does not bring up to date, and reports that. The session's lock is held.
func (sub *subscription) defeated(d *livequery.Delivery) bool {
	switch {
	case d.Bulk:
		sub.reload(bulkChange, d.Position)
	case d.Unreadable || d.Unknown && sub.unsure:
		sub.reload(unknownRow, d.Position)
	default:
		return false
	}
	return true
}
