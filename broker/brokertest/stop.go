package brokertest

import (
	"context"
	"errors"

	"github.com/swampline/live/broker"
)

func checkDeliverError(l *lab) error {
	head, err := l.head()
	if err != nil {
		return err
	}
	if _, err := l.fill(500); err != nil {
		return err
	}
	// Once while the log is read, once while the follower waits; and an error that looks like the broker's own.
	errOwn := errors.Join(errStop, broker.ErrExpired, context.Canceled)
	if err := refuse(l, head, errStop, false); err != nil {
		return err
	}
	if err := refuse(l, head, errOwn, false); err != nil {
		return err
	}
	if head, err = l.head(); err != nil {
		return err
	}
	return refuse(l, head, errStop, true)
}

// refuse follows from a position with a deliver that fails at once, and appends what there is to deliver when asked.
func refuse(l *lab, from broker.Position, fail error, fill bool) error {
	f := l.follow(from, func([]broker.Entry) error { return fail })
	if fill {
		if _, err := l.fill(1); err != nil {
			return err
		}
	}
	if err := f.fails(followDeliver, fail); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls != 1 {
		return broken(followDeliver, "deliver was called %d times, and had failed at the first", f.calls)
	}
	return nil
}

func checkCancelledBefore(l *lab) error {
	canceled, cancel := context.WithCancel(l.ctx)
	cancel()
	late, cancelLate := context.WithTimeout(l.ctx, 0)
	defer cancelLate()
	for range 2 { // in an empty log, and in one that has something to deliver
		if err := l.followCtx(canceled, cancel, broker.Position{}, nil).fails(followCancelled, context.Canceled); err != nil {
			return err
		}
		err := l.followCtx(late, cancelLate, broker.Position{}, nil).fails(followCancelled, context.DeadlineExceeded)
		if err != nil {
			return err
		}
		if _, err := l.fill(10); err != nil {
			return err
		}
	}
	return nil
}

func checkCancelledWaiting(l *lab) error {
	idle := l.follow(broker.Position{}, nil) // nothing will have come
	if err := idle.stop(); err != nil {
		return err
	}
	want, err := l.fill(3)
	if err != nil {
		return err
	}
	stays := l.follow(broker.Position{}, nil)
	var followers []*follower
	for range 10 {
		followers = append(followers, l.follow(broker.Position{}, nil))
	}
	for _, f := range followers {
		if err := f.gets(want); err != nil {
			return err
		}
	}
	for _, f := range followers {
		if err := f.stop(); err != nil {
			return err
		}
	}
	more, err := l.fill(3)
	if err != nil {
		return err
	}
	return stays.gets(append(want, more...)) // the others took nothing from it
}

// checkCancelledInDeliver ends the context while there is always something more to deliver: each call of deliver
// appends an entry. A broker that looks at the context only when it has nothing to do never returns.
func checkCancelledInDeliver(l *lab) error {
	if _, err := l.fill(10); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(l.ctx)
	f := l.followCtx(ctx, cancel, broker.Position{}, func([]broker.Entry) error {
		cancel()
		_, err := l.append([]byte("and on"))
		return err
	})
	return f.fails(followCancelled, context.Canceled)
}
