// Package shortpoll is the transport of last resort, and curl's: a request is answered at once.
package shortpoll

import (
	"net/http"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/round"
)

// Transport is the short-poll transport.
type Transport struct{}

// Name is "shortpoll".
func (Transport) Name() string { return "shortpoll" }

// Accepts takes every GET and POST, so it goes last.
func (Transport) Accepts(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodPost
}

// Serve answers with one round of the session: what the request asked for, and what there is.
func (Transport) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	round.Serve(w, r, s, o, 0)
}
