package live

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// checkOrigins refuses origins that no browser ever sends. An origin is a scheme and a host, with a port unless it is the scheme's.
func checkOrigins(origins []string) error {
	for _, origin := range origins {
		if origin == "null" {
			return errors.New(`Options.Origins: "null" is the origin of every page that has none, such as a sandboxed frame of anybody's: remove it`)
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || strings.Contains(origin, "*") || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) ||
			u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
			return fmt.Errorf(`Options.Origins: no page has the origin %q: origins are compared exactly, so want one as browsers send it, such as "https://app.example.com" or "http://localhost:5173": a scheme and a host in lower case, a port unless it is the usual one, nothing else`, origin)
		}
	}
	return nil
}

// admit refuses requests that web pages of other origins make, on every transport alike, and lets the permitted ones read the
// answers (CORS). It reports whether the request goes on.
func (h *Hub) admit(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	permitted := origin != "" && slices.Contains(h.options.Origins, origin)
	if len(h.options.Origins) > 0 {
		w.Header().Add("Vary", "Origin")
	}
	if permitted {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Expose-Headers", "ETag, Location, Live-Cursor, Retry-After")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Authorization")
			w.Header().Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return false
		}
		return true
	}
	if foreign(r) {
		h.refuse(w, wire.NewProblem(http.StatusForbidden, "forbidden_origin",
			"a page of another origin may not use this: list it in live.Options.Origins"))
		return false
	}
	return true
}

// foreign reports whether a page of another origin made the request, or one of none.
//
// Every browser says the origin with what may change something and with what is read by a script; one that says it may still be wrong about the
// scheme, because behind a proxy that ends TLS nobody here knows it: Sec-Fetch-Site does, since the browser compared whole origins. With
// neither it is no browser, or one that was told to embed something, which changes nothing and which no script can read.
func foreign(r *http.Request) bool {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	elsewhere := site == "cross-site" || site == "same-site"
	if origin == "" {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		return elsewhere && !(reads && r.Header.Get("Sec-Fetch-Mode") == "navigate") // a link, which its user followed
	}
	return elsewhere || !sameHost(origin, r.Host) || r.TLS != nil && !strings.HasPrefix(strings.ToLower(origin), "https:")
}

// sameHost reports whether an Origin header names the host that the request was sent to.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// body reads a request's body of one of the media types. None of them can be sent by a page of another origin without asking first.
func (h *Hub) body(w http.ResponseWriter, r *http.Request, types ...string) ([]byte, error) {
	given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, given) {
		return nil, wire.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "want Content-Type: "+types[0])
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, wire.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "want a body without Content-Encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.options.MaxMessageBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, wire.TooLarge(h.options.MaxMessageBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, wire.NewProblem(http.StatusRequestTimeout, "too_slow", fmt.Sprintf("the body did not come within %v", h.options.Limits.Receive))
	case err != nil:
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", "the body ended early")
	}
	bodyDeadline(w, r, time.Time{})
	return body, nil
}

// json reads a body that is one JSON value: what would be a message's data.
func (h *Hub) json(w http.ResponseWriter, r *http.Request, types ...string) ([]byte, error) {
	body, err := h.body(w, r, types...)
	if depth := h.options.Limits.Depth - 1; err == nil && wire.Deeper(body, depth) {
		err = wire.TooDeep(depth)
	}
	return body, err
}

// bodyDeadline says until when the body must have come, unless the server does so itself. It holds for a body that nobody reads, too: the server
// reads some of it before it takes the next request. A writer may have no deadlines.
func bodyDeadline(w http.ResponseWriter, r *http.Request, t time.Time) {
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout > 0 || r.ContentLength == 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(t)
}

// answerDeadline bounds the time that the answer may take to go out, unless the server does so itself: a client that reads a byte a second must
// not hold it. Transports have deadlines of their own.
func (h *Hub) answerDeadline(w http.ResponseWriter, r *http.Request) {
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.WriteTimeout > 0 {
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.options.WriteTimeout))
}

func writeProblem(w http.ResponseWriter, p *wire.Problem) {
	transport.WriteProblem(w, p.Status, p.JSON())
}
