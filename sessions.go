package live

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// openSession opens a session for a request, which a transport drains, and that speaks a dialect unless that is nil. Over, unless nil, is
// called when it is closed.
func (h *Hub) openSession(r *http.Request, transport string, dialect *session.Dialect, over func()) (*session.Session, error) {
	asker, err := h.asker(r)
	if err != nil {
		return nil, err
	}
	counted, polls := h.gate.connect, transport == "longpoll" || transport == "shortpoll"
	if polls {
		counted = h.gate.poll
	}
	if err := counted(asker); err != nil {
		return nil, err
	}
	leave, err := h.gate.enter(asker)
	if err != nil {
		return nil, err
	}
	shards := h.engine.Shards()
	on := h.onTransport(transport)
	var s *session.Session
	s = session.New(r.Context(), h.env, shards[h.next.Add(1)%uint64(len(shards))], func() {
		leave()
		h.mu.Lock()
		delete(h.open, s)
		h.mu.Unlock()
		on.Add(-1)
		if over != nil {
			over()
		}
	})
	on.Add(1)
	s.Who, s.Transport, s.Remote, s.Stays = asker.who, transport, r.RemoteAddr, !polls
	s.Dialect = dialect
	s.Messages, s.Subscribes = h.gate.allowances(asker)
	h.mu.Lock()
	h.open[s] = asker.who
	closing := h.closing
	h.mu.Unlock()
	if closing { // Shutdown may have passed it by
		s.Finish(wire.Reconnect(rand.N(h.options.DrainWindow).Milliseconds(), nil))
	}
	return s, nil
}

// openSessions are the sessions that there are.
func (h *Hub) openSessions() []*session.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.open))
}

// each calls f with every session, on the goroutine of its shard.
func (h *Hub) each(f func(*session.Session)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.open {
		s.Shard().Do(func() { f(s) })
	}
}

// resync sends every subscription back to the beginning.
func (h *Hub) resync(reason string) {
	h.each(func(s *session.Session) { s.Resync(reason) })
}

// degraded tells clients whether the broker can be reached.
func (h *Hub) degraded(yes bool) {
	if h.away.Store(yes); !yes {
		h.unsent.again()
	}
	h.each(func(s *session.Session) { s.Tell(wire.Status(yes)) })
}
