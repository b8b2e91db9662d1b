package pusher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/swampline/live"
	"github.com/swampline/live/relay/pusher"
)

// The same model, other transport: who follows private-todos-7 with pusher-js is told what who follows the router with live is told.
func Example() {
	type Todo struct {
		ID      int64  `live:"id,key"`
		ListID  int64  `live:"list_id,filter"`
		OwnerID int64  `live:"owner_id,scope"`
		Title   string `live:"title,write"`
	}
	told := make(chan string, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // in place of Pusher
		var body struct {
			Batch []struct{ Name, Channel, Data string }
		}
		var one struct {
			Name, Data string
			Channels   []string
		}
		if r.URL.Path == "/apps/3/events" {
			json.NewDecoder(r.Body).Decode(&one)
			told <- fmt.Sprint(one.Channels[0], " ", one.Name, " ", one.Data)
		} else {
			json.NewDecoder(r.Body).Decode(&body)
			for _, e := range body.Batch {
				told <- fmt.Sprint(e.Channel, " ", e.Name, " ", e.Data)
			}
		}
		fmt.Fprint(w, "{}")
	}))
	defer service.Close()

	ctx, cancel := context.WithCancel(context.Background())
	hub := live.New(live.Options{})
	todos := &live.Router[Todo]{
		Name:  "todos",
		Scope: live.Everyone,
		List:  func(context.Context, live.Query) ([]Todo, error) { return nil, nil },
	}
	hub.Register(todos)
	relay := pusher.New(hub, pusher.Options{
		URL: service.URL, AppID: "3", Key: "278d425bdf160c739803", Secret: "7ad3773142a6692b25b8",
		Routers: []pusher.Source{pusher.Rows[Todo]{Router: todos, Of: func(t Todo) []string { return []string{strconv.FormatInt(t.ListID, 10)} }}},
	})
	ended := make(chan error)
	go func() { ended <- relay.Run(ctx) }()
	if err := relay.Ready(ctx); err != nil {
		log.Fatal(err)
	}

	milk := Todo{ID: 1, ListID: 7, OwnerID: 42, Title: "milk"}
	elsewhere := milk
	elsewhere.ListID = 8
	todos.Created(ctx, milk)
	fmt.Println(<-told)
	todos.Updated(ctx, milk, elsewhere)
	a, b := <-told, <-told // two channels, in whatever order
	fmt.Println(min(a, b))
	fmt.Println(max(a, b))

	cancel()
	<-ended
	hub.Shutdown(context.Background())
	// Output:
	// private-todos-7 created {"id":1,"list_id":7,"title":"milk"}
	// private-todos-7 deleted {"id":1}
	// private-todos-8 created {"id":1,"list_id":8,"title":"milk"}
}
