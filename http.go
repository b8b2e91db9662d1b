package live

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/client"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/websocket"
)

// serve hands a request to what its URL names.
func (h *Hub) serve(w http.ResponseWriter, r *http.Request, to route) error {
	if long := h.options.Limits.URLBytes; len(r.URL.Path)+len(r.URL.RawQuery) > long {
		return wire.NewProblem(http.StatusRequestURITooLong, "url_too_long", fmt.Sprintf("a URL may have %d bytes: POST what does not fit", long))
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil { // Query would drop what it cannot read, and with it a filter
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", "the query string cannot be read")
	}
	if p := r.URL.Query().Get("protocol"); p != "" && p != strconv.Itoa(wire.Version) {
		return wire.NewProblem(http.StatusBadRequest, "unsupported_protocol", "this server speaks version "+strconv.Itoa(wire.Version)+" of the protocol")
	}
	switch {
	case to.file != "" && r.Method != http.MethodGet && r.Method != http.MethodHead:
		return methodNotAllowed(w, "GET, HEAD")
	case to.file != "":
		client.ServeFile(w, r, to.file)
		return nil
	case to.verb != "":
		return h.serveVerb(w, r, to)
	case to.key != "":
		return h.serveRow(w, r, to)
	case to.router != "":
		return h.serveRouter(w, r, to)
	case to.unknown != "":
		_, err := app{h}.endpoint(to.unknown)
		return err
	}
	return h.serveRoot(w, r)
}

// route is what a URL names below the hub's mount point: at most one of file, router and unknown is set; none for the root. A verb is one
// of the application's own, with a key if it is on a row.
type route struct {
	file, router, key, verb, unknown string
}

// route finds out what is asked for. Where the place at which the hub is mounted cannot be told, the registered routers' names
// tell it.
func (h *Hub) route(r *http.Request) route {
	segments, certain := h.below(r)
	n := len(segments)
	if n == 0 || segments[n-1] == "" {
		return route{}
	}
	last := segments[n-1]
	known := func(i int) bool { return i >= 0 && h.endpointOf(segments[i]) != nil }
	switch {
	case certain && n == 2 && known(0):
		return route{router: segments[0], key: last}
	case client.Has(last):
		return route{file: last}
	case certain && n == 3 && known(0):
		return route{router: segments[0], key: segments[1], verb: last}
	case !certain && known(n-3) && h.endpointOf(segments[n-3]).hasVerb(last, true):
		return route{router: segments[n-3], key: segments[n-2], verb: last}
	case n == 2 && known(0):
		return route{router: segments[0], key: last}
	case known(n - 1):
		return route{router: last}
	case known(n - 2):
		return route{router: segments[n-2], key: last}
	case certain:
		return route{unknown: segments[0]}
	}
	return route{unknown: last}
}

// below returns the segments of a request's path below the hub's mount point, and whether that point is known: by an option, or
// by the pattern with which a mux matched. The pattern may have matched before http.StripPrefix took part of the path
// away.
func (h *Hub) below(r *http.Request) (segments []string, certain bool) {
	segments = split(r.URL.EscapedPath())
	if h.options.Prefix != "" {
		return cutPrefix(segments, split(strings.TrimSuffix(h.options.Prefix, "/")))
	}
	if r.Pattern == "" {
		return segments, false
	}
	mount := mountOf(r.Pattern[max(0, strings.IndexByte(r.Pattern, '/')):]) // behind a method and a host
	if asked, err := url.ParseRequestURI(r.RequestURI); err == nil {
		whole := split(asked.EscapedPath())
		stripped := len(whole) - len(segments)
		if _, before := cutPrefix(whole, mount); before && stripped > 0 && slices.Equal(whole[stripped:], segments) {
			mount = mount[min(stripped, len(mount)):]
		}
	}
	return cutPrefix(segments, mount)
}

// split returns the segments of an escaped path. A path that ends in a slash has an empty last one.
func split(escaped string) []string {
	if escaped = strings.TrimPrefix(escaped, "/"); escaped == "" {
		return nil
	}
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = plain
		}
	}
	return segments
}

// mountOf returns the segments of a pattern that matched everything below a place. A wildcard among them stands for any
// segment; the one at the end is no part of the place, and neither is any of a pattern for single paths.
func mountOf(pattern string) []string {
	place, last := path.Split(pattern)
	if last != "" && last != "*" && last != "{$}" && !strings.HasSuffix(last, "...}") {
		place, _, _ = strings.Cut(pattern, "{")
	}
	return split(strings.TrimSuffix(place, "/"))
}

// cutPrefix takes leading segments away, if they are there.
func cutPrefix(segments, prefix []string) (rest []string, ok bool) {
	if len(prefix) > len(segments) {
		return segments, false
	}
	for i, p := range prefix {
		if p != segments[i] && !strings.HasPrefix(p, "{") {
			return segments, false
		}
	}
	return segments[len(prefix):], true
}

// serveRoot serves the messages of the protocol: many subscriptions over one connection.
func (h *Hub) serveRoot(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	switch r.Method {
	case http.MethodGet:
		if name := query.Get("channel"); name != "" {
			return h.drain(w, r, &wire.Message{Type: wire.Subscribe, ID: 1, Channel: name, Cursor: cursorOf(r)}, nil)
		}
		if isUpgrade(r) {
			return h.drain(w, r, nil, nil)
		}
		w.Header().Set("Upgrade", "websocket")
		return wire.NewProblem(http.StatusUpgradeRequired, "method_not_allowed",
			"this is a live hub: connect a client here, or get a router, as in "+r.URL.Path+"todos")
	case http.MethodPost:
		body, err := h.body(w, r, "application/x-ndjson", "application/json")
		if err != nil {
			return err
		}
		return h.drain(w, r, nil, body)
	}
	return methodNotAllowed(w, "GET, POST")
}

// drain opens a session and has a transport drain it. First is the subscription of a request whose URL names a single router or
// channel.
func (h *Hub) drain(w http.ResponseWriter, r *http.Request, first *wire.Message, body []byte) error {
	wait, err := h.wait(r)
	if err != nil {
		return err
	}
	for _, t := range h.options.Transports {
		if !t.Accepts(r) {
			continue
		}
		name := t.Name()
		s, err := h.openSession(r, name, nil, nil)
		if err != nil {
			return err
		}
		st := &stay{hub: h, session: s}
		defer st.end()
		defer label(r.Context(), "transport", name)()
		s.Whole = body != nil
		if name == "websocket" || name == "sse" && first == nil {
			s.Hello()
		}
		if name == "websocket" || first == nil {
			s.Shard().Do(func() { // in order with what is told when it changes
				if h.engine.Degraded() {
					status := wire.Status(true)
					status.Quiet = true // each round says so, and none ends for it
					s.Tell(status)
				}
			})
		}
		if name == "websocket" && first == nil {
			s.Expect(h.options.Limits.FirstMessage)
		}
		if first != nil {
			if err := s.Handle(r.Context(), *first); err != nil {
				return err
			}
		}
		t.Serve(w, r, s, transport.Options{
			Body: body, Single: first != nil, Tag: h.tag(r, first), Wait: wait, MaxMessageBytes: h.options.MaxMessageBytes,
			PingInterval: h.options.PingInterval, PongTimeout: h.options.PongTimeout, WriteTimeout: h.options.WriteTimeout,
			Cut:            h.waits,
			ReceiveTimeout: h.options.Limits.Receive,
			Hold:           st.hold,
		})
		st.served = true
		return nil
	}
	return wire.NewProblem(http.StatusNotAcceptable, "not_acceptable", "this server does not offer the transport that was asked for")
}

// tag names what the caller sees of a single router, for the ids of its events; empty where nobody needs it or it cannot be had.
func (h *Hub) tag(r *http.Request, first *wire.Message) (tag string) {
	if first == nil || first.Router == "" || !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return ""
	}
	var err error
	defer h.guard(&err, elsewhere) // the subscription itself will say what is wrong
	e := h.endpointOf(first.Router)
	s, err := e.selection(r.Context(), *first)
	if err != nil {
		return ""
	}
	return livequery.Tag(e.schema, s.view.Name, s.predicate)
}

// wait returns how long a long-poll may wait.
func (h *Hub) wait(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(0 <= seconds && seconds <= 1e6) { // a NaN is neither
		return 0, wire.NewProblem(http.StatusBadRequest, "malformed_message", "wait: want seconds, got "+describe(wire.AppendString(nil, text))).Field("wait", "want seconds")
	}
	return min(time.Duration(seconds*float64(time.Second)), h.options.MaxWait), nil
}

// cursorOf returns the cursor of a request: an EventSource that reconnects sends the last id that it saw.
func cursorOf(r *http.Request) string {
	cursor, _, _ := strings.Cut(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("cursor")), "~")
	return cursor
}

// tagOf returns the tag of a request that resumes: an EventSource gives it back as a part of the id.
func tagOf(r *http.Request) string {
	_, tag, _ := strings.Cut(r.Header.Get("Last-Event-ID"), "~")
	return cmp.Or(tag, r.URL.Query().Get("tag"))
}

// isUpgrade reports whether the client asks for a WebSocket. Curl asks for h2c with the same header.
func isUpgrade(r *http.Request) bool { return websocket.Transport{}.Accepts(r) }

func methodNotAllowed(w http.ResponseWriter, allow string) error {
	w.Header().Set("Allow", allow)
	return wire.NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this URL takes "+cmp.Or(allow, "no method"))
}
