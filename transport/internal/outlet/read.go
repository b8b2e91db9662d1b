package outlet

import (
	"sync"
)

// input is what is read of a connection. One goroutine at a time uses it.
type input struct {
	unread []byte // read, and not yet given out
	lent   *block // in which it is, while there is a reader
	ended  error  // of reading
	place  place  // where the connection is watched
}

// block is what is read at once.
type block [4 << 10]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

// Read reads what is there. When nothing is, it waits, or returns ErrIdle if idle is true. One goroutine at a time calls it, and not
// between Watch and Arrived.
func (o *Outlet) Read(p []byte, idle bool) (n int, err error) {
	if len(o.unread) == 0 {
		if err := o.fill(idle); err != nil {
			return 0, err
		}
	}
	n = copy(p, o.unread)
	o.unread = o.unread[n:]
	return n, nil
}

// fill reads once.
func (o *Outlet) fill(idle bool) error {
	if o.ended != nil {
		return o.ended
	}
	if o.raw == nil && idle {
		return ErrIdle // who waits in wait finds out whether something is there
	}
	if o.lent == nil {
		o.lent = blocks.Get().(*block)
	}
	n, err := 0, ErrIdle
	if o.raw != nil {
		n, err = tryRead(o.raw, o.lent[:])
	}
	if err == ErrIdle && !idle {
		n, err = o.conn.Read(o.lent[:])
	}
	o.unread = o.lent[:n]
	if err != nil && err != ErrIdle {
		o.ended = err
	}
	if n > 0 {
		return nil
	}
	return err
}

// sip is what is read by the goroutine that waits for something to read: a pong fits in, and a ping of the protocol's. Each connection that
// is idle has one.
const sip = 32

// Watch has Arrived called when there is something to read. Whoever read returns after it.
func (o *Outlet) Watch() {
	if o.lent != nil && len(o.unread) == 0 {
		blocks.Put(o.lent)
		o.lent, o.unread = nil, nil
	}
	if len(o.unread) > 0 || o.ended != nil {
		if o.enter() {
			go o.arrived()
		}
		return
	}
	if o.raw != nil && o.watch() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.running++
		o.waiting = true
		go o.wait()
	}
}

// arrived has the owner read.
func (o *Outlet) arrived() {
	defer o.leave()
	o.owner.Arrived()
}

// wait waits for something to read, where nobody else does. The stack is a small one: whatever reads a message needs more, and ends with
// it.
func (o *Outlet) wait() {
	defer o.leave()
	p := make([]byte, sip)
	n, err := o.conn.Read(p)
	o.unread, o.ended = p[:n], err
	o.mu.Lock()
	o.waiting = false
	o.mu.Unlock()
	o.owner.Arrived()
}
