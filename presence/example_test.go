package presence_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
)

// A room whose guests see each other. Who comes is known by a header, which stands for the application's login.
func Example() {
	type user struct{}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(&live.Channel{Name: "room:*", Subscribe: func(context.Context, string) error { return nil }})
	presence.New(hub, presence.Options{Person: func(ctx context.Context) (presence.Person, error) {
		name, _ := ctx.Value(user{}).(string)
		return presence.Person{ID: name, Name: name}, nil
	}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hub.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), user{}, r.Header.Get("User"))))
	}))
	defer server.Close()

	// Ada comes, on an event stream, as live.js does with presence(live, {channel: "room:1"}).
	ctx, goes := context.WithCancel(context.Background())
	defer goes()
	r, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/live/", strings.NewReader(
		`{"type":"subscribe","id":1,"channel":"room:1","presence":{"member":"6a6d3e1c-7f65-4c1e-9d57-2f9f0b8a3c11","token":"a-secret-of-this-tab-alone","state":{"state":"viewing"}}}`))
	r.Header.Set("User", "Ada")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Body.Close()
	for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
		var m struct {
			Type    string
			Changes []struct {
				Op     string
				Fields struct {
					Name  string
					State json.RawMessage
				}
			}
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &m) == nil && m.Type == "change" {
			fmt.Println(m.Changes[0].Op, m.Changes[0].Fields.Name, string(m.Changes[0].Fields.State))
			break
		}
	}
	// Output:
	// create Ada {"state":"viewing"}
}
