package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

const noChannel = `{"title":"Not Found","status":404,"code":"not_found","detail":"no such channel, or not one that you may use"}`

func subscribe(channel string) string {
	return `{"type":"subscribe","id":1,"channel":"` + channel + `"}`
}

func publish(channel, data string) string {
	return `{"type":"publish","id":2,"channel":"` + channel + `","data":` + data + `}`
}

// anyone lets everybody follow a channel.
func anyone(context.Context, string) error { return nil }

func TestChannelIsNobodysByDefault(t *testing.T) {
	b := newBench(t, live.Options{}, &live.Channel{Name: "mute"}, &live.Channel{Name: "read", Subscribe: anyone})
	for _, name := range []string{"mute", "undeclared", "mute:7", "a b", "ü", "read*", "*"} {
		equal(t, "subscribe "+name, b.say(subscribe(name))[0], `{"type":"error","id":1,"problem":`+noChannel+`}`)
		equal(t, "publish "+name, b.say(publish(name, "1"))[0], `{"type":"error","id":2,"problem":`+noChannel+`}`)
		b.want(404, noChannel, "GET", "/live/?channel="+strings.ReplaceAll(name, " ", "+"), "")
	}
	equal(t, "publish", b.say(publish("read", "1"))[0], `{"type":"error","id":2,"problem":`+noChannel+`}`)
	equal(t, "subscribe", scrub(b.say(subscribe("read"))[0]), `{"type":"snapshot","id":1,"query":"Q","cursor":"C"}`)
	if len(b.spy.entries) != 0 {
		t.Errorf("published: %s", b.spy.entries)
	}
}

func TestChannelsRulesDecide(t *testing.T) {
	chat := &live.Channel{
		Name: "chat:*",
		Subscribe: func(ctx context.Context, name string) error {
			if name == "chat:locked" && visitor(ctx) != 2 {
				return &live.Error{Code: "members_only", Detail: "join first"}
			}
			return nil
		},
		Publish: func(ctx context.Context, name string, data json.RawMessage) (any, error) {
			var in struct{ Text string }
			switch err := json.Unmarshal(data, &in); {
			case err != nil:
				return nil, &live.Error{Code: "invalid", Status: 422, Detail: "want a text"}
			case in.Text == "":
				return nil, errors.New("secret reason")
			case in.Text == "panic":
				panic("secret reason")
			}
			return map[string]any{"text": in.Text, "by": visitor(ctx), "in": name}, nil
		},
	}
	b := newBench(t, live.Options{}, chat)
	url := b.server() + "/live/"
	f := follow(t, transporttest.WebSocket, url, subscribe("chat:7"))
	equal(t, "subscribed", scrub(f.next().Raw), `{"type":"snapshot","id":1,"query":"Q","cursor":"C"}`)

	f.say(publish("chat:7", `{"text":"<hi>"}`))
	message := f.want("message")
	equal(t, "published", scrub(message.Raw), `{"type":"message","query":"Q","cursor":"C","messages":[{"by":1,"in":"chat:7","text":"<hi>"}]}`)
	if result := f.want("result"); result.ID != 2 || result.Cursor != message.Cursor {
		t.Errorf("result: %s", result.Raw)
	}
	for _, test := range []struct{ data, problem string }{
		{`7`, `{"title":"Unprocessable Content","status":422,"code":"invalid","detail":"want a text"}`},
		{`{}`, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`},
		{`{"text":"panic"}`, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`},
	} {
		f.say(publish("chat:7", test.data))
		equal(t, test.data, f.want("error").Raw, `{"type":"error","id":2,"problem":`+test.problem+`}`)
	}
	if n := strings.Count(b.log.String(), "secret reason"); n != 2 {
		t.Errorf("logged: %s", b.log)
	}

	locked := b.say(subscribe("chat:locked"))[0]
	equal(t, "locked", locked, `{"type":"error","id":1,"problem":{"title":"Forbidden","status":403,"code":"members_only","detail":"join first"}}`)
	member := follow(t, transporttest.WebSocket, url, subscribe("chat:locked"), "Visitor", "2")
	member.want("snapshot")

	// What is published elsewhere is not heard here.
	for _, name := range []string{"chat:8", "chat:locked", "chat:7"} {
		if err := b.hub.Publish(t.Context(), name, name); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "heard in 7", scrub(f.want("message").Raw), `{"type":"message","query":"Q","cursor":"C","messages":["chat:7"]}`)
	equal(t, "heard in locked", scrub(member.want("message").Raw), `{"type":"message","query":"Q","cursor":"C","messages":["chat:locked"]}`)
}

func TestClosestDeclarationOfAChannelCounts(t *testing.T) {
	says := func(name string) *live.Channel {
		return &live.Channel{Name: name, Subscribe: func(context.Context, string) error {
			return &live.Error{Code: "by", Detail: name}
		}}
	}
	b := newBench(t, live.Options{}, says("chat:*"), says("*"), says("chat:team:7"), says("chat:team:*"), says("chat:team:7*"))
	for name, by := range map[string]string{
		"x": "*", "chat": "*", "chat:": "chat:*", "chat:1": "chat:*", "chat:team:": "chat:team:*", "chat:team:8": "chat:team:*",
		"chat:team:7": "chat:team:7", "chat:team:70": "chat:team:7*", "Chat:1": "*",
	} {
		if answer := b.say(subscribe(name))[0]; !strings.Contains(answer, `"detail":"`+by+`"`) {
			t.Errorf("%s is ruled by %s, want %s", name, answer, by)
		}
	}
}

func TestHubPublishesOnDeclaredChannelsOnly(t *testing.T) {
	b := newBench(t, live.Options{}, &live.Channel{Name: "news"}, &live.Channel{Name: "all:*"})
	for _, name := range []string{"olds", "news:1", "", "all", "all: ", "all:*", strings.Repeat("a", 200)} {
		if err := b.hub.Publish(t.Context(), name, 1); err == nil || !strings.Contains(err.Error(), "is not declared: register a live.Channel") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := b.hub.Publish(t.Context(), "news", make(chan int)); err == nil || err.Error() != "live: channel news: json: unsupported type: chan int" {
		t.Error(err)
	}
	if len(b.spy.entries) != 0 {
		t.Errorf("published: %s", b.spy.entries)
	}
	for _, name := range []string{"news", "all:", "all:7/x@y.z;a,b=c_d-e"} { // a channel that nobody may follow can be published on
		if err := b.hub.Publish(t.Context(), name, nil); err != nil {
			t.Error(err)
		}
	}
	entry, _, _ := strings.Cut(b.spy.entries[1], `,"sent":`)
	equal(t, "on the log", entry, `{"v":1,"messages":[{"channel":"all:","data":null}]`)
}

func TestChannelIsFollowedByItsURL(t *testing.T) {
	b := newBench(t, live.Options{}, &live.Channel{Name: "chat:*", Subscribe: anyone})
	w := b.want(200, "…", "GET", "/live/?channel=chat:7", "")
	var snapshot struct{ Cursor string }
	if err := json.Unmarshal(w.Body.Bytes(), &snapshot); err != nil {
		t.Fatal(err)
	}
	equal(t, "snapshot", w.Body.String(), `{"type":"snapshot","id":1,"query":"`+queryOf(w.Body.String())+`","cursor":"`+snapshot.Cursor+`"}`+"\n")
	for _, text := range []string{"a", "b"} {
		if err := b.hub.Publish(t.Context(), "chat:7", text); err != nil {
			t.Fatal(err)
		}
	}
	got := b.want(http.StatusOK, "…", "GET", "/live/?channel=chat:7&wait=5&cursor="+snapshot.Cursor, "")
	if !strings.HasSuffix(got.Body.String(), `"messages":["a","b"]}`+"\n") && !strings.HasSuffix(got.Body.String(), `"messages":["a"]}`+"\n") {
		t.Errorf("what followed: %s", got.Body)
	}
}

func queryOf(message string) string {
	_, rest, _ := strings.Cut(message, `"query":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}
