package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// bent is a memory broker of which some methods are replaced.
type bent struct {
	*memory.Broker
	append func(ctx context.Context, data []byte) (broker.Position, error)
	follow followFunc
	head   func(ctx context.Context) (broker.Position, error)
	trim   func(keep int)
	reset  func()
	away   func(t testing.TB) (back func())
	second func(t testing.TB) broker.Broker
}

type (
	followFunc  func(ctx context.Context, after broker.Position, deliver deliverFunc) error
	deliverFunc = func([]broker.Entry) error
)

// newBent returns a bent broker that does all that it should.
func newBent(o memory.Options) *bent { return bentOf(memory.New(o)) }

// bentOf returns a bent broker on a log that others may use too.
func bentOf(m *memory.Broker) *bent {
	b := &bent{Broker: m, append: m.Append, follow: m.Follow, head: m.Head, trim: m.Trim, reset: m.Reset}
	b.second = func(testing.TB) broker.Broker { return m }
	return b
}

func (b *bent) Append(ctx context.Context, data []byte) (broker.Position, error) {
	return b.append(ctx, data)
}
func (b *bent) Head(ctx context.Context) (broker.Position, error) { return b.head(ctx) }
func (b *bent) Trim(keep int)                                     { b.trim(keep) }
func (b *bent) Reset()                                            { b.reset() }
func (b *bent) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	return b.follow(ctx, after, deliver)
}

// delivers changes what each call of deliver is given; a batch from which nothing is left is not delivered.
func (b *bent) delivers(change func(batch []broker.Entry) []broker.Entry) {
	b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
		return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
			if batch = change(slices.Clone(batch)); len(batch) == 0 {
				return nil
			}
			return deliver(batch)
		})
	}
}

// noting follows, and keeps the position of the last entry that was delivered in last.
func (b *bent) noting(ctx context.Context, last *broker.Position, deliver deliverFunc) error {
	return b.Broker.Follow(ctx, *last, func(batch []broker.Entry) error {
		*last = batch[len(batch)-1].Position
		return deliver(batch)
	})
}

// patience is short here: a faulty broker is waited for in vain.
const patience = 500 * time.Millisecond

var errElse = errors.New("something else")

// fault is one way to break the contract, the case that must find it, and the sentence that it must quote.
type fault struct {
	name, check, sentence string
	bend                  func(t testing.TB, b *bent)
}

// TestSuiteFindsFaults runs each faulty broker through the case that must fail, and sees that every case can.
func TestSuiteFindsFaults(t *testing.T) {
	found := make(map[string]bool)
	for _, f := range slices.Concat(orderFaults, followFaults, dataFaults, stopFaults, expiryFaults, restartFaults, awayFaults,
		secondFaults) {
		found[f.check] = true
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := memoryHarness()
			h.Patience = patience
			h.Many = 2000
			h.MaxEntry = 1 << 16
			h.Restart = func(testing.TB, broker.Broker) {}
			h.Away = func(t testing.TB, b broker.Broker) func() { return b.(*bent).away(t) }
			h.Second = func(t testing.TB, b broker.Broker) broker.Broker { return b.(*bent).second(t) }
			h.New = func(t testing.TB) broker.Broker {
				b := newBent(memory.Options{MaxEntryBytes: 1 << 16})
				f.bend(t, b)
				return b
			}
			assertFound(t, f, h)
		})
	}
	for _, c := range checks() {
		if !found[c.name] {
			t.Errorf("no fault makes case %q fail", c.name)
		}
	}
}

// assertFound runs the case that must find a fault.
func assertFound(t *testing.T, f fault, h Harness) {
	t.Helper()
	for _, c := range checks() {
		if c.name != f.check {
			continue
		}
		quoted := fmt.Sprintf("%q", f.sentence)
		err := runCheck(t, h, c)
		if err != nil && !strings.Contains(err.Error(), quoted) { // on a busy machine something else may have taken too long
			h.Patience *= 20
			err = runCheck(t, h, c)
		}
		switch {
		case err == nil:
			t.Errorf("case %q finds nothing wrong", f.check)
		case !strings.Contains(err.Error(), quoted):
			t.Errorf("case %q should quote %q, and says:\n%v", f.check, f.sentence, err)
		default:
			t.Log(err)
		}
		return
	}
	t.Errorf("there is no case %q", f.check)
}
