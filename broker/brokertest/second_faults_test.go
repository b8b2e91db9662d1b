package brokertest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

var secondFaults = []fault{
	{"each instance has a log of its own", "two instances", headNewest, func(_ testing.TB, b *bent) {
		b.second = func(testing.TB) broker.Broker { return memory.New(memory.Options{}) }
	}},
	{"an instance sees only its own entries", "two instances", followInOrder, func(_ testing.TB, b *bent) {
		b.second = func(testing.TB) broker.Broker {
			other := bentOf(b.Broker)
			var mine sync.Map
			other.append = func(ctx context.Context, data []byte) (broker.Position, error) {
				p, err := b.Broker.Append(ctx, data)
				mine.Store(p, true)
				return p, err
			}
			other.delivers(func(batch []broker.Entry) []broker.Entry {
				return slices.DeleteFunc(batch, func(e broker.Entry) bool { _, ok := mine.Load(e.Position); return !ok })
			})
			return other
		}
	}},
	{"an instance knows the head by itself", "two instances", headNewest, func(t testing.TB, b *bent) {
		b.second = func(testing.TB) broker.Broker {
			other := bentOf(b.Broker)
			head, err := b.Broker.Head(t.Context())
			other.append = func(ctx context.Context, data []byte) (broker.Position, error) {
				head, err = b.Broker.Append(ctx, data)
				return head, err
			}
			other.head = func(context.Context) (broker.Position, error) { return head, err }
			return other
		}
	}},
	{"an instance puts its own entries first", "two instances", oneOrder, func(_ testing.TB, b *bent) {
		b.second = func(testing.TB) broker.Broker {
			other := bentOf(b.Broker)
			other.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
				if !after.IsZero() {
					return b.Broker.Follow(ctx, after, deliver)
				}
				return pairwise(other, ctx, after, deliver)
			}
			return other
		}
	}},
	{"an instance stays in its epoch", "two instances and a new epoch", headNewest, func(t testing.TB, b *bent) {
		b.second = func(testing.TB) broker.Broker {
			other := bentOf(b.Broker)
			first, err := b.Broker.Head(t.Context())
			other.head = func(ctx context.Context) (broker.Position, error) {
				p, _ := b.Broker.Head(ctx)
				p.Epoch = first.Epoch
				return p, err
			}
			return other
		}
	}},
	{"an instance goes on in the next epoch", "two instances and a new epoch", followExpired, func(t testing.TB, b *bent) {
		b.second = func(testing.TB) broker.Broker {
			other := bentOf(b.Broker)
			goOn(t, other)
			return other
		}
	}},
}
