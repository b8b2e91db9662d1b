package pusher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/presence"
	"github.com/swampline/live/transport"
)

// enters subscribes to a presence channel as a user, and returns what the success says.
func (c *client) enters(channel, id string) string {
	c.Helper()
	c.askAs(channel, fmt.Sprintf(`{"user_id":%q,"user_info":{"name":%q}}`, id, strings.ToUpper(id)))
	f := c.next()
	if f.Event != "pusher_internal:subscription_succeeded" || f.Channel != channel {
		c.Fatalf("got %v", f)
	}
	return f.text()
}

func TestPresenceTellsUsersNotConnections(t *testing.T) {
	log := memory.New(memory.Options{})
	a, b := startNode(t, log, live.Options{}, Options{}), startNode(t, log, live.Options{}, Options{})
	ann := a.dial()
	if got := ann.enters("presence-x", "ann"); got != `{"presence":{"ids":["ann"],"hash":{"ann":{"name":"ANN"}},"count":1}}` {
		t.Fatalf("ann is told %s", got)
	}
	bob := b.dial()
	a.until("ann is known to the other node", func() bool { return len(b.server.members(b.app(), "presence-x")) == 1 })
	if got := bob.enters("presence-x", "bob"); got != `{"presence":{"ids":["ann","bob"],"hash":{"ann":{"name":"ANN"},"bob":{"name":"BOB"}},"count":2}}` &&
		got != `{"presence":{"ids":["bob","ann"],"hash":{"bob":{"name":"BOB"},"ann":{"name":"ANN"}},"count":2}}` {
		t.Fatalf("bob is told %s", got)
	}
	ann.want(`pusher_internal:member_added presence-x "{\"user_id\":\"bob\",\"user_info\":{\"name\":\"BOB\"}}"`)
	again := a.dial() // a second one of his
	again.enters("presence-x", "bob")
	again.conn.CloseNow()
	third := a.dial()
	third.enters("presence-x", "cyd")
	added := `pusher_internal:member_added presence-x "{\"user_id\":\"cyd\",\"user_info\":{\"name\":\"CYD\"}}"`
	ann.want(added)
	bob.want(added)
	a.until("both nodes know three", func() bool {
		return strings.Join(a.server.members(a.app(), "presence-x"), " ") == "ann bob cyd" && strings.Join(b.server.members(b.app(), "presence-x"), " ") == "ann bob cyd"
	})
	third.send(`{"event":"client-wave","channel":"presence-x","data":{}}`)
	waved := `client-wave presence-x "{}" of cyd`
	ann.want(waved)
	bob.want(waved)
	third.send(`{"event":"pusher:unsubscribe","data":{"channel":"presence-x"}}`)
	ann.want(`pusher_internal:member_removed presence-x "{\"user_id\":\"cyd\"}"`)
	bob.want(`pusher_internal:member_removed presence-x "{\"user_id\":\"cyd\"}"`)
	third.sync()
	bob.conn.Close(ws.StatusNormalClosure, "")
	ann.want(`pusher_internal:member_removed presence-x "{\"user_id\":\"bob\"}"`)
	ann.sync()
}

func TestPresenceNeedsAUser(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{})
	c := n.dial()
	for _, data := range []string{``, `x`, `[]`, `{}`, `{"user_id":""}`, `{"user_id":null}`, `{"user_id":true}`, `{"user_id":{}}`, `{"user_info":{}}`,
		`{"user_id":"` + strings.Repeat("x", 129) + `"}`, `{"user_id":"u","user_info":"` + strings.Repeat("x", 1<<10) + `"}`, strings.Repeat("[", 5000)} {
		c.askAs("presence-x", data)
		c.wantRefused("presence-x", 401)
	}
	c.ask("presence-x") // with no data at all
	c.wantRefused("presence-x", 401)
	c.askAs("presence-x", `{"user_id":7}`)
	c.want(`pusher_internal:subscription_succeeded presence-x "{\"presence\":{\"ids\":[\"7\"],\"hash\":{\"7\":{}},\"count\":1}}"`)
	if got := n.server.members(n.app(), "presence-x"); len(got) != 1 || got[0] != "7" {
		t.Errorf("members %v", got)
	}
}

func TestOneWhoComesBackAtOnceFlickersAtMost(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{})
	ann, bob := n.dial(), n.dial()
	ann.enters("presence-x", "ann")
	bob.enters("presence-x", "bob")
	ann.want2("pusher_internal:member_added")
	for range 5 {
		bob.send(`{"event":"pusher:unsubscribe","data":{"channel":"presence-x"}}`)
		bob.enters("presence-x", "bob")
	}
	cyd := n.dial()
	cyd.enters("presence-x", "cyd")
	there := true
	for f := ann.next(); !strings.Contains(f.text(), "cyd"); f = ann.next() {
		if there == (f.Event == "pusher_internal:member_added") {
			t.Fatalf("got %v while bob's presence is %v", f, there)
		}
		there = !there
	}
	if !there {
		t.Error("ann takes bob for gone")
	}
}

// TestClientsOfBothKindsSeeEachOther: presence is one.
func TestClientsOfBothKindsSeeEachOther(t *testing.T) {
	hub := live.New(live.Options{DrainWindow: time.Millisecond})
	defer hub.Shutdown(context.Background())
	hub.Register(&live.Channel{Name: "presence-x", Subscribe: func(context.Context, string) error { return nil }})
	people := presence.New(hub, presence.Options{Person: func(context.Context) (presence.Person, error) { return presence.Person{ID: "native", Name: "Nat"}, nil }, Linger: time.Millisecond})
	n := &node{T: t, hub: hub, server: New(hub, Options{Apps: []App{silent}, Presence: people})}
	srv := httptest.NewServer(n.server)
	defer srv.Close()
	n.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	theirs := httptest.NewServer(hub)
	defer theirs.Close()

	c := n.dial()
	c.enters("presence-x", "ann")
	conn, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(theirs.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	native := &client{T: t, conn: conn}
	native.send(`{"type":"subscribe","id":1,"channel":"presence-x","presence":{"member":"0190a0e4-7b5c-7000-8000-000000000001","token":"abcdefghijklmnopqrstuvwxyz"}}`)
	c.want(`pusher_internal:member_added presence-x "{\"user_id\":\"native\",\"user_info\":{\"name\":\"Nat\"}}"`)
	late := n.dial()
	if got := late.enters("presence-x", "bob"); !strings.Contains(got, `"native":{"name":"Nat"}`) || !strings.Contains(got, `"count":3`) {
		t.Errorf("bob is told %s", got)
	}
	n.until("the native client sees both", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, data, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(data), `"person":"bob","name":"BOB","info":{"name":"BOB"}`)
	})
	conn.CloseNow() // it may linger, as other members do
	for f := late.next(); f.Event != "pusher_internal:member_removed"; f = late.next() {
		t.Errorf("got %v", f)
	}
}

// TestARosterIsWhoIsThere whatever it is told, in whatever order: persons come once and go once.
func TestARosterIsWhoIsThere(t *testing.T) {
	r := newRoster(person{id: "me"})
	s := &subscription{name: "presence-x", members: r}
	member := func(key, person string) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"key":%q,"fields":{"person":%q,"name":"","info":null}}`, key, person))
	}
	wants := func(frames []*transport.Frame, want ...string) {
		t.Helper()
		var got []string
		for _, f := range frames {
			var event frame
			if err := json.Unmarshal(f.Data, &event); err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimPrefix(event.Event, "pusher_internal:member_")+" "+event.text())
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	wants(r.replace(s, []json.RawMessage{member("1", "ann"), member("2", "bob")})) // before it has succeeded nothing is told
	if r.here {
		t.Error("the own member is there before it has come by")
	}
	s.told = true
	wants(r.replace(s, []json.RawMessage{member("1", "ann"), member("3", "ann"), member("2", "bob"), member(r.member, "me"), member("4", "me")}))
	if !r.here || len(r.order) != 3 {
		t.Errorf("%v", r.order)
	}
	wants(r.replace(s, []json.RawMessage{member("3", "ann"), member("5", "cyd")}), `removed {"user_id":"bob"}`, `added {"user_id":"cyd"}`)
	wants(r.replace(s, nil), `removed {"user_id":"ann"}`, `removed {"user_id":"cyd"}`)
	if got := r.JSON(); got != `{"presence":{"ids":["me"],"hash":{"me":{}},"count":1}}` {
		t.Error(got)
	}
}

func TestAPresenceChannelHasSoManyUsers(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{MaxMembers: 2})
	for _, id := range []string{"ann", "bob", "ann"} {
		n.dial().enters("presence-x", id)
	}
	c := n.dial()
	c.askAs("presence-x", `{"user_id":"cyd"}`)
	c.wantRefused("presence-x", 429)
	c.enters("presence-y", "cyd")
	c.enters("presence-x", "bob") // who is there has room
}

// TestACallerWhoIsSentAwayIsNotToComeBack: the hub's Disconnect holds for these connections, too.
func TestACallerWhoIsSentAwayIsNotToComeBack(t *testing.T) {
	n := startNode(t, nil, live.Options{Identity: func(context.Context) string { return "u7" }}, Options{Apps: []App{silent}})
	c := n.dial()
	c.enters("presence-x", "ann")
	if err := n.hub.Recheck(t.Context(), "u7"); err != nil { // what the app has signed holds
		t.Fatal(err)
	}
	n.trigger("presence-x", "e", "1")
	c.want(`e presence-x "1"`)
	if err := n.hub.Disconnect(t.Context(), "u7"); err != nil {
		t.Fatal(err)
	}
	c.wantClosed(4009)
	n.until("nobody is there", func() bool { return len(n.server.members(n.app(), "presence-x")) == 0 })
}
