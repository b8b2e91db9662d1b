package brokertest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/swampline/live/broker"
)

// brief is the deadline of calls that are made while the log cannot be reached.
const brief = 300 * time.Millisecond

// checkAway takes the server away under a reader. While it is away calls fail in time; when it is back, the reader, who
// follows again from its last entry whenever Follow fails, is given all that was acknowledged, before and after.
func checkAway(l *lab) error {
	head, err := l.head()
	if err != nil {
		return err
	}
	acked, err := l.fill(10)
	if err != nil {
		return err
	}
	read := make(chan sitting, 1)
	l.writers.Go(func() { read <- resume(l, head) })
	plain := l.follow(head, func(batch []broker.Entry) error {
		// What failed may be behind it: an Append that nobody waits for any more can be done late.
		if slices.ContainsFunc(batch, func(e broker.Entry) bool { return string(e.Data) == theEnd }) {
			return errStop
		}
		return nil
	})
	if err := plain.gets(acked); err != nil {
		return err
	}

	back := l.h.Away(l.t, l.b)
	failed, err := failInTime(l)
	back()
	if err != nil {
		return err
	}

	for _, data := range []string{"it is back", "and stays", theEnd} {
		e, err := persist(l, []byte(data))
		if err != nil {
			return err
		}
		acked = append(acked, e)
	}
	s := l.finish(read)
	if errors.Is(s.err, broker.ErrExpired) {
		return broken(followAgain, "nothing was lost while it could not be reached, and the reader was told %q", s.err)
	}
	if err := s.check(acked, failed); err != nil {
		return err
	}
	return checkUninterrupted(plain, acked, failed)
}

// failInTime calls what must fail while the log cannot be reached, and returns the data of what it tried to append.
func failInTime(l *lab) (failed [][]byte, err error) {
	appending := func(data string) func(ctx context.Context) error {
		failed = append(failed, []byte(data))
		return func(ctx context.Context) error {
			_, err := l.b.Append(ctx, []byte(data))
			return err
		}
	}
	for _, call := range []struct {
		what string
		do   func(ctx context.Context) error
		end  func() (context.Context, context.CancelFunc)
	}{
		{"Append with a deadline", appending("with a deadline"), l.deadline},
		{"Append that is cancelled", appending("cancelled"), l.cancelled},
		{"Head with a deadline", func(ctx context.Context) error { _, err := l.b.Head(ctx); return err }, l.deadline},
		{"Head that is cancelled", func(ctx context.Context) error { _, err := l.b.Head(ctx); return err }, l.cancelled},
	} {
		ctx, cancel := call.end()
		returned := make(chan error, 1)
		l.writers.Go(func() { returned <- call.do(ctx) })
		select {
		case err := <-returned:
			cancel()
			if err == nil {
				return nil, broken(away, "%s returned no error", call.what)
			}
		case <-time.After(brief + l.h.Patience):
			cancel()
			return nil, broken(away, "%s did not return within %v after %v", call.what, l.h.Patience, brief)
		}
	}
	// A Follow that begins now may wait or fail, but it ends with its context.
	f := l.follow(broker.Position{}, nil)
	f.cancel()
	return failed, f.wait(followCancelled)
}

// deadline returns a context that ends soon.
func (l *lab) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.ctx, brief)
}

// cancelled returns a context without a deadline that is cancelled as soon.
func (l *lab) cancelled() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(l.ctx)
	timer := time.AfterFunc(brief, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// checkUninterrupted looks at a follower that was there when the server went and does not follow again: it goes on, or it has
// ended with an error after a part without a gap.
func checkUninterrupted(f *follower, acked []broker.Entry, failed [][]byte) error {
	if err := f.wait(followAgain); err != nil {
		return err
	}
	s := sitting{entries: f.got()}
	if errors.Is(f.err, errStop) {
		return s.check(acked, failed)
	}
	if f.err == nil || errors.Is(f.err, broker.ErrExpired) {
		return broken(followAgain, "a follower of a log that could not be reached was told %q", text(f.err))
	}
	got, err := s.acknowledged(acked, failed)
	if err != nil {
		return err
	}
	return prefix(acked, got)
}
