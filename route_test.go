package live

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/swampline/live/client"
)

// FuzzRoute finds out what URLs ask for: something that exists, or nothing.
func FuzzRoute(f *testing.F) {
	hub := New(Options{})
	f.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	declare[fine](func(r *Router[fine]) {
		r.Get = func(context.Context, Key) (fine, error) { return fine{}, nil }
		r.Verbs = map[string]CustomVerb{"rate": onFine(rateFine)}
	})(hub)
	prefixed := New(Options{Prefix: "/live/"})
	f.Cleanup(func() { _ = prefixed.Shutdown(context.Background()) })
	declare[fine]()(prefixed)
	for _, path := range []string{
		"", "/", "/live/", "/live/things", "/live/things/1", "/live/things/1/rate", "/live/things/rate", "/live/things/", "//", "/live/%2F", "/live/things/%2e%2e/x", "/live/live.js",
		"/live/things/live.js", "/live/things/%", "/a/things/b/things/c", "/live/things/\x00", "/things?x=1", "/%zz",
	} {
		for _, pattern := range []string{"", "/live/", "GET /live/{rest...}", "example.com/", "/{a}/{b}", "/live/*", "{", "/"} {
			f.Add(path, path, pattern)
		}
	}
	f.Fuzz(func(t *testing.T, path, uri, pattern string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			u = &url.URL{Path: path}
		}
		for _, h := range []*Hub{hub, prefixed} {
			to := h.route(&http.Request{Method: "GET", URL: u, RequestURI: uri, Pattern: pattern})
			named := 0
			for _, name := range []string{to.file, to.router, to.unknown} {
				if name != "" {
					named++
				}
			}
			switch {
			case named > 1, (to.key != "" || to.verb != "") && to.router == "":
				t.Fatalf("%q asks for %+v", path, to)
			case to.router != "" && h.endpointOf(to.router) == nil, to.unknown != "" && h.endpointOf(to.unknown) != nil && len(strings.Split(path, "/")) < 3:
				t.Fatalf("%q asks for %+v, which is not there", path, to)
			case to.file != "" && !client.Has(to.file):
				t.Fatalf("%q asks for the file %q", path, to.file)
			}
		}
	})
}
