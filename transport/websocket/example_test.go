package websocket_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/websocket"
)

// What waits for one client leaves in one text message, a line each. A session that the hub closes says its last words first.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := script.New( // the hub's part
			script.Frame("hello", "", `{"type":"hello","protocol":1}`),
			script.Frame("reconnect", "", `{"type":"reconnect","after":1200}`),
		)
		s.Close()
		websocket.Transport{}.Serve(w, r, s, script.Options())
	}))
	defer server.Close()

	client, _, err := ws.Dial(context.Background(), server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseNow()
	_, message, _ := client.Read(context.Background())
	fmt.Println(string(message))
	_, _, err = client.Read(context.Background())
	fmt.Println(ws.CloseStatus(err))
	// Output:
	// {"type":"hello","protocol":1}
	// {"type":"reconnect","after":1200}
	// StatusGoingAway
}
