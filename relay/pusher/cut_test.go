package pusher_test

import (
	"context"
	"errors"
	"sync"

	"github.com/swampline/live/broker"
)

// cuttable is a broker that a node can lose.
type cuttable struct {
	broker.Broker
	mu  sync.Mutex
	cut chan struct{}
}

var errCut = errors.New("cut off")

func (c *cuttable) state() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

func (c *cuttable) sever() { close(c.state()) }

func (c *cuttable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = make(chan struct{})
}

func (c *cuttable) isCut() bool {
	select {
	case <-c.state():
		return true
	default:
		return false
	}
}

func (c *cuttable) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if c.isCut() {
		return broker.Position{}, errCut
	}
	return c.Broker.Append(ctx, data)
}

func (c *cuttable) Head(ctx context.Context) (broker.Position, error) {
	if c.isCut() {
		return broker.Position{}, errCut
	}
	return c.Broker.Head(ctx)
}

func (c *cuttable) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	if c.isCut() {
		return errCut
	}
	cut := c.state()
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-cut:
			cancel()
		case <-short.Done():
		}
	}()
	err := c.Broker.Follow(short, after, deliver)
	if ctx.Err() == nil && short.Err() != nil {
		return errCut
	}
	return err
}
