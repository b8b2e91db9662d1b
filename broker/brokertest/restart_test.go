package brokertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// server makes a bent broker one with a server that can be restarted: what is under way fails, and every other Append
// that fails has been done. The counter tells a fault how often it was restarted.
type server struct {
	mu       sync.Mutex
	ctx      context.Context
	cancel   context.CancelFunc
	restarts atomic.Int64
}

func newServer(t testing.TB, b *bent) *server {
	s := &server{}
	s.ctx, s.cancel = context.WithCancel(t.Context())
	var appends atomic.Int64
	b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
		if n := appends.Add(1); n%10 == 0 {
			if n%20 == 0 {
				b.Broker.Append(ctx, data)
			}
			return broker.Position{}, errElse
		}
		return b.Broker.Append(ctx, data)
	}
	b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
		s.mu.Lock()
		up := s.ctx
		s.mu.Unlock()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(up, cancel)()
		err := b.Broker.Follow(ctx, after, deliver)
		if errors.Is(err, context.Canceled) && up.Err() != nil {
			return errElse
		}
		return err
	}
	return s
}

func (s *server) restart(t testing.TB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	s.ctx, s.cancel = context.WithCancel(t.Context())
	s.restarts.Add(1)
}

// TestRestart sees that a broker passes whose server comes and goes, with its data and without.
func TestRestart(t *testing.T) {
	for name, lose := range map[string]bool{"with its data": false, "in a new epoch": true} {
		t.Run(name, func(t *testing.T) {
			var s *server
			h := memoryHarness()
			h.New = func(t testing.TB) broker.Broker {
				b := newBent(memory.Options{})
				s = newServer(t, b)
				return b
			}
			h.Restart = func(t testing.TB, b broker.Broker) {
				if lose {
					b.(*bent).Reset()
				}
				s.restart(t)
			}
			if err := runCheck(t, h, check{name: "restart", run: checkRestart}); err != nil {
				t.Error(err)
			}
		})
	}
}

// The faults run with a Restart that does nothing: what is broken is broken from the beginning.
var restartFaults = []fault{
	{"what was acknowledged is lost", "restart", followAgain, func(t testing.TB, b *bent) {
		newServer(t, b)
		var appends atomic.Int64
		inner := b.append
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			if appends.Add(1) == 150 {
				p, err := b.Broker.Head(ctx)
				p.Major++
				return p, err
			}
			return inner(ctx, data)
		}
	}},
	{"what was read comes again", "restart", followInOrder, func(t testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			seen := 0
			err := b.Broker.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
				if seen += len(batch); seen > 30 && after.Major < 30 {
					return errors.Join(deliver(batch), errElse)
				}
				return deliver(batch)
			})
			return err
		}
	}},
	{"the server stays away", "restart", appendFailed, func(t testing.TB, b *bent) {
		var appends atomic.Int64
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			if appends.Add(1) > 70 {
				return broker.Position{}, errElse
			}
			return b.Broker.Append(ctx, data)
		}
	}},
}
