package brokertest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/swampline/live/broker"
)

var expiryFaults = []fault{
	{"expiry is passed over", "trimmed", followExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := b.Broker.Follow(ctx, after, deliver); !errors.Is(err, broker.ErrExpired) {
				return err
			}
			return b.Broker.Follow(ctx, broker.Position{}, deliver)
		}
	}},
	{"expiry is some other error", "trimmed", followExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := b.Broker.Follow(ctx, after, deliver); !errors.Is(err, broker.ErrExpired) {
				return err
			}
			return errElse
		}
	}},
	{"the head is read from what is held", "trimmed to nothing", headNewest, func(_ testing.TB, b *bent) {
		var empty atomic.Bool
		b.trim = func(keep int) { b.Broker.Trim(keep); empty.Store(keep == 0) }
		b.head = func(ctx context.Context) (broker.Position, error) {
			p, err := b.Broker.Head(ctx)
			if empty.Load() {
				p.Major = 0
			}
			return p, err
		}
	}},
	{"an empty log has expired", "trimmed to nothing", followInOrder, func(_ testing.TB, b *bent) {
		var empty atomic.Bool
		b.trim = func(keep int) { b.Broker.Trim(keep); empty.Store(keep == 0) }
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if empty.Load() && !after.IsZero() {
				return broker.ErrExpired
			}
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"beyond the end is the end", "beyond the end", followExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if head, _ := b.Broker.Head(ctx); after.After(head) {
				after = head
			}
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"the minor word is not looked at", "exact positions", followExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			after.Minor = 0
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"who named the head is not looked at", "exact positions", followExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if head, _ := b.Broker.Head(ctx); after.Major == head.Major {
				after = head
			}
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"zero is before the first of all", "zero never expires", zeroPosition, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if after.IsZero() {
				head, _ := b.Broker.Head(ctx)
				after = broker.Position{Epoch: head.Epoch}
			}
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"there is one epoch for ever", "new epoch", headEmpty, oneEpoch},
	{"positions of another epoch are taken", "new epoch", followExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if head, _ := b.Broker.Head(ctx); !after.IsZero() {
				after.Epoch = head.Epoch
			}
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"a follower goes on in the next epoch", "new epoch under a follower", followExpired, goOn},
	{"what comes while deliver runs is lost", "slow follower", deliverOneAtATime, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			for {
				err := b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
					return errors.Join(deliver(batch), errElse)
				})
				if err == nil || !errors.Is(err, errElse) || errors.Is(err, context.Canceled) {
					return err
				}
				after, _ = b.Broker.Head(ctx)
			}
		}
	}},
	{"deliver runs twice at a time", "slow follower", deliverOneAtATime, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
				go deliver(slices.Clone(batch[:1]))
				return deliver(batch)
			})
		}
	}},
	{"a follower that was passed skips", "slow follower and Trim", allOrExpired, goOn},
	{"a follower that was passed just ends", "slow follower and Trim", allOrExpired, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := b.Broker.Follow(ctx, after, deliver); !errors.Is(err, broker.ErrExpired) {
				return err
			}
			return nil
		}
	}},
}

// oneEpoch hides that the epoch changes.
func oneEpoch(_ testing.TB, b *bent) {
	const epoch = 1
	b.head = func(ctx context.Context) (broker.Position, error) {
		p, err := b.Broker.Head(ctx)
		p.Epoch = epoch
		return p, err
	}
	b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
		p, err := b.Broker.Append(ctx, data)
		p.Epoch = epoch
		return p, err
	}
}

// goOn follows what is left when a follower that was given something has lost the rest.
func goOn(_ testing.TB, b *bent) {
	b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
		last := after
		for {
			err := b.noting(ctx, &last, deliver)
			if !errors.Is(err, broker.ErrExpired) {
				return err
			}
			last = broker.Position{}
		}
	}
}
