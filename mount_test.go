package live_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// byHand is a mux that knows nothing of patterns, and takes nothing away.
type byHand struct {
	prefix string
	hub    http.Handler
}

func (m byHand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, m.prefix) {
		http.NotFound(w, r)
		return
	}
	m.hub.ServeHTTP(w, r)
}

func muxed(pattern string, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pattern, h)
	return mux
}

func TestHubServesBelowAnyPrefix(t *testing.T) {
	type mount = func(http.Handler) http.Handler
	for _, test := range []struct {
		name   string
		at     string
		mount  mount
		prefix string // the option
	}{
		{"a mux", "/live", func(h http.Handler) http.Handler { return muxed("/live/", h) }, ""},
		{"a method and a wildcard", "/live", func(h http.Handler) http.Handler { return muxed("GET /live/{rest...}", h) }, ""},
		{"a host", "/live", func(h http.Handler) http.Handler { return muxed("example.com/live/", h) }, ""},
		{"the root", "", func(h http.Handler) http.Handler { return muxed("/", h) }, ""},
		{"a deep place", "/a/b/live", func(h http.Handler) http.Handler { return muxed("/a/b/live/", h) }, ""},
		{"a wildcard before", "/acme/live", func(h http.Handler) http.Handler { return muxed("/{tenant}/live/", h) }, ""},
		{"a wildcard before a wildcard", "/acme/live", func(h http.Handler) http.Handler { return muxed("/{tenant}/live/{rest...}", h) }, ""},
		{"patterns for single paths", "/live", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			for _, pattern := range []string{"/live/{$}", "/live/{router}", "/live/{router}/{key}"} {
				mux.Handle(pattern, h)
			}
			return mux
		}, ""},
		{"an escaped place", "/a%20b/live", func(h http.Handler) http.Handler { return muxed("/a%20b/live/", h) }, ""},
		{"a stripped prefix", "/live", func(h http.Handler) http.Handler { return muxed("/live/", http.StripPrefix("/live", h)) }, ""},
		{"a prefix stripped to the slash", "/live", func(h http.Handler) http.Handler { return muxed("/live/", http.StripPrefix("/live/", h)) }, ""},
		{"half a stripped prefix", "/a/live", func(h http.Handler) http.Handler { return muxed("/a/live/", http.StripPrefix("/a", h)) }, ""},
		{"a mux in a mux", "/a/live", func(h http.Handler) http.Handler { return muxed("/a/", muxed("/a/live/", h)) }, ""},
		{"a mux in a stripped mux", "/a/live", func(h http.Handler) http.Handler { return muxed("/a/", http.StripPrefix("/a", muxed("/live/", h))) }, ""},
		{"a custom mux", "/live", func(h http.Handler) http.Handler { return byHand{"/live/", h} }, ""},
		{"a custom mux that strips", "/live", func(h http.Handler) http.Handler { return byHand{"/live/", http.StripPrefix("/live", h)} }, ""},
		{"a custom mux in a mux", "/a/live", func(h http.Handler) http.Handler { return muxed("/a/", byHand{"/a/live/", h}) }, ""},
		{"a custom mux with the option", "/a/live", func(h http.Handler) http.Handler { return byHand{"/a/live/", h} }, "/a/live/"},
		{"a mux with the option", "/a/live", func(h http.Handler) http.Handler { return muxed("/a/live/", h) }, "/a/live"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, live.Options{Prefix: test.prefix}, places("towns"), places("rivers"))
			h := test.mount(b.hub)
			for _, get := range []struct{ path, want string }{
				{"/towns", `{"type":"snapshot",`},
				{"/rivers?name=x", `{"type":"snapshot",`},
				{"/towns/Bonn", `{"key":"Bonn",`},
				{"/towns/rivers", `{"key":"rivers",`},
				{"/towns/towns", `{"key":"towns",`},
				{"/towns/a%2Fb%20c%3F%C3%BC", `{"key":"a/b c?ü",`},
				{"/towns/live.jst", `{"key":"live.jst",`},
				{"/live.mjs", ""},
				{"/lakes", `{"title":"Not Found","status":404,"code":"unknown_router","detail":"no router \"lakes\""}`},
				{"/", `{"title":"Upgrade Required","status":426,"code":"method_not_allowed",`},
			} {
				w := ask(t, h, "GET", "http://example.com"+test.at+get.path, "")
				if strings.HasPrefix(test.name, "a custom mux") && test.prefix == "" && slices.Contains([]string{"/towns/rivers", "/towns/towns", "/lakes"}, get.path) {
					continue // the option is for those
				}
				if !strings.HasPrefix(w.Body.String(), get.want) || get.want == "" && w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
					t.Errorf("%s: %d %.200s", get.path, w.Code, w.Body)
				}
			}
		})
	}
}

func TestPrefixMayBeNamedLikeARouter(t *testing.T) {
	b := newBench(t, live.Options{}, places("live"), places("livestock"))
	o := newBench(t, live.Options{Prefix: "/live"}, places("live"), places("livestock"))
	for name, h := range map[string]http.Handler{
		"mux":           muxed("/live/", b.hub),
		"stripped":      muxed("/live/", http.StripPrefix("/live", b.hub)),
		"with a option": byHand{"/live/", o.hub},
	} {
		for path, want := range map[string]string{
			"/live/live": `{"type":"snapshot",`, "/live/live/42": `{"key":"42",`, "/live/live/live": `{"key":"live",`,
			"/live/livestock": `{"type":"snapshot",`, "/live/livestock/live": `{"key":"live",`, "/live/live/live.js": `{"key":"live.js",`,
			"/live/42": `{"title":"Not Found","status":404,"code":"unknown_router","detail":"no router \"42\""}`,
			"/live/":   `{"title":"Upgrade Required",`,
		} {
			if w := ask(t, h, "GET", path, ""); !strings.HasPrefix(w.Body.String(), want) {
				t.Errorf("%s: %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
}
