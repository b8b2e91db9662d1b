package pusher

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/internal/wire"
)

func TestTrigger(t *testing.T) {
	w := newAPIWorld(t)
	for _, test := range []struct {
		body string
		want outgoing
	}{
		{vectorBody, outgoing{name: "foo", channels: []string{"project-3"}, data: `{"some":"data"}`}},
		{`{"name":"e","channel":"a","data":"x"}`, outgoing{name: "e", channels: []string{"a"}, data: "x"}},
		{`{"name":"e","channels":["a","b","a"],"data":""}`, outgoing{name: "e", channels: []string{"a", "b"}}},
		{`{"name":"e","channels":["a"],"channel":"b","data":"x"}`, outgoing{name: "e", channels: []string{"a", "b"}, data: "x"}},
		{`{"name":"e","channel":"a","data":"x","socket_id":"123.456"}`, outgoing{name: "e", channels: []string{"a"}, data: "x", except: "123.456"}},
		{`{"name":"e","channel":"a","data":"x","socket_id":null,"info":null,"channels":null}`, outgoing{name: "e", channels: []string{"a"}, data: "x"}},
		{`{"name":"e","channel":"a","data":"x","socket_id":""}`, outgoing{name: "e", channels: []string{"a"}, data: "x"}},
		{` {"name":"e","channel":"a","data":"x","what":{"else":[1]}} `, outgoing{name: "e", channels: []string{"a"}, data: "x"}},
		{`{"name":"App\\Events\\Sent","channel":"private-a_-=@,.;Z9","data":"x"}`, outgoing{name: `App\Events\Sent`, channels: []string{"private-a_-=@,.;Z9"}, data: "x"}},
		{`{"name":"e","channel":"#server-to-user-Jörg 7","data":"x"}`, outgoing{name: "e", channels: []string{"#server-to-user-Jörg 7"}, data: "x"}},
		{`{"name":"e","channel":"private-encrypted-a","data":"{\"nonce\":\"AA==\"}"}`, outgoing{name: "e", channels: []string{"private-encrypted-a"}, data: `{"nonce":"AA=="}`}},
		{`{"name":"e","channel":"a","data":"{\"b\":1 ,\t\"a\":\"\\u00e9é<&>\/\"}"}`, // byte for byte
			outgoing{name: "e", channels: []string{"a"}, data: "{\"b\":1 ,\t\"a\":\"\\u00e9é<&>/\"}"}},
	} {
		status, answer := w.send("POST", "/apps/3/events", test.body)
		if status != 200 || answer != "{}" {
			t.Errorf("%s: %d %s", test.body, status, answer)
		}
		if got := w.backend.taken(); !reflect.DeepEqual(got, [][]outgoing{{test.want}}) {
			t.Errorf("%s: %+v was triggered, want %+v", test.body, got, test.want)
		}
	}
}

func TestTriggerInfo(t *testing.T) {
	w := newAPIWorld(t)
	for body, want := range map[string]string{
		`{"name":"e","channels":["open","presence-room","open","nobody"],"data":"x","info":"user_count,subscription_count"}`: `{"channels":{"nobody":{"subscription_count":0},"open":{"subscription_count":3},"presence-room":{"user_count":2,"subscription_count":4}}}`,
		`{"name":"e","channels":["open","presence-room"],"data":"x","info":" user_count "}`:                                  `{"channels":{"open":{},"presence-room":{"user_count":2}}}`,
		`{"name":"e","channel":"open","data":"x","info":"subscription_count"}`:                                               `{"channels":{"open":{"subscription_count":3}}}`,
		`{"name":"e","channel":"open","data":"x","info":""}`:                                                                 `{}`,
	} {
		if status, answer := w.send("POST", "/apps/3/events", body); status != 200 || answer != want {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
}

func TestTriggerBatch(t *testing.T) {
	w := newAPIWorld(t)
	event := func(i int) string { return fmt.Sprintf(`{"name":"e%d","channel":"open","data":"%d"}`, i, i) }
	var ten []string
	for i := range maxBatch {
		ten = append(ten, event(i))
	}
	status, answer := w.send("POST", "/apps/3/batch_events", `{"batch":[`+strings.Join(ten, ",")+`]}`)
	if status != 200 || answer != "{}" {
		t.Fatal(status, answer)
	}
	got := w.backend.taken()
	if len(got) != 1 || len(got[0]) != maxBatch {
		t.Fatalf("%+v was triggered: want one entry of %d events", got, maxBatch)
	}
	for i, e := range got[0] {
		if e.name != fmt.Sprintf("e%d", i) || e.data != fmt.Sprint(i) || len(e.channels) != 1 {
			t.Errorf("event %d is %+v", i, e)
		}
	}

	body := `{"batch":[{"name":"e","channel":"presence-room","data":"x","info":"user_count"},{"name":"e","channel":"private-encrypted-1","data":"x","socket_id":"1.2"},` +
		`{"name":"e","channel":"private-encrypted-2","data":"x","info":"user_count"},{"name":"e","channel":"open","data":"x","info":"subscription_count"}]}`
	if status, answer = w.send("POST", "/apps/3/batch_events", body); status != 200 || answer != `{"batch":[{"user_count":2},{},{},{"subscription_count":3}]}` {
		t.Error(status, answer)
	}
	if got := w.backend.taken(); len(got) != 1 || got[0][1].except != "1.2" || got[0][0].except != "" {
		t.Errorf("%+v was triggered", got)
	}

	// one that is wrong: none is triggered
	large := fmt.Sprintf(`{"name":"e","channel":"a","data":%q}`, strings.Repeat("x", defaultMaxData+1))
	for body, want := range map[string]int{
		`{"batch":[` + strings.Join(append(ten, event(10)), ",") + `]}`: 400,
		`{"batch":[]}`: 400, `{}`: 400, `{"batch":null}`: 400, `{"batch":{}}`: 400, `{"batch":[null]}`: 400, `{"batch":["x"]}`: 400,
		`{"batch":[` + event(0) + `,{"name":"e","channel":"a b","data":"x"}]}`:              400,
		`{"batch":[` + event(0) + `,{"name":"e","channels":["a"],"data":"x"}]}`:             400,
		`{"batch":[` + event(0) + `,{"name":"e","channel":"a","data":"x","info":"users"}]}`: 400,
		`{"batch":[` + event(0) + `,` + large + `]}`:                                        413,
	} {
		if status, answer := w.send("POST", "/apps/3/batch_events", body); status != want {
			t.Errorf("%.100s: %d %s", body, status, answer)
		}
	}
	if got := w.backend.taken(); got != nil {
		t.Errorf("%+v was triggered by requests that were refused", got)
	}
	if _, answer := w.send("POST", "/apps/3/batch_events", `{"batch":[`+event(0)+`,`+large+`]}`); !strings.Contains(answer, "batch[1]") {
		t.Errorf("the answer does not say which: %s", answer)
	}
}

func TestTriggerRefuses(t *testing.T) {
	w := newAPIWorld(t)
	event := func(change string) string { // the last one of two members counts
		return `{"name":"e","channel":"a","data":"x",` + change + `}`
	}
	var many []string
	for i := range maxChannels + 1 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprintf("c%d", i)))
	}
	for _, test := range []struct {
		body string
		want int
	}{
		{``, 400}, {`null`, 400}, {`[]`, 400}, {`"x"`, 400}, {`{`, 400}, {`{}`, 400}, {`{} {}`, 400}, {"\xff", 400},
		{`{"channel":"a","data":"x"}`, 400}, {`{"name":"e","data":"x"}`, 400}, {`{"name":"e","channel":"a"}`, 400}, {`{"name":"e","channel":"a","data":null}`, 400},
		{"{\"name\":\"e\",\"channel\":\"a\",\"data\":\"\xff\"}", 400},
		{event(`"data":{"a":1}`), 400}, {event(`"data":7`), 400},
		{event(`"name":""`), 400}, {event(`"name":7`), 400}, {event(`"name":"pusher:x"`), 400}, {event(`"name":"pusher_internal:x"`), 400},
		{event(`"name":"` + strings.Repeat("é", 200) + `"`), 200}, {event(`"name":"` + strings.Repeat("e", 201) + `"`), 400},
		{event(`"name":"pusher-x"`), 200}, {event(`"name":"client-x"`), 200},
		{event(`"channel":""`), 400}, {event(`"channel":7`), 400}, {event(`"channel":"a b"`), 400}, {event(`"channel":"a:b"`), 400}, {event(`"channel":"é"`), 400},
		{event(`"channel":"a\n"`), 400}, {event(`"channel":"a/b"`), 400}, {event(`"channel":"#a"`), 400}, {event(`"channel":"#server-to-user-"`), 400},
		{event(`"channel":"` + strings.Repeat("c", 200) + `"`), 200}, {event(`"channel":"` + strings.Repeat("c", 201) + `"`), 400},
		{event(`"channel":"#server-to-user-` + strings.Repeat("é", 128) + `"`), 200}, {event(`"channel":"#server-to-user-` + strings.Repeat("c", 129) + `"`), 400},
		{event(`"channels":["a b"]`), 400}, {event(`"channels":"a"`), 400}, {event(`"channels":[7]`), 400}, {event(`"channels":[null]`), 400},
		{`{"name":"e","data":"x","channels":[]}`, 400},
		{`{"name":"e","data":"x","channels":[` + strings.Join(many[:maxChannels], ",") + `]}`, 200},
		{`{"name":"e","data":"x","channels":[` + strings.Join(many, ",") + `]}`, 400},
		{event(`"channels":["private-encrypted-a"]`), 400},
		{`{"name":"e","data":"x","channels":["private-encrypted-a","private-encrypted-a"]}`, 200},
		{`{"name":"e","data":"x","channels":["private-encrypted-a","private-encrypted-b"]}`, 400},
		{event(`"socket_id":"x"`), 400}, {event(`"socket_id":"1"`), 400}, {event(`"socket_id":"1."`), 400}, {event(`"socket_id":".1"`), 400}, {event(`"socket_id":"1.2.3"`), 400},
		{event(`"socket_id":"1.2\n"`), 400}, {event(`"socket_id":1.2`), 400}, {event(`"socket_id":"` + strings.Repeat("1", 64) + `.1"`), 400},
		{event(`"info":"users"`), 400}, {event(`"info":"user_count,cache"`), 400}, {event(`"info":["user_count"]`), 400},
		{event(`"data":"` + strings.Repeat("x", defaultMaxData) + `"`), 200},
		{event(`"data":"` + strings.Repeat(`\u0001`, defaultMaxData) + `"`), 200},
		{event(`"data":"` + strings.Repeat("x", defaultMaxData+1) + `"`), 413},
		{event(`"data":"` + strings.Repeat("é", defaultMaxData/2) + `x"`), 413},
		{event(`"data":"` + strings.Repeat("x", 1<<20) + `"`), 413},
	} {
		status, answer := w.send("POST", "/apps/3/events", test.body)
		if status != test.want {
			t.Errorf("%.100q: %d %s, want %d", test.body, status, answer, test.want)
		}
		if status != 200 && !strings.HasPrefix(answer, `{"error":"`) {
			t.Errorf("%.100q: %s", test.body, answer)
		}
		if got := w.backend.taken(); (status == 200) != (len(got) == 1) {
			t.Errorf("%.100q: %d, and %d were triggered", test.body, status, len(got))
		}
	}
}

// An application may want more than Pusher gives.
func TestTriggerLargerData(t *testing.T) {
	w := newAPIWorld(t)
	w.api.maxData = 64 << 10
	for _, test := range []struct{ bytes, want int }{{64 << 10, 200}, {64<<10 + 1, 413}} {
		body := `{"name":"e","channel":"a","data":"` + strings.Repeat(`\u0001`, test.bytes) + `"}`
		if status, answer := w.send("POST", "/apps/3/events", body); status != test.want {
			t.Errorf("%d bytes: %d %.200s", test.bytes, status, answer)
		}
	}
}

func TestChannels(t *testing.T) {
	w := newAPIWorld(t)
	for _, test := range []struct {
		path       string
		parameters []string
		status     int
		want       string
	}{
		{"/apps/3/channels", nil, 200, `{"channels":{"#server-to-user-7":{},"open":{},"presence-hall":{},"presence-room":{},"private-x":{}}}`},
		{"/apps/3/channels", []string{"filter_by_prefix=presence-"}, 200, `{"channels":{"presence-hall":{},"presence-room":{}}}`},
		{"/apps/3/channels", []string{"filter_by_prefix=presence-r", "info=user_count"}, 200, `{"channels":{"presence-room":{"user_count":2}}}`},
		{"/apps/3/channels", []string{"filter_by_prefix=none", "info="}, 200, `{"channels":{}}`},
		{"/apps/3/channels", []string{"info=user_count"}, 400, ""},
		{"/apps/3/channels", []string{"filter_by_prefix=presence", "info=user_count"}, 400, ""},
		{"/apps/3/channels", []string{"filter_by_prefix=presence-", "info=user_count,subscription_count"}, 400, ""},
		{"/apps/3/channels/open", nil, 200, `{"occupied":true}`},
		{"/apps/3/channels/open", []string{"info=subscription_count"}, 200, `{"occupied":true,"subscription_count":3}`},
		{"/apps/3/channels/presence-room", []string{"info=user_count"}, 200, `{"occupied":true,"user_count":2}`},
		{"/apps/3/channels/nobody", []string{"info=subscription_count"}, 200, `{"occupied":false,"subscription_count":0}`},
		{"/apps/3/channels/presence-none", []string{"info=user_count"}, 200, `{"occupied":false,"user_count":0}`},
		{"/apps/3/channels/cache-x", []string{"info=cache,subscription_count"}, 200, `{"occupied":false,"subscription_count":0,"cache":{"data":" {\"a\":\t1}","ttl":60}}`},
		{"/apps/3/channels/presence-cache-x", []string{"info=cache,user_count"}, 200, `{"occupied":false,"user_count":0,"cache":null}`},
		{"/apps/3/channels/private-encrypted-cache-x", []string{"info=cache"}, 200, `{"occupied":false,"cache":null}`},
		{"/apps/3/channels/%23server-to-user-7", nil, 200, `{"occupied":true}`},
		{"/apps/3/channels/open", []string{"info=user_count"}, 400, ""},
		{"/apps/3/channels/open", []string{"info=cache"}, 400, ""},
		{"/apps/3/channels/private-encrypted-x", []string{"info=cache"}, 400, ""},
		{"/apps/3/channels/presence-room", []string{"info=subscription_count"}, 400, ""},
		{"/apps/3/channels/presence-room", []string{"info=anything"}, 400, ""},
		{"/apps/3/channels/a%20b", nil, 400, ""},
		{"/apps/3/channels/a%2Fb", nil, 400, ""},
		{"/apps/3/channels/" + strings.Repeat("c", 201), nil, 400, ""},
		{"/apps/3/channels/presence-room/users", nil, 200, `{"users":[{"id":"ann"},{"id":"bob"}]}`},
		{"/apps/3/channels/presence-none/users", nil, 200, `{"users":[]}`},
		{"/apps/3/channels/open/users", nil, 400, ""},
		{"/apps/3/channels/presence-a%20b/users", nil, 400, ""},
	} {
		status, answer := w.send("GET", test.path, "", test.parameters...)
		if status != test.status || test.want != "" && strings.TrimSpace(answer) != strings.ReplaceAll(test.want, "\t", `\t`) {
			t.Errorf("%s %v: %d %s, want %d %s", test.path, test.parameters, status, answer, test.status, test.want)
		}
	}
}

func TestTerminate(t *testing.T) {
	w := newAPIWorld(t)
	for _, test := range []struct{ signed, sent, body, user string }{
		{"/apps/3/users/7/terminate_connections", "", "{}", "7"},
		{"/apps/3/users/7/terminate_connections", "", "", "7"},
		{"/apps/3/users/channels/terminate_connections", "", "{}", "channels"},
		// the Node library signs the path without escapes, others with them
		{"/apps/3/users/Jörg 7/terminate_connections", "/apps/3/users/J%C3%B6rg%207/terminate_connections", "{}", "Jörg 7"},
		{"/apps/3/users/J%C3%B6rg%207/terminate_connections", "", "{}", "Jörg 7"},
		{"/apps/3/users/a%2Fb/terminate_connections", "", "{}", "a/b"},
	} {
		if test.sent == "" {
			test.sent = test.signed
		}
		r, answer := w.do("POST", test.sent+"?"+signedQuery(w.app, "POST", test.signed, test.body, time.Now()), test.body)
		if r.StatusCode != 200 || answer != "{}" {
			t.Errorf("%s: %d %s", test.sent, r.StatusCode, answer)
		}
		w.backend.mu.Lock()
		if got := w.backend.terminated; len(got) != 1 || got[0] != test.user {
			t.Errorf("%s: %q were terminated, want %q", test.sent, got, test.user)
		}
		w.backend.terminated = nil
		w.backend.mu.Unlock()
	}
	if status, _ := w.send("POST", "/apps/3/users/"+strings.Repeat("u", 129)+"/terminate_connections", "{}"); status != 400 {
		t.Errorf("too long an id: %d", status)
	}
}

// Who is not the app, and who asks for what there is not, is refused, and nothing happens.
func TestAPIRefuses(t *testing.T) {
	w := newAPIWorld(t)
	events, body := "/apps/3/events", `{"name":"e","channel":"a","data":"x"}`
	now := time.Now()
	signed := func(app *App, method, path, body string) string {
		return path + "?" + signedQuery(app, method, path, body, now)
	}
	for _, test := range []struct {
		name, method, target, body string
		want                       int
	}{
		{"unsigned", "POST", events, body, 401},
		{"unsigned GET", "GET", "/apps/3/channels", "", 401},
		{"another app's signature", "POST", events + "?" + signedQuery(w.off, "POST", events, body, now), body, 401},
		{"another secret", "POST", signed(&App{ID: "3", Key: w.app.Key, Secret: "x"}, "POST", events, body), body, 401},
		{"another body", "POST", signed(w.app, "POST", events, body), body + " ", 401},
		{"a body that was not signed", "POST", signed(w.app, "POST", events, ""), body, 401},
		{"a body that did not come", "POST", signed(w.app, "POST", events, body), "", 401},
		{"another path", "POST", "/apps/3/batch_events?" + signedQuery(w.app, "POST", events, body, now), body, 401},
		{"another method", "POST", events + "?" + signedQuery(w.app, "GET", events, body, now), body, 401},
		{"stale", "POST", events + "?" + signedQuery(w.app, "POST", events, body, now.Add(-660*time.Second)), body, 401},
		{"of the future", "POST", events + "?" + signedQuery(w.app, "POST", events, body, now.Add(660*time.Second)), body, 401},
		{"old, and not stale", "POST", events + "?" + signedQuery(w.app, "POST", events, body, now.Add(-540*time.Second)), body, 200},
		{"unreadable query", "POST", signed(w.app, "POST", events, body) + "&x=%zz", body, 400},
		{"parameter added", "POST", signed(w.app, "POST", events, body) + "&x=1", body, 401},
		{"disabled", "POST", signed(w.off, "POST", "/apps/4/events", body), body, 403},
		{"disabled, and not signed", "POST", "/apps/4/events", body, 401},
		{"unknown app", "POST", signed(w.app, "POST", "/apps/5/events", body), body, 404},
		{"no app", "POST", signed(w.app, "POST", "/apps//events", body), body, 404},
		{"unknown path", "POST", signed(w.app, "POST", "/apps/3/event", body), body, 404},
		{"path that goes on", "POST", signed(w.app, "POST", "/apps/3/events/x", body), body, 404},
		{"slash at the end", "POST", signed(w.app, "POST", "/apps/3/events/", body), body, 404},
		{"only the app", "GET", signed(w.app, "GET", "/apps/3", ""), "", 404},
		{"elsewhere", "GET", signed(w.app, "GET", "/app/3", ""), "", 404},
		{"no UTF-8", "POST", signed(w.app, "POST", "/apps/3/users/%ff/terminate_connections", ""), "", 404},
		{"GET of events", "GET", signed(w.app, "GET", events, ""), "", 405},
		{"PUT of events", "PUT", signed(w.app, "PUT", events, body), body, 405},
		{"POST of channels", "POST", signed(w.app, "POST", "/apps/3/channels", "{}"), "{}", 405},
		{"GET of terminate", "GET", signed(w.app, "GET", "/apps/3/users/1/terminate_connections", ""), "", 405},
		{"a large body of a GET", "GET", signed(w.app, "GET", "/apps/3/channels", strings.Repeat("x", maxSmallBody+1)), strings.Repeat("x", maxSmallBody+1), 413},
		{"a large body of terminate", "POST", signed(w.app, "POST", "/apps/3/users/1/terminate_connections", strings.Repeat("x", maxSmallBody+1)), strings.Repeat("x", maxSmallBody+1), 413},
		{"a long URL", "GET", "/apps/3/channels?" + signedQuery(w.app, "GET", "/apps/3/channels", "", now, "filter_by_prefix="+strings.Repeat("x", maxURL)), "", 414},
		{"a database that is away", "GET", signed(w.app, "GET", "/apps/broken/channels", ""), "", 500},
		{"an app without a secret", "GET", signed(&App{Key: "k"}, "GET", "/apps/open/channels", ""), "", 500},
	} {
		r, answer := w.do(test.method, test.target, test.body)
		if r.StatusCode != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, r.StatusCode, answer, test.want)
		}
		if r.StatusCode == 405 && r.Header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", test.name)
		}
		if strings.Contains(answer, "10.0.0.1") || strings.Contains(answer, w.app.Secret) {
			t.Errorf("%s: the answer tells what is nobody's business: %s", test.name, answer)
		}
		if got := w.backend.taken(); (r.StatusCode == 200) != (len(got) == 1) {
			t.Errorf("%s: %d, and %+v was triggered", test.name, r.StatusCode, got)
		}
	}
	if !strings.Contains(w.log.String(), "10.0.0.1") {
		t.Error("the logger was not told why a request failed")
	}
}

// What the hub refuses has the problem's status; what fails in it is a 500 that tells nothing.
func TestAPIBackendFails(t *testing.T) {
	w := newAPIWorld(t)
	away := wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "the log cannot be written")
	away.RetryAfter = 1.5
	for _, test := range []struct {
		err          error
		status       int
		answer, wait string
	}{
		{fmt.Errorf("wrapped: %w", away), 503, `{"error":"the log cannot be written","code":"unavailable"}`, "2"},
		{wire.NewProblem(http.StatusTooManyRequests, "rate_limited", "slower"), 429, `{"error":"slower","code":"rate_limited"}`, "1"},
		{&wire.Problem{Code: "odd", Detail: "no status"}, 500, `{"error":"no status","code":"odd"}`, ""},
		{errors.New("redis://10.0.0.1"), 500, `{"error":"that did not work; the server's log tells why","code":"internal"}`, ""},
	} {
		w.backend.err = test.err
		for path, body := range map[string]string{
			"/apps/3/events": `{"name":"e","channel":"a","data":"x","info":"user_count"}`, "/apps/3/batch_events": `{"batch":[{"name":"e","channel":"a","data":"x"}]}`,
			"/apps/3/users/1/terminate_connections": "{}",
		} {
			r, answer := w.do("POST", path+"?"+signedQuery(w.app, "POST", path, body, time.Now()), body)
			if r.StatusCode != test.status || answer != test.answer || r.Header.Get("Retry-After") != test.wait {
				t.Errorf("%s: %v: %d %s, Retry-After %q", path, test.err, r.StatusCode, answer, r.Header.Get("Retry-After"))
			}
		}
	}
	if !strings.Contains(w.log.String(), "10.0.0.1") {
		t.Error("the logger was not told")
	}
}

// The API is where it is mounted, with or without what stands before it in what is signed.
func TestAPIMounted(t *testing.T) {
	w := newAPIWorld(t)
	mux := http.NewServeMux()
	mux.Handle("/here/apps/", w.api)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", w.api))
	server := httptest.NewServer(mux)
	defer server.Close()
	w.url = server.URL
	for _, prefix := range []string{"/here", "/stripped"} {
		for _, signed := range []string{"/apps/3/channels", prefix + "/apps/3/channels"} {
			if r, answer := w.do("GET", prefix+"/apps/3/channels?"+signedQuery(w.app, "GET", signed, "", time.Now()), ""); r.StatusCode != 200 {
				t.Errorf("%s, signed as %s: %d %s", prefix, signed, r.StatusCode, answer)
			}
		}
		if r, _ := w.do("GET", prefix+"/apps/3/channels?"+signedQuery(w.app, "GET", "/other/apps/3/channels", "", time.Now()), ""); r.StatusCode != 401 {
			t.Errorf("%s: the signature of another path is taken: %d", prefix, r.StatusCode)
		}
	}
}

// A body that nobody has signed is not read.
func TestAPIReadsSignedBodiesOnly(t *testing.T) {
	w := newAPIWorld(t)
	body := &counting{Reader: strings.NewReader(vectorBody)}
	r := httptest.NewRequest("POST", "/apps/3/events?"+signedQuery(&App{Key: w.app.Key, Secret: "x"}, "POST", "/apps/3/events", vectorBody, time.Now()), body)
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	if answer.Code != 401 || body.read != 0 {
		t.Errorf("%d, and %d bytes were read", answer.Code, body.read)
	}
}

type counting struct {
	io.Reader
	read int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

// FuzzPostEvent: whatever is posted is answered in JSON without a failure of the server, and what is triggered keeps the rules.
func FuzzPostEvent(f *testing.F) {
	for _, seed := range []string{
		vectorBody, `{"name":"e","channel":"a","data":"x","socket_id":"1.2","info":"user_count"}`, `{"name":"e","channels":["a","a",null],"data":"\ud800"}`,
		`{"batch":[{"name":"e","channel":"#server-to-user-1","data":"x","info":"subscription_count"}]}`, `{"batch":[{},null,7]}`, `{"name":`, `[]`, "\xff",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	w := newAPIWorld(f)
	f.Fuzz(func(t *testing.T, body string, batch bool) {
		path := "/apps/3/events"
		if batch {
			path = "/apps/3/batch_events"
		}
		b := &apiBackend{}
		api := &api{find: w.api.find, backend: b, logger: w.api.logger}
		r := httptest.NewRequest("POST", path+"?"+signedQuery(w.app, "POST", path, body, time.Now()), strings.NewReader(body))
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, r)
		if answer.Code != 200 && answer.Code != 400 && answer.Code != 413 || !json.Valid(answer.Body.Bytes()) {
			t.Fatalf("%q: %d %s", body, answer.Code, answer.Body)
		}
		all := b.taken()
		if (answer.Code == 200) != (len(all) == 1) || len(all) == 1 && (len(all[0]) == 0 || len(all[0]) > maxBatch || !batch && len(all[0]) != 1) {
			t.Fatalf("%q: %d, and %+v was triggered", body, answer.Code, all)
		}
		for _, events := range all {
			for _, e := range events {
				seen := map[string]bool{}
				for _, c := range e.channels {
					if wantChannel(c) != nil || seen[c] || isEncrypted(c) && len(e.channels) > 1 {
						t.Fatalf("%q: %+v was triggered", body, e)
					}
					seen[c] = true
				}
				if len(seen) == 0 || len(seen) > maxChannels || wantEvent(e.name) != nil || len(e.data) > defaultMaxData || e.client || e.user != "" {
					t.Fatalf("%q: %+v was triggered", body, e)
				}
			}
		}
	})
}
