package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

// never is a rate whose tokens do not come back while a test runs.
func never(burst int) live.Rate { return live.Rate{PerSecond: 1e-9, Burst: burst} }

// each runs a test over every transport, against a hub with desk.
func overEach(t *testing.T, o live.Options, test func(t *testing.T, b *bench, m *memos, f *follower)) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) {
			m := desk()
			b := newBench(t, o, m, &live.Channel{Name: "chat:*", Subscribe: anyone, Publish: func(_ context.Context, _ string, data json.RawMessage) (any, error) { return data, nil }})
			test(t, b, m, follow(t, name, b.server()+"/live/", ""))
		})
	}
}

// code returns the code of an answer's problem, and what retry_after it has.
func code(m transporttest.Message) (code string, retry float64) {
	var answer struct {
		Problem struct {
			Code  string
			Retry float64 `json:"retry_after"`
		}
	}
	_ = json.Unmarshal([]byte(m.Raw), &answer)
	return answer.Problem.Code, answer.Problem.Retry
}

// wantCode wants the next message to be a refusal, of the message with an id.
func (f *follower) wantCode(id int64, want string) transporttest.Message {
	f.t.Helper()
	m := f.want("error")
	if got, _ := code(m); got != want || m.ID != id {
		f.t.Errorf("got %s, want the code %s for %d", m.Raw, want, id)
	}
	return m
}

func creates(from, n int) []string {
	var all []string
	for id := from; id < from+n; id++ {
		all = append(all, fmt.Sprintf(`{"type":"call","id":%d,"router":"memos","verb":"create","data":{"title":"x"}}`, id))
	}
	return all
}

func TestTooManyMessagesAtOnceDoNothing(t *testing.T) {
	overEach(t, live.Options{Limits: live.Limits{Batch: 5}, MaxSubscriptions: 3}, func(t *testing.T, _ *bench, m *memos, f *follower) {
		before := m.snapshot()
		f.say(creates(1, 6)...)
		f.wantCode(0, "batch_too_large")
		f.say(append(creates(1, 5), "{", "[]", "7")...) // what is no message is one, too
		f.wantCode(0, "batch_too_large")
		equal(t, "table", m.snapshot(), before)
		f.say(append(creates(1, 5), "", " ", "\r")...)
		for range 5 {
			f.want("result")
		}
	})
	// Subscriptions have a limit of their own, with which others come together; more of both are not even read.
	b := newBench(t, live.Options{Limits: live.Limits{Batch: 5}, MaxSubscriptions: 3}, desk())
	var subscriptions []string
	for id := range 4 {
		subscriptions = append(subscriptions, fmt.Sprintf(`{"type":"subscribe","id":%d,"router":"memos"}`, 10+id))
	}
	said := strings.Join(b.say(append(subscriptions, creates(1, 4)...)...), "\n")
	if n := strings.Count(said, `"type":"snapshot"`); n != 3 || strings.Count(said, `"code":"too_many_subscriptions"`) != 1 || strings.Count(said, `"type":"result"`) != 4 {
		t.Errorf("got %s", said)
	}
	if said := b.say(append(subscriptions, creates(1, 5)...)...); len(said) != 1 || !strings.Contains(said[0], "batch_too_large") {
		t.Errorf("got %s", said)
	}
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestJSONThatIsNestedTooDeepIsRefused(t *testing.T) {
	overEach(t, live.Options{Limits: live.Limits{Depth: 8}}, func(t *testing.T, b *bench, m *memos, f *follower) {
		before := m.snapshot()
		for _, member := range []string{
			`"type":"publish","channel":"chat:1","data":`, `"type":"call","router":"memos","verb":"create","data":`,
			`"type":"call","router":"memos","verb":"list","where":`, `"type":"explain","router":"memos","where":`,
			`"type":"call","router":"memos","verb":"update","key":"1","version":`, `"type":"ping","data":`, `"nothing":`,
		} {
			f.say(`{"id":7,` + member + nested(8) + `}`)
			f.wantCode(7, "message_too_deep")
			f.say(`{"id":7,` + member + strings.Repeat("[", 4000) + `}`)
			f.wantCode(0, "message_too_deep")
			f.say(`{"id":8,` + member + nested(7) + `}`)
			if got, _ := code(f.next()); got == "message_too_deep" {
				t.Errorf("%s: a depth of 8 was refused", member)
			}
		}
		equal(t, "table", m.snapshot(), before)
		f.say(`{"type":"publish","id":9,"channel":"chat:1","data":"` + strings.Repeat(`[{\"`, 20) + `"}`) // brackets in a string are none
		f.want("result")
	})
	b := newBench(t, live.Options{Limits: live.Limits{Depth: 8}}, desk())
	for _, r := range []way{
		{"POST", "/live/memos", nested(8), nil}, {"PATCH", "/live/memos/1", nested(8), []string{"If-Match", "4"}},
		{"GET", "/live/memos?limit=1&cursor=0&bound=" + nested(8), "", nil},
		{"POST", "/live/", `{"type":"subscribe","id":1,"router":"memos","where":` + nested(8) + "}", nil},
	} {
		if w := b.ask(r.method, r.url, r.body, r.headers...); !strings.Contains(w.Body.String(), `"code":"message_too_deep"`) {
			t.Errorf("%s %s: %d %s", r.method, r.url, w.Code, w.Body)
		}
	}
}

func TestNamesThatAreTooLongAreRefused(t *testing.T) {
	long := strings.Repeat("x", 165)
	overEach(t, live.Options{}, func(t *testing.T, _ *bench, _ *memos, f *follower) {
		for _, message := range []string{
			`{"id":7,"type":"call","router":"` + long + `","verb":"get"}`, `{"id":7,"type":"call","router":"memos","verb":"` + long + `"}`,
			`{"id":7,"type":"publish","channel":"` + long + `","data":1}`,
			`{"id":7,"type":"call","router":"memos","verb":"list","include":["` + long + `"]}`,
			`{"id":7,"type":"call","router":"memos","verb":"list","include":["a"` + strings.Repeat(`,"a"`, 16) + `]}`,
			`{"id":7,"type":"call","router":"memos","verb":"create","mutation":"` + long + `"}`,
		} {
			f.say(message)
			f.wantCode(7, "malformed_message")
		}
		for message, want := range map[string]string{
			`{"id":7,"type":"call","router":"memos","verb":"list","where":{"` + long + `":1}}`:                                   "unknown_field",
			`{"id":7,"type":"call","router":"memos","verb":"list","order":"` + long + `"}`:                                       "unknown_field",
			`{"id":7,"type":"call","router":"memos","verb":"list","order":"a` + strings.Repeat(",a", 16) + `"}`:                  "malformed_order",
			`{"id":7,"type":"call","router":"memos","verb":"create","data":{"` + long + `":1}}`:                                  "unknown_field",
			`{"id":7,"type":"call","router":"memos","verb":"create","data":{"title":"x"},"mutation":"x","retry":"` + long + `"}`: "malformed_message",
		} {
			f.say(message)
			f.wantCode(7, want)
		}
	})
	b := newBench(t, live.Options{}, desk())
	b.refused(400, "malformed_message", "GET", "/live/memos?include="+long, "")
	b.refused(400, "malformed_cursor", "GET", "/live/memos?cursor="+long, "")
	b.refused(400, "malformed_message", "POST", "/live/memos", "{}", "Idempotency-Key", long)
}

func TestFiltersHaveLimitsThatCanBeSet(t *testing.T) {
	b := newBench(t, live.Options{Limits: live.Limits{FilterNodes: 4, FilterValues: 3}}, desk())
	for query, ok := range map[string]bool{
		"list_id__in=1,2,3": true, "list_id__in=1,2,3,4": false, "id=1&list_id=1&title=x&version=2": true, "id=1&list_id=1&title=x&version=2&id__gt=1": false,
	} {
		if w := b.ask("GET", "/live/memos?"+query, ""); (w.Code == 200) != ok || !ok && !strings.Contains(w.Body.String(), "filter_too_large") {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	for _, name := range []string{"id__in", "not"} {
		said := b.say(`{"type":"subscribe","id":1,"router":"memos","where":{"` + name + `":[1,2,3,4,5]}}`)
		if len(said) != 1 || !strings.Contains(said[0], "filter_too_large") && !strings.Contains(said[0], "malformed_filter") {
			t.Errorf("%s: %s", name, said)
		}
	}
	none := newBench(t, live.Options{Limits: live.Limits{FilterNodes: -1, FilterValues: -1}}, desk())
	none.want(200, "…", "GET", "/live/memos?list_id__in=1"+strings.Repeat(",1", 5000), "")
}

func TestURLsThatAreTooLongAreRefused(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	long := strings.Repeat("x", 16<<10)
	for _, r := range everyWay {
		path, _, _ := strings.Cut(r.url, "?")
		for _, url := range []string{strings.TrimSuffix(path, "/") + "/" + long, r.url + map[bool]string{true: "&", false: "?"}[strings.Contains(r.url, "?")] + "title=" + long} {
			r.url = url
			w := r.askAndGo(b)
			if w.Code != 414 || !strings.Contains(w.Body.String(), `"code":"url_too_long"`) {
				t.Errorf("%s %.30s: %d %.100s", r.method, url, w.Code, w.Body)
			}
		}
	}
}

func TestACallerWhoComesTooOftenIsToldWhenToComeAgain(t *testing.T) {
	// What each way is counted as.
	for name, limits := range map[string]live.Limits{
		"connects": {Connects: never(3)}, "polls": {Polls: never(3)}, "messages": {Messages: never(3)},
		"connects of an address": {ConnectsOfAddress: never(3)}, "requests of an address": {RequestsOfAddress: never(3)},
	} {
		for i, r := range everyWay {
			stream := i < 4
			writes := i >= 11
			counted := map[string]bool{
				"connects": stream, "polls": !stream && !writes, "messages": writes, "connects of an address": stream, "requests of an address": !stream,
			}[name]
			if r.url == "/live/no" { // there is nobody to ask
				continue
			}
			b := newBench(t, live.Options{Identity: byVisitor, Limits: limits, Address: func(*http.Request) string { return "192.0.2.1" }}, desk())
			for n := range 5 {
				w := r.askAndGo(b)
				want := counted && n >= 3
				if limited := w.Code == 429; limited != want {
					t.Errorf("%s: %s %s, time %d: %d %s", name, r.method, r.url, n+1, w.Code, w.Body)
				}
				if !want {
					continue
				}
				var p struct {
					Code  string
					Retry float64 `json:"retry_after"`
				}
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != "rate_limited" || p.Retry <= 0 || w.Header().Get("Retry-After") != strconv.Itoa(int(math.Ceil(p.Retry))) {
					t.Errorf("%s: %s %s: Retry-After %q, %s", name, r.method, r.url, w.Header().Get("Retry-After"), w.Body)
				}
			}
			other := way{r.method, r.url, r.body, append([]string{"Visitor", "2"}, r.headers...)}
			if w := other.askAndGo(b); (w.Code == 429) != (counted && strings.HasSuffix(name, "address")) {
				t.Errorf("%s: %s %s by another caller: %d", name, r.method, r.url, w.Code)
			}
		}
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	b := newBench(t, live.Options{Identity: byVisitor, Limits: live.Limits{Polls: live.Rate{PerSecond: 0.8, Burst: 1}}}, desk())
	b.want(200, "…", "GET", "/live/memos", "")
	w := b.refused(429, "rate_limited", "GET", "/live/memos", "")
	equal(t, "Retry-After", w.Header().Get("Retry-After"), "2") // of 1.25
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		name, one, other string
		address          func(*http.Request) string
		together         bool // whether they are counted together
	}{
		{name: "one address", one: "192.0.2.1:1", other: "192.0.2.1:2", together: true},
		{name: "two addresses", one: "192.0.2.1:1", other: "192.0.2.2:1"},
		{name: "one network", one: "[2001:db8::1]:1", other: "[2001:db8::ffff:2]:1", together: true},
		{name: "two networks", one: "[2001:db8::1]:1", other: "[2001:db8:0:1::1]:1"},
		{name: "the same, mapped", one: "192.0.2.1:1", other: "[::ffff:192.0.2.1]:1", together: true},
		{name: "a proxy of ours", one: "10.0.0.1:1", other: "10.0.0.1:1"},
		{name: "one beside us", one: "127.0.0.1:1", other: "127.0.0.1:1"},
		{name: "one beside us, mapped", one: "[::ffff:127.0.0.1]:1", other: "[::1]:1"},
		{name: "one on the link", one: "[fe80::1%eth0]:1", other: "[fe80::1%eth0]:1"},
		{name: "a cloud's", one: "100.64.1.1:1", other: "100.64.1.1:1"},
		{name: "no address", one: "@", other: "@"},
		{name: "what a proxy says", one: "10.0.0.1:1", other: "10.0.0.2:1", address: func(*http.Request) string { return "198.51.100.7" }, together: true},
		{name: "what a proxy says of a network", one: "10.0.0.1:1", other: "10.0.0.2:1", together: true,
			address: func(r *http.Request) string { return "[2001:db8::" + r.RemoteAddr[7:8] + "]:443" }},
		{name: "what a proxy does not say", one: "192.0.2.1:1", other: "192.0.2.1:1", address: func(*http.Request) string { return "" }},
	} {
		b := newBench(t, live.Options{Address: test.address, Limits: live.Limits{RequestsOfAddress: never(1)}}, desk())
		statuses := ""
		for _, from := range []string{test.one, test.other} {
			r := httptest.NewRequest("GET", "/live/memos", nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			b.serve.ServeHTTP(w, r)
			statuses += fmt.Sprint(w.Code, " ")
		}
		equal(t, test.name, statuses, map[bool]string{true: "200 429 ", false: "200 200 "}[test.together])
	}
}

func TestTooManySessionsAreRefused(t *testing.T) {
	for _, by := range []string{"caller", "address"} {
		for _, name := range transporttest.All {
			t.Run(name+" by "+by, func(t *testing.T) {
				o := live.Options{Identity: byVisitor, Address: func(*http.Request) string { return "192.0.2.1" }, Limits: live.Limits{SessionsOfCaller: 2}}
				if by == "address" {
					o.Limits = live.Limits{SessionsOfAddress: 2}
				}
				b := newBench(t, o, desk())
				url := b.server() + "/live/"
				first, second := follow(t, transporttest.WebSocket, url, ""), follow(t, transporttest.WebSocket, url, "")
				for _, f := range []*follower{first, second} {
					if m, err := f.Client.Next(limit(t)); err != nil || m.Type != "hello" {
						t.Fatal(m.Raw, err)
					}
				}
				third, err := transporttest.Dial(limit(t), name, url, transporttest.ClientOptions{Wait: 1})
				if err == nil {
					t.Cleanup(third.Drop)
					if err = third.Send(limit(t), `{"type":"subscribe","id":1,"router":"memos"}`); err == nil {
						_, err = third.Next(limit(t))
					}
				}
				var refusal *transporttest.Refusal
				if !errors.As(err, &refusal) || refusal.Problem.Status != 429 || refusal.Problem.Code != "too_many_sessions" {
					t.Fatalf("a third session: %v", err)
				}
				b.want(200, "…", "GET", "/live/memos", "") // what is no session goes on
				if by == "caller" {
					other := follow(t, name, url, `{"type":"subscribe","id":1,"router":"memos"}`, "Visitor", "2")
					other.want("snapshot")
				}
			})
		}
	}
}

func TestASessionThatEndsMakesRoom(t *testing.T) {
	b := newBench(t, live.Options{Identity: byVisitor, Limits: live.Limits{SessionsOfCaller: 1}}, desk())
	for range 20 {
		for _, r := range everyWay {
			if w := r.askAndGo(b); w.Code == 429 {
				t.Fatalf("%s %s: %s", r.method, r.url, w.Body)
			}
		}
	}
}

func TestMessagesThatComeTooOftenAreNotDone(t *testing.T) {
	for _, known := range []bool{true, false} {
		o := live.Options{Limits: live.Limits{Messages: never(3)}}
		if known {
			o.Identity = byVisitor
		}
		overEach(t, o, func(t *testing.T, b *bench, m *memos, f *follower) {
			f.say(creates(1, 5)...) // one request, be it of a stream or not
			for range 5 {           // a refusal does not wait for the answers before it
				answer := f.next()
				got, retry := code(answer)
				if refused := answer.ID > 3; refused != (got == "rate_limited") || refused != (retry > 0) {
					t.Errorf("got %s", answer.Raw)
				}
			}
			if n := strings.Count(m.snapshot(), `"OwnerID":1`); n != 4 {
				t.Errorf("%d rows, want 4: %s", n, m.snapshot())
			}
		})
	}
}

// What was refused is not overtaken by what was sent behind it.
func TestWritesKeepTheirOrderWhenSomeAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := desk()
		create := m.Create
		m.Create = func(ctx context.Context, in memo) (memo, error) {
			<-time.After(time.Second / 10) // meanwhile tokens come back
			return create(ctx, in)
		}
		b := newBench(t, live.Options{Identity: byVisitor, Limits: live.Limits{Messages: live.Rate{PerSecond: 10, Burst: 18}}}, m)
		said := b.say(creates(1, 40)...) // 16 are worked on at once, then reading waits
		done := ""
		for _, answer := range said {
			done += map[bool]string{true: "+", false: "-"}[strings.Contains(answer, `"result"`)]
		}
		if len(done) != 40 || strings.Count(done, "+") < 18 {
			t.Errorf("got %s", said)
		}
		refused := map[string]bool{}
		for _, answer := range said {
			var a struct{ ID int }
			_ = json.Unmarshal([]byte(answer), &a)
			refused[fmt.Sprint(a.ID)] = strings.Contains(answer, "rate_limited")
		}
		for id, after := 1, false; id <= 40; id++ {
			if after && !refused[fmt.Sprint(id)] {
				t.Errorf("%d was done, and one before it refused", id)
			}
			after = refused[fmt.Sprint(id)]
		}
		if err := b.hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestSubscriptionsThatComeTooOftenAreNotRead(t *testing.T) {
	overEach(t, live.Options{Identity: byVisitor, Limits: live.Limits{Subscribes: never(2)}}, func(t *testing.T, b *bench, m *memos, f *follower) {
		f.say(`{"type":"subscribe","id":1,"router":"memos"}`)
		first := f.want("snapshot")
		f.say(`{"type":"subscribe","id":2,"channel":"chat:1"}`)
		f.want("snapshot")
		f.say(`{"type":"subscribe","id":3,"router":"memos","where":{"list_id":7}}`)
		f.wantCode(3, "rate_limited")
		f.Drop()

		// To resume costs nothing, however often, unless the cursor does not serve.
		for range 5 {
			if said := b.say(`{"type":"subscribe","id":1,"router":"memos","cursor":"` + first.Cursor + `"}`); !strings.Contains(said[0], `"resumed"`) {
				t.Fatalf("got %s", said)
			}
		}
		for _, cursor := range []string{"0", "zzz.11", first.Cursor + `","tag":"other`} {
			if said := b.say(`{"type":"subscribe","id":1,"router":"memos","cursor":"` + cursor + `"}`); !strings.Contains(said[0], `"rate_limited"`) {
				t.Errorf("the cursor %s: %s", cursor, said)
			}
		}
	})
}

// The defaults let honest pages be: one with all its subscriptions that connects again and again, ten tabs of it, an importer, polls.
func TestHonestPagesMeetNoLimit(t *testing.T) {
	b := newBench(t, live.Options{Identity: byVisitor, Address: func(*http.Request) string { return "192.0.2.1" }}, desk())
	var page []string
	for id := range 128 {
		page = append(page, fmt.Sprintf(`{"type":"subscribe","id":%d,"router":"memos","where":{"list_id":%d}}`, id+1, id%8))
	}
	for range 10 { // at once, without cursors
		if said := strings.Join(b.say(page...), "\n"); strings.Contains(said, `"error"`) {
			t.Fatalf("got %s", said)
		}
	}
	for range 200 {
		b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`)
		b.want(200, "…", "GET", "/live/memos/1", "")
	}
}
