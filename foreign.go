package live

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

// Protocol is the hub as packages of this module see it that serve another protocol on it, such as transport/pusher. An application has no
// use for it.
func (h *Hub) Protocol() extend.Protocol { return host{h} }

// Listen tells a listener of the log from between two batches of it on.
func (h host) Listen(l extend.Listener) {
	h.hub.engine.Attend(func(at broker.Position, began bool) {
		h.hub.listeners = append(h.hub.listeners, l)
		if began && l.Began != nil {
			l.Began(at)
		}
	})
}

// Go runs f until the hub has stopped.
func (h host) Go(f func(ctx context.Context)) {
	h.hub.sessions.Go(func() { f(h.hub.running) })
}

// Serve serves a request whose session speaks another protocol.
func (h host) Serve(w http.ResponseWriter, r *http.Request, f extend.Foreign) error {
	hub := h.hub
	if !hub.enter() {
		return wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "the server is shutting down: connect again")
	}
	defer hub.leave()
	s, err := hub.openSession(r, f.Name, f.Dialect, f.Closed)
	if err != nil {
		return err
	}
	st := &stay{hub: hub, session: s}
	defer st.end()
	defer label(r.Context(), "transport", f.Name)()
	o := transport.Options{
		Wait: time.Second, MaxMessageBytes: hub.options.MaxMessageBytes,
		PingInterval: hub.options.PingInterval, PongTimeout: hub.options.PongTimeout, WriteTimeout: hub.options.WriteTimeout,
		Cut: hub.waits, ReceiveTimeout: hub.options.Limits.Receive, Hold: st.hold,
	}
	f.Transport.Serve(w, r, f.Open(s, &o), o)
	st.served = true
	return nil
}

// onTransport is how many sessions a transport drains.
func (h *Hub) onTransport(name string) *atomic.Int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on[name] == nil { // of another protocol
		h.on[name] = new(atomic.Int64)
	}
	return h.on[name]
}

// Publish puts messages on the log, whatever their channels.
func (h host) Publish(ctx context.Context, messages ...record.Message) error {
	if Suppressed(ctx) {
		return nil
	}
	if err := h.hub.publish(ctx, record.Entry{Messages: messages}); err != nil {
		return fmt.Errorf("live: publishing: %w", err)
	}
	return nil
}

// Follow returns the source of a channel.
func (h host) Follow(channel string) session.Source { return h.hub.followChannel(channel) }

// Attend returns the source of who is at a place.
func (h host) Attend(ctx context.Context, m wire.Message, place extend.Place) (source session.Source, err error) {
	defer h.hub.guard(&err, elsewhere)
	x := h.hub.present()
	since, err := soon(ctx, x)
	if err != nil {
		return source, err
	}
	return app(h).attend(ctx, x, since, m, []extend.Place{place})
}

// Rows returns the source of the rows that a filter matches.
func (h host) Rows(ctx context.Context, router string, w where.Where) (source session.Source, err error) {
	defer h.hub.guard(&err, elsewhere)
	e, err := app(h).endpoint(router)
	if err != nil {
		return source, err
	}
	if e.verbs.list == nil {
		return source, unknownVerb(e, "list")
	}
	s := selection{view: e.views[""]}
	if s.predicate, err = e.schema.Where.Bind(w); err != nil {
		return source, fmt.Errorf("live: router %s: %w", router, err)
	}
	return e.source(ctx, s), nil
}

// Has reports whether a router is registered.
func (h host) Has(router string) bool { return h.hub.endpointOf(router) != nil }
