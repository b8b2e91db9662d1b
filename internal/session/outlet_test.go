package session_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/transport"
)

// unlimited is room for any number of frames.
const unlimited = 1 << 30

// outlet is a connection that parks its session. It takes as many frames as there is room for; what is more waits for room on a goroutine, as
// in a transport.
type outlet struct {
	t       testing.TB
	session *session.Session
	serving atomic.Bool // by one goroutine at a time
	offers  atomic.Int64
	resumed atomic.Int64
	drained atomic.Int64 // how often a goroutine was needed
	onOffer func(*transport.Batch)

	mu    sync.Mutex
	room  int
	roomy chan struct{} // closed when there is more
	inbox []*transport.Frame
	gone  bool
	ended error
}

// outletOf begins to serve a session.
func outletOf(t testing.TB, s *session.Session, room int) *outlet {
	o := &outlet{t: t, session: s, room: room, roomy: make(chan struct{})}
	o.enter()
	go o.drain(nil)
	return o
}

func (o *outlet) enter() {
	if o.serving.Swap(true) {
		o.t.Error("a connection is offered something, or drained, by two at once")
	}
}

// Offer is transport.Parked's.
func (o *outlet) Offer(b *transport.Batch) bool {
	o.enter()
	o.offers.Add(1)
	if o.onOffer != nil {
		o.onOffer(b)
	}
	if len(b.Frames) == 0 {
		o.t.Error("an empty batch is offered")
	}
	o.mu.Lock()
	if o.gone && o.ended == errLeft {
		o.mu.Unlock()
		o.serving.Store(false)
		return true // and nobody reads it
	}
	n := min(o.room, len(b.Frames))
	o.keep(b.Frames[:n])
	o.mu.Unlock()
	if n == len(b.Frames) {
		o.serving.Store(false)
		return true
	}
	rest := append([]*transport.Frame(nil), b.Frames[n:]...)
	go o.drain(rest)
	return false
}

// Resume is transport.Parked's.
func (o *outlet) Resume() {
	o.enter()
	o.resumed.Add(1)
	go o.drain(nil)
}

// keep takes frames for which there is room. The lock is held.
func (o *outlet) keep(frames []*transport.Frame) {
	o.room -= len(frames)
	o.inbox = append(o.inbox, frames...)
}

// drain is the goroutine of the connection. It runs until the session is parked.
func (o *outlet) drain(rest []*transport.Frame) {
	o.drained.Add(1)
	for {
		if !o.write(rest) {
			o.serving.Store(false)
			return
		}
		o.serving.Store(false) // from Park on somebody else may
		if o.session.Park(o) {
			return
		}
		o.enter()
		var err error
		if rest, err = o.session.Next(context.Background()); err != nil {
			o.mu.Lock()
			if o.ended == nil {
				o.ended = err
			}
			o.mu.Unlock()
			o.serving.Store(false)
			return
		}
	}
}

// write waits for room. It reports false when the client is gone.
func (o *outlet) write(frames []*transport.Frame) bool {
	for {
		o.mu.Lock()
		n := min(o.room, len(frames))
		o.keep(frames[:n])
		frames = frames[n:]
		gone, roomy := o.gone, o.roomy
		o.mu.Unlock()
		if gone || len(frames) == 0 {
			return !gone
		}
		<-roomy
	}
}

// allow makes room for n frames in all.
func (o *outlet) allow(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room = n
	close(o.roomy)
	o.roomy = make(chan struct{})
}

// received returns what came since it was asked last.
func (o *outlet) received() []*transport.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames := o.inbox
	o.inbox = nil
	return frames
}

// err is what Next said at the end.
func (o *outlet) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// errLeft is the end of an outlet that the client left.
var errLeft = transport.ErrClosed

// leave ends the session, as a transport does whose client is gone.
func (o *outlet) leave() {
	o.mu.Lock()
	o.gone, o.ended = true, errLeft
	close(o.roomy)
	o.roomy = make(chan struct{})
	o.mu.Unlock()
	o.session.Close()
}

// parked is a client whose session is parked when it has nothing to say.
func (h *hub) parked() *client {
	c := h.client()
	c.park()
	return c
}

// park has an outlet serve the client's session.
func (c *client) park() { c.outlet = outletOf(c.t, c.session, unlimited) }

// settle takes all that comes to a parked client until nothing more does. It is for a bubble.
func (c *client) settle() {
	c.t.Helper()
	c.outlet.allow(unlimited)
	for {
		time.Sleep(time.Millisecond) // of the bubble: until nobody has anything to do
		frames := c.outlet.received()
		if len(frames) == 0 {
			return
		}
		c.take(frames)
	}
}

// idle wants of a bubble at rest that nobody serves the outlet.
func (o *outlet) idle(t testing.TB) {
	t.Helper()
	synctest.Wait()
	if o.serving.Load() {
		t.Error("a goroutine serves a connection that has nothing to do")
	}
}
