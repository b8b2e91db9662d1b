package outlet

import (
	"errors"
	"slices"

	"github.com/swampline/live/transport/internal/pace"
)

// ErrLast is the error of writing behind what nothing may follow. That may still be on its way: who said it closes the connection.
var ErrLast = errors.New("outlet: nothing may follow what was written")

// Send writes a message of the transport's own, whole, before the next one of the session, and does not wait. Of two with the same first byte
// that are not yet sent the later one is: so nothing grows for a client that asks and does not read.
func (o *Outlet) Send(message []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.unwritable(); err != nil {
		return err
	}
	if o.writing {
		o.queue(message)
		return nil
	}
	n, err := o.try(message)
	if err != nil || n == len(message) {
		return err
	}
	o.writing = true
	b := o.lend()
	b.rest = append(b.rest, message[n:]...)
	o.running++
	go o.finish()
	return nil
}

// queue keeps a message for who is writing. The lock is held.
func (o *Outlet) queue(message []byte) {
	b := o.lend()
	b.controls = slices.DeleteFunc(b.controls, func(m []byte) bool { return m[0] == message[0] })
	b.controls = append(b.controls, slices.Clone(message))
}

// finish writes what Send could not. Whoever would send more finds out when it fails.
func (o *Outlet) finish() {
	defer o.leave()
	if err := o.work(nil, nil, nil); err != nil {
		o.stop(err)
	}
}

// Finish writes the last message of the connection and waits until the client has taken it. Nothing follows it.
func (o *Outlet) Finish(message []byte) error {
	o.mu.Lock()
	err := o.unwritable()
	o.last = true
	for err == nil && o.writing {
		o.await()
		err = o.failed
	}
	if err != nil {
		o.mu.Unlock()
		return err
	}
	return o.writeOut(message, nil, nil)
}

// Writing reports whether something waits to be taken by the client.
func (o *Outlet) Writing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writing
}

// write writes what belongs together, and waits until the client has taken it.
func (o *Outlet) write(a, b, c []byte) error {
	o.mu.Lock()
	for o.writing {
		o.await()
	}
	if err := o.unwritable(); err != nil {
		o.mu.Unlock()
		return err
	}
	return o.writeOut(a, b, c)
}

// writeOut writes while nobody else does. It gives up the lock, which is held.
func (o *Outlet) writeOut(a, b, c []byte) error {
	n, err := o.try(a)
	if a = a[n:]; err != nil || len(a)+len(b)+len(c) == 0 {
		o.mu.Unlock()
		return err
	}
	o.writing = true
	o.mu.Unlock()
	return o.work(a, b, c)
}

// work writes what belongs together, and then what has come meanwhile. Whoever calls it has set writing, and it takes that back.
func (o *Outlet) work(a, b, c []byte) (err error) {
	w := pace.New(o.conn.Write, o.conn.SetWriteDeadline, o.timeout)
	for {
		for _, part := range [...][]byte{a, b, c} {
			if err == nil {
				_, err = w.Write(part)
			}
		}
		o.mu.Lock()
		if err != nil {
			o.failed = err
			break
		}
		if a, b, c = o.lend().come(), nil, nil; len(a) == 0 {
			break
		}
		o.mu.Unlock()
	}
	defer o.mu.Unlock()
	w.Lift() // try would fail once it has passed
	o.writing = false
	left := o.lend()
	left.rest, left.controls = nil, nil
	if left.released != nil {
		close(left.released)
		left.released = nil
	}
	return err
}

// come returns what came while something was written, nothing at the end. The outlet's lock is held.
func (b *busy) come() (next []byte) {
	if next, b.rest = b.rest, nil; len(next) == 0 && len(b.controls) > 0 {
		next, b.controls = b.controls[0], b.controls[1:]
	}
	return next
}

// await waits until nobody writes, or until others do again. The lock is held, and given up meanwhile.
func (o *Outlet) await() {
	b := o.lend()
	if b.released == nil {
		b.released = make(chan struct{})
	}
	released := b.released
	o.mu.Unlock()
	<-released
	o.mu.Lock()
}

// try writes what can be written without waiting. The lock is held, and nobody is writing.
func (o *Outlet) try(data []byte) (n int, err error) {
	if err := o.failed; err != nil {
		return 0, err
	}
	if o.raw == nil || len(data) == 0 {
		return 0, nil
	}
	n, o.failed = tryWrite(o.raw, data)
	return n, o.failed
}

// unwritable is why nothing more can be written. The lock is held.
func (o *Outlet) unwritable() error {
	if o.failed == nil && o.last {
		return ErrLast
	}
	return o.failed
}

// reason is why Next was stopped: writing failed, or somebody said so.
func (o *Outlet) reason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return o.failed
	}
	return ErrStopped
}
