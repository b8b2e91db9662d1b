package brokertest

import (
	"github.com/swampline/live/broker"
)

func checkEmptyHead(l *lab) error {
	for range 2 { // asking must not change it
		head, err := l.head()
		if err != nil {
			return err
		}
		if head.Epoch == 0 || head.Major != 0 || head.Minor != 0 {
			return broken(headEmpty, "Head of a fresh log is %+v", head)
		}
	}
	return nil
}

func checkHead(l *lab) error {
	empty, err := l.head()
	if err != nil {
		return err
	}
	for range 5 {
		at, err := l.fill(1)
		if err != nil {
			return err
		}
		head, err := l.head()
		if err != nil {
			return err
		}
		if head != at[0].Position {
			return broken(headNewest, "Append returned %v and then Head %v", at[0].Position, head)
		}
		if !head.After(empty) {
			return broken(headEmpty, "Head was %v, and then %v, which is not after it in its epoch", empty, head)
		}
	}
	return nil
}

func checkPositionsIncrease(l *lab) error {
	if _, err := l.fill(100); err != nil {
		return err
	}
	_, err := l.write(8, 100, nil).wait()
	return err
}

// checkOneOrder lets followers run while writers write: all of them, and one that comes later, must see the entries in
// the order of the positions that Append returned. That each writer's own entries are in its order follows.
func checkOneOrder(l *lab) error {
	head, err := l.head()
	if err != nil {
		return err
	}
	var followers []*follower
	for range 4 {
		followers = append(followers, l.follow(head, nil))
	}
	want, err := l.write(8, 200, nil).wait()
	if err != nil {
		return err
	}
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(want, end...)
	followers = append(followers, l.follow(head, nil), l.follow(broker.Position{}, nil))
	for _, f := range followers {
		f.settle(want)
		if err := compare(oneOrder, want, f.got()); err != nil {
			return err
		}
	}
	return nil
}

// checkMany is checkOneOrder with many entries, one follower beside the writers and one after them.
func checkMany(l *lab) error {
	const writers = 8
	head, err := l.head()
	if err != nil {
		return err
	}
	beside := l.follow(head, nil)
	want, err := l.write(writers, l.h.Many/writers, nil).wait()
	if err != nil {
		return err
	}
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(want, end...)
	if err := beside.gets(want); err != nil {
		return err
	}
	return l.follow(broker.Position{}, nil).gets(want)
}
