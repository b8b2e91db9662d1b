// Package longpoll is the transport for networks that let neither a socket nor a stream through: each request is answered when
// something happened, or when the time that the client asked to wait has passed.
package longpoll

import (
	"net/http"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/round"
)

// Transport is the long-poll transport.
type Transport struct{}

// Name is "longpoll".
func (Transport) Name() string { return "longpoll" }

// Accepts takes a GET or POST whose URL says how long to wait. Whether it says it well is the hub's to find out.
func (Transport) Accepts(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return false
	}
	wait := r.URL.Query().Get("wait")
	return wait != "" && wait != "0"
}

// Serve answers with one round of the session, for which it waits up to o.Wait.
func (Transport) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	round.Serve(w, r, s, o, o.Wait)
}
