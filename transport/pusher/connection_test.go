package pusher

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live"
)

func TestTheConnectionIsEstablished(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{ActivityTimeout: 17 * time.Second})
	seen := map[string]bool{}
	for range 3 {
		c := n.dialRaw("/app/" + testApp.Key + query)
		f := c.next()
		m := regexp.MustCompile(`^\{"socket_id":"(\d+\.\d+)","activity_timeout":17\}$`).FindStringSubmatch(f.text())
		if f.Event != "pusher:connection_established" || m == nil || seen[m[1]] {
			t.Fatalf("first came %v", f)
		}
		seen[m[1]] = true
		c.send(`{"event":"pusher:ping"}`) // data may be missing
		c.want(`pusher:pong  "{}"`)
		c.send(`{"event":"pusher:pong","data":{}}`)
		if err := c.conn.Ping(c.conn.CloseRead(t.Context())); err != nil {
			t.Errorf("a ping of the WebSocket's: %v", err)
		}
	}
	if got := n.hub.Stats().Sessions["pusher"]; got != 3 {
		t.Errorf("%d sessions, want 3", got)
	}
}

// TestWhoIsNotLetInIsToldWhy: by an error and the close code, since a browser is told nothing of an HTTP status.
func TestWhoIsNotLetInIsToldWhy(t *testing.T) {
	app, off, small := testApp, App{ID: "4", Key: "off", Secret: "s", Prefix: "off:", Disabled: true}, App{ID: "5", Key: "small", Secret: "s", Prefix: "s:", MaxConnections: 1}
	secret := App{ID: "6", Key: "secret", Secret: "s", Prefix: "t:", TLSOnly: true}
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{app, off, small, secret}})
	first := n.dialRaw("/app/small" + query)
	first.next()
	for _, test := range []struct {
		path, code string
		status     int
	}{
		{"/app/secret" + query, "4000", 4000},
		{"/app/nobody" + query, "4001", 4001},
		{"/app/off" + query, "4003", 4003},
		{"/app/small" + query, "4004", 4004},
		{"/app/" + query, "4005", 4005},
		{"/app/a/b" + query, "4005", 4005},
		{"/app/" + app.Key + "?protocol=seven", "4006", 4006},
		{"/app/" + app.Key + "?protocol=7&version=" + strings.Repeat("1", 99), "4006", 4006},
		{"/app/" + app.Key + "?protocol=4", "4007", 4007},
		{"/app/" + app.Key + "?protocol=8", "4007", 4007},
		{"/app/" + app.Key, "4008", 4008},
	} {
		t.Run(test.path, func(t *testing.T) {
			n.T = t
			c := n.dialRaw(test.path)
			c.wantError(test.code)
			c.wantClosed(test.status)
		})
	}
	n.T = t
	first.sync()
	first.conn.Close(ws.StatusNormalClosure, "")
	n.until("it is counted out", func() bool { return n.server.connections("5") == 0 })
	n.dialRaw("/app/small" + query).next()

	r, err := http.Get("http" + strings.TrimPrefix(n.url, "ws") + "/app/" + app.Key + query)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusUpgradeRequired || r.Header.Get("Upgrade") != "websocket" {
		t.Errorf("without an upgrade: %v", r.Status)
	}
}

// connections is how many an app has on this node.
func (s *Server) connections(app string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns[app])
}

func TestAppsAreFoundInADatabase(t *testing.T) {
	broken := errors.New("the database is away")
	n := startNode(t, nil, live.Options{}, Options{Find: func(_ context.Context, by Lookup) (App, error) {
		switch by.Key {
		case "known":
			return App{ID: "9", Key: "known", Secret: "s"}, nil
		case "wrong":
			return App{ID: "9", Key: "other", Secret: "s"}, nil
		case "broken":
			return App{}, broken
		}
		return App{}, ErrNoApp
	}})
	n.dialRaw("/app/known" + query).want2("pusher:connection_established")
	for key, code := range map[string]int{"wrong": 4100, "broken": 4100, "nobody": 4001} {
		c := n.dialRaw("/app/" + key + query)
		if f := c.want2("pusher:error"); strings.Contains(string(f.Data), "database") {
			t.Errorf("%s: the client is told %s", key, f.Data)
		}
		c.wantClosed(code)
	}
}

// want2 checks the event of the next frame alone.
func (c *client) want2(event string) frame {
	c.Helper()
	f := c.next()
	if f.Event != event {
		c.Fatalf("got %v, want %s", f, event)
	}
	return f
}

// TestBadFramesLeaveTheConnection: whatever a client sends is answered, and harms nobody.
func TestBadFramesLeaveTheConnection(t *testing.T) {
	n := startNode(t, nil, live.Options{MaxMessageBytes: 4 << 10}, Options{})
	other := n.dial()
	other.follow("news")
	c := n.dial()
	for _, text := range []string{
		``, ` `, `null`, `[]`, `7`, `"x"`, `{`, `{}`, `{"event":7}`, `{"event":null}`, `{"event":""}`, `{"event":"news"}`, `{"event":{"a":1}}`,
		`{"event":"pusher:subscribe"}`, `{"event":"pusher:subscribe","data":null}`, `{"event":"pusher:subscribe","data":7}`, `{"event":"pusher:subscribe","data":"x"}`,
		`{"event":"pusher:subscribe","data":{}}`, `{"event":"pusher:subscribe","data":{"channel":7}}`, `{"event":"pusher:subscribe","data":{"channel":""}}`,
		`{"event":"pusher:subscribe","data":{"channel":"a b"}}`, `{"event":"pusher:subscribe","data":{"channel":"a:b"}}`, `{"event":"pusher:subscribe","data":{"channel":"#x"}}`,
		`{"event":"pusher:subscribe","data":{"channel":"#server-to-user-"}}`, `{"event":"pusher:subscribe","data":{"channel":"` + strings.Repeat("a", 201) + `"}}`,
		`{"event":"pusher:subscribe","data":{"channel":"presence-x","auth":7}}`, `{"event":"pusher:unsubscribe"}`, `{"event":"pusher:unsubscribe","data":"{"}`,
		`{"event":"pusher:unsubscribe","data":{"channel":7}}`, `{"event":"pusher:signin"}`, `{"event":"pusher:signin","data":[]}`, `{"event":"pusher:connection_established","data":"{}"}`,
		`{"event":"pusher_internal:member_added","channel":"news","data":"{}"}`, `{"event":"` + strings.Repeat("x", 1000) + `"}`,
		strings.Repeat("[", 2000), `{"event":"pusher:subscribe","data":` + strings.Repeat(`{"a":`, 50) + `1` + strings.Repeat("}", 50) + `}`,
		`{"event":"x","data":"` + strings.Repeat("x", 5<<10) + `"}`,
	} {
		c.send(text)
		c.wantError("null")
	}
	c.send(`{"event":"pusher:unsubscribe","data":{"channel":"never"}}`)
	c.sync()
	c.follow("news")
	n.trigger("news", "e", "1")
	for _, c := range []*client{c, other} {
		c.want(`e news "1"`)
	}
}

func TestBinaryAndTextThatIsNotUTF8CloseTheSocket(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{})
	for kind, status := range map[ws.MessageType]int{ws.MessageBinary: 1003, ws.MessageText: 1007} {
		c := n.dial()
		if err := c.conn.Write(t.Context(), kind, []byte("{\"event\":\"\xff\"}")); err != nil {
			t.Fatal(err)
		}
		c.wantClosed(status)
	}
}

// TestShutdownSendsClientsAway with the code that has them come back at once, one after another.
func TestShutdownSendsClientsAway(t *testing.T) {
	n := startNode(t, nil, live.Options{DrainWindow: 500 * time.Millisecond}, Options{})
	var clients []*client
	for range 8 {
		c := n.dial()
		c.follow("news")
		clients = append(clients, c)
	}
	begun := time.Now()
	done := make(chan error, 1)
	go func() { done <- n.hub.Shutdown(context.Background()) }()
	for _, c := range clients {
		c.wantClosed(4200)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 125*time.Millisecond { // the last of eight parts of the window
		t.Errorf("all were gone after %v", took)
	}
	late := n.dialRaw("/app/" + testApp.Key + query)
	late.wantError("4100")
	late.wantClosed(4100)
}
