package pusher

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

type todo struct {
	ID      int64  `live:"id,key"`
	List    string `live:"list,filter"`
	Title   string `live:"title"`
	Version int64  `live:"version,version"`
}

// todos is a router over rows in memory.
func todos() *live.Router[todo] {
	var mu sync.Mutex
	rows := []todo{{1, "home", "wash", 1}}
	return &live.Router[todo]{
		Name: "todos", Scope: func(context.Context) (where.Where, error) { return where.In("list"), nil }, // by its own name nobody sees any
		List: func(context.Context, live.Query) ([]todo, error) {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(rows), nil
		},
	}
}

func offerTodos() Offer {
	return Offer{Router: "todos", Channel: "private-todos-*", Where: func(_ context.Context, name string) (where.Where, error) {
		list := strings.TrimPrefix(name, "private-todos-")
		switch list {
		case "secret":
			return where.Where{}, &live.Error{Code: "forbidden", Status: 403, Detail: "not for you"}
		case "panic":
			panic("at once")
		}
		return where.Eq("list", list), nil
	}}
}

func TestARouterIsOfferedAsPrivateChannels(t *testing.T) {
	r := todos()
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}, Routers: []Offer{offerTodos()}}, r)
	c, other := n.dial(), n.dial()
	c.send(`{"event":"pusher:subscribe","data":{"channel":"private-todos-home"}}`)
	c.wantRefused("private-todos-home", 401)
	c.follow("private-todos-home")
	other.follow("private-todos-work")
	ctx := t.Context()
	wash, buy := todo{1, "home", "wash", 1}, todo{2, "home", "buy", 1}
	washed, moved := wash, buy
	washed.Title, washed.Version = "washed", 2
	moved.List, moved.Version = "work", 2
	for _, err := range []error{r.Created(ctx, buy), r.Updated(ctx, wash, washed), r.Updated(ctx, buy, moved), r.Deleted(ctx, washed)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(c *client, event, data string) {
		t.Helper()
		if f := c.next(); f.Event != event || f.text() != data {
			t.Errorf("got %v, want %s %s", f, event, data)
		}
	}
	want(c, "created", `{"fields":{"id":2,"list":"home","title":"buy","version":1},"key":"2","version":1}`)
	want(c, "updated", `{"fields":{"title":"washed","version":2},"key":"1","version":2}`)
	want(c, "deleted", `{"key":"2"}`)
	want(c, "deleted", `{"key":"1"}`)
	want(other, "created", `{"fields":{"id":2,"list":"work","title":"buy","version":2},"key":"2","version":2}`)
	n.trigger("private-todos-home", "note", "1") // it is a channel, too
	c.want(`note private-todos-home "1"`)
	if err := r.ChangedWhere(ctx, where.Eq("list", "home")); err != nil {
		t.Fatal(err)
	}
	want(c, "resync", `{}`)
	c.sync()
	c.send(`{"event":"pusher:unsubscribe","data":{"channel":"private-todos-home"}}`)
	c.sync()
	if err := r.Created(ctx, todo{3, "home", "x", 1}); err != nil {
		t.Fatal(err)
	}
	n.trigger("private-todos-work", "note", "2")
	other.want(`note private-todos-work "2"`)
	c.sync()
}

func TestAnOfferMayRefuse(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}, Routers: []Offer{offerTodos()}}, todos())
	c := n.dial()
	c.ask("private-todos-secret")
	c.wantRefused("private-todos-secret", 403)
	c.ask("private-todos-panic")
	f := c.want2("pusher:subscription_error")
	var d struct{ Error string }
	if err := json.Unmarshal(f.Data, &d); err != nil || strings.Contains(d.Error, "at once") {
		t.Errorf("the client is told %s", f.Data)
	}
	c.follow("private-todos-home")
}

func TestOffersThatCannotBeKept(t *testing.T) {
	for _, o := range []Offer{{Router: "nothing", Channel: "private-x"}, {Router: "todos", Channel: "x"}, {Router: "todos", Channel: "private-*"}, {Router: "todos", Channel: "presence-x"},
		{Router: "todos", Channel: "private-encrypted-x"}, {Router: "todos", Channel: "private-cache-*"}, {Router: "todos"}} {
		wantPanic(t, Options{Apps: []App{testApp}, Routers: []Offer{o}})
	}
	for _, o := range []Options{
		{}, {Apps: []App{{}}}, {Apps: []App{testApp, testApp}}, {Apps: []App{{ID: "1", Key: "1", Secret: "s", Prefix: "x"}}}, {Apps: []App{testApp}, ActivityTimeout: 1},
		{Apps: []App{testApp, {ID: "1", Key: testApp.Key, Secret: "s", Prefix: "x:"}}}, {Apps: []App{testApp, {ID: "1", Key: "k", Secret: "s"}}}, {Apps: []App{{ID: "1", Key: "1", Secret: "s", MaxConnections: -1}}},
	} {
		wantPanic(t, o)
	}
}

// wantPanic checks that New refuses options with a sentence.
func wantPanic(t *testing.T, o Options) {
	t.Helper()
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(todos())
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, "pusher: ") {
			t.Errorf("%+v: got %q", o, p)
		}
	}()
	New(hub, o)
}
