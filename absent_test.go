package live

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
)

// absent is a broker that can be away: it then fails, or neither answers nor fails, or does what it is asked and does not say so.
type absent struct {
	*memory.Broker
	mu     sync.Mutex
	how    string // "", "fails", "hangs", "mumbles"
	back   chan struct{}
	tooBig int // bytes that are too large for it; zero for the memory's own bound
	takes  int // it fails once it has taken so many; zero for no end
}

func newAbsent() *absent {
	return &absent{Broker: memory.New(memory.Options{}), back: make(chan struct{})}
}

func (b *absent) be(how string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.how = how
	close(b.back)
	b.back = make(chan struct{})
}

func (b *absent) state() (how string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.how, b.back
}

// ask waits, or fails, as the broker does.
func (b *absent) ask(ctx context.Context) error {
	for {
		how, changed := b.state()
		switch how {
		case "fails":
			return errors.New("connection refused")
		case "":
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *absent) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if how, _ := b.state(); how == "mumbles" {
		_, _ = b.Broker.Append(ctx, data)
	}
	if err := b.ask(ctx); err != nil {
		return broker.Position{}, err
	}
	if b.tooBig > 0 && len(data) > b.tooBig {
		return broker.Position{}, broker.ErrTooLarge
	}
	if b.takes > 0 {
		if b.takes--; b.takes == 0 {
			defer b.be("fails")
		}
	}
	return b.Broker.Append(ctx, data)
}

func (b *absent) Head(ctx context.Context) (broker.Position, error) {
	if err := b.ask(ctx); err != nil {
		return broker.Position{}, err
	}
	return b.Broker.Head(ctx)
}

// Follow ends, as a connection does, when the broker goes away.
func (b *absent) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	if err := b.ask(ctx); err != nil {
		return err
	}
	_, changed := b.state()
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-following.Done():
		}
	}()
	err := b.Broker.Follow(following, after, deliver)
	if ctx.Err() == nil && following.Err() != nil {
		return errors.New("connection lost")
	}
	return err
}

// log returns what is on the log: the id of each entry, and the keys and messages.
func (b *absent) log(t *testing.T) (ids []string, said string) {
	t.Helper()
	enough := errors.New("enough")
	head, _ := b.Broker.Head(t.Context())
	err := b.Broker.Follow(t.Context(), broker.Position{}, func(entries []broker.Entry) error {
		for _, raw := range entries {
			e, err := record.Decode(raw.Data)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.ID)
			for _, c := range e.Changes {
				said += " " + c.Key
			}
			for _, m := range e.Messages {
				said += " " + string(m.Data)
			}
			if raw.Position == head {
				return enough
			}
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return ids, strings.TrimSpace(said)
}
