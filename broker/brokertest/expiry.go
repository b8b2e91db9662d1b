package brokertest

import (
	"errors"
	"fmt"
	"math"

	"github.com/swampline/live/broker"
)

func checkTrimmed(l *lab) error {
	all, err := l.fill(100)
	if err != nil {
		return err
	}
	l.trim(40)
	gone, held := all[:60], all[60:]
	for _, e := range gone[:59] { // nothing is said of the last: all that follows it is held
		if err := l.follow(e.Position, nil).expires(); err != nil {
			return err
		}
	}
	if err := l.follow(broker.Position{}, nil).gets(held); err != nil {
		return err
	}
	for i, e := range held {
		if err := l.follow(e.Position, nil).gets(held[i+1:]); err != nil {
			return err
		}
	}
	more, err := l.fill(5)
	if err != nil {
		return err
	}
	return l.follow(held[39].Position, nil).gets(more)
}

// checkTrimmedToNothing is the quiet application: all entries are gone, and who has seen the last of them has lost
// nothing.
func checkTrimmedToNothing(l *lab) error {
	all, err := l.fill(10)
	if err != nil {
		return err
	}
	newest := all[9].Position
	l.trim(0)
	head, err := l.head()
	if err != nil {
		return err
	}
	if head != newest {
		return broken(headNewest, "it was %v until the log was trimmed to nothing, and is %v", newest, head)
	}
	if err := l.follow(all[4].Position, nil).expires(); err != nil {
		return err
	}
	fromHead, fromZero := l.follow(head, nil), l.follow(broker.Position{}, nil)
	want, err := l.fill(3)
	if err != nil {
		return err
	}
	if err := fromHead.gets(want); err != nil {
		return err
	}
	return fromZero.gets(want)
}

func checkBeyondTheEnd(l *lab) error {
	for range 2 { // of an empty log, and of one that holds something
		head, err := l.head()
		if err != nil {
			return err
		}
		for _, p := range []broker.Position{
			{Epoch: head.Epoch, Major: head.Major + 1<<40, Minor: head.Minor},
			{Epoch: head.Epoch, Major: math.MaxUint64, Minor: math.MaxUint64},
		} {
			if err := l.follow(p, nil).expires(); err != nil {
				return err
			}
		}
		if _, err := l.fill(10); err != nil {
			return err
		}
	}
	return nil
}

// checkExactPositions names positions beside those that exist. A server that lost what it had acknowledged gives the same
// offsets out again for other entries: who saw the lost ones must be told, so nothing near a position will do.
func checkExactPositions(l *lab) error {
	base, err := l.head()
	if err != nil {
		return err
	}
	all, err := l.fill(10)
	if err != nil {
		return err
	}
	real := map[broker.Position]bool{base: true}
	for _, e := range all {
		real[e.Position] = true
	}
	forged := func(p broker.Position) error {
		for _, q := range []broker.Position{
			{Epoch: p.Epoch, Major: p.Major, Minor: p.Minor + 1},
			{Epoch: p.Epoch, Major: p.Major, Minor: p.Minor ^ 1},
			{Epoch: p.Epoch, Major: p.Major, Minor: p.Minor ^ 1<<31},
		} {
			if real[q] {
				continue
			}
			if err := l.follow(q, nil).expires(); err != nil {
				return fmt.Errorf("%w; the log gave out %+v, and was asked for what follows %+v", err, p, q)
			}
		}
		return nil
	}
	for _, p := range []broker.Position{base, all[0].Position, all[4].Position, all[9].Position} {
		if err := forged(p); err != nil {
			return err
		}
	}
	l.trim(0) // the head is known even now
	return forged(all[9].Position)
}

func checkZeroNeverExpires(l *lab) error {
	zero := func(want []broker.Entry) error {
		f := l.follow(broker.Position{}, nil)
		f.settle(want)
		if err := compare(zeroPosition, want, f.got()); err != nil {
			select {
			case <-f.done:
				return fmt.Errorf("%w; Follow had returned: %v", err, f.err)
			default:
				return err
			}
		}
		return nil
	}
	for range 2 { // in the first epoch, and in the next
		all, err := l.fill(20)
		if err != nil {
			return err
		}
		if err := zero(all); err != nil {
			return err
		}
		l.trim(5)
		if err := zero(all[15:]); err != nil {
			return err
		}
		l.trim(0)
		if all, err = l.fill(1); err != nil {
			return err
		}
		if err := zero(all); err != nil {
			return err
		}
		l.newEpoch()
	}
	return nil
}

func checkNewEpoch(l *lab) error {
	before, err := l.head()
	if err != nil {
		return err
	}
	old, err := l.fill(20)
	if err != nil {
		return err
	}
	l.newEpoch()
	head, err := l.head()
	if err != nil {
		return err
	}
	if head.Epoch == before.Epoch || head.Epoch == 0 || head.Major != 0 || head.Minor != 0 {
		return broken(headEmpty, "the epoch was %d, and in the next Head is %+v", before.Epoch, head)
	}
	fromHead := l.follow(head, nil)
	var want []broker.Entry
	for range 2 { // while the new epoch is empty, and when it is longer than the old one
		for _, p := range []broker.Position{before, old[0].Position, old[10].Position, old[19].Position} {
			if err := l.follow(p, nil).expires(); err != nil {
				return err
			}
		}
		more, err := l.fill(30)
		if err != nil {
			return err
		}
		if want = append(want, more...); !more[0].Position.After(head) {
			return broken(headEmpty, "Head was %v, and then Append returned %v", head, more[0].Position)
		}
	}
	if err := fromHead.gets(want); err != nil {
		return err
	}
	return l.follow(broker.Position{}, nil).gets(want)
}

// checkNewEpochUnderFollower changes the epoch under a follower that waits and under one that is held up in deliver.
func checkNewEpochUnderFollower(l *lab) error {
	head, err := l.head()
	if err != nil {
		return err
	}
	gate := newGate(l)
	waits, slow := l.follow(head, nil), l.follow(head, gate.pass)
	old, err := l.fill(20)
	if err != nil {
		return err
	}
	if err := waits.gets(old); err != nil {
		return err
	}
	if err := gate.reached(slow); err != nil {
		return err
	}
	l.newEpoch()
	if _, err := l.fill(30); err != nil { // longer than before: no offset tells
		return err
	}
	gate.open()
	for _, f := range []*follower{waits, slow} {
		if err := f.expires(); err != nil {
			return err
		}
		if err := prefix(old, f.got()); err != nil {
			return err
		}
	}
	return nil
}

// checkSlow blocks deliver while the log moves on.
func checkSlow(l *lab) error {
	gate := newGate(l)
	f := l.follow(broker.Position{}, gate.pass)
	want, err := l.fill(1)
	if err != nil {
		return err
	}
	if err := gate.reached(f); err != nil {
		return err
	}
	more, err := l.fill(1000)
	if err != nil {
		return err
	}
	gate.open()
	want = append(want, more...)
	f.settle(want)
	if err := f.misuse(); err != nil {
		return err
	}
	return compare(deliverOneAtATime, want, f.got())
}

// checkSlowAndTrimmed blocks deliver while the log moves on and forgets what comes next: the follower is told, unless
// the broker had it in hand.
func checkSlowAndTrimmed(l *lab) error {
	gate := newGate(l)
	f := l.follow(broker.Position{}, gate.pass)
	want, err := l.fill(1)
	if err != nil {
		return err
	}
	if err := gate.reached(f); err != nil {
		return err
	}
	more, err := l.fill(1000)
	if err != nil {
		return err
	}
	l.trim(10)
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(append(want, more...), end...)
	gate.open()
	f.settle(want)
	if err := prefix(want, f.got()); err != nil {
		return err
	}
	if len(f.got()) == len(want) {
		return nil
	}
	if err := f.wait(allOrExpired); err != nil {
		return err
	}
	if !errors.Is(f.err, broker.ErrExpired) {
		return broken(allOrExpired, "a follower that was passed by trimming returned %q", text(f.err))
	}
	return nil
}

// prefix compares what came with as many of those that should.
func prefix(want, got []broker.Entry) error {
	return compare(allOrExpired, want[:min(len(want), len(got))], got)
}

// gate holds a follower up in its first deliver.
type gate struct {
	l             *lab
	atGate, opens chan struct{}
}

func newGate(l *lab) *gate {
	return &gate{l: l, atGate: make(chan struct{}, 1), opens: make(chan struct{})}
}

// pass is the follower's hook.
func (g *gate) pass([]broker.Entry) error {
	select {
	case g.atGate <- struct{}{}:
	default:
	}
	select {
	case <-g.opens:
		return nil
	case <-g.l.ctx.Done():
		return g.l.ctx.Err()
	}
}

// reached waits until the follower is at the gate.
func (g *gate) reached(f *follower) error {
	f.settle(make([]broker.Entry, 1)) // waits for the first entry, with the patience there is
	select {
	case <-g.atGate:
		return nil
	case <-f.done:
		return broken(followInOrder, "Follow from %v returned %q before it delivered anything", f.after, text(f.err))
	default:
	}
	if len(f.got()) == 0 {
		return broken(followInOrder, "Follow from %v delivered nothing", f.after)
	}
	<-g.atGate // it was given something, so it comes
	return nil
}

// open lets the follower pass, now and from now on.
func (g *gate) open() { close(g.opens) }
