package pusher

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
)

// silent is testApp without counts, which tests that are not about these do not want.
var silent = func() App { a := testApp; a.SubscriptionCount = false; return a }()

func TestEventsReachTheSubscribersOfAllNodes(t *testing.T) {
	log := memory.New(memory.Options{})
	orders := &live.Channel{Name: "orders"}
	a := startNode(t, log, live.Options{}, Options{Apps: []App{silent}}, orders)
	b := startNode(t, log, live.Options{}, Options{Apps: []App{silent}}, &live.Channel{Name: "orders"})
	one, two := a.dial(), b.dial()
	one.follow("orders")
	two.follow("orders")
	odd := "{ \"a\" : \"\\u00fc<&>\u2028\" }\n\t"
	a.trigger("orders", `App\Events\Shipped`, odd)
	for _, c := range []*client{one, two} {
		f := c.next()
		if f.Event != `App\Events\Shipped` || f.Channel != "orders" || f.text() != odd {
			t.Errorf("got %v, data %q", f, f.text())
		}
	}
	a.trigger("orders", "e", "1", one.socket)
	two.want(`e orders "1"`)
	one.sync()
	a.trigger("orders", "e", "2", "1.1") // nobody's socket
	one.want(`e orders "2"`)
	two.want(`e orders "2"`)

	for _, v := range []any{Event{Name: "shipped", Data: map[string]any{"id": 7}}, "plain", nil, map[string]any{"event": "pusher:error", "data": "x"},
		map[string]any{"event": "e", "data": "x", "user_id": "eve"}} {
		if err := b.hub.Publish(t.Context(), "orders", v); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*client{one, two} {
		c.want(`shipped orders "{\"id\":7}"`)
		c.want(`message orders "\"plain\""`)
		c.want(`message orders "null"`)
		c.want(`message orders "{\"data\":\"x\",\"event\":\"pusher:error\"}"`)
		c.want(`e orders "x"`) // who says to be somebody is not believed
	}
	one.send(`{"event":"pusher:unsubscribe","data":{"channel":"orders"}}`)
	one.sync()
	a.trigger("orders", "e", "3")
	two.want(`e orders "3"`)
	one.sync()
	a.catchUp() // else it may come when one is back
	one.follow("orders")
	a.trigger("orders", "e", "4")
	one.want(`e orders "4"`)
}

// TestManyEventsOfOneEntryAreFramesOfTheirOwn, in their order, with each its own exception.
func TestManyEventsOfOneEntryAreFramesOfTheirOwn(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}})
	one, two := n.dial(), n.dial()
	one.follow("x")
	two.follow("x")
	two.follow("y")
	batch := []outgoing{{name: "a", data: "1", channels: []string{"x", "y"}}, {name: "b", data: "2", channels: []string{"x"}, except: two.socket}, {name: "c", data: "3", channels: []string{"x"}}}
	if err := n.server.trigger(t.Context(), n.app(), batch); err != nil {
		t.Fatal(err)
	}
	one.want(`a x "1"`)
	one.want(`b x "2"`)
	one.want(`c x "3"`)
	got := map[string]bool{}
	for range 3 {
		got[two.next().String()] = true
	}
	if !got[`a x "1"`] || !got[`a y "1"`] || !got[`c x "3"`] {
		t.Errorf("got %v", got)
	}
	two.sync()
}

func TestASubscriptionIsThereOnce(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}, MaxChannels: 2})
	c := n.dial()
	c.follow("x")
	c.ask("x")
	c.wantError("null")
	n.trigger("x", "e", "1")
	c.want(`e x "1"`)
	c.sync()
	c.follow("y")
	c.ask("z")
	c.wantRefused("z", 429)
	c.send(`{"event":"pusher:unsubscribe","data":{"channel":"x"}}`)
	c.follow("z")
}

func TestAppsHaveChannelsOfTheirOwn(t *testing.T) {
	shop := App{ID: "8", Key: "shop", Secret: "s", Prefix: "shop:"}
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent, shop}}, &live.Channel{Name: "*"})
	here := n.dial()
	here.follow("orders")
	there := n.dialRaw("/app/shop" + query)
	there.next()
	there.send(`{"event":"pusher:subscribe","data":"{\"channel\":\"orders\"}"}`) // a string that holds an object will do
	there.want(`pusher_internal:subscription_succeeded orders "{}"`)
	n.trigger("orders", "e", "1")
	if err := n.server.trigger(t.Context(), &n.server.options.Apps[1], []outgoing{{name: "e", data: "2", channels: []string{"orders"}}}); err != nil {
		t.Fatal(err)
	}
	if err := n.hub.Publish(t.Context(), "shop:orders", 3); err != nil {
		t.Fatal(err)
	}
	here.want(`e orders "1"`)
	here.sync()
	there.want(`e orders "2"`)
	there.want(`message orders "3"`)
}

func TestSubscribersAreToldHowManyTheyAre(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{testApp}})
	count := func(c *client, want string) { // who has just come may be told of those who were there before
		t.Helper()
		for c.want2("pusher_internal:subscription_count").text() != `{"subscription_count":`+want+`}` {
		}
	}
	one, two := n.dial(), n.dial()
	one.follow("x")
	count(one, "1")
	two.follow("x")
	count(two, "2")
	count(one, "2")
	two.send(`{"event":"pusher:unsubscribe","data":{"channel":"x"}}`)
	count(one, "1")
	if got := n.server.channels(n.app(), ""); len(got) != 1 || got["x"].subscriptions != 1 {
		t.Errorf("channels %v", got)
	}
	one.conn.CloseNow()
	n.until("nobody follows x", func() bool { return n.server.channel(n.app(), "x").subscriptions == 0 })
}

func TestEventsHaveNames(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{}, &live.Channel{Name: "x"})
	for _, name := range []string{"", "pusher:x", "pusher_internal:x", strings.Repeat("x", 201)} {
		if err := n.hub.Publish(t.Context(), "x", Event{Name: name}); err == nil {
			t.Errorf("%q was published", name)
		}
	}
	data, err := json.Marshal(Event{Name: "<e>", Data: "x"})
	if err != nil || !strings.Contains(string(data), `"data":"\"x\""`) {
		t.Errorf("%s, %v", data, err)
	}
}

// TestNames holds that a channel has one name in the hub, and the other way round.
func TestNames(t *testing.T) {
	plain, shop, sub := &App{ID: "1"}, &App{ID: "2", Prefix: "shop:"}, &App{ID: "3", Prefix: "shop:sub:"}
	seen := map[string]string{}
	for _, app := range []*App{plain, shop, sub} {
		for _, name := range []string{"x", "private-x", "presence-cache-x", "a_-=@,.;B", "#server-to-user-7", "#server-to-user-a:b#c ü", "#server-to-user-#server-to-user-1"} {
			hub := hubChannel(app, name)
			if was := seen[hub]; was != "" {
				t.Errorf("%s of app %s is %q, as %s is", name, app.ID, hub, was)
			}
			seen[hub] = name + " of app " + app.ID
			if bare(hub) != name {
				t.Errorf("%q is bare %q, want %q", hub, bare(hub), name)
			}
			for _, other := range []*App{plain, shop, sub} {
				got, ok := pusherChannel(other, hub)
				if ok != (other == app) || ok && got != name {
					t.Errorf("%q is %q, %v for app %s", hub, got, ok, other.ID)
				}
			}
		}
	}
	for name, want := range map[string]kind{
		"x": {}, "cache-x": {cache: true}, "private-x": {private: true}, "private-cache-x": {private: true, cache: true},
		"private-encrypted-x": {private: true, encrypted: true}, "private-encrypted-cache-x": {private: true, encrypted: true, cache: true},
		"presence-x": {private: true, presence: true}, "presence-cache-x": {private: true, presence: true, cache: true},
		"presence-encrypted-x": {private: true, presence: true}, "Private-x": {}, "encrypted-x": {}, "#server-to-user-x": {user: true},
	} {
		if got, ok := kindOf(name); !ok || got != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}
