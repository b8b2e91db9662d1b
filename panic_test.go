package live_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

// house is what a test of panics changes one func of.
type house struct {
	options live.Options
	memos   *memos
	channel live.Channel
}

// oh is a panic that no client may be told of.
func oh() { panic("the-secret") }

// panics are a house for each func of an application, in which that one panics.
var panics = map[string]func(h *house){
	"Scope": func(h *house) {
		h.memos.Scope = func(context.Context) (w where.Where, err error) { oh(); return }
	},
	"List": func(h *house) {
		h.memos.List = func(context.Context, live.Query) (rows []memo, err error) { oh(); return }
	},
	"Count": func(h *house) {
		h.memos.Count = func(context.Context, live.Query) (n int64, err error) { oh(); return }
	},
	"Get":    func(h *house) { h.memos.Get = func(context.Context, live.Key) (row memo, err error) { oh(); return } },
	"Create": func(h *house) { h.memos.Create = func(context.Context, memo) (row memo, err error) { oh(); return } },
	"Update": func(h *house) {
		h.memos.Update = func(context.Context, memo, memo) (row memo, err error) { oh(); return }
	},
	"Delete":   func(h *house) { h.memos.Delete = func(context.Context, memo) (err error) { oh(); return } },
	"Allow":    func(h *house) { h.memos.Allow = func(context.Context, string) (err error) { oh(); return } },
	"AllowRow": func(h *house) { h.memos.AllowRow = func(context.Context, string, memo) (err error) { oh(); return } },
	"Before":   func(h *house) { h.memos.Before = func(context.Context, *live.Write[memo]) (err error) { oh(); return } },
	"After":    func(h *house) { h.memos.After = func(context.Context, *live.Write[memo]) { oh() } },
	"Validate": func(h *house) { h.memos.Validate = func(context.Context, *memo, memo) (err error) { oh(); return } },
	"Tx": func(h *house) {
		h.memos.Tx = func(context.Context, func(context.Context) error) (err error) { oh(); return }
	},
	"Tx after do": func(h *house) {
		h.memos.Tx = func(ctx context.Context, do func(context.Context) error) error { _ = do(ctx); oh(); return nil }
	},
	"computed": func(h *house) {
		h.memos.Serializer.Computed = map[string]live.Computed[memo]{"loud": {Of: func(memo) any { oh(); return nil }}}
	},
	"Decode": func(h *house) {
		h.memos.Serializer.Decode = map[string]func(json.RawMessage, *memo) error{"title": func(json.RawMessage, *memo) error { oh(); return nil }}
	},
	"View": func(h *house) {
		h.memos.Serializer.Views = map[string]live.View{"some": {Fields: []string{"id", "title", "list_id", "version"}}}
		h.memos.Serializer.View = func(context.Context) (name string, err error) { oh(); return }
	},
	"verb": func(h *house) {
		h.memos.Verbs["archive"] = live.RowVerb[memo, struct{}, bool](func(context.Context, memo, struct{}) (ok bool, err error) { oh(); return })
	},
	"Identity":          func(h *house) { h.options.Identity = func(context.Context) (who string) { oh(); return } },
	"Channel.Subscribe": func(h *house) { h.channel.Subscribe = func(context.Context, string) (err error) { oh(); return } },
	"Channel.Publish": func(h *house) {
		h.channel.Publish = func(context.Context, string, json.RawMessage) (v any, err error) { oh(); return }
	},
	"what Channel.Publish returns": func(h *house) {
		h.channel.Publish = func(context.Context, string, json.RawMessage) (v any, err error) { return bomb{}, nil }
	},
}

// bomb panics when it is encoded.
type bomb struct{}

func (bomb) MarshalJSON() ([]byte, error) { oh(); return nil, nil }

// everyMessage asks for everything that a client can ask for, each under its own id.
var everyMessage = []string{
	`{"type":"subscribe","id":1,"router":"memos"}`, `{"type":"subscribe","id":2,"router":"memos","order":"id","limit":1}`, `{"type":"subscribe","id":3,"router":"memos","count":true}`,
	`{"type":"subscribe","id":4,"channel":"chat:1"}`, `{"type":"publish","id":5,"channel":"chat:1","data":1}`, `{"type":"call","id":6,"router":"memos","verb":"list"}`,
	`{"type":"call","id":7,"router":"memos","verb":"get","key":"1"}`, `{"type":"call","id":8,"router":"memos","verb":"create","data":{"title":"x"}}`,
	`{"type":"call","id":9,"router":"memos","verb":"update","key":"1","version":4,"data":{"title":"x"}}`, `{"type":"call","id":10,"router":"memos","verb":"archive","key":"1"}`,
	`{"type":"call","id":11,"router":"memos","verb":"delete","key":"1","version":5}`, `{"type":"explain","id":12,"router":"memos"}`,
	`{"type":"call","id":13,"router":"memos","verb":"create","data":[{"title":"x"},{"title":"y"}],"mutation":"0f8fad5b-d9cb-469f-a165-70867728950e"}`,
}

// A panic of the application is that one request's failure: over every transport, whatever func it is in, everything is answered, nothing of it is
// told, it is logged, and everybody else goes on.
func TestAPanicOfTheApplicationEndsOneRequest(t *testing.T) {
	for name, change := range panics {
		for _, transport := range transporttest.All {
			t.Run(name+" over "+transport, func(t *testing.T) {
				h := &house{memos: desk(), channel: live.Channel{
					Name: "chat:*", Subscribe: anyone, Publish: func(_ context.Context, _ string, data json.RawMessage) (any, error) { return data, nil },
				}}
				h.memos.Verbs = map[string]live.CustomVerb{"archive": live.RowVerb[memo, struct{}, bool](func(context.Context, memo, struct{}) (bool, error) { return true, nil })}
				h.memos.Count = func(context.Context, live.Query) (int64, error) { return 1, nil }
				change(h)
				towns := places("towns")
				b := newBench(t, h.options, h.memos, &h.channel, towns)
				url := b.server() + "/live/"
				if h.options.Identity == nil {
					f := follow(t, transport, url, "")
					told := ""
					for _, message := range everyMessage {
						f.say(message)
						answer := f.next()
						for told += answer.Raw; answer.ID == 0; told += answer.Raw { // a change, or a count
							answer = f.next()
						}
					}
					if strings.Contains(told, "the-secret") {
						t.Errorf("a client was told: %s", told)
					}
				}
				for _, r := range everyWay {
					if w := r.askAndGo(b); strings.Contains(w.Body.String(), "the-secret") {
						t.Errorf("%s %s: %s", r.method, r.url, w.Body)
					}
				}
				if !strings.Contains(b.log.String(), "the-secret") {
					t.Error("nobody is told of the panic in the log")
				}
				if h.options.Identity == nil {
					b.want(200, "…", "GET", "/live/towns", "")
				}
			})
		}
	}
}

func TestAPanicWhereRightsAreRenewedEndsOneSession(t *testing.T) {
	refuse := false
	b := newBench(t, live.Options{Identity: byVisitor, Refresh: func(ctx context.Context) (context.Context, error) {
		if refuse && visitor(ctx) == 1 {
			oh()
		}
		return ctx, nil
	}}, desk())
	one, two := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`), follow(t, transporttest.WebSocket, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`, "Visitor", "2")
	one.want("snapshot")
	two.want("snapshot")
	refuse = true
	for _, who := range []string{"1", "2"} {
		if err := b.hub.Recheck(t.Context(), who); err != nil {
			t.Fatal(err)
		}
	}
	if end := one.want("closed"); strings.Contains(end.Raw, "the-secret") {
		t.Error(end.Raw)
	}
	two.say(`{"type":"ping","id":9}`)
	two.want("pong")
}

func TestAPanicOfAddressEndsOneRequest(t *testing.T) {
	b := newBench(t, live.Options{Address: func(*http.Request) (address string) { oh(); return }}, desk())
	for _, r := range everyWay {
		w := r.askAndGo(b)
		if r.url != "/live/no" && (w.Code != 500 || strings.Contains(w.Body.String(), "the-secret")) {
			t.Errorf("%s %s: %d %s", r.method, r.url, w.Code, w.Body)
		}
	}
}
