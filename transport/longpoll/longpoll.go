// Package longpoll is the transport for networks that let neither a socket nor a stream through: each request is answered when
// something happened, or when the time that the client asked to wait has passed.
//
// Over HTTP/1.1, a poll that has to wait takes its connection over, through http.ResponseController, and the handler returns; the connection goes back to
// the http.Server behind the answer, by a call of its Serve. So middleware sees such a request end when it begins to wait, without a status, and
// ConnState sees StateHijacked and then StateNew; the headers that were set before are sent. Who does not want that wraps the ResponseWriter without
// an Unwrap. Between its polls a client has as long for the next one as the server's ReadHeaderTimeout says, as on a new connection.
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
