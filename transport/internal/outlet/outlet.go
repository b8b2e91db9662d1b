// Package outlet is the connection of a stream that a transport took over from the HTTP server. It writes what the hub offers without
// waiting, keeps what the client does not take yet, and wakes a reader when there is something to read: on a connection on which nothing
// happens no goroutine waits, where the system permits it.
//
// A transport has an Outlet in the struct of its connection, implements [Owner] with that struct, and lets its handler return:
//
//	if !outlet.Able(w) { … }                 // before anything is promised to the client
//	conn, early, err := outlet.Hijack(w)
//	c := &stream{…}
//	c.out.Open(conn, early, c, "lines", session, o.WriteTimeout, o.Hold)
//	c.out.Send(header)                       // whole messages of the transport's own, at any time: they go between those of the session
//	c.out.CutWith(o.Cut, c)                  // the hub waits for nobody any more
//	c.out.Drain()                            // sends what the session says
//	c.out.Go(c.Arrived)                      // reads
//	c.out.Wait()                             // returns at once, unless o.Hold is nil
//
// From then on the owner is called back. Append, Around and Last when something is sent. Ended, once, when nothing more of the session is
// sent: it closes the session, may say goodbye with Finish, and closes the connection, or has what it leaves behind close it. When the connection is
// closed and its last goroutine has returned, the hub is told that it is over. Who finds out that the client is gone calls Stop, or Close.
//
// Who reads does so with Read until that returns ErrIdle, then calls Watch, and returns: Arrived is called when there is more, or the client is
// gone, which Read then says. A transport that wants nothing of its client reads too: this is how it finds out that nobody is there.
//
// Which way a connection takes is decided in plain, and nowhere else. What the system lets us write to without waiting is written to by the goroutine that
// offers, and on Linux watched by one epoll of the process. For any other (TLS, what a listener has wrapped, other systems) a goroutine with
// a small stack waits for what is to be read, and one is started when something is offered, which writes all that has gathered meanwhile.
package outlet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/swampline/live/transport"
)

// Owner is what a transport makes of the connection.
type Owner interface {
	// Append appends the frames as they are sent. It is called for one of the streams that have the same to say.
	Append(to []byte, frames []*transport.Frame) []byte

	// Around returns the data of a frame that is sent alone, and what comes before and behind it. It is used for large ones, whose data need
	// not be copied.
	Around(f *transport.Frame) (before, data, behind []byte)

	// Last reports whether the stream ends behind these frames, because of one of them.
	Last(frames []*transport.Frame) bool

	// Arrived is called, on a goroutine of its own, when there is something to read, or the client is gone: once after each Watch.
	Arrived()

	// Ended is called once, on a goroutine that may wait, when nothing more of the session is sent. The error is that of Session.Next, or
	// of writing, pace.ErrTooSlow for one; ErrStopped after Stop or Close; nil behind the Last. After an error of writing nothing can be
	// sent any more.
	Ended(err error)
}

var (
	// ErrIdle says that nothing is there to read.
	ErrIdle = errors.New("outlet: nothing to read")
	// ErrStopped is what Ended is told after Stop.
	ErrStopped = errors.New("outlet: stopped")
)

// Outlet is one connection, used where it stands, after Open. Its methods may be called by any goroutine, unless they say otherwise.
//
// What an offer reads comes first, in 80 bytes: it comes to ten thousand outlets in a row, which are in no cache.
type Outlet struct {
	raw   syscall.RawConn // nil when writing waits
	owner Owner

	mu sync.Mutex
	// writing says that a goroutine writes and may wait, parked that the session has the connection; otherwise a goroutine drains it. Stopped
	// says that Next is to wait no more, closed that the connection is, last that nothing may follow what was written. Waiting says that one of the
	// goroutines is the one of wait, which waits.
	writing, parked, stopped, closed, last, waiting bool

	failed error // of writing: nothing is written any more
	form   string

	conn    net.Conn
	session transport.Session
	timeout time.Duration
	over    func(failure error) // tells the hub; nil when somebody waits for done
	done    chan struct{}
	cut     *group
	busy    *busy // nil while no goroutine runs but one that waits
	input
	running int32 // goroutines
}

// busy is what a connection has while something happens on it. It is used again: where each write is a goroutine's it would else be an allocation
// of each.
type busy struct {
	// rest, and then controls, are found by who writes before he ends and closes released, if somebody waits for that. Rested says that
	// rest is left to drain.
	rest     []byte
	controls [][]byte
	released chan struct{}
	rested   bool
	// kept is what was offered and is too large to be written at once; final says that nothing of the session comes after what was offered.
	kept  []*transport.Frame
	final bool

	ctx     context.Context
	cancel  context.CancelFunc
	failure error // what a goroutine panicked with
}

// lend returns what the connection has while something happens. The lock is held, and a goroutine counted.
func (o *Outlet) lend() *busy {
	if o.busy == nil {
		o.busy = spare.Get().(*busy)
	}
	return o.busy
}

var spare = sync.Pool{New: func() any { return new(busy) }}

// giveBack gives back what was lent, since nothing happens any more, and returns what a goroutine panicked with. The lock is held.
func (o *Outlet) giveBack() (failure error) {
	b := o.busy
	if b == nil {
		return nil
	}
	if b.cancel != nil {
		b.cancel()
	}
	o.busy, failure = nil, b.failure
	*b = busy{}
	spare.Put(b)
	return failure
}

// Open begins, with what the client sent before its connection was taken over. Form names what the owner's Append makes: two owners of one
// form make the same. Hold is that of transport.Options. Nothing else is called before.
func (o *Outlet) Open(conn net.Conn, early []byte, owner Owner, form string, s transport.Session, timeout time.Duration, hold func() (release func(failure error))) {
	o.conn, o.owner, o.form, o.session, o.timeout = conn, owner, form, s, timeout
	o.raw = plain(conn)
	o.unread = early
	if hold != nil {
		o.over = hold()
	} else {
		o.done = make(chan struct{})
	}
}

// Form returns what Open was told.
func (o *Outlet) Form() string { return o.form }

// Session returns what is drained.
func (o *Outlet) Session() transport.Session { return o.session }

// Wait returns when the connection is closed and its last goroutine has returned, if Open was given no hold; otherwise at once.
func (o *Outlet) Wait() {
	if o.done != nil {
		<-o.done
	}
}

// Go runs f on a goroutine of the outlet, unless the connection is closed.
func (o *Outlet) Go(f func()) {
	if o.enter() {
		go func() {
			defer o.leave()
			f()
		}()
	}
}

// Do runs f as if on a goroutine of the outlet, unless the connection is closed.
func (o *Outlet) Do(f func()) {
	if o.enter() {
		defer o.leave()
		f()
	}
}

// Stop has Ended called soon, if it was not yet: Next waits no more. What is being written is not cut off, as Close does.
func (o *Outlet) Stop() { o.stop(ErrStopped) }

// stop has Ended called with an error.
func (o *Outlet) stop(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	if o.busy != nil && o.busy.cancel != nil {
		o.busy.cancel()
	}
	if o.parked { // nobody else would
		o.parked = false
		o.running++
		go o.end(err)
	}
}

func (o *Outlet) end(err error) {
	defer o.leave()
	o.owner.Ended(err)
}

// Close closes the connection, whatever is being read or written, and stops. Further calls do nothing.
func (o *Outlet) Close() {
	if !o.enter() {
		return
	}
	defer o.left() // not before here it can be over
	o.stop(ErrStopped)
	o.mu.Lock()
	before, cut := o.closed, o.cut
	o.closed = true
	o.mu.Unlock()
	if !before {
		o.forsake()
		cut.leave(o)
		_ = o.conn.Close() // whoever reads or writes finds out
	}
}

// Context ends when the outlet is stopped. It is for who runs on a goroutine of the outlet, and ends soon after the last of those: a
// connection on which nothing happens has none.
func (o *Outlet) Context() context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.lend()
	if b.ctx == nil {
		b.ctx, b.cancel = context.WithCancel(context.Background())
		if o.stopped {
			b.cancel()
		}
	}
	return b.ctx
}

// enter counts a goroutine in. It reports false when the connection is closed.
func (o *Outlet) enter() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.running++
	return true
}

// leave is deferred by each goroutine that was counted in. What one panics with ends this connection and not the process, where the hub is
// told of it.
func (o *Outlet) leave() {
	if o.over != nil {
		if p := recover(); p != nil {
			o.recovered(p)
			o.session.Close()
			o.Close()
		}
	}
	o.left()
}

// recovered makes an error of a panic, and keeps it for the hub.
func (o *Outlet) recovered(p any) error {
	err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lend().failure = err
	return err
}

func (o *Outlet) left() {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch o.running--; {
	case o.running > 1 || o.running == 1 && !o.waiting:
	case o.running == 0 && o.closed && o.over != nil:
		go o.over(o.giveBack())
	case o.running == 0 && o.closed:
		o.giveBack()
		close(o.done)
	case o.busy == nil || o.busy.failure == nil: // which the hub is told at the end
		o.giveBack()
	}
}
