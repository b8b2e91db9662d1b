package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/swampline/live/broker"
)

// follower is one call of Follow that runs, and what it was given. It keeps every Entry's Data as it came, so that a
// broker that uses the memory again is found out when the data is compared.
type follower struct {
	l      *lab
	after  broker.Position
	cancel context.CancelFunc
	news   chan struct{} // holds a token when entries came since it was last taken
	done   chan struct{} // closed when Follow has returned
	err    error         // what it returned, once done is closed

	mu       sync.Mutex
	entries  []broker.Entry
	calls    int // of deliver
	busy     bool
	returned bool
	bad      error // a way in which deliver was called that the contract forbids
}

// follow starts a follower. Hook, when it is not nil, is called with each batch after it was noted, and its error is
// what deliver returns.
func (l *lab) follow(after broker.Position, hook func([]broker.Entry) error) *follower {
	ctx, cancel := context.WithCancel(l.ctx)
	return l.followCtx(ctx, cancel, after, hook)
}

// followCtx is follow with a context of the case's own.
func (l *lab) followCtx(
	ctx context.Context, cancel context.CancelFunc, after broker.Position, hook func([]broker.Entry) error,
) *follower {
	f := &follower{l: l, after: after, cancel: cancel, news: make(chan struct{}, 1), done: make(chan struct{})}
	l.followers = append(l.followers, f)
	go func() {
		defer cancel()
		err := l.b.Follow(ctx, after, func(batch []broker.Entry) error { return f.deliver(batch, hook) })
		f.mu.Lock()
		f.returned = true
		f.mu.Unlock()
		f.err = err
		close(f.done)
	}()
	return f
}

func (f *follower) deliver(batch []broker.Entry, hook func([]broker.Entry) error) error {
	f.begin(batch)
	defer f.end()
	if hook != nil {
		return hook(batch)
	}
	return nil
}

// begin notes a batch, and what is wrong about it.
func (f *follower) begin(batch []broker.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.busy:
		f.bad = broken(deliverOneAtATime, "deliver was called while it ran")
	case f.returned:
		f.bad = broken(deliverOneAtATime, "deliver was called after Follow had returned")
	case len(batch) == 0:
		f.bad = broken(followInOrder, "deliver was called with an empty batch")
	}
	f.busy = true
	f.calls++
	f.entries = append(f.entries, batch...)
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *follower) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = false
}

// got returns what came so far.
func (f *follower) got() []broker.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries[:len(f.entries):len(f.entries)]
}

// misuse returns an error when deliver was called in a way that it may not be.
func (f *follower) misuse() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}

// last returns where to follow again from.
func (f *follower) last() broker.Position {
	if got := f.got(); len(got) > 0 {
		return got[len(got)-1].Position
	}
	return f.after
}

// settle waits until as many entries came as are wanted, or the last one wanted, or Follow returned, or nothing came for
// the length of the harness's patience.
func (f *follower) settle(want []broker.Entry) {
	timer := time.NewTimer(f.l.h.Patience)
	defer timer.Stop()
	for {
		got := f.got()
		if len(got) >= len(want) || len(got) > 0 && same(got[len(got)-1], want[len(want)-1]) {
			return
		}
		select {
		case <-f.news:
			timer.Reset(f.l.h.Patience)
		case <-f.done:
			return
		case <-timer.C:
			return
		}
	}
}

func same(a, b broker.Entry) bool { return a.Position == b.Position && bytes.Equal(a.Data, b.Data) }

// gets waits for what is wanted, all that the follower is given from its beginning, and compares.
func (f *follower) gets(want []broker.Entry) error {
	f.settle(want)
	err := compare(followInOrder, want, f.got())
	if err == nil {
		return f.misuse()
	}
	select {
	case <-f.done:
		return fmt.Errorf("%w; Follow from %v had returned: %v", err, f.after, f.err)
	default:
		return fmt.Errorf("%w; Follow was called from %v", err, f.after)
	}
}

// wait waits for Follow to return. The sentence is what is broken when it does not.
func (f *follower) wait(sentence string) error {
	select {
	case <-f.done:
		return nil
	case <-time.After(f.l.h.Patience):
		return broken(sentence, "Follow from %v did not return within %v", f.after, f.l.h.Patience)
	}
}

// stop ends the follower's context: Follow must return its error.
func (f *follower) stop() error {
	f.cancel()
	return f.fails(followCancelled, context.Canceled)
}

// fails waits for Follow to return an error that wraps target.
func (f *follower) fails(sentence string, target error) error {
	if err := f.wait(sentence); err != nil {
		return err
	}
	if !errors.Is(f.err, target) {
		return broken(sentence, "Follow from %v returned %q, which does not wrap %q", f.after, text(f.err), target)
	}
	return nil
}

// expires waits for Follow to return ErrExpired. Where calls may have failed (the harness changed the epoch), another
// error is followed by another Follow from the last entry.
func (f *follower) expires() error {
	for range 3 {
		if err := f.wait(followExpired); err != nil {
			return err
		}
		if f.err == nil || errors.Is(f.err, broker.ErrExpired) {
			break
		}
		f = f.l.follow(f.last(), nil)
	}
	return f.fails(followExpired, broker.ErrExpired)
}

func text(err error) string {
	if err == nil {
		return "nil"
	}
	return err.Error()
}
