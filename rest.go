package live

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/wire"
)

// reserved are the words of the protocol in a query string; everything else there is a filter.
var reserved = []string{"cursor", "wait", "order", "limit", "bound", "count", "protocol", "transport", "channel", "include", "tag"}

// serveRouter serves a router's URL: its list, the changes to it, and create.
func (h *Hub) serveRouter(w http.ResponseWriter, r *http.Request, to route) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		query := r.URL.Query()
		m := wire.Message{
			Type: wire.Subscribe, ID: 1, Router: to.router,
			Params: query, Order: query.Get("order"), Cursor: cursorOf(r),
		}
		if m.Cursor != "" {
			m.Tag = tagOf(r)
		}
		if err := h.windowOf(query, &m); err != nil {
			return err
		}
		if query.Has("include") {
			m.Include = strings.Split(query.Get("include"), ",")
			if problem := wire.CheckIncludes(m.Include); problem != nil {
				return problem
			}
		}
		for _, word := range reserved {
			delete(query, word)
		}
		if r.Method == http.MethodGet && (m.Cursor != "" || isUpgrade(r) || strings.Contains(r.Header.Get("Accept"), "text/event-stream")) {
			return h.drain(w, r, &m, nil)
		}
		if _, err := h.wait(r); err != nil { // a list is answered at once, but a mistake is one
			return err
		}
		if err := h.polled(r); err != nil {
			return err
		}
		return h.serveList(w, r, m)
	case http.MethodPost:
		body, err := h.json(w, r, "application/json")
		if err != nil {
			return err
		}
		return h.serveCall(w, r, wire.Message{Type: wire.Call, ID: 1, Router: to.router, Verb: "create", Data: body}, http.StatusCreated)
	case http.MethodPatch, http.MethodDelete:
		if strings.Contains(h.allow(to), r.Method) {
			return h.serveBulk(w, r, to)
		}
	}
	return methodNotAllowed(w, h.allow(to))
}

// windowOf reads what a query string says of a window or a count.
func (h *Hub) windowOf(query url.Values, m *wire.Message) error {
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return wire.NewProblem(http.StatusBadRequest, "malformed_message", "limit: want a positive number").Field("limit", "want a positive number")
		}
		m.Limit = n
	}
	if text := query.Get("bound"); text != "" {
		if depth := h.options.Limits.Depth - 1; wire.Deeper([]byte(text), depth) {
			return wire.TooDeep(depth)
		}
		if json.Unmarshal([]byte(text), &m.Bound) != nil || m.Limit == 0 || m.Cursor == "" {
			return wire.NewProblem(http.StatusBadRequest, "malformed_message", "bound: want an array, with a cursor and a limit").Field("bound", "want an array, with a cursor and a limit")
		}
	}
	if text := query.Get("count"); text != "" {
		if text != "true" || m.Limit != 0 || m.Order != "" {
			return wire.NewProblem(http.StatusBadRequest, "malformed_message", "count: want true, without order and limit").Field("count", "want true, without order and limit")
		}
		m.Count = true
	}
	return nil
}

// serveBulk serves update and delete of many rows.
func (h *Hub) serveBulk(w http.ResponseWriter, r *http.Request, to route) error {
	body, err := h.json(w, r, "application/json")
	if err != nil {
		return err
	}
	m := wire.Message{Type: wire.Call, ID: 1, Router: to.router, Verb: "update", Data: body}
	status := http.StatusOK
	if r.Method == http.MethodDelete {
		m.Verb, status = "delete", http.StatusNoContent
	}
	if !isArray(body) {
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", "data: want an array of rows, got "+describe(body))
	}
	return h.serveCall(w, r, m, status)
}

// serveVerb serves the URL of a verb of the application's own.
func (h *Hub) serveVerb(w http.ResponseWriter, r *http.Request, to route) error {
	if r.Method != http.MethodPost {
		return methodNotAllowed(w, h.allow(to))
	}
	var body []byte
	if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" { // a verb may take nothing
		var err error
		if body, err = h.json(w, r, "application/json"); err != nil {
			return err
		}
	}
	m := wire.Message{Type: wire.Call, ID: 1, Router: to.router, Verb: to.verb, Key: to.key, Data: body, Version: ifMatch(r)}
	return h.serveCall(w, r, m, http.StatusOK)
}

// allow returns the methods that the URL of a router, a row or a verb takes: those of the verbs that exist.
func (h *Hub) allow(to route) string {
	var methods []string
	add := func(exists bool, names ...string) {
		if exists {
			methods = append(methods, names...)
		}
	}
	e := h.endpointOf(to.router)
	v := e.verbs
	switch {
	case to.verb != "":
		add(e.hasVerb(to.verb, to.key != ""), "POST")
	case to.key == "":
		add(v.list != nil, "GET", "HEAD")
		add(v.create != nil, "POST")
		add(v.update != nil && e.tx != nil, "PATCH")
		add(v.delete != nil && e.tx != nil, "DELETE")
	default:
		add(v.get != nil, "GET", "HEAD")
		add(v.update != nil, "PATCH")
		add(v.delete != nil, "DELETE")
		add(e.hasVerb(to.key, false), "POST")
	}
	return strings.Join(methods, ", ")
}

// serveList answers with the rows that the caller may see, or with 304 when nothing that concerns them has changed since.
func (h *Hub) serveList(w http.ResponseWriter, r *http.Request, m wire.Message) (err error) {
	defer h.guard(&err, inList)
	e := h.endpointOf(m.Router)
	if e.verbs.list == nil {
		return unknownVerb(e, "list")
	}
	if err := e.mayUse(r.Context(), "list"); err != nil {
		return err
	}
	if err := h.engine.ReadySoon(r.Context()); err != nil {
		return err
	}
	run := *h.run.Load() // before the position of what is read
	s, err := e.selection(r.Context(), m)
	if err != nil {
		return err
	}
	q := e.stream.Acquire(livequery.Spec{View: s.view.View, Predicate: s.predicate, Count: s.count, Caller: context.WithoutCancel(r.Context())}, h.engine.Position)
	defer e.stream.Release(q)

	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "private, no-cache")
	header.Add("Vary", "Accept, Cookie, Authorization")
	tag := q.Tag()
	if seen, ok := etagOf(r.Header.Get("If-None-Match"), tag); ok && e.stream.UnchangedSince(q, seen.at, seen.mark()) && h.holds(seen) {
		header.Set("ETag", seen.String())
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	var at broker.Position
	listing := wire.Listing{}
	if s.count {
		f, err := e.load(r.Context(), q, s, h.engine.Position(), false)
		if err != nil {
			return err
		}
		at, listing.Cursor, listing.Count = f.at, f.at.String(), &f.count
	} else {
		var p page
		var reading livequery.Reading
		if p, reading, err = e.readCapped(r.Context(), &s); err != nil {
			return err
		}
		if at = reading.At; !p.full { // a part of the rows says nothing of the others
			tag = livequery.WithMark(tag, e.stream.Prime(q, reads(p), reading))
		}
		listing, _, _ = e.listing(s, p, at.String())
	}
	listing.Tag = tag
	header.Set("ETag", etag{at, tag, run}.String())
	h.answerDeadline(w, r)
	_, _ = w.Write(append(wire.Snapshot(listing).Data, '\n'))
	return nil
}

// holds reports whether the list of an ETag was one of this log. Of one that this hub gave since it follows the log that is certain, however long
// ago, so that a client whose list nothing happens to never has it read. With another the memory of the log tells, as far as it reaches. It is asked
// behind UnchangedSince: when the log is lost, what that goes by is forgotten last.
func (h *Hub) holds(seen etag) bool {
	if seen.run == *h.run.Load() {
		return true
	}
	_, ok := h.engine.Window(seen.at, 0)
	return ok
}

// etag names a list: the position that it was read at, the predicate with the caller's rights in it, and the run of the hub that gave it.
type etag struct {
	at       broker.Position
	tag, run string
}

// mark is that of the list.
func (e etag) mark() string {
	_, mark := livequery.CutMark(e.tag)
	return mark
}

// String is the ETag as a header has it.
func (e etag) String() string { return `"` + e.at.String() + "~" + e.tag + "~" + e.run + `"` }

// etagOf finds the ETag of a list in an If-None-Match header.
func etagOf(header, tag string) (seen etag, ok bool) {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.Trim(strings.TrimPrefix(strings.TrimSpace(candidate), "W/"), `"`)
		cursor, rest, _ := strings.Cut(candidate, "~")
		of, run, ok := strings.Cut(rest, "~")
		if !ok {
			continue
		}
		if rights, _ := livequery.CutMark(of); rights != tag {
			continue
		}
		if at, err := broker.ParsePosition(cursor); err == nil {
			return etag{at, of, run}, true
		}
	}
	return etag{}, false
}

// serveRow serves a row's URL.
func (h *Hub) serveRow(w http.ResponseWriter, r *http.Request, to route) error {
	m := wire.Message{Type: wire.Call, ID: 1, Router: to.router, Key: to.key}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		m.Verb = "get"
		return h.serveCall(w, r, m, http.StatusOK)
	case http.MethodPatch:
		body, err := h.json(w, r, "application/json", "application/merge-patch+json")
		if err != nil {
			return err
		}
		m.Verb, m.Data, m.Version = "update", body, ifMatch(r)
		if m.Base, err = h.baseOf(r); err != nil {
			return err
		}
		return h.serveCall(w, r, m, http.StatusOK)
	case http.MethodDelete:
		m.Verb, m.Version = "delete", ifMatch(r)
		return h.serveCall(w, r, m, http.StatusNoContent)
	case http.MethodPost: // a verb of the router, which no row is called when it is posted to
		if h.endpointOf(to.router).hasVerb(to.key, false) {
			return h.serveVerb(w, r, route{router: to.router, verb: to.key})
		}
	}
	return methodNotAllowed(w, h.allow(to))
}

// baseOf returns the values that a writer saw of the fields that he writes: a JSON object in the query string. Whether it is one is found out
// where it is used.
func (h *Hub) baseOf(r *http.Request) (json.RawMessage, error) {
	text := r.URL.Query().Get("base")
	switch depth := h.options.Limits.Depth - 1; {
	case text == "":
		return nil, nil
	case wire.Deeper([]byte(text), depth):
		return nil, wire.TooDeep(depth)
	}
	return json.RawMessage(text), nil
}

// ifMatch returns the version that a writer saw, as JSON.
func ifMatch(r *http.Request) json.RawMessage {
	text := strings.TrimPrefix(strings.TrimSpace(r.Header.Get("If-Match")), "W/")
	if text == "" {
		return nil
	}
	return versionText(strings.Trim(text, `"`))
}

// serveCall runs a verb and answers with the row, the rows or what else it returned.
func (h *Hub) serveCall(w http.ResponseWriter, r *http.Request, m wire.Message, status int) error {
	counted := h.polled
	if writes(m) {
		counted = h.wrote
	}
	if err := counted(r); err != nil {
		return err
	}
	if err := h.engine.ReadySoon(r.Context()); err != nil {
		return err
	}
	defer label(r.Context(), "router", m.Router)()
	if writes(m) {
		m.Mutation = strings.Trim(r.Header.Get("Idempotency-Key"), `"`)
	}
	answer, at, err := app{h}.Call(r.Context(), m)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Cache-Control", "private, no-cache")
	header.Add("Vary", "Cookie, Authorization")
	if !at.IsZero() {
		header.Set("Live-Cursor", at.String())
	}
	if answer.Version != nil {
		header.Set("ETag", `"`+strconv.FormatInt(*answer.Version, 10)+`"`)
	}
	if status == http.StatusCreated && answer.Key != "" {
		header.Set("Location", url.PathEscape(m.Router)+"/"+url.PathEscape(answer.Key))
	}
	body := answer.Row
	switch {
	case answer.Data != nil:
		body = answer.Data
	case answer.Listing != nil:
		body = append(append([]byte(`{"rows":[`), answer.Listing.Rows...), "]}"...)
	}
	if body == nil {
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return nil
	}
	if seen := header.Get("ETag"); m.Verb == "get" && seen != "" && h.endpointOf(m.Router).plain && slices.ContainsFunc(strings.Split(r.Header.Get("If-None-Match"), ","),
		func(tag string) bool { return strings.TrimPrefix(strings.TrimSpace(tag), "W/") == seen }) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", "application/json")
	h.answerDeadline(w, r)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}
