package main

import (
	"net/http"

	"github.com/olahol/melody"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

// hub is melody as its README uses it. Its own limits hold: a client with 256 messages waiting loses the next.
type hub struct{ m *melody.Melody }

func newHub() *hub {
	m := melody.New()
	m.HandleConnect(func(s *melody.Session) { _ = s.Write([]byte(rival.Hello)) }) // It is a member by then. The error is of a session that is closed.
	return &hub{m}
}

// ServeHTTP upgrades, and reads until the client is gone.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Its error is that of the upgrade, which has answered.
	_ = h.m.HandleRequest(w, r)
}

// Broadcast sends one text message to every client.
func (h *hub) Broadcast(message []byte) {
	_ = h.m.Broadcast(message) // The error is of a hub that is closed, which this one never is.
}

// Clients is how many are connected.
func (h *hub) Clients() int { return h.m.Len() }
