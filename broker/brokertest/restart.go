package brokertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/swampline/live/broker"
)

const theEnd = "the end"

// checkRestart restarts the server under a writer and a reader that do what the contract tells them: the writer appends
// again what failed, the reader follows again from the last entry. Every entry that was acknowledged must come, in
// order; one whose Append failed may come, even several times. A broker that cannot vouch for its history after a restart
// may say ErrExpired, after a part without a gap.
func checkRestart(l *lab) error {
	const rounds, n = 3, 100
	head, err := l.head()
	if err != nil {
		return err
	}
	read := make(chan sitting, 1)
	l.writers.Go(func() { read <- resume(l, head) })
	var acked []broker.Entry
	for round := range rounds {
		more, err := writeThroughRestart(l, round, n)
		if err != nil {
			return err
		}
		acked = append(acked, more...)
	}
	end, err := persist(l, []byte(theEnd))
	if err != nil {
		return err
	}
	acked = append(acked, end)
	return l.finish(read).check(acked, nil)
}

// finish returns what a reader was given that resumes until the end, which was appended. One that does not come to it is
// cancelled.
func (l *lab) finish(read <-chan sitting) sitting {
	select {
	case s := <-read:
		return s
	case <-time.After(l.h.Patience):
		l.cancel()
		return <-read
	}
}

// writeThroughRestart appends n entries and restarts the server when half of them are written.
func writeThroughRestart(l *lab, round, n int) ([]broker.Entry, error) {
	var acked []broker.Entry
	half, wrote := make(chan struct{}), make(chan error, 1)
	l.writers.Go(func() {
		for i := range n {
			e, err := persist(l, fmt.Appendf(nil, "round %d entry %d", round, i))
			if err != nil {
				wrote <- err
				return
			}
			acked = append(acked, e)
			if i == n/2 {
				close(half)
			}
		}
		wrote <- nil
	})
	select {
	case <-half:
		l.h.Restart(l.t, l.b)
		err := <-wrote
		return acked, err
	case err := <-wrote:
		return nil, err
	}
}

// persist appends data until it is acknowledged, for as long as the harness's patience lasts.
func persist(l *lab, data []byte) (broker.Entry, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.h.Patience)
	defer cancel()
	for {
		p, err := l.b.Append(ctx, data)
		if err == nil {
			return broker.Entry{Position: p, Data: data}, nil
		}
		if !pause(ctx) {
			return broker.Entry{}, broken(appendFailed, "after a restart Append fails for %v: %v", l.h.Patience, err)
		}
	}
}

// pause lets a moment go by between two attempts: while a server is away nothing says when it is back.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(5 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// sitting is what a reader was given until the end of the log, or until err.
type sitting struct {
	entries []broker.Entry
	err     error
}

// resume follows from a position to the end, again from the last entry whenever Follow fails.
func resume(l *lab, last broker.Position) (s sitting) {
	for {
		s.err = l.b.Follow(l.ctx, last, func(batch []broker.Entry) error {
			for _, e := range batch {
				s.entries = append(s.entries, e)
				if last = e.Position; string(e.Data) == theEnd {
					return errStop
				}
			}
			return nil
		})
		if errors.Is(s.err, errStop) {
			s.err = nil
			return s
		}
		if errors.Is(s.err, broker.ErrExpired) || !pause(l.ctx) {
			return s
		}
	}
}

// check holds what the reader was given against what was acknowledged. Of what failed, and was not tried again, each may have
// come once.
func (s sitting) check(acked []broker.Entry, failed [][]byte) error {
	got, err := s.acknowledged(acked, failed)
	if err != nil {
		return err
	}
	if errors.Is(s.err, broker.ErrExpired) {
		return prefix(acked, got)
	}
	if err := compare(followAgain, acked, got); err != nil || s.err == nil {
		return err
	}
	return broken(followAgain, "the reader ended with %q", text(s.err))
}

// acknowledged returns those of the entries that the reader was given that were acknowledged. It is an error when they came out
// of order, or when one came that nobody appended, or that was appended once and came twice.
func (s sitting) acknowledged(acked []broker.Entry, failed [][]byte) (got []broker.Entry, err error) {
	at, left := make(map[broker.Position]bool), make(map[string]int) // left: how often it may come without a position
	for _, e := range acked {
		at[e.Position], left[string(e.Data)] = true, math.MaxInt
	}
	for _, data := range failed {
		left[string(data)] = 1
	}
	for i, e := range s.entries {
		if i > 0 && !e.Position.After(s.entries[i-1].Position) {
			return nil, broken(followInOrder, "across a restart %s came after %s", show(e), show(s.entries[i-1]))
		}
		n, known := left[string(e.Data)]
		switch {
		case at[e.Position]:
			got = append(got, e)
		case !known:
			return nil, broken(followInOrder, "across a restart came %s, which nobody appended", show(e))
		case n == 0:
			return nil, broken(appendFailed, "%s was appended once, and came twice", show(e))
		default:
			left[string(e.Data)]--
		}
	}
	return got, nil
}
