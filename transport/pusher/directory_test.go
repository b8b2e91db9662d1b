package pusher

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
)

// A server posts to an app's URL what happens on its channels, and what is left when it stops.
func TestAServerPostsWebhooks(t *testing.T) {
	posted := make(chan hook, 100)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Events []hook }
		data, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(data, &body)
		}
		if err != nil {
			t.Error(err)
		}
		for _, h := range body.Events {
			posted <- h
		}
	}))
	defer endpoint.Close()
	app := silent
	app.Webhook = endpoint.URL
	hub := live.New(live.Options{DrainWindow: time.Millisecond})
	n := &node{T: t, hub: hub, server: New(hub, Options{Apps: []App{app}})}
	srv := httptest.NewServer(n.server)
	defer srv.Close()
	n.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	c := n.dial()
	c.follow("private-x")
	next := func() (h hook) {
		t.Helper()
		select {
		case h = <-posted:
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was posted within 30 s")
		}
		return h
	}
	if h := next(); h.Name != "channel_occupied" || h.Channel != "private-x" {
		t.Errorf("%+v was posted", h)
	}
	c.send(`{"event":"client-e","channel":"private-x","data":"1"}`)
	if h := next(); h.Name != "client_event" || h.SocketID != c.socket {
		t.Errorf("%+v was posted", h)
	}
	c.send(`{"event":"pusher:unsubscribe","data":{"channel":"private-x"}}`)
	c.sync()
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case h := <-posted:
		if h.Name != "channel_vacated" || h.Channel != "private-x" {
			t.Errorf("%+v was posted", h)
		}
	default:
		t.Error("what happened before the stop was not posted")
	}
}

// The HTTP API is served at /apps/, below whatever path.
func TestAServerServesTheAPI(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{})
	c := n.dial()
	c.follow("orders")
	for _, prefix := range []string{"", "/below/app-server"} {
		path, body := "/apps/3/events", `{"name":"e","channel":"orders","data":"1"}`
		w := httptest.NewRecorder()
		n.server.ServeHTTP(w, httptest.NewRequest("POST", prefix+path+"?"+signedQuery(n.app(), "POST", path, body, time.Now()), strings.NewReader(body)))
		if w.Code != 200 || w.Body.String() != "{}" {
			t.Errorf("the answer is %d %s", w.Code, w.Body)
		}
		c.want(`e orders "1"`)
	}
	for id, want := range map[string]int{"3": 200, "4": 404} {
		path := fmt.Sprintf("/apps/%s/channels", id)
		w := httptest.NewRecorder()
		n.server.ServeHTTP(w, httptest.NewRequest("GET", path+"?"+signedQuery(n.app(), "GET", path, "", time.Now()), nil))
		if w.Code != want {
			t.Errorf("the answer for app %s is %d %s", id, w.Code, w.Body)
		}
	}
}

func TestAnAppsWebhookIsAURL(t *testing.T) {
	app := testApp
	app.Webhook = "example.com/hook"
	wantPanic(t, Options{Apps: []App{app}})
}

// A name has as many characters as the HTTP API takes, wherever it stands.
func TestNamesAreCountedInCharacters(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{})
	c := n.dial()
	longest := "private-" + strings.Repeat("x", longestChannel-8)
	c.follow(longest)
	c.ask(longest + "x")
	c.wantError("null")
	if err := checkEvent(strings.Repeat("é", longestEvent)); err != nil {
		t.Error(err)
	}
	user := strings.Repeat("é", longestUser)
	c.signedIn(`{"id":"` + user + `"}`)
	c.follow(userChannel + user)
	c.askAs("presence-x", `{"user_id":"`+user+`"}`)
	c.want2("pusher_internal:subscription_succeeded")
	c.askAs("presence-y", `{"user_id":"`+user+`é"}`)
	c.wantRefused("presence-y", 401)
}
