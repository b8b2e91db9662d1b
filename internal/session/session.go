// Package session is one connected client, whatever transport it is on: its subscriptions, its unanswered messages and the
// queue of what it has not been sent.
//
// A session is only a cache of the log. A subscription that is not live, because it resumes, because its snapshot is still
// being read, or because the client is slower than the changes, is just a position: it reads on from the log when the
// client has taken what is queued. So the queue is bounded, and nothing is lost by dropping it.
package session

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

// App answers what a client asks for. Its errors are Problems, or else internal.
type App interface {
	// Subscribe authorises a subscription and acquires its query.
	Subscribe(ctx context.Context, m wire.Message) (Source, error)
	// Call runs a verb, or publishes; it returns the position of the last change that this caused.
	Call(ctx context.Context, m wire.Message) (wire.Answer, broker.Position, error)
}

// Source is an authorised subscription.
type Source struct {
	Query *livequery.Query
	// Release pays the query back.
	Release func()
	// Load reads the rows that the caller may see, from a database that holds at least what the log holds up to a
	// position. The error may be a *TooMany. Nil for a channel.
	Load func(ctx context.Context, after broker.Position) (Loaded, error)
	// Prepare gives a window that other subscriptions have not loaded its rows, for one that resumes. Nil for other queries.
	Prepare func(ctx context.Context) error
	// Edge is the place up to which a client that resumes holds every row of a window; nil when it holds all.
	Edge where.Row
}

// Loaded is what a list returned.
type Loaded struct {
	// At is the position that the database had reached.
	At broker.Position
	// Listing has the members that only a list knows.
	Listing wire.Listing
	Keys    []string
	// Edge is the place up to which the rows of a window are all rows; nil when no row is beyond.
	Edge where.Row
}

// TooMany says that more rows match a subscription than a list may have: it must become a window of so many.
type TooMany struct{ Limit int }

// Error says so.
func (e *TooMany) Error() string { return fmt.Sprintf("more than %d rows match", e.Limit) }

// Log is the hub's view of the log.
type Log interface {
	// Ready waits until the hub follows the log.
	Ready(ctx context.Context) error
	// Position is that up to which entries were matched; what they mean is with the shards, or about to be.
	Position() broker.Position
	// Wait returns when the shards have everything up to p.
	Wait(ctx context.Context, p broker.Position) error
	// Window returns entries after p from memory, and whether memory reaches back to it.
	Window(p broker.Position, limit int) ([]*livequery.Entry, bool)
	// Read returns entries after p, from memory or the broker, at least one unless p is Position or later. The error
	// wraps broker.ErrExpired when they are gone.
	Read(ctx context.Context, p broker.Position, limit int, old *livequery.Backfill) ([]*livequery.Entry, error)
	// Beyond reports whether p lies after the end of the log.
	Beyond(ctx context.Context, p broker.Position) (bool, error)
	// Settle runs f between two batches of the log: streams and history are as of the position, and what f asks of a shard comes
	// behind everything up to it. F must not wait.
	Settle(f func(at broker.Position) *livequery.Delivery)
}

// Env is what the sessions of a hub share.
type Env struct {
	App    App
	Log    Log
	Logger *slog.Logger
	// Watch is told what happens; nil when nobody watches.
	Watch *observe.Watch
	// Queued is what all sessions hold for their clients, in bytes: data, snapshots and answers, in queues and on their way. A frame that
	// several sessions share counts for each. Budget is what bounds it; nil for no bound.
	Queued atomic.Int64
	Budget *Budget
	// Subscriptions counts those of all sessions, and Parked the polls that wait for something to say.
	Subscriptions, Parked atomic.Int64
	// MaxQueueBytes bounds what waits in a session's queue.
	MaxQueueBytes int
	// MaxSubscriptions bounds the subscriptions of a session.
	MaxSubscriptions int
	// MaxMessageBytes is what a message that is too large is told.
	MaxMessageBytes int64
	// MaxBatch bounds the messages that come together, besides subscriptions, MaxDepth how deep they are nested.
	MaxBatch, MaxDepth int
	// Refresh renews what a session's context holds, before its rights are evaluated anew; nil when there is nothing to renew.
	Refresh func(ctx context.Context) (context.Context, error)
	// Running counts the goroutines of sessions.
	Running *sync.WaitGroup
}

// unanswered is how many messages of one session are worked on at once; further ones wait.
const unanswered = 16

// Session is one connected client. It implements transport.Session.
type Session struct {
	// Who names the caller, as rechecks on the log do. It is set before the first message is handled.
	Who string
	// Transport names what drains the session, for metrics and logs. It is set before the first message is handled.
	Transport string
	// Remote is the address of the client, for logs. It is set before the first message is handled.
	Remote string
	// Messages and Subscribes are how many messages its client may send, and how often it may be answered from the beginning.
	// Whole says that its subscriptions come together with a request that is counted itself, so that they are no messages. They are
	// set before the first message is handled.
	Messages, Subscribes Allowance
	Whole                bool

	env    *Env
	shard  *Shard
	id     string
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{} // of messages that are worked on
	loads  chan struct{} // of subscriptions that load anew
	wake   chan struct{}

	mu    sync.Mutex
	queue []item
	// bytes is what the session holds for its client: in the queue, of which data is what can be dropped, and inFlight, which the
	// transport has taken and is sending.
	bytes, data, inFlight int
	// streams says that a transport takes frames again and again, by Next, beside what is received.
	streams bool
	freed   chan struct{}  // closed when room was made; nil when nobody waits for it
	oldest  observe.Moment // of the entries whose frames were taken and not yet told of
	subs    map[int64]*subscription
	busy    int // messages and subscriptions without an answer
	closed  bool
	left    bool                   // the client was asked to leave
	reason  *transport.ClosedError // why it was sent away, nil when it was not
	rights  rights
	// silence ends a session of which nothing is heard; nil when something was.
	silence *time.Timer
	// lastCall is closed when the newest call is answered.
	lastCall <-chan struct{}
	onClose  func()
}

var _ transport.Session = (*Session)(nil)

// New returns a session whose application code sees the values of ctx, but not its end: a session outlives the request that
// opened it. OnClose is called once when the session is over.
func New(ctx context.Context, env *Env, shard *Shard, onClose func()) *Session {
	s := &Session{
		env: env, shard: shard, id: rand.Text(),
		slots: make(chan struct{}, unanswered), loads: make(chan struct{}, unanswered), wake: make(chan struct{}, 1),
		subs: map[int64]*subscription{}, lastCall: noWait, onClose: onClose,
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// ID names the session.
func (s *Session) ID() string { return s.id }

// Hello queues the greeting of a stream.
func (s *Session) Hello() { s.push(item{frame: wire.Hello(s.id)}) }

// TooLarge answers a frame that the transport did not read to its end.
func (s *Session) TooLarge() {
	s.push(item{frame: s.refusal(0, wire.TooLarge(s.env.MaxMessageBytes))})
}

// Receive takes newline-separated messages.
func (s *Session) Receive(ctx context.Context, data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil { // a message must not end the process
			s.push(item{frame: wire.Error(0, s.problem(NewPanicError(p), wire.Message{}))})
		}
	}()
	s.heard()
	batch, problem := s.batch(data)
	if problem != nil {
		s.push(item{frame: s.refusal(0, problem)})
	}
	l := limiter{session: s}
	for _, r := range batch {
		if err := s.room(ctx, s.env.MaxQueueBytes+chatter); err != nil {
			return err
		}
		problem := l.refuses(r)
		if r.problem != nil {
			problem = r.problem
		}
		if problem != nil {
			s.push(item{frame: s.refusal(r.message.ID, problem)})
			continue
		}
		if err := s.Handle(ctx, r.message); err != nil {
			return err
		}
	}
	if s.ctx.Err() != nil {
		return transport.ErrClosed
	}
	return nil
}

// Handle takes one message. It returns when the message was accepted.
func (s *Session) Handle(ctx context.Context, m wire.Message) error {
	switch m.Type {
	case wire.Ping:
		s.push(item{frame: wire.Pong(m.ID)})
	case wire.Unsubscribe:
		s.unsubscribe(m)
	case wire.Subscribe:
		return s.work(ctx, m, s.subscribe(m))
	default:
		return s.work(ctx, m, func() { s.call(m) })
	}
	return nil
}

// work runs f, which answers m, on a goroutine of its own, as soon as fewer than the permitted number are running.
func (s *Session) work(ctx context.Context, m wire.Message, f func()) error {
	if f == nil {
		return nil
	}
	s.mu.Lock()
	s.busy++
	s.mu.Unlock()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		s.answered()
		return ctx.Err()
	case <-s.ctx.Done():
		s.answered()
		return transport.ErrClosed
	}
	before, done, open := s.turn(m)
	if !open {
		<-s.slots
		s.answered()
		return transport.ErrClosed
	}
	go func() {
		defer s.env.Running.Done()
		defer func() {
			if p := recover(); p != nil {
				s.push(item{frame: s.refusal(m.ID, s.problem(s.panicked(p), m))})
			}
			close(done)
			<-s.slots
			s.answered()
		}()
		select {
		case <-before:
		case <-s.ctx.Done():
			return
		}
		if s.room(s.ctx, s.env.MaxQueueBytes) == nil {
			f()
		}
	}()
	return nil
}

// turn returns what a message has to wait for, and what it closes when it is done; it counts the goroutine that will work on it, unless
// the session is closed. Calls and publishes of a session run one after another, in the order in which they came: two writes of
// one client never swap. Subscribing waits for nobody.
func (s *Session) turn(m wire.Message) (before <-chan struct{}, done chan struct{}, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, false
	}
	s.env.Running.Add(1)
	done = make(chan struct{})
	if m.Type == wire.Subscribe {
		return noWait, done, true
	}
	before, s.lastCall = s.lastCall, done
	return before, done, true
}

// noWait is closed.
var noWait = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// answered counts a message as answered.
func (s *Session) answered() {
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
	s.signal()
}

// call runs a verb or a publish. Its answer comes behind the changes that it caused.
func (s *Session) call(m wire.Message) {
	answer, at, err := s.env.App.Call(s.caller(), m)
	if err != nil {
		s.push(item{frame: s.refusal(m.ID, s.problem(err, m))})
		return
	}
	if !at.IsZero() {
		answer.Cursor = at.String()
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		defer cancel()
		_ = s.env.Log.Wait(ctx, at) // a broker that lags does not hold up the answer for ever
	}
	frame := wire.Result(m.ID, answer)
	if !s.shard.call(s.ctx, func() { s.push(item{frame: frame}) }) {
		s.push(item{frame: frame}) // the hub is gone, or the session
	}
}

// Close ends the session. Whoever calls it takes nothing any more.
func (s *Session) Close() {
	s.finishWith(nil, nil, gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.data, s.inFlight = nil, 0, 0
	s.hold(-s.bytes)
}

// Finish ends the session with a last frame, which asks the client to connect again.
func (s *Session) Finish(last *transport.Frame) { s.finishWith(nil, last, reconnect) }

// Leave asks the client of a stream to connect again after a while. The session goes on, until Gone, so that the client can let the new
// connection overlap with this one.
func (s *Session) Leave(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams && !s.closed { // the answer to a round would tell it to come again at once
		s.left = true
		s.append(item{frame: wire.Reconnect(after.Milliseconds(), nil)})
	}
}

// Gone ends the session of a client that was asked to leave.
func (s *Session) Gone() {
	s.mu.Lock()
	told := s.left
	s.mu.Unlock()
	if told {
		s.Finish(nil)
	} else {
		s.Finish(wire.Reconnect(0, nil))
	}
}

// Expel ends the session because of what its client did, or did not do, and asks it to come back after a while. Of one that does not
// take what waits for it, or for which there is no memory, nothing else is sent any more.
func (s *Session) Expel(p *wire.Problem, after time.Duration) {
	s.finishWith(func() {
		if s.reason = (&transport.ClosedError{Status: closeStatus(p), Code: p.Code}); s.reason.Status == tryAgainLater {
			s.drop(func(item) bool { return true })
		}
	}, wire.Reconnect(after.Milliseconds(), p), p.Label())
}

// The statuses with which a WebSocket is closed for a problem.
const (
	policyViolation = 1008
	tryAgainLater   = 1013
)

// closeStatus is the status with which a WebSocket is closed for a problem.
func closeStatus(p *wire.Problem) int {
	switch p.Code {
	case "too_slow", "overloaded":
		return tryAgainLater
	}
	return policyViolation
}

// closedError is what a transport is told once it has the last frame. The session's lock is held.
func (s *Session) closedError() error {
	if s.reason != nil {
		return s.reason
	}
	return transport.ErrClosed
}

// Why a session ends when there is no problem.
const (
	gone      = "gone"      // the client is, or was answered
	reconnect = "reconnect" // the hub goes
)

// finishWith ends the session for a reason, as it is counted; before says the last words to its subscriptions, under the lock.
func (s *Session) finishWith(before func(), last *transport.Frame, why string) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if before != nil {
		before()
	}
	if last != nil {
		s.append(item{frame: last})
	}
	s.closed = true
	if s.env.Budget != nil {
		s.env.Budget.leaving.Add(int64(s.bytes))
	}
	if s.silence != nil {
		s.silence.Stop()
	}
	subs := s.subs
	s.subs = nil
	s.env.Subscriptions.Add(int64(-len(subs)))
	for _, sub := range subs {
		s.end(sub)
	}
	s.mu.Unlock()
	s.cancel()
	s.signal()
	s.onClose()
	s.env.Watch.Count(observe.ClosedSessions, why, 1)
}

// Tell queues a frame that belongs to no subscription.
func (s *Session) Tell(f *transport.Frame) { s.push(item{frame: f}) }
