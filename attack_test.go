package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

// whole is everything of an answer: status, headers, body.
func (b *bench) whole(r way) string {
	b.Helper()
	w := b.ask(r.method, r.url, r.body, r.headers...)
	var headers strings.Builder
	_ = w.Header().Write(&headers) // in the order of their names
	return fmt.Sprintf("%d\n%s\n%s", w.Code, headers.String(), w.Body)
}

// changing is what differs between two answers of the same kind.
var changing = regexp.MustCompile(`"(query|cursor|tag)":"[^"]*"|E[Tt]ag: [^\r]*|Live-Cursor: [^\r]*`)

// secretive is a table of which visitor 1 sees the row 1, not 88442, and whose channels say the same of rooms.
func secretive(t *testing.T) *bench {
	m := desk()
	m.put(memo{ID: 88442, OwnerID: 2, ListID: 7, Title: "theirs", Version: 9})
	m.Verbs = map[string]live.CustomVerb{"archive": live.RowVerb[memo, struct{}, bool](func(context.Context, memo, struct{}) (bool, error) { return true, nil })}
	m.Tx = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	room := func(_ context.Context, name string) error {
		if name == "room:2" { // somebody else's
			return fmt.Errorf("the room of visitor 2: %w", live.ErrNotFound)
		}
		return live.ErrNotFound
	}
	rooms := &live.Channel{Name: "room:*", Subscribe: room, Publish: func(ctx context.Context, name string, _ json.RawMessage) (any, error) { return nil, room(ctx, name) }}
	return newBench(t, live.Options{Debug: false}, m, rooms)
}

func TestWhatIsHiddenLooksLikeWhatIsMissing(t *testing.T) {
	b := secretive(t)
	version := []string{"If-Match", "9"}
	for _, test := range []struct {
		hidden, missing string // replaces HERE
		ways            []way
		messages        []string
	}{
		{"88442", "99553", []way{
			{"GET", "/live/memos/HERE", "", nil}, {"HEAD", "/live/memos/HERE", "", nil}, {"GET", "/live/memos/HERE", "", []string{"If-None-Match", `"9"`}},
			{"PATCH", "/live/memos/HERE", `{"title":"x"}`, version}, {"PATCH", "/live/memos/HERE", `{"title":"x"}`, nil},
			{"PATCH", "/live/memos/HERE", `{"title":"x"}`, []string{"If-Match", "8"}}, {"PATCH", "/live/memos/HERE", `{"no":"x"}`, version},
			{"PATCH", "/live/memos/HERE", `{"title":"x"}`, []string{"If-Match", "9", "Idempotency-Key", "0f8fad5b-d9cb-469f-a165-70867728950e"}},
			{"DELETE", "/live/memos/HERE", "", version}, {"DELETE", "/live/memos/HERE", "", nil}, {"DELETE", "/live/memos/HERE", "", []string{"If-Match", "x"}},
			{"POST", "/live/memos/HERE/archive", "{}", nil}, {"POST", "/live/memos/HERE/archive", "{}", version}, {"POST", "/live/memos/HERE", "{}", nil},
			{"PATCH", "/live/memos", `[{"key":"HERE","version":9,"data":{"title":"x"}}]`, nil}, {"DELETE", "/live/memos", `[{"key":"HERE","version":9}]`, nil},
			{"GET", "/live/memos?id=HERE", "", nil}, {"GET", "/live/memos?id=HERE&cursor=0", "", nil},
		}, []string{
			`"type":"call","router":"memos","verb":"get","key":"HERE"`, `"type":"call","router":"memos","verb":"update","key":"HERE","version":9,"data":{"title":"x"}`,
			`"type":"call","router":"memos","verb":"update","key":"HERE","data":{"title":"x"}`, `"type":"call","router":"memos","verb":"delete","key":"HERE","version":9`,
			`"type":"call","router":"memos","verb":"archive","key":"HERE","data":{}`, `"type":"call","router":"memos","verb":"list","where":{"id":HERE}`,
			`"type":"call","router":"memos","verb":"delete","data":[{"key":"HERE","version":9}]`,
			`"type":"explain","router":"memos","key":"HERE"`, `"type":"subscribe","router":"memos","where":{"id":HERE}`, `"type":"subscribe","router":"memos","limit":1,"order":"id","where":{"id":HERE}`,
		}},
		{"room:2", "room:9", []way{{"GET", "/live/?channel=HERE", "", nil}, {"GET", "/live/?channel=HERE&cursor=0", "", nil}, {"GET", "/live/?channel=HERE", "", []string{"Accept", "text/event-stream"}}},
			[]string{`"type":"subscribe","channel":"HERE"`, `"type":"publish","channel":"HERE","data":1`}},
		{"room:2", "hall:2", []way{{"GET", "/live/?channel=HERE", "", nil}}, []string{`"type":"subscribe","channel":"HERE"`, `"type":"publish","channel":"HERE","data":1`}},
		{"owner_id", "anything", []way{ // a field that serves rights
			{"GET", "/live/memos?HERE=2", "", nil}, {"GET", "/live/memos?HERE__in=2", "", nil}, {"GET", "/live/memos?HERE__no=2", "", nil}, {"GET", "/live/memos?order=HERE", "", nil},
			{"GET", "/live/memos?include=HERE", "", nil}, {"POST", "/live/memos", `{"HERE":2}`, nil}, {"PATCH", "/live/memos/1", `{"HERE":2}`, []string{"If-Match", "4"}},
			{"GET", "/live/memos?order=HERE&limit=1&cursor=0&bound=[2,2]", "", nil},
		}, []string{
			`"type":"subscribe","router":"memos","where":{"HERE":2}`, `"type":"subscribe","router":"memos","where":{"not":{"HERE":{"gt":"x"}}}`, `"type":"subscribe","router":"memos","order":"-HERE"`,
			`"type":"subscribe","router":"memos","include":["HERE"]`, `"type":"call","router":"memos","verb":"create","data":{"HERE":null}`,
		}},
		{"Secret", "nothin", []way{ // one that was never declared
			{"GET", "/live/memos?HERE=2", "", nil}, {"GET", "/live/memos?order=HERE", "", nil}, {"POST", "/live/memos", `{"HERE":2}`, nil},
		}, []string{`"type":"subscribe","router":"memos","where":{"HERE":2}`}},
	} {
		for _, r := range test.ways {
			answer := func(name string) string {
				in := strings.NewReplacer("HERE", name)
				said := b.whole(way{r.method, in.Replace(r.url), in.Replace(r.body), r.headers})
				return changing.ReplaceAllString(strings.ReplaceAll(said, name, "HERE"), "…")
			}
			if hidden, missing := answer(test.hidden), answer(test.missing); hidden != missing {
				t.Errorf("%s %s %s\nhidden  %s\nmissing %s", r.method, r.url, r.body, hidden, missing)
			}
		}
		for _, name := range transporttest.All {
			url := b.server() + "/live/"
			for _, message := range test.messages {
				answer := func(name2 string) string {
					f := follow(t, name, url, "")
					defer f.Drop()
					f.say(`{"id":7,` + strings.ReplaceAll(message, "HERE", name2) + `}`)
					return changing.ReplaceAllString(strings.ReplaceAll(f.next().Raw, name2, "HERE"), "…")
				}
				if hidden, missing := answer(test.hidden), answer(test.missing); hidden != missing {
					t.Errorf("%s: %s\nhidden  %s\nmissing %s", name, message, hidden, missing)
				}
			}
		}
	}
}

// No request can name a session, so nobody can be in somebody else's: whatever visitor 2 learns of visitor 1's and says in any place, he is told
// of his own rows.
func TestNothingOfASessionIsOfUseToSomebodyElse(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) {
			m := desk()
			b := newBench(t, live.Options{Identity: byVisitor}, m)
			const subscription = `{"type":"subscribe","id":1,"router":"memos"}`
			one := follow(t, name, b.server()+"/live/", subscription)
			snapshot := one.want("snapshot")
			socket := follow(t, transporttest.WebSocket, b.server()+"/live/", "")
			hello, err := socket.Next(limit(t))
			if err != nil {
				t.Fatal(err)
			}
			var known struct{ Session, Query, Cursor, Tag string }
			for _, raw := range []string{hello.Raw, snapshot.Raw} {
				if err := json.Unmarshal([]byte(raw), &known); err != nil {
					t.Fatal(err)
				}
			}
			if len(known.Session) < 26 || known.Query == "" || known.Cursor == "" || known.Tag == "" {
				t.Fatalf("%+v", known)
			}
			list := b.want(200, "…", "GET", "/live/memos", "")
			m.retitle(t, 1, "the-secret")
			if change := one.want("change"); !strings.Contains(change.Raw, "the-secret") {
				t.Fatal(change.Raw)
			}
			stolen := []string{
				"Visitor", "2", "Session", known.Session, "X-Session-Id", known.Session, "Live-Session", known.Session, "Cookie", "session=" + known.Session,
				"Last-Event-ID", known.Cursor + "~" + known.Tag, "If-None-Match", list.Header().Get("ETag"), "Live-Cursor", known.Cursor, "Authorization", known.Session,
			}
			for _, url := range []string{
				"/live/memos", "/live/memos?cursor=" + known.Cursor, "/live/memos?cursor=" + known.Cursor + "&tag=" + known.Tag, "/live/memos?session=" + known.Session,
				"/live/memos/1", "/live/" + known.Session, "/live/?channel=" + known.Session, "/live/?session=" + known.Session, "/live/memos?transport=" + known.Session,
			} {
				w := b.ask("GET", url, "", stolen...)
				if strings.Contains(w.Body.String(), "the-secret") || strings.Contains(w.Body.String(), "milk") || w.Code == 304 {
					t.Errorf("%s: %d %s", url, w.Code, w.Body)
				}
				if token := strings.HasSuffix(url, "?session="+known.Session) && url != "/live/?session="+known.Session; token && w.Code != 400 {
					t.Errorf("%s: a token in a URL is taken for something: %d %s", url, w.Code, w.Body)
				}
			}
			two := follow(t, name, b.server()+"/live/", "", stolen[:2]...)
			for _, member := range []string{`"session":"` + known.Session + `"`, `"query":"` + known.Query + `"`, `"sid":1`} {
				two.say(`{"type":"unsubscribe","id":1,` + member + `}`)
				two.wantCode(1, "malformed_message")
			}
			two.say(`{"type":"subscribe","id":5,"router":"memos","cursor":"` + known.Cursor + `","tag":"` + known.Tag + `"}`)
			resync := two.want("resync")
			if resync.Reason != "rights" || strings.Contains(resync.Raw, "the-secret") || !strings.Contains(resync.Raw, "theirs") {
				t.Errorf("got %s", resync.Raw)
			}
			two.Drop()
			m.retitle(t, 1, "still here") // and he has taken nothing away
			if change := one.want("change"); !strings.Contains(change.Raw, "still here") {
				t.Error(change.Raw)
			}
		})
	}
}

// A forged cursor or tag at worst costs a new snapshot.
func TestForgedCursorsAndTagsGiveNothing(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	at := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`).want("snapshot").Cursor
	epoch, offset, _ := strings.Cut(at, ".")
	for _, cursor := range []string{"0", epoch + ".10", "1." + offset, "zzzzzzzzzzzz.10", at} {
		for _, tag := range []string{"", "x", "Jq3w-8Zx0aPk", strings.Repeat("A", 164), "\\u0000", "a\\nid: 5"} {
			for _, answer := range b.say(`{"type":"subscribe","id":1,"router":"memos","cursor":"` + cursor + `","tag":"` + tag + `"}`) {
				if strings.Contains(answer, "theirs") || strings.Contains(answer, "s-two") || !strings.Contains(answer, `"snapshot"`) && !strings.Contains(answer, `"resync"`) && !strings.Contains(answer, `"resumed"`) {
					t.Errorf("%s~%s: %s", cursor, tag, answer)
				}
			}
		}
	}
	for _, cursor := range []string{"1", "x.y", "-1.10", epoch + "." + offset + ".", "../..", at + "\\u0000", "'", strings.Repeat("9", 10_000)} {
		if said := b.say(`{"type":"subscribe","id":1,"router":"memos","cursor":"` + cursor + `"}`); !strings.Contains(said[0], "malformed_cursor") {
			t.Errorf("%s: %s", cursor, said)
		}
	}
}

// A mutation is its caller's: it reveals nothing to anybody else. (His write may be taken for done, once the log tells of the other.)
func TestAMutationIsItsCallers(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{Identity: byVisitor}, m)
	const mutation = "0f8fad5b-d9cb-469f-a165-70867728950e"
	mine := b.want(201, "…", "POST", "/live/memos", `{"title":"the-secret"}`, "Idempotency-Key", mutation)
	again := b.want(201, "…", "POST", "/live/memos", `{"title":"the-secret"}`, "Idempotency-Key", mutation)
	equal(t, "said again", again.Body.String(), mine.Body.String())
	theirs := b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`, "Idempotency-Key", mutation, "Visitor", "2")
	if !strings.Contains(theirs.Body.String(), `"title":"x"`) {
		t.Errorf("another caller's: %s", theirs.Body)
	}
	// On another node, which knows the mutation from the log alone, too.
	other := newBench(t, live.Options{Identity: byVisitor, Broker: b.spy}, m.beside())
	w := other.want(201, "…", "POST", "/live/memos", `{"title":"y"}`, "Idempotency-Key", mutation, "Visitor", "3")
	if !strings.Contains(w.Body.String(), `"title":"y"`) {
		t.Errorf("on another node: %s", w.Body)
	}
}

// The rights that a node is told of over the log count from when they are there: nothing published behind it goes by the old ones.
func TestRevocationIsAsFastAsTheLog(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) {
			log := memory.New(memory.Options{})
			m, n := desk(), desk()
			here := newBench(t, live.Options{Broker: log, Identity: byVisitor}, m)
			rule := ruled(n)
			there := newBench(t, live.Options{Broker: log, Identity: byVisitor}, n)
			f := follow(t, name, there.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
			f.want("snapshot")
			nothing := func(context.Context) (where.Where, error) { return where.Where{}, live.ErrForbidden }
			rule.Store(&nothing)
			if err := here.hub.Recheck(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			m.retitle(t, 1, "the-secret") // the next entry of the log
			for {
				got, err := f.Next(limit(t))
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(got.Raw, "the-secret") {
					t.Fatalf("got %s", got.Raw)
				}
				if got.Type == "closed" || got.Type == "error" {
					return
				}
			}
		})
	}
}
