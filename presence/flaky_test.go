package presence_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/swampline/live/broker"
)

// flaky is a broker that can be cut off from one node.
type flaky struct {
	broker.Broker
	mu   sync.Mutex
	cut  chan struct{} // closed when it is
	back time.Time     // when it was mended last
	halt chan struct{} // nil, or what its node waits for before it is shown more of the log
	gone int           // how often the log did not reach back to where the node was
	mute bool          // the node can follow the log, and not write to it
	said int           // how many entries the node wrote
	hold chan struct{} // nil, or what the node waits for before what it writes is written
}

// slow has what the node writes wait until what it returns is called.
func (f *flaky) slow() (goOn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hold := make(chan struct{})
	f.hold = hold
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hold = nil
		close(hold)
	}
}

// written is how many entries the node has written.
func (f *flaky) written() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said
}

// silence keeps the node from writing to the log, or lets it.
func (f *flaky) silence(mute bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute = mute
}

func (f *flaky) isMute() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mute
}

// lost is how often the node had to begin anew.
func (f *flaky) lost() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone
}

func (f *flaky) state() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut
}

// follows reports whether the node has been in reach for long enough to have found that out.
func (f *flaky) follows() bool {
	f.mu.Lock()
	back := f.back
	f.mu.Unlock()
	return !f.isCut() && !f.isHalted() && time.Since(back) > 6*time.Second
}

var errCut = fmt.Errorf("cut off")

func (f *flaky) sever() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.cut)
}

func (f *flaky) mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut, f.back = make(chan struct{}), time.Now()
}

// stop keeps the node from seeing more of the log, though it can write to it, until what it returns is called.
func (f *flaky) stop() (goOn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	halt := make(chan struct{})
	f.halt = halt
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.halt, f.back = nil, time.Now()
		close(halt)
	}
}

func (f *flaky) isHalted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.halt != nil
}

func (f *flaky) wait() {
	f.mu.Lock()
	halt := f.halt
	f.mu.Unlock()
	if halt != nil {
		<-halt
	}
}

// swap puts another log in the place of the one that there was, which is cut off.
func (f *flaky) swap(log broker.Broker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Broker = log
}

func (f *flaky) isCut() bool {
	cut := f.state()
	select {
	case <-cut:
		return true
	default:
		return false
	}
}

func (f *flaky) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if f.isCut() || f.isMute() {
		return broker.Position{}, errCut
	}
	f.mu.Lock()
	f.said++
	hold := f.hold
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return f.Broker.Append(ctx, data)
}

func (f *flaky) Head(ctx context.Context) (broker.Position, error) {
	if f.isCut() {
		return broker.Position{}, errCut
	}
	return f.Broker.Head(ctx)
}

func (f *flaky) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	cut := f.state()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-cut:
			cancel()
		case <-stop:
		}
	}()
	err := f.Broker.Follow(ctx, after, func(entries []broker.Entry) error {
		f.wait()
		if f.isCut() {
			return errCut
		}
		return deliver(entries)
	})
	if f.isCut() {
		return errCut
	}
	if errors.Is(err, broker.ErrExpired) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.gone++
	}
	return err
}
