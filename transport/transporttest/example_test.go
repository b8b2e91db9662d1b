package transporttest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/swampline/live/transport/transporttest"
)

// One client reads a list over a WebSocket, and goes on with it over a long-poll.
func ExampleClient() {
	ctx := context.Background()
	app := newApp()
	server := httptest.NewServer(app.Handler)
	defer server.Close()

	c, err := transporttest.Dial(ctx, transporttest.WebSocket, server.URL+"/live/", transporttest.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Send(ctx, `{"type":"subscribe","id":1,"router":"items","where":{"list_id":7}}`)
	for range 2 {
		m, _ := c.Next(ctx)
		fmt.Println(m.Type)
	}
	c.Drop()
	left := c.Subscriptions()
	app.Create(ctx, 7, "milk")

	c, err = transporttest.Dial(ctx, transporttest.LongPoll, server.URL+"/live/", transporttest.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	c.Send(ctx, left...)
	for range 2 {
		m, _ := c.Next(ctx)
		fmt.Println(m.Type)
	}
	// Output:
	// hello
	// snapshot
	// resumed
	// change
}
