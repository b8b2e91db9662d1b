package checker

import (
	"context"
	"fmt"
	"testing"

	"github.com/swampline/live/broker"
)

// sparse is a log whose positions are as a server gives them out: not dense, and with a second word that nobody can guess.
type sparse struct{ broker.Broker }

// outer is a position of the log in memory as others see it.
func outer(p broker.Position) broker.Position {
	if p.Major == 0 {
		return p
	}
	return broker.Position{Epoch: p.Epoch, Major: p.Major * 7, Minor: p.Major*0x9E3779B97F4A7C15>>32 | 1}
}

func inner(p broker.Position) (broker.Position, error) {
	in := broker.Position{Epoch: p.Epoch, Major: p.Major / 7}
	if outer(in) != p {
		return in, fmt.Errorf("%w: %v was never given out", broker.ErrExpired, p)
	}
	return in, nil
}

func (s sparse) Append(ctx context.Context, data []byte) (broker.Position, error) {
	p, err := s.Broker.Append(ctx, data)
	return outer(p), err
}

func (s sparse) Head(ctx context.Context) (broker.Position, error) {
	p, err := s.Broker.Head(ctx)
	return outer(p), err
}

func (s sparse) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	from, err := inner(after)
	if err != nil {
		return err
	}
	return s.Broker.Follow(ctx, from, func(batch []broker.Entry) error {
		shown := make([]broker.Entry, len(batch))
		for i, e := range batch {
			shown[i] = broker.Entry{Position: outer(e.Position), Data: e.Data}
		}
		return deliver(shown)
	})
}

// TestAnyBroker runs the checker over a log whose positions are not those of the one in memory.
func TestAnyBroker(t *testing.T) {
	log := Log{}.orMemory()
	open := log.New
	log.New = func() broker.Broker { return sparse{open()} }
	TestBroker(t, log, seeds(t)[0])
}
