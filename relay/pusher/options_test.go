package pusher_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/relay/pusher"
)

func TestMistakes(t *testing.T) {
	router := func(hub *live.Hub) *live.Router[todo] {
		r := &live.Router[todo]{Name: "todos", Scope: live.Everyone, List: func(context.Context, live.Query) ([]todo, error) { return nil, nil }}
		if hub != nil {
			hub.Register(r)
		}
		return r
	}
	quiet := live.Options{Logger: slog.New(slog.DiscardHandler)}
	other := live.New(quiet)
	defer other.Shutdown(t.Context())
	rows := func(change func(r *pusher.Rows[todo])) func(*pusher.Options) {
		return func(o *pusher.Options) {
			r := o.Routers[0].(pusher.Rows[todo])
			change(&r)
			o.Routers = []pusher.Source{r}
		}
	}
	channel := func(m ...pusher.Messages) func(*pusher.Options) {
		return func(o *pusher.Options) { o.Channels = m }
	}
	all := func(todo) []string { return []string{"x"} }
	for want, change := range map[string]func(o *pusher.Options){
		`the URL "" is not that of a server`:                      func(o *pusher.Options) { o.URL = "" },
		`the URL "api-eu.pusher.com" is not that of a server`:     func(o *pusher.Options) { o.URL = "api-eu.pusher.com" },
		`has more than a scheme and a host`:                       func(o *pusher.Options) { o.URL = "https://x.example/apps" },
		`AppID, Key or Secret is missing`:                         func(o *pusher.Options) { o.Secret = "" },
		`or the AppID has other characters`:                       func(o *pusher.Options) { o.AppID = "3/events" },
		`the Name "a b" is not allowed`:                           func(o *pusher.Options) { o.Name = "a b" },
		`the Lease is 1ms, which is too short`:                    func(o *pusher.Options) { o.Lease = time.Millisecond },
		`one of Load and Save is set`:                             func(o *pusher.Options) { o.Load = new(store).load },
		`Parallel is 1000`:                                        func(o *pusher.Options) { o.Parallel = 1000 },
		`there are neither Routers nor Channels`:                  func(o *pusher.Options) { o.Routers = nil },
		`the element 0 of Routers is nil`:                         func(o *pusher.Options) { o.Routers[0] = nil },
		`has no Router: set it`:                                   rows(func(r *pusher.Rows[todo]) { r.Router = nil }),
		`it is not registered: call hub.Register before`:          rows(func(r *pusher.Rows[todo]) { r.Router = router(nil) }),
		`it is registered with another hub`:                       rows(func(r *pusher.Rows[todo]) { r.Router = router(other) }),
		`its serializer has no view "vip"`:                        rows(func(r *pusher.Rows[todo]) { r.View = "vip" }),
		`the channel "todos" is public at the service`:            rows(func(r *pusher.Rows[todo]) { r.Channel = "todos" }),
		`the channel "private-encrypted-todos" is encrypted`:      rows(func(r *pusher.Rows[todo]) { r.Channel = "private-encrypted-todos" }),
		`the channel "private-a:b" is not allowed at the service`: rows(func(r *pusher.Rows[todo]) { r.Channel = "private-a:b" }),
		`the channel "private-*" has nothing of its own`:          rows(func(r *pusher.Rows[todo]) { r.Channel, r.Of = "private-*", all }),
		`nothing says what stands for it: set Of`:                 rows(func(r *pusher.Rows[todo]) { r.Channel = "private-todos-*" }),
		`has no "*" for what Of returns`:                          rows(func(r *pusher.Rows[todo]) { r.Channel, r.Of = "private-todos", all }),
		`it names none of the hub's channels`:                     channel(pusher.Messages{Name: "*", Channel: "private-x-*"}),
		`the channel "news" is public at the service`:             channel(pusher.Messages{Name: "news"}),
		`the channel "chat:*" is not allowed at the service`:      channel(pusher.Messages{Name: "chat:*"}),
		`only one of it and "private-chat" has a "*"`:             channel(pusher.Messages{Name: "chat:*", Channel: "private-chat"}),
		`channel private-a: it is in Channels twice`:              channel(pusher.Messages{Name: "private-a"}, pusher.Messages{Name: "private-a"}),
	} {
		hub := live.New(quiet)
		todos := router(hub)
		o := pusher.Options{URL: "https://api.example", AppID: appID, Key: key, Secret: secret, Routers: []pusher.Source{pusher.Rows[todo]{Router: todos}}}
		change(&o)
		got := panicOf(func() { pusher.New(hub, o) })
		if !strings.HasPrefix(got, "pusher: ") || !strings.Contains(got, want) || strings.Contains(got, secret) {
			t.Errorf("New panics with %q, want %q", got, want)
		}
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}
