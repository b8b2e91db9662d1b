package live

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// Extend gives a hub the extension that knows who is where: package presence calls it, which is the way to use it. A hub has one; a second
// one is an error of register, and panics as Register does.
func (h *Hub) Extend(with func(extend.Host) extend.Extension) {
	x := with(host{h})
	h.mu.Lock()
	if h.extension != nil {
		h.mu.Unlock()
		panic("live: this hub has presence already: make one presence.New for each hub")
	}
	h.extension = x
	h.mu.Unlock()
	h.sessions.Go(func() { x.Run(h.running) })
	// Between two batches of the log: x is told of each entry from here on.
	h.engine.Attend(func(at broker.Position, began bool) {
		h.extended = x
		if began {
			x.Began(at)
		}
	})
}

// began is told when the hub begins to follow the log after a position.
func (h *Hub) began(at broker.Position) {
	run := rand.Text()[:12]
	h.run.Store(&run)
	h.memory.Reset(at)
	if h.extended != nil {
		h.extended.Began(at)
	}
	for _, l := range h.listeners {
		if l.Began != nil {
			l.Began(at)
		}
	}
}

// extend tells what follows the log beside the sessions of an entry, before they are told.
func (h *Hub) extend(at broker.Position, e *record.Entry) {
	h.watches.seen(h, e)
	if h.extended != nil {
		h.extended.Seen(at, e)
	}
	for _, l := range h.listeners {
		if l.Seen != nil {
			l.Seen(at, e)
		}
	}
}

// present is the extension, nil without one.
func (h *Hub) present() extend.Extension {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.extension
}

// host is a hub as its extension sees it.
type host struct{ hub *Hub }

func (h host) CatchUp(ctx context.Context) error { return h.hub.engine.CatchUp(ctx) }

func (h host) Logger() *slog.Logger { return h.hub.options.Logger }

func (h host) Visible(ctx context.Context, place extend.Place) (err error) {
	defer h.hub.guard(&err, elsewhere)
	_, err = app(h).visible(ctx, placed{router: place.Router, channel: place.Channel, keys: []string{place.Key}, single: true}, nil)
	return err
}

// readySoon is how long a caller waits for presence to know who is there.
const readySoon = 10 * time.Second

// soon waits until an extension is ready; it returns the position from which on it has followed the log.
func soon(ctx context.Context, x extend.Extension) (broker.Position, error) {
	waiting, cancel := context.WithTimeout(ctx, readySoon)
	defer cancel()
	since, err := x.Ready(waiting)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: presence: %w", session.ErrUnavailable, err)
	}
	return since, err
}

func (h host) Soon(ctx context.Context, x extend.Extension) error {
	_, err := soon(ctx, x)
	return err
}
