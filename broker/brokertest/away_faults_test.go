package brokertest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

// remote makes a bent broker one whose server can be taken away: what is under way fails, and what is called meanwhile waits
// for it until its context ends. Its fields are what the faults replace.
type remote struct {
	b        *bent
	mu       sync.Mutex
	gone     chan struct{} // closed while it is away
	returned chan struct{} // closed while it is there
	// while is what an Append does that finds the server away.
	while func(ctx context.Context, data []byte) (broker.Position, error)
}

func newRemote(b *bent) *remote {
	r := &remote{b: b, gone: make(chan struct{}), returned: make(chan struct{})}
	close(r.returned)
	r.while = func(ctx context.Context, _ []byte) (broker.Position, error) {
		<-ctx.Done()
		return broker.Position{}, ctx.Err()
	}
	b.away = func(testing.TB) func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		close(r.gone)
		r.returned = make(chan struct{})
		return r.back
	}
	b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
		if gone, _ := r.state(); isClosed(gone) {
			return r.while(ctx, data)
		}
		return b.Broker.Append(ctx, data)
	}
	b.head = func(ctx context.Context) (broker.Position, error) {
		if gone, _ := r.state(); isClosed(gone) {
			<-ctx.Done()
			return broker.Position{}, ctx.Err()
		}
		return b.Broker.Head(ctx)
	}
	b.follow = r.follow
	return r
}

func (r *remote) back() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = make(chan struct{})
	close(r.returned)
}

func (r *remote) state() (gone, returned chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone, r.returned
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// follow fails when the server goes, as a broken connection does.
func (r *remote) follow(ctx context.Context, after broker.Position, deliver deliverFunc) error {
	gone, _ := r.state()
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-gone:
			cancel(errElse)
		case <-inner.Done():
		}
	}()
	err := r.b.Broker.Follow(inner, after, deliver)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return context.Cause(inner)
	}
	return err
}

// TestAway sees that a broker passes that follows the contract while its server is away, whether the entries that failed
// are in the log or not, and whether its followers fail or wait.
func TestAway(t *testing.T) {
	for name, bend := range map[string]func(r *remote){
		"what failed is not there": func(*remote) {},
		"what failed is there": func(r *remote) {
			while := r.while
			r.while = func(ctx context.Context, data []byte) (broker.Position, error) {
				r.b.Broker.Append(ctx, data)
				return while(ctx, data)
			}
		},
		"followers wait":         func(r *remote) { r.b.follow = r.b.Broker.Follow },
		"what failed comes last": lateAppend,
	} {
		t.Run(name, func(t *testing.T) {
			h := memoryHarness()
			h.New = func(testing.TB) broker.Broker {
				b := newBent(memory.Options{})
				bend(newRemote(b))
				return b
			}
			h.Away = func(t testing.TB, b broker.Broker) func() { return b.(*bent).away(t) }
			if err := runCheck(t, h, check{name: "away", run: checkAway}); err != nil {
				t.Error(err)
			}
		})
	}
}

// lateAppend has an Append that failed add its entry behind the last that was acknowledged, and followers, who wait, are given
// both at once.
func lateAppend(r *remote) {
	end, inner := []byte(theEnd), r.b.append
	r.b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
		p, err := inner(ctx, data)
		if bytes.Equal(data, end) {
			r.b.Broker.Append(ctx, []byte("cancelled"))
		}
		return p, err
	}
	r.b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
		var held []broker.Entry
		return r.b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
			if held = append(held, batch...); bytes.Equal(held[len(held)-1].Data, end) {
				return nil
			}
			batch, held = held, nil
			return deliver(batch)
		})
	}
}

var awayFaults = []fault{
	{"Append waits until the server is back", "away", away, func(_ testing.TB, b *bent) {
		r := newRemote(b)
		r.while = func(_ context.Context, data []byte) (broker.Position, error) {
			_, returned := r.state()
			<-returned
			return broker.Position{}, errElse
		}
	}},
	{"Append puts aside what it says is there", "away", away, func(_ testing.TB, b *bent) {
		newRemote(b).while = func(ctx context.Context, _ []byte) (broker.Position, error) {
			p, err := b.Broker.Head(ctx)
			p.Major++
			return p, err
		}
	}},
	{"Head answers from memory", "away", away, func(_ testing.TB, b *bent) {
		newRemote(b)
		b.head = b.Broker.Head
	}},
	{"Head does not look at its context", "away", away, func(_ testing.TB, b *bent) {
		r := newRemote(b)
		b.head = func(ctx context.Context) (broker.Position, error) {
			_, returned := r.state()
			<-returned
			return b.Broker.Head(ctx)
		}
	}},
	{"a failed Append is tried again and adds twice", "away", appendFailed, func(_ testing.TB, b *bent) {
		newRemote(b).while = func(ctx context.Context, data []byte) (broker.Position, error) {
			b.Broker.Append(ctx, data)
			b.Broker.Append(ctx, data)
			<-ctx.Done()
			return broker.Position{}, ctx.Err()
		}
	}},
	{"an absence is taken for a loss", "away", followAgain, func(_ testing.TB, b *bent) {
		r := newRemote(b)
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := r.follow(ctx, after, deliver); !errors.Is(err, errElse) {
				return err
			}
			return broker.ErrExpired
		}
	}},
	{"a follower begins again at the end", "away", followAgain, func(_ testing.TB, b *bent) {
		r := newRemote(b)
		late := make(chan struct{})
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := r.follow(ctx, after, deliver); !errors.Is(err, errElse) {
				return err
			}
			select {
			case <-late:
			case <-ctx.Done():
				return ctx.Err()
			}
			head, _ := b.Broker.Head(ctx)
			return b.Broker.Follow(ctx, head, deliver)
		}
		inner := b.append
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			if bytes.Equal(data, []byte(theEnd)) {
				close(late)
			}
			return inner(ctx, data)
		}
	}},
	{"a follower that lost its server waits for ever", "away", followAgain, func(_ testing.TB, b *bent) {
		r := newRemote(b)
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := r.follow(ctx, after, deliver); !errors.Is(err, errElse) {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}},
}
