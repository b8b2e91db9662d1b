package live_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

// way is a request in one of the ways in which a hub can be asked.
type way struct {
	method, url, body string
	headers           []string
}

// everyWay asks by every transport and every method, of desk.
var everyWay = []way{
	{"GET", "/live/", "", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}},
	{"GET", "/live/memos", "", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}},
	{"POST", "/live/", `{"type":"subscribe","id":1,"router":"memos"}`, []string{"Accept", "text/event-stream"}},
	{"GET", "/live/memos", "", []string{"Accept", "text/event-stream"}},
	{"POST", "/live/?wait=25", `{"type":"subscribe","id":1,"router":"memos"}`, nil},
	{"GET", "/live/memos?cursor=0&wait=25", "", nil},
	{"POST", "/live/", `{"type":"ping","id":1}`, nil},
	{"GET", "/live/memos?cursor=0", "", nil},
	{"GET", "/live/memos", "", nil},
	{"GET", "/live/memos/1", "", nil},
	{"GET", "/live/no", "", nil},
	{"POST", "/live/memos", `{"title":"x"}`, nil},
	{"PATCH", "/live/memos/1", `{}`, []string{"If-Match", "4"}},
	{"DELETE", "/live/memos/2", "", []string{"If-Match", "9"}},
}

// askAndGo asks, and goes away at once, so that what would stream does not.
func (r way) askAndGo(b *bench, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	request := httptest.NewRequestWithContext(ctx, r.method, "http://example.com"+r.url, strings.NewReader(r.body))
	if r.body != "" {
		request.Header.Set("Content-Type", jsonType)
	}
	headers = append(headers[:len(headers):len(headers)], r.headers...)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	b.serve.ServeHTTP(w, request)
	return w
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	const forbidden = `{"title":"Forbidden","status":403,"code":"forbidden_origin","detail":"a page of another origin may not use this: list it in live.Options.Origins"}`
	closed := newBench(t, live.Options{}, desk())
	open := newBench(t, live.Options{Origins: []string{"https://app.example.net"}}, desk())
	for _, test := range []struct {
		origin, site, mode string
		closed, open       bool // whether it is let in
		reads              bool // whether only what reads is
	}{
		{"", "", "", true, true, false},
		{"http://example.com", "same-origin", "cors", true, true, false},
		{"https://EXAMPLE.com", "", "", true, true, false},
		{"http://example.com:8080", "", "", false, false, false},
		{"https://example.com.evil.net", "", "", false, false, false},
		{"https://evil.net", "cross-site", "cors", false, false, false},
		{"null", "cross-site", "cors", false, false, false},
		{"example.com", "", "", false, false, false},
		{"https://app.example.net", "cross-site", "cors", false, true, false},
		{"http://app.example.net", "cross-site", "cors", false, false, false},
		{"https://app.example.net:443", "", "", false, false, false},
		{"", "cross-site", "no-cors", false, false, false},
		{"", "cross-site", "navigate", true, true, true},
		{"", "same-site", "cors", false, false, false},
		{"", "same-site", "no-cors", false, false, false},
		{"", "same-site", "navigate", true, true, true},
		{"", "same-origin", "cors", true, true, false},
		{"http://example.com", "cross-site", "cors", false, false, false}, // the page's scheme is another
		{"http://example.com", "same-site", "websocket", false, false, false},
		{"file://", "cross-site", "cors", false, false, false},
		{"", "none", "navigate", true, true, false},
	} {
		for b, permitted := range map[*bench]bool{closed: test.closed, open: test.open} {
			headers := []string{"Origin", test.origin, "Sec-Fetch-Site", test.site, "Sec-Fetch-Mode", test.mode, "If-Match", "4"}
			for _, r := range everyWay {
				in := permitted && (!test.reads || r.method == "GET")
				w := r.askAndGo(b, headers...)
				if refused := strings.TrimSpace(w.Body.String()) == forbidden && w.Code == 403; refused == in {
					t.Errorf("%s %s by %q: %d %s", r.method, r.url, headers, w.Code, w.Body)
				}
				allowed := w.Header().Get("Access-Control-Allow-Origin")
				if b == open && in && test.origin == "https://app.example.net" {
					equal(t, "CORS", allowed+" "+w.Header().Get("Access-Control-Allow-Credentials"), test.origin+" true")
				} else if allowed != "" {
					t.Errorf("CORS for %q: %s", headers, allowed)
				}
				if b == open && !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Origin") {
					t.Error("a cache may mix up origins")
				}
			}
			// The client itself is for everybody.
			if w := b.ask("GET", "/live/live.mjs", "", headers[:6]...); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("live.mjs by %q: %d %v", headers, w.Code, w.Header())
			}
		}
	}
}

func TestSocketsOfOtherOriginsAreRefused(t *testing.T) {
	b := newBench(t, live.Options{Origins: []string{"https://app.example.net"}}, desk())
	url := b.server() + "/live/"
	for origin, in := range map[string]bool{"https://evil.net": false, "null": false, "https://app.example.net": true, b.server(): false, strings.TrimSuffix(url, "/live/"): true} {
		c, err := transporttest.Dial(limit(t), transporttest.WebSocket, url, transporttest.ClientOptions{Header: http.Header{"Origin": {origin}}})
		var refusal *transporttest.Refusal
		switch {
		case err == nil:
			c.Drop()
			if !in {
				t.Errorf("a page of %s opened a socket", origin)
			}
		case in || !errors.As(err, &refusal) || refusal.Problem.Code != "forbidden_origin":
			t.Errorf("a page of %s: %v", origin, err)
		}
	}
}

func TestPreflightOfAPermittedOrigin(t *testing.T) {
	b := newBench(t, live.Options{Origins: []string{"https://app.example.net"}}, desk())
	w := b.want(204, "", "OPTIONS", "/live/memos/1", "", "Origin", "https://app.example.net", "Access-Control-Request-Method", "PATCH")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example.net", "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
		"Access-Control-Allow-Headers":  "Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Authorization",
		"Access-Control-Expose-Headers": "ETag, Location, Live-Cursor, Retry-After",
	} {
		equal(t, name, w.Header().Get(name), want)
	}
	b.refused(403, "forbidden_origin", "OPTIONS", "/live/memos/1", "", "Origin", "https://evil.net")
}

func TestNullIsNoOrigin(t *testing.T) {
	for _, origin := range []string{
		"null", "", "*", "https://*.example.com", "https://example.com/", "https://example.com/app", "https://example.com?x", "https://example.com#x", "example.com",
		"https://", "//example.com", "https://user@example.com", "https://Example.com", "https://example.com:443", "http://example.com:80", " https://example.com", "https://exa mple.com",
	} {
		func() {
			hub := live.New(live.Options{Origins: []string{"https://fine.example.com", origin}})
			defer hub.Shutdown(context.Background())
			if w := ask(t, hub, "GET", "http://example.com/", "", "Origin", "null"); w.Code != http.StatusForbidden {
				t.Errorf("null was let in by the list %q: %d", origin, w.Code)
			}
			defer func() {
				if p, _ := recover().(string); !strings.HasPrefix(p, "live: Options.Origins: ") {
					t.Errorf("the origin %q was accepted: %s", origin, p)
				}
			}()
			hub.Register(places("towns"))
		}()
	}
	for _, origin := range []string{"https://app.example.com", "http://localhost:5173", "https://example.com:8443", "http://[::1]", "capacitor://localhost"} {
		hub := live.New(live.Options{Origins: []string{origin}})
		hub.Register(places("towns"))
		if err := hub.Shutdown(limit(t)); err != nil {
			t.Error(err)
		}
	}
}

// A hub that ends TLS itself knows its scheme.
func TestPagesWithoutTLSAreRefusedByAHubWithIt(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	for origin, status := range map[string]int{"https://example.com": 200, "http://example.com": 403} {
		r := httptest.NewRequest("GET", "https://example.com/live/memos", nil)
		r.TLS = &tls.ConnectionState{}
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		b.serve.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s: %d", origin, w.Code)
		}
	}
}

// What a page of another origin can send without asking first changes nothing, even by a browser that says nothing of origins.
func TestSimpleRequestsChangeNothing(t *testing.T) {
	m := desk()
	called := false
	m.Verbs = map[string]live.CustomVerb{"archive": live.RowVerb[memo, struct{}, bool](func(context.Context, memo, struct{}) (bool, error) { called = true; return true, nil })}
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", ""} {
		for _, r := range []way{
			{"POST", "/live/", `{"type":"call","id":1,"router":"memos","verb":"create","data":{"title":"x"}}`, nil},
			{"POST", "/live/?wait=1", `{"type":"call","id":1,"router":"memos","verb":"create","data":{"title":"x"}}`, nil},
			{"POST", "/live/memos", `{"title":"x"}`, nil},
			{"POST", "/live/memos/1/archive", `{}`, nil},
		} {
			b.refused(415, "unsupported_media_type", r.method, r.url, r.body, "Content-Type", kind)
		}
		if kind != "" { // an empty form has a type
			b.refused(415, "unsupported_media_type", "POST", "/live/memos/1/archive", "", "Content-Type", kind)
		}
	}
	for _, override := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
		b.ask("GET", "/live/memos/1", "", override, "DELETE")
		b.ask("GET", "/live/memos/1?_method=DELETE", "", override, "DELETE")
	}
	for _, url := range []string{"/live/memos", "/live/memos/1", "/live/memos?verb=create&data={}", "/live/memos/1/archive", "/live/?type=call&router=memos&verb=delete&key=1"} {
		b.ask("GET", url, "")
		b.ask("HEAD", url, "")
	}
	if m.snapshot() != before || called {
		t.Errorf("the table was changed: %s", m.snapshot())
	}
}

func TestBodiesAreNotDecompressed(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, identity", "x"} {
		for _, r := range everyWay {
			if r.body != "" {
				b.refused(415, "unsupported_media_type", r.method, r.url, r.body, append([]string{"Content-Encoding", coding}, r.headers...)...)
			}
		}
	}
	equal(t, "table", m.snapshot(), before)
	b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`, "Content-Encoding", "identity")
}

// Compression of a WebSocket's messages is offered by browsers and not agreed to: no message is larger than what came.
func TestSocketsAreNotCompressed(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	r, err := http.NewRequestWithContext(limit(t), "GET", b.server()+"/live/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(everyWay[0].headers); i += 2 {
		r.Header.Set(everyWay[0].headers[i], everyWay[0].headers[i+1])
	}
	r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
	w, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 101 || w.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("%d, extensions %q", w.StatusCode, w.Header.Get("Sec-WebSocket-Extensions"))
	}
}
