package brokertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/swampline/live/broker"
)

// checkTwoInstances lets two brokers of one log, as two processes have them, append and follow beside each other.
func checkTwoInstances(l *lab) error {
	other := l.second()
	if err := sameHead(l, other); err != nil { // of the empty log: whoever asks first draws the epoch
		return err
	}
	head, err := l.head()
	if err != nil {
		return err
	}
	here, there := l.follow(head, nil), other.follow(head, nil)
	var want []broker.Entry
	for _, writer := range []*lab{l, other, l} { // each appends, and both follow
		writer.newest = head
		more, err := writer.fill(10)
		if err != nil {
			return err
		}
		want, head = append(want, more...), more[9].Position
		for _, f := range []*follower{here, there} {
			if err := f.gets(want); err != nil {
				return err
			}
		}
		if err := sameHead(l, other); err != nil {
			return err
		}
	}
	return atOnce(l, other, want, here, there)
}

// atOnce writes on both at the same time: there is one order, and both see it.
func atOnce(l, other *lab, want []broker.Entry, here, there *follower) error {
	writers, others := l.write(4, 50, nil), other.write(4, 50, nil)
	more, err := writers.wait()
	if err != nil {
		return err
	}
	theirs, err := others.wait()
	if err != nil {
		return err
	}
	more = slices.Concat(more, theirs)
	slices.SortFunc(more, func(a, b broker.Entry) int { return a.Position.Compare(b.Position) })
	want = append(want, more...)
	l.newest = want[len(want)-1].Position
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(want, end...)
	for _, f := range []*follower{here, there, l.follow(broker.Position{}, nil), other.follow(broker.Position{}, nil)} {
		f.settle(want)
		if err := compare(oneOrder, want, f.got()); err != nil {
			return err
		}
	}
	return sameHead(l, other)
}

// sameHead compares what two brokers of one log say of its newest entry.
func sameHead(l, other *lab) error {
	here, err := l.head()
	if err != nil {
		return err
	}
	there, err := other.head()
	if err != nil {
		return err
	}
	if here != there {
		return broken(headNewest, "one broker of the log says %+v, and another %+v", here, there)
	}
	return nil
}

// checkTwoInstancesNewEpoch makes one broker's log lose its history: the other must see that as well, and both are of one epoch
// again.
func checkTwoInstancesNewEpoch(l *lab) error {
	other := l.second()
	old, err := l.fill(20)
	if err != nil {
		return err
	}
	waits := other.follow(old[4].Position, nil)
	if err := waits.gets(old[5:]); err != nil {
		return err
	}
	l.newEpoch()
	want, err := l.fill(30) // longer than before: no offset tells
	if err != nil {
		return err
	}
	if err := waits.expires(); err != nil {
		return err
	}
	if err := prefix(old[5:], waits.got()); err != nil {
		return err
	}
	if err := other.answers(); err != nil {
		return err
	}
	other.newest = want[29].Position
	more, err := other.fill(1)
	if err != nil {
		return err
	}
	want = append(want, more...)
	if err := sameHead(l, other); err != nil {
		return err
	}
	if err := other.follow(old[19].Position, nil).expires(); err != nil {
		return err
	}
	for _, from := range []*lab{l, other} {
		f := from.follow(want[0].Position, nil)
		f.settle(want[1:])
		if err := compare(oneOrder, want[1:], f.got()); err != nil {
			return err
		}
	}
	return nil
}

// answers waits until the broker can reach its log: its connection may have gone with the history.
func (l *lab) answers() error {
	ctx, cancel := context.WithTimeout(l.ctx, l.h.Patience)
	defer cancel()
	for {
		_, err := l.b.Head(ctx)
		if err == nil {
			return nil
		}
		if !pause(ctx) {
			return fmt.Errorf("after a new epoch Head fails for %v: %w", l.h.Patience, err)
		}
	}
}
