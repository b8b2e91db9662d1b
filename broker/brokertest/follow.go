package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/swampline/live/broker"
)

func checkFromZero(l *lab) error {
	early := l.follow(broker.Position{}, nil) // the log is empty
	want, err := l.fill(50)
	if err != nil {
		return err
	}
	late := l.follow(broker.Position{}, nil)
	if err := late.gets(want); err != nil {
		return err
	}
	more, err := l.fill(50)
	if err != nil {
		return err
	}
	want = append(want, more...)
	if err := early.gets(want); err != nil {
		return err
	}
	return late.gets(want)
}

func checkFromEveryPosition(l *lab) error {
	head, err := l.head()
	if err != nil {
		return err
	}
	want, err := l.fill(40)
	if err != nil {
		return err
	}
	followers := []*follower{l.follow(head, nil)}
	for _, e := range want {
		followers = append(followers, l.follow(e.Position, nil))
	}
	for i, f := range followers {
		if err := f.gets(want[i:]); err != nil {
			return err
		}
	}
	more, err := l.fill(3)
	if err != nil {
		return err
	}
	want = append(want, more...)
	for i, f := range followers {
		if err := f.gets(want[i:]); err != nil {
			return err
		}
	}
	return nil
}

func checkFromHead(l *lab) error {
	if _, err := l.fill(10); err != nil {
		return err
	}
	head, err := l.head()
	if err != nil {
		return err
	}
	f := l.follow(head, nil)
	want, err := l.fill(10)
	if err != nil {
		return err
	}
	return f.gets(want)
}

// checkBackfillBecomesLive starts followers, from zero and from the head of the moment, again and again while writers
// write: where what was held ends and what is new begins, nothing may be lost or come twice.
func checkBackfillBecomesLive(l *lab) error {
	const n, every = 400, 40
	milestone := make(chan struct{})
	writers := l.write(2, n, func(writer, i int) {
		if writer == 0 && i%every == every-1 {
			select {
			case milestone <- struct{}{}: // the first waits here for the followers, the second writes on
			case <-l.ctx.Done():
			}
		}
	})
	var followers []*follower
	for range n / every {
		select {
		case <-milestone:
		case <-writers.done: // one of them failed
		}
		head, err := l.head()
		if err != nil {
			return err
		}
		followers = append(followers, l.follow(broker.Position{}, nil), l.follow(head, nil))
	}
	want, err := writers.wait()
	if err != nil {
		return err
	}
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(want, end...)
	for _, f := range followers {
		if err := f.gets(after(want, f.after)); err != nil {
			return err
		}
	}
	return nil
}

var errStop = errors.New("brokertest: the reader stops here")

// checkStopAnywhere reads the log in many short sittings while a writer writes. A sitting takes a few entries and ends in
// the middle of a batch by deliver's error, or after a batch by its context; the next begins at the last entry taken.
func checkStopAnywhere(l *lab) error {
	const n = 300
	head, err := l.head()
	if err != nil {
		return err
	}
	writer := l.write(1, n, nil)
	var got []broker.Entry
	for sitting := 0; len(got) < n && !isLast(got, n); sitting++ {
		from := head
		if len(got) > 0 {
			from = got[len(got)-1].Position
		}
		taken, err := sit(l, from, 1+sitting%5, sitting%3 == 2, n)
		if err != nil {
			return err
		}
		got = append(got, taken...)
	}
	want, err := writer.wait()
	if err != nil {
		return err
	}
	return compare(allOrExpired, want, got)
}

// isLast reports whether the newest of these is the last of n entries that one writer writes.
func isLast(got []broker.Entry, n int) bool {
	return len(got) > 0 && bytes.HasSuffix(got[len(got)-1].Data, fmt.Appendf(nil, " entry %d", n-1))
}

// sit follows from a position and returns what it took: most entries and then deliver's error, or whole batches
// until there are as many and then the end of the context. The last of n entries ends it too.
func sit(l *lab, from broker.Position, most int, whole bool, n int) ([]broker.Entry, error) {
	var taken []broker.Entry
	ctx, cancel := context.WithCancel(l.ctx)
	f := l.followCtx(ctx, cancel, from, func(batch []broker.Entry) error {
		if whole {
			if taken = append(taken, batch...); len(taken) >= most || isLast(taken, n) {
				cancel()
			}
			return nil
		}
		k := min(len(batch), most-len(taken))
		if taken = append(taken, batch[:k]...); len(taken) == most || isLast(taken, n) {
			return errStop
		}
		return nil
	})
	if err := f.wait(allOrExpired); err != nil {
		return nil, err
	}
	if whole {
		return taken, f.fails(followCancelled, context.Canceled)
	}
	return taken, f.fails(followDeliver, errStop)
}
