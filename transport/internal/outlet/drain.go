package outlet

import (
	"errors"
	"slices"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/buffer"
)

// Drain begins to send what the session says. It is called once, and before anything is read.
func (o *Outlet) Drain() {
	if o.enter() {
		go o.drain()
	}
}

// drain goes on with what an offer has left.
func (o *Outlet) drain() {
	defer o.leave()
	if parked, err := o.pump(); !parked {
		o.owner.Ended(err)
	}
}

// pump writes what is left, and what Next returns, until the session is parked or over.
func (o *Outlet) pump() (parked bool, err error) {
	if o.over != nil {
		defer func() {
			if p := recover(); p != nil { // of reading the log, or of what is shown of it
				parked, err = false, o.recovered(p)
			}
		}()
	}
	ended, err := o.flush()
	for err == nil && !ended {
		if o.park() {
			return true, nil
		}
		ended, err = o.next()
	}
	return false, err
}

// park reports whether the session, or whoever stopped it, goes on.
func (o *Outlet) park() bool {
	o.mu.Lock()
	if o.stopped {
		o.mu.Unlock()
		return false
	}
	o.parked = true // an offer can come before Park has returned
	o.mu.Unlock()
	if o.session.Park(o) {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	elsewhere := !o.parked
	o.parked = false
	return elsewhere
}

// next waits for what the session says next, and writes it.
func (o *Outlet) next() (ended bool, err error) {
	ctx := o.Context()
	if ctx.Err() != nil {
		return true, o.reason()
	}
	frames, err := o.session.Next(ctx)
	if failed := o.say(frames); failed != nil {
		return true, failed
	}
	if o.owner.Last(frames) {
		return true, nil
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, transport.ErrClosed) {
		return true, o.reason()
	}
	return err != nil, err
}

// flush waits until all is written that was offered. It reports whether it was the last.
func (o *Outlet) flush() (ended bool, err error) {
	o.mu.Lock()
	b := o.lend()
	mine, kept := b.rested, b.kept
	b.rested, b.kept = false, nil
	for !mine && o.writing { // something of the transport's own: who writes it writes what was offered behind it
		o.await()
	}
	o.mu.Unlock()
	if mine {
		if err := o.work(nil, nil, nil); err != nil {
			return true, err
		}
	}
	if err := o.say(kept); err != nil {
		return true, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return b.final, o.unwritable()
}

// say writes frames, joined as far as they are small, and waits until the client has taken them.
func (o *Outlet) say(frames []*transport.Frame) error {
	for len(frames) > 0 {
		n := joined(frames)
		if err := o.sayTogether(frames[:n]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (o *Outlet) sayTogether(frames []*transport.Frame) error {
	if len(frames) == 1 && len(frames[0].Data) > buffer.Size {
		return o.write(o.owner.Around(frames[0]))
	}
	b := buffer.Get()
	defer buffer.Put(b)
	b.Write(o.owner.Append(b.AvailableBuffer(), frames))
	return o.write(b.Bytes(), nil, nil)
}

// joined counts the frames that are sent together: as many as fit, and one at least.
func joined(frames []*transport.Frame) int {
	size := 0
	for i, f := range frames {
		size += len(f.Data) + 1
		if size > buffer.Size && i > 0 {
			return i
		}
	}
	return len(frames)
}

// Offer implements transport.Parked. What is small enough to be joined is written at once.
func (o *Outlet) Offer(b *transport.Batch) bool {
	if joined(b.Frames) < len(b.Frames) || len(b.Frames[0].Data) > buffer.Size {
		return o.keep(b.Frames)
	}
	data := b.Bytes(o.form, func(frames []*transport.Frame) []byte { return o.owner.Append(nil, frames) })
	last := o.owner.Last(b.Frames)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.parked { // it was stopped: who did that closes the session
		return false
	}
	if o.unwritable() != nil {
		o.unpark()
		return false
	}
	if !o.writing {
		n, err := o.try(data)
		if data = data[n:]; err == nil && len(data) == 0 && !last {
			return true
		}
		if len(data) > 0 {
			o.writing, o.lend().rested = true, true // the goroutine below is at it
		}
	}
	left := o.lend()
	left.rest = append(left.rest, data...) // a copy: the batch may be used again
	left.final = last
	o.unpark()
	return false
}

// keep leaves frames to a goroutine.
func (o *Outlet) keep(frames []*transport.Frame) bool {
	last := o.owner.Last(frames)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.parked {
		left := o.lend()
		left.kept, left.final = slices.Clone(frames), last
		o.unpark()
	}
	return false
}

// Resume implements transport.Parked.
func (o *Outlet) Resume() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.parked {
		o.unpark()
	}
}

// unpark has a goroutine go on. The lock is held.
func (o *Outlet) unpark() {
	o.parked = false
	o.running++
	go o.drain()
}
