package pusher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/swampline/live/internal/wire"
)

// Bounds of a request. That of a body is what the largest legal one has when every character of its strings is escaped.
const (
	defaultMaxData = 10 << 10 // bytes of an event's data
	maxURL         = 8 << 10
	maxSmallBody   = 4 << 10 // of requests that say nothing in their body
	bodyTimeout    = 30 * time.Second
)

// api serves the HTTP API: what an application's own servers ask, which sign each request with the app's secret. It is mounted at /apps/.
type api struct {
	// find returns the app with an id.
	find    func(ctx context.Context, id string) (app *App, ok bool, err error)
	backend backend
	logger  *slog.Logger
	// maxData is how many bytes the data of an event may have. Zero: 10 KiB.
	maxData int
}

// request is one that was signed by its app.
type request struct {
	app *App
	// name is that of the channel, or the id of the user, in the URL; empty where it has none.
	name string
	// parameters are those of the query, body is what came, which is empty for most.
	parameters map[string]string
	body       []byte
}

// call is one that the API knows.
type call struct {
	method string
	// body is how many bytes a body may have.
	body  int64
	serve func(a *api, ctx context.Context, q request) (answer any, err error)
}

// ServeHTTP answers one request. What stands before /apps/ in its path is where the API is mounted.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); r.ContentLength != 0 && (!ok || server.ReadTimeout <= 0) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // of a body that nobody reads, too: the server does; a writer may have no deadlines
	}
	answer, err := a.answer(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	body, err := wire.Marshal(answer)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, body)
}

// answer does what a request asks for.
func (a *api) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if len(r.URL.Path)+len(r.URL.RawQuery) > maxURL {
		return nil, wire.NewProblem(http.StatusRequestURITooLong, "url_too_long", fmt.Sprintf("a URL may have %d bytes", maxURL))
	}
	path := r.URL.EscapedPath()
	at := strings.Index(path, "/apps/")
	if at < 0 {
		return nil, notFound("there is nothing here: the API is at /apps/ID/")
	}
	path = path[at:]
	id, name, c, ok := a.route(path)
	if !ok {
		return nil, notFound("the API has no such path")
	}
	if r.Method != c.method {
		w.Header().Set("Allow", c.method)
		return nil, wire.NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "want "+c.method)
	}
	app, ok, err := a.find(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("there is no app with this id")
	}
	if app.Key == "" || app.Secret == "" { // anybody could sign
		return nil, fmt.Errorf("the app %q has no key or no secret: give it both", app.ID)
	}
	signed := signedRequest{method: r.Method, paths: signedPaths(r, path), query: r.URL.RawQuery}
	if err := signed.verify(app, time.Now()); err != nil {
		return nil, err
	}
	body, err := readBody(w, r, a.bodyLimit(c))
	if err != nil {
		return nil, err
	}
	if err := signed.checkBody(body); err != nil {
		return nil, err
	}
	if app.Disabled {
		return nil, wire.NewProblem(http.StatusForbidden, "app_disabled", "this app is disabled")
	}
	return c.serve(a, r.Context(), request{app: app, name: name, parameters: signed.parameters, body: body})
}

// route finds out what a path, escaped and from /apps/ on, asks for.
func (a *api) route(path string) (id, name string, c call, ok bool) {
	segments := strings.Split(strings.TrimPrefix(path, "/apps/"), "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil || plain == "" || !utf8.ValidString(plain) {
			return "", "", call{}, false
		}
		segments[i] = plain
	}
	get := func(serve func(*api, context.Context, request) (any, error)) call {
		return call{method: http.MethodGet, body: maxSmallBody, serve: serve}
	}
	id = segments[0]
	switch rest := segments[1:]; {
	case len(rest) == 1 && rest[0] == "events":
		return id, "", call{http.MethodPost, eventBody, (*api).postEvent}, true
	case len(rest) == 1 && rest[0] == "batch_events":
		return id, "", call{http.MethodPost, maxBatch * eventBody, (*api).postBatch}, true
	case len(rest) == 1 && rest[0] == "channels":
		return id, "", get((*api).getChannels), true
	case len(rest) == 2 && rest[0] == "channels":
		return id, rest[1], get((*api).getChannel), true
	case len(rest) == 3 && rest[0] == "channels" && rest[2] == "users":
		return id, rest[1], get((*api).getUsers), true
	case len(rest) == 3 && rest[0] == "users" && rest[2] == "terminate_connections":
		return id, rest[1], call{http.MethodPost, maxSmallBody, (*api).postTerminate}, true
	}
	return "", "", call{}, false
}

// dataLimit is how many bytes the data of an event may have.
func (a *api) dataLimit() int {
	if a.maxData > 0 {
		return a.maxData
	}
	return defaultMaxData
}

// bodyLimit is that of a call, larger where an app's events may be.
func (a *api) bodyLimit(c call) int64 {
	if c.body <= maxSmallBody {
		return c.body
	}
	return c.body / eventBody * (eventBody + maxEscape*int64(max(0, a.dataLimit()-defaultMaxData)))
}

// readBody reads a body of bounded size.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, wire.NewProblem(http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("the body of such a request may have %d bytes", limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, wire.NewProblem(http.StatusRequestTimeout, "too_slow", fmt.Sprintf("the body did not come within %v", bodyTimeout))
	case err != nil:
		return nil, badRequest("malformed_body", "the body ended early")
	}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); r.ContentLength != 0 && (!ok || server.ReadTimeout <= 0) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return body, nil
}

// refuse answers with an error: its detail and code if it is the caller's, and else nothing of the cause, which goes to the log.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var p *wire.Problem
	if !errors.As(err, &p) {
		if r.Context().Err() == nil {
			a.logger.Error("pusher: a request of the HTTP API failed", "method", r.Method, "path", clip(r.URL.Path, 200), "error", err)
		}
		p = wire.NewProblem(http.StatusInternalServerError, "internal", "that did not work; the server's log tells why")
	}
	body, err := wire.Marshal(struct {
		Error string `json:"error"`
		Code  string `json:"code"`
	}{p.Detail, p.Code})
	if err != nil { // of two strings: it cannot fail
		body = []byte("{}")
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(p.RetryAfter+0.999))))
	}
	status := p.Status
	if status < 400 { // a problem without one; with 200 no library would see that it is an error
		status = http.StatusInternalServerError
	}
	write(w, status, body)
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone needs no answer
}

// notFound refuses what is not there.
func notFound(detail string) *wire.Problem {
	return wire.NewProblem(http.StatusNotFound, "not_found", detail)
}
