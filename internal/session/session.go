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
	"sync"
	"time"

	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// Session is one connected client. It implements transport.Session.
type Session struct {
	// What a delivery to a parked session reads and writes comes first, in 256 bytes: a change may be for ten thousand sessions in a row, which
	// are in no cache.

	// Transport names what drains the session, for metrics and logs. It is set before the first message is handled.
	Transport string
	// Dialect is the other protocol that the session speaks, nil for this module's own. It is set before the first message is handled.
	Dialect *Dialect

	shard *Shard
	mu    sync.Mutex
	// parked is the connection that the shard offers what is queued; nil while somebody comes for it. Offering says that the shard is at it, and
	// touched that it will come to the session at the end of its turn. Abandoned says that nobody takes anything any more. Streams says that a
	// transport takes frames again and again, by Next, beside what is received; left, that the client was asked to leave; signedOut, that its caller
	// may not be here any more. A session of more than 512 bytes would take 576.
	parked                                                                transport.Parked
	offering, touched, abandoned, streams, parks, closed, left, signedOut bool

	queue []item
	env   *Env
	// followed is when the hub followed the oldest entry of which something is queued; oldest, that of what was taken last.
	followed observe.Moment
	// round grows when the queue is taken: what a subscription queued in another is not queued any more.
	round uint64
	// lagging is how many subscriptions can be read on.
	lagging int
	// bytes is what the session holds for its client: in the queue, of which data is what can be dropped, and inFlight, which the
	// transport has taken and is sending. Counted is how much of it the sum of all sessions knows.
	bytes, data int
	few         [2]item // where the queue is while it is short
	snapshots   int     // that are queued

	inFlight, counted int
	// freed is closed when room was made; nil when nobody waits for it.
	freed  chan struct{}
	oldest observe.Moment
	wake   chan struct{} // for who waits in Next or Poll; nil while nobody can

	// Who names the caller, as rechecks on the log do. It is set before the first message is handled.
	Who string
	// Remote is the address of the client, for logs. It is set before the first message is handled.
	Remote string
	// Messages and Subscribes are how many messages its client may send, and how often it may be answered from the beginning.
	// Whole says that its subscriptions come together with a request that is counted itself, so that they are no messages. They are
	// set before the first message is handled.
	Messages, Subscribes Allowance
	Whole                bool
	// Stays says that the client is on a stream: while the broker is away at the hub's start, its subscriptions wait for it, and what it
	// sends besides is answered. It is set before the first message is handled.
	Stays bool

	id     string
	ctx    context.Context
	cancel context.CancelFunc

	subs  subscriptions
	slots line // of messages that are worked on
	loads line // of subscriptions that load anew
	busy  int  // messages and subscriptions without an answer

	reason *transport.ClosedError // why it was sent away, nil when it was not
	rights rights
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
		round: 1, lastCall: noWait, onClose: onClose,
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
	if err := s.enter(ctx, &s.slots); err != nil {
		s.answered()
		return err
	}
	before, done, open := s.turn(m)
	if !open {
		s.exit(&s.slots)
		s.answered()
		return transport.ErrClosed
	}
	go func() {
		defer s.env.Running.Done()
		defer func() {
			if p := recover(); p != nil {
				s.push(item{frame: s.refusal(m.ID, s.problem(s.panicked(p), m))})
			}
			s.done(done)
			s.exit(&s.slots)
			s.answered()
		}()
		if !s.outlast(before) {
			return
		}
		s.label(m.Router)
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

// done closes what turn returned, and does not keep it.
func (s *Session) done(done chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastCall == done {
		s.lastCall = noWait
	}
	close(done)
}

// noWait is closed.
var noWait = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// answered counts a message as answered.
func (s *Session) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	s.signal()
}

// call runs a verb or a publish. Its answer comes behind the changes that it caused.
func (s *Session) call(m wire.Message) {
	answer, at, err := s.app().Call(s.caller(), m)
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

// Tell queues a frame that belongs to no subscription.
func (s *Session) Tell(f *transport.Frame) { s.push(item{frame: f}) }
