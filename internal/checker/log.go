package checker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// Log is the log of a world: a broker's, and the faults that it can have. The zero Log is one in memory, a new one for each round.
// Its funcs are called by any goroutine, Trim, NewEpoch, Restart and Away never two at a time.
type Log struct {
	// New returns a broker on the log that shares nothing else with those that it returned before, as another process would have it:
	// each hub has one, and so has the oracle. The checker closes none.
	New func() broker.Broker
	// Trim makes the log forget all but the newest keep entries, exactly; nobody appends meanwhile. Keep may be zero.
	Trim func(keep int)
	// NewEpoch loses the log, as a server does that lost its disk; nobody appends meanwhile.
	NewEpoch func()
	// Restart stops the server and starts it again with its data, or cuts all connections, and returns when it answers. Entries are
	// appended and followed meanwhile. Nil: there is no server.
	Restart func()
	// Away makes the server one that cannot be reached until back is called, which returns when it answers again, with its data.
	// Entries are appended and followed meanwhile, in vain. Nil: there is no server.
	Away func() (back func())
}

// orMemory is the log, or for the zero Log one in memory.
func (l Log) orMemory() Log {
	if l.New != nil {
		return l
	}
	m := &server{log: memory.New(memory.Options{MaxEntries: -1, MaxBytes: -1, MaxAge: -1}), cut: make(chan struct{})}
	return Log{
		New: func() broker.Broker { return m }, Trim: m.log.Trim, NewEpoch: m.log.Reset,
		Restart: m.restart, Away: m.leave,
	}
}

// errAway is what a server says that cannot be reached.
var errAway = errors.New("checker: the server is away")

// server is a broker in memory that behaves as one behind a network: it can be away, and calls that are under way then fail, an Append
// after it was done or before.
type server struct {
	log *memory.Broker

	mu   sync.Mutex
	cut  chan struct{} // closed when all calls are cut off
	away bool
	odd  bool // every other Append that comes while it is away is done, and says that it is not
}

// call returns what ends a call that begins now.
func (s *server) call() (cut <-chan struct{}, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut, s.away
}

// restart cuts all calls off.
func (s *server) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// leave is Away.
func (s *server) leave() (back func()) {
	s.restart()
	s.be(true)
	return func() { s.be(false) }
}

func (s *server) be(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// Append adds an entry.
func (s *server) Append(ctx context.Context, data []byte) (broker.Position, error) {
	s.mu.Lock()
	away := s.away
	s.odd = s.odd != away
	done := s.odd
	s.mu.Unlock()
	if away && !done {
		return broker.Position{}, errAway
	}
	at, err := s.log.Append(ctx, data)
	if away {
		return broker.Position{}, errAway
	}
	return at, err
}

// Head is where the log ends.
func (s *server) Head(ctx context.Context) (broker.Position, error) {
	if _, away := s.call(); away {
		return broker.Position{}, errAway
	}
	return s.log.Head(ctx)
}

// Follow follows until the server is away.
func (s *server) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	cut, away := s.call()
	if away {
		return errAway
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-cut:
			cancel()
		case <-following.Done():
		}
	}()
	err := s.log.Follow(following, after, deliver)
	if ctx.Err() == nil && following.Err() != nil {
		return errAway
	}
	return err
}

// accidents are what happens to the server of a log. One at a time: who cuts the log short must reach it.
type accidents struct {
	mu  sync.Mutex
	log Log
}

// do has one thing done.
func (a *accidents) do(f func(Log)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a.log)
}

// leave takes the server away for a while.
func (a *accidents) leave(ctx context.Context, d time.Duration) {
	a.do(func(l Log) {
		back := l.Away()
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		back()
	})
}
