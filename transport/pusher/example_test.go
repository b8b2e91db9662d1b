package pusher_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/pusher"
	"github.com/swampline/live/where"
)

// What Go code publishes reaches Pusher's clients, which connect as they are: this one says what pusher-js does.
func Example() {
	hub := live.New(live.Options{})
	hub.Register(&live.Channel{Name: "orders"})
	mux := http.NewServeMux()
	mux.Handle("/live/", hub)
	channels := pusher.New(hub, pusher.Options{Apps: []pusher.App{{ID: "1", Key: "key", Secret: "secret"}}})
	mux.Handle("/app/", channels)
	mux.Handle("/apps/", channels)
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx := context.Background()
	defer hub.Shutdown(ctx)
	client, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/app/key?protocol=7&client=js&version=8.6.0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseNow()
	next := func() string {
		_, frame, err := client.Read(ctx)
		if err != nil {
			return err.Error()
		}
		return string(frame)
	}
	next() // pusher:connection_established, with the socket's id
	client.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:subscribe","data":{"auth":"","channel":"orders"}}`))
	fmt.Println(next())
	hub.Publish(ctx, "orders", pusher.Event{Name: "shipped", Data: map[string]int{"id": 7}})
	fmt.Println(next())
	hub.Publish(ctx, "orders", "any other value")
	fmt.Println(next())
	// Output:
	// {"event":"pusher_internal:subscription_succeeded","channel":"orders","data":"{}"}
	// {"event":"shipped","channel":"orders","data":"{\"id\":7}"}
	// {"event":"message","channel":"orders","data":"\"any other value\""}
}

// A router is offered to clients that cannot run this module's own: the application signs who may follow which channel, as of any private one.
func ExampleOffer() {
	type Todo struct {
		ID   int64  `live:"id,key"`
		List string `live:"list,filter"`
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(&live.Router[Todo]{
		Name:  "todos",
		Scope: func(context.Context) (where.Where, error) { return where.Where{}, nil },
		List:  func(context.Context, live.Query) ([]Todo, error) { return nil, nil },
	})
	pusher.New(hub, pusher.Options{
		Apps: []pusher.App{{ID: "1", Key: "key", Secret: "secret"}},
		Routers: []pusher.Offer{{
			Router: "todos", Channel: "private-todos-*",
			Where: func(_ context.Context, name string) (where.Where, error) {
				return where.Eq("list", strings.TrimPrefix(name, "private-todos-")), nil
			},
		}},
	})
	fmt.Println("private-todos-home tells created, updated and deleted of the list home")
	// Output: private-todos-home tells created, updated and deleted of the list home
}
