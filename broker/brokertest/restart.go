package brokertest

import (
	"context"
	"errors"
	"fmt"
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
	var s sitting
	select {
	case s = <-read:
	case <-time.After(l.h.Patience):
		l.cancel()
		s = <-read
	}
	return s.check(acked)
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

// check holds what the reader was given against what was acknowledged.
func (s sitting) check(acked []broker.Entry) error {
	sent, at := make(map[string]bool), make(map[broker.Position]bool)
	for _, e := range acked {
		sent[string(e.Data)], at[e.Position] = true, true
	}
	var got []broker.Entry
	for i, e := range s.entries {
		if i > 0 && !e.Position.After(s.entries[i-1].Position) {
			return broken(followInOrder, "across a restart %s came after %s", show(e), show(s.entries[i-1]))
		}
		if at[e.Position] {
			got = append(got, e)
		} else if !sent[string(e.Data)] {
			return broken(followInOrder, "across a restart came %s, which nobody appended", show(e))
		}
	}
	if errors.Is(s.err, broker.ErrExpired) {
		return compare(allOrExpired, acked[:min(len(acked), len(got))], got)
	}
	if err := compare(followAgain, acked, got); err != nil || s.err == nil {
		return err
	}
	return broken(followAgain, "the reader ended with %q", text(s.err))
}
