package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// place is a model with text keys, for URLs.
type place struct {
	Name string `live:"name,key"`
}

// places is a router that has every row, and says which one was asked for.
func places(name string) *live.Router[place] {
	return &live.Router[place]{
		Name: name, Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]place, error) { return nil, nil },
		Get:  func(_ context.Context, key live.Key) (place, error) { return place{string(key)}, nil },
	}
}

func TestMethodsThatDoNotExist(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	for _, test := range []struct{ method, url, allow string }{
		{"PUT", "/live/memos", "GET, HEAD, POST"},
		{"DELETE", "/live/memos", "GET, HEAD, POST"},
		{"OPTIONS", "/live/memos", "GET, HEAD, POST"},
		{"PUT", "/live/memos/1", "GET, HEAD, PATCH, DELETE"},
		{"POST", "/live/memos/1", "GET, HEAD, PATCH, DELETE"},
		{"PUT", "/live/", "GET, POST"},
		{"HEAD", "/live/", "GET, POST"},
		{"DELETE", "/live/", "GET, POST"},
		{"POST", "/live/live.js", "GET, HEAD"},
	} {
		w := b.refused(405, "method_not_allowed", test.method, test.url, "")
		equal(t, test.method+" "+test.url, w.Header().Get("Allow"), test.allow)
	}
	w := b.refused(426, "method_not_allowed", "GET", "/live/", "")
	equal(t, "Upgrade", w.Header().Get("Upgrade"), "websocket")
	// Curl asks for HTTP/2 with the same header as others for a WebSocket.
	b.refused(426, "method_not_allowed", "GET", "/live/", "", "Upgrade", "h2c")
	if w := b.want(200, "…", "GET", "/live/memos", "", "Upgrade", "h2c"); w.Header().Get("ETag") == "" {
		t.Error("no plain list for a client that would like HTTP/2")
	}
}

func TestContentTypes(t *testing.T) {
	for _, test := range []struct {
		method, url, body, given string
		taken                    bool
		want                     string
	}{
		{"POST", "/live/", `{"type":"ping","id":1}`, "application/x-ndjson", true, ""},
		{"POST", "/live/", `{"type":"ping","id":1}`, "application/json; charset=utf-8", true, ""},
		{"POST", "/live/", `{"type":"ping","id":1}`, "APPLICATION/JSON", true, ""},
		{"POST", "/live/", `{"type":"ping","id":1}`, "text/plain", false, "application/x-ndjson"},
		{"POST", "/live/", `{"type":"ping","id":1}`, "application/x-www-form-urlencoded", false, "application/x-ndjson"},
		{"POST", "/live/", `{"type":"ping","id":1}`, "", false, "application/x-ndjson"},
		{"POST", "/live/memos", `{}`, "application/json", true, ""},
		{"POST", "/live/memos", `{}`, "application/x-ndjson", false, "application/json"},
		{"POST", "/live/memos", `{}`, "text/plain", false, "application/json"},
		{"PATCH", "/live/memos/1", `{}`, "application/merge-patch+json", true, ""},
		{"PATCH", "/live/memos/1", `{}`, "application/json", true, ""},
		{"PATCH", "/live/memos/1", `{}`, "multipart/form-data; boundary=x", false, "application/json"},
		{"PATCH", "/live/memos/1", `{}`, "", false, "application/json"},
	} {
		b := newBench(t, live.Options{}, desk())
		if test.taken {
			if w := b.ask(test.method, test.url, test.body, "Content-Type", test.given, "If-Match", "4"); w.Code >= 300 {
				t.Errorf("%s %s of %q: %d %s", test.method, test.url, test.given, w.Code, w.Body)
			}
			continue
		}
		b.want(415, `{"title":"Unsupported Media Type","status":415,"code":"unsupported_media_type","detail":"want Content-Type: `+test.want+`"}`,
			test.method, test.url, test.body, "Content-Type", test.given, "If-Match", "4")
	}
	b := newBench(t, live.Options{}, desk())
	for url, want := range map[string]string{"/live/memos": "application/json", "/live/memos/1": "application/json", "/live/memos?cursor=0": "application/json"} {
		equal(t, url, b.ask("GET", url, "").Header().Get("Content-Type"), want)
	}
	equal(t, "a round", b.ask("POST", "/live/", `{"type":"ping","id":1}`).Header().Get("Content-Type"), "application/x-ndjson")
	for _, test := range [][3]string{{"GET", "/live/memos", "private, no-cache"}, {"GET", "/live/memos/1", "private, no-cache"}, {"GET", "/live/memos?cursor=0", "no-store"}, {"GET", "/live/nothing", "no-store"}} {
		equal(t, test[1], b.ask(test[0], test[1], "").Header().Get("Cache-Control"), test[2])
	}
}

func TestBodyOverTheLimitIsRefusedWhole(t *testing.T) {
	for limit, said := range map[int64]string{1 << 12: "4 KiB", 1000: "1000 bytes"} {
		m := desk()
		b := newBench(t, live.Options{MaxMessageBytes: limit}, m)
		before := m.snapshot()
		long := strings.Repeat("x", int(limit))
		want := `{"title":"Request Entity Too Large","status":413,"code":"message_too_large","detail":"a message may have ` + said + ` at most"}`
		b.want(413, want, "POST", "/live/memos", `{"title":"`+long+`"}`)
		b.want(413, want, "PATCH", "/live/memos/1", `{"title":"`+long+`"}`, "If-Match", "4")
		b.want(413, want, "POST", "/live/", `{"type":"call","id":1,"router":"memos","verb":"create","data":{"title":"x"}}`+"\n"+long)
		equal(t, "table", m.snapshot(), before)
		exact := `{"note":"` + long[:int(limit)-len(`{"note":""}`)] + `"}`
		b.want(201, "…", "POST", "/live/memos", exact)
	}
}

func TestListAnswersNotModified(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m, &live.Channel{
		Name: "sync", Publish: func(context.Context, string, json.RawMessage) (any, error) { return nil, nil },
	})
	list := func(status int, tag string, headers ...string) string {
		t.Helper()
		w := b.want(status, "…", "GET", "/live/memos?list_id=7", "", append([]string{"If-None-Match", tag}, headers...)...)
		if vary := strings.Join(w.Header().Values("Vary"), ", "); vary != "Accept, Cookie, Authorization" {
			t.Errorf("Vary: %s", vary)
		}
		if status == 304 && w.Body.Len() != 0 {
			t.Errorf("304 with a body: %s", w.Body)
		}
		return w.Header().Get("ETag")
	}
	tag := list(200, "")
	equal(t, "unchanged", list(304, tag), tag)
	equal(t, "weak, among others", list(304, `"x", W/`+tag+`, "y"`), tag)
	for _, other := range []string{`"x"`, `*`, `""`, `"` + strings.Split(tag, "~")[1], `"0~` + strings.Split(tag, "~")[1], `"zz~zz"`} {
		list(200, other)
	}
	if theirs := list(200, tag, "Visitor", "2"); theirs == tag {
		t.Error("another caller's list has the same ETag")
	}

	// What does not concern the list leaves it as it was, what does makes it new.
	ctx := limit(t)
	f := b.follow("")
	sync := func() { // the result comes when the hub has taken in all that is on the log
		f.say(publish("sync", "1"))
		f.want("result")
	}
	for _, row := range []memo{{ID: 5, OwnerID: 2, ListID: 7, Version: 1}, {ID: 6, OwnerID: 1, ListID: 8, Version: 1}} {
		if err := m.Created(ctx, m.put(row)); err != nil {
			t.Fatal(err)
		}
	}
	sync()
	equal(t, "nothing that concerns it", list(304, tag), tag)
	if err := m.Created(ctx, m.put(memo{ID: 7, OwnerID: 1, ListID: 7, Version: 1})); err != nil {
		t.Fatal(err)
	}
	sync()
	changed := list(200, tag)
	if changed == tag {
		t.Error("a list that changed has the ETag of before")
	}
	list(304, changed)

	// Another query of the same router is another list.
	b.want(200, "…", "GET", "/live/memos?list_id=8", "", "If-None-Match", changed)

	// A hub on the same log that has not seen what was between does not vouch for it; for the newest it does.
	restarted := newBench(t, live.Options{Broker: b.spy}, &newMemos().Router)
	restarted.want(200, "…", "GET", "/live/memos?list_id=7", "", "If-None-Match", tag)
	restarted.want(304, "", "GET", "/live/memos?list_id=7", "", "If-None-Match", changed)
	fresh := newBench(t, live.Options{}, &newMemos().Router)
	fresh.want(200, "…", "GET", "/live/memos?list_id=7", "", "If-None-Match", changed)
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	server := b.server()
	for _, url := range []string{"/live/memos", "/live/memos/1", "/live/memos?cursor=0", "/live/live.js"} {
		response, err := http.Head(server + url)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 || response.Header.Get("ETag") == "" {
			t.Errorf("%s: %s %v", url, response.Status, response.Header)
		}
	}
}

func TestProtocolVersionIsAskedFor(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	for _, url := range []string{"/live/memos", "/live/memos/1", "/live/", "/live/?channel=x"} {
		with := func(version string) string {
			if strings.Contains(url, "?") {
				return url + "&protocol=" + version
			}
			return url + "?protocol=" + version
		}
		for _, version := range []string{"2", "0", "1.0", "x"} {
			b.want(400, `{"title":"Bad Request","status":400,"code":"unsupported_protocol","detail":"this server speaks version 1 of the protocol"}`, "GET", with(version), "")
		}
		if w := b.ask("GET", with("1"), ""); strings.Contains(w.Body.String(), "unsupported_protocol") {
			t.Errorf("%s: %s", url, w.Body)
		}
	}
	b.refused(400, "unsupported_protocol", "POST", "/live/?protocol=2", `{"type":"ping","id":1}`)
	b.refused(400, "unsupported_protocol", "GET", "/live/?protocol=2", "", "Upgrade", "websocket")
}

func TestWaitIsSeconds(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	for _, wait := range []string{"soon", "-1", "NaN", "Inf", "1e99", "1s", "%20"} {
		w := b.refused(400, "malformed_message", "POST", "/live/?wait="+wait, `{"type":"ping","id":1}`)
		if !strings.Contains(w.Body.String(), `"errors":{"wait":["want seconds"]}`) {
			t.Errorf("%s: %s", wait, w.Body)
		}
		b.refused(400, "malformed_message", "GET", "/live/memos?cursor=0&wait="+wait, "")
		b.refused(400, "malformed_message", "GET", "/live/memos?wait="+wait, "")
	}
	for _, wait := range []string{"", "0", "0.5", "60", "999999"} {
		equal(t, wait, b.ask("POST", "/live/?wait="+wait, `{"type":"ping","id":1}`).Body.String()[:22], `{"type":"pong","id":1}`)
	}
}

func TestLocationOfARowIsBesideItsRouter(t *testing.T) {
	towns := places("towns")
	towns.Create = func(context.Context, place) (place, error) { return place{"a/b c:d?é"}, nil }
	b := newBench(t, live.Options{}, towns)
	w := b.want(201, "…", "POST", "/live/towns", "{}")
	equal(t, "Location", w.Header().Get("Location"), "towns/a%2Fb%20c:d%3F%C3%A9")
	at, err := httptest.NewRequest("POST", "/live/towns", nil).URL.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	b.want(200, "…", "GET", at.String(), "")
}

func TestClientIsServedWithAnETag(t *testing.T) {
	b := newBench(t, live.Options{})
	for _, name := range []string{"live.js", "live.mjs", "presence.js", "presence.mjs"} {
		w := b.want(200, "…", "GET", "/live/"+name, "")
		tag := w.Header().Get("ETag")
		if w.Body.Len() == 0 || len(tag) < 10 {
			t.Errorf("%s: %d bytes, ETag %s", name, w.Body.Len(), tag)
		}
		b.want(304, "", "GET", "/live/"+name, "", "If-None-Match", tag)
		b.want(200, "…", "GET", "/live/"+name, "", "If-None-Match", `"other"`)
	}
	b.refused(404, "unknown_router", "GET", "/live/live.ts", "")
}

// words are a model whose fields have the names of words of the protocol.
type words struct {
	ID      int64  `live:"id,key"`
	Order   int    `live:"order,filter"`
	Cursor  string `live:"cursor,filter"`
	Wait    int    `live:"wait,filter"`
	Channel string `live:"channel,filter"`
}

func TestFieldsNamedLikeWordsOfTheProtocol(t *testing.T) {
	b := newBench(t, live.Options{}, &live.Router[words]{
		Name: "words", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]words, error) {
			return []words{{1, 3, "a", 5, "x"}, {2, 4, "b", 6, "y"}, {3, 2, "a", 6, "y"}}, nil
		},
	})
	for query, want := range map[string]string{
		"order__eq=3": "[1]", "order=order": "[3 1 2]", "order=-order&order__gt=2": "[2 1]", "cursor__eq=a&order=id": "[1 3]",
		"wait__eq=6&cursor__eq=a": "[3]", "channel__eq=y&order=-id": "[3 2]", "channel=nothing&wait=5&transport=x&protocol=1": "[1 2 3]",
	} {
		w := b.want(200, "…", "GET", "/live/words?"+query, "")
		var keys []string
		for part := range strings.SplitSeq(w.Body.String(), `{"key":"`) {
			if !strings.HasPrefix(part, `{"type"`) {
				keys = append(keys, part[:1])
			}
		}
		equal(t, query, fmt.Sprint(keys), want)
	}
}

func TestHubThatShutsDownIsUnavailable(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	b.want(200, "…", "GET", "/live/memos", "")
	if err := b.hub.Shutdown(limit(t)); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][3]string{{"GET", "/live/memos", ""}, {"GET", "/live/memos/1", ""}, {"POST", "/live/", `{"type":"ping","id":1}`}, {"PUT", "/live/nothing", ""}} {
		w := b.want(503, `{"title":"Service Unavailable","status":503,"code":"unavailable","detail":"the server is shutting down: connect again"}`, r[0], r[1], r[2])
		equal(t, "Retry-After", w.Header().Get("Retry-After"), "1")
	}
	if err := b.hub.Shutdown(limit(t)); err != live.ErrShutdown {
		t.Errorf("a second Shutdown: %v", err)
	}
}

func TestHubWithoutAnOptionServes(t *testing.T) {
	hub := live.New(live.Options{})
	defer hub.Shutdown(limit(t))
	hub.Register(places("towns"))
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, httptest.NewRequest("GET", "/towns", nil))
	if w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
}
