package pusher

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
)

// signsIn sends a signin with the right signature.
func (c *client) signsIn(userData string) {
	c.Helper()
	c.send(fmt.Sprintf(`{"event":"pusher:signin","data":{"auth":%q,"user_data":%s}}`, authOf(textOfUser(c.socket, userData)), quote(userData)))
}

func (c *client) signedIn(userData string) {
	c.Helper()
	c.signsIn(userData)
	if f := c.next(); f.Event != "pusher:signin_success" || f.text() != `{"user_data":`+quote(userData)+`}` {
		c.Fatalf("got %v", f)
	}
}

func TestUsersHaveAChannelOfTheirOwn(t *testing.T) {
	log := memory.New(memory.Options{})
	all := &live.Channel{Name: "*"}
	a, b := startNode(t, log, live.Options{}, Options{}, all), startNode(t, log, live.Options{}, Options{})
	ann, also, bob := a.dial(), b.dial(), a.dial()
	own := "#server-to-user-ann"
	ann.ask(own)
	ann.wantRefused(own, 401) // before the signin, whatever is signed
	ann.signedIn(`{"id":"ann"}`)
	also.signedIn(`{"id": "ann", "user_info": {"name": "Ann"}}`)
	bob.signedIn(`{"id":"bob"}`)
	for _, c := range []*client{ann, also} {
		c.send(`{"event":"pusher:subscribe","data":{"auth":"","channel":"` + own + `"}}`)
		c.want(`pusher_internal:subscription_succeeded ` + own + ` "{}"`)
	}
	bob.ask(own)
	bob.wantRefused(own, 401)
	a.trigger(own, "e", "secret")
	ann.want(`e ` + own + ` "secret"`)
	also.want(`e ` + own + ` "secret"`)
	for _, c := range []*client{ann, also, bob} {
		c.sync()
	}
	bob.signsIn(`{"id":"ann"}`)
	bob.wantError("4009")
	bob.signedIn(`{"id":"bob"}`) // he is bob still
	bob.ask(own)
	bob.wantRefused(own, 401)

	also.ask("presence-x") // without channel_data it is who is signed in
	also.want(`pusher_internal:subscription_succeeded presence-x "{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":{\"name\":\"Ann\"}},\"count\":1}}"`)
	if all := a.hub.Publish(t.Context(), own, "x"); all == nil {
		t.Error("Go code publishes on a user's channel as on a declared one")
	}
}

func TestABadSigninIsRefused(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{})
	c := n.dial()
	for _, data := range []string{``, `x`, `[]`, `{}`, `{"id":""}`, `{"id":{}}`, `{"id":"` + strings.Repeat("x", 129) + `"}`, `{"user_info":{}}`} {
		c.signsIn(data)
		c.wantError("null")
	}
	c.sync()
	for _, auth := range []string{"", authOf(textOfUser("1.1", `{"id":"ann"}`)), authOf(textOfChannel(c.socket, `{"id":"ann"}`, nil))} {
		c := n.dial()
		c.send(fmt.Sprintf(`{"event":"pusher:signin","data":{"auth":%q,"user_data":%s}}`, auth, quote(`{"id":"ann"}`)))
		c.wantError("4009")
		c.wantClosed(4009)
	}
}

func TestTheConnectionsOfAUserAreTerminatedOnAllNodes(t *testing.T) {
	log := memory.New(memory.Options{})
	a, b := startNode(t, log, live.Options{}, Options{}), startNode(t, log, live.Options{}, Options{})
	ann, also, bob, present := a.dial(), b.dial(), b.dial(), b.dial()
	ann.signedIn(`{"id":"ann"}`)
	also.signedIn(`{"id":"ann"}`)
	bob.signedIn(`{"id":"bob"}`)
	present.enters("presence-x", "ann") // who is known by presence alone is not meant
	if err := a.server.terminate(t.Context(), a.app(), "ann"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{ann, also} {
		c.wantError("4009")
		c.wantClosed(4009)
	}
	bob.sync()
	present.sync()
	if err := a.server.terminate(t.Context(), &App{ID: "other"}, "bob"); err != nil {
		t.Fatal(err)
	}
	bob.sync()
}

// watches reads what a client is told of those whom its user watches, until it is as it should be.
func (c *client) watches(online, offline string) {
	c.Helper()
	is := map[string]string{}
	for is["online"] != online || is["offline"] != offline {
		f := c.want2("pusher_internal:watchlist_events")
		var d struct {
			Events []struct {
				Name string   `json:"name"`
				IDs  []string `json:"user_ids"`
			} `json:"events"`
		}
		if err := json.Unmarshal([]byte(f.text()), &d); err != nil || f.Channel != "" {
			c.Fatalf("got %v", f)
		}
		for _, e := range d.Events {
			is[e.Name] = strings.Join(e.IDs, " ")
		}
	}
}

func TestUsersWatchOthers(t *testing.T) {
	app := testApp
	app.Watchlist = true
	log := memory.New(memory.Options{})
	a, b := startNode(t, log, live.Options{}, Options{Apps: []App{app}}), startNode(t, log, live.Options{}, Options{Apps: []App{app}})
	bob := b.dial()
	bob.signedIn(`{"id":"bob"}`)
	knows := func(user string, nodes int) {
		t.Helper()
		a.until(user+" is known", func() bool {
			a.server.census.mu.Lock()
			defer a.server.census.mu.Unlock()
			return a.server.census.online[spot{usersAt + app.ID, user}] == nodes
		})
	}
	knows("bob", 1)
	ann := a.dial()
	ann.signedIn(`{"id":"ann","watchlist":["bob","cyd"]}`)
	ann.watches("bob", "cyd")
	cyd, again := b.dial(), a.dial()
	cyd.signedIn(`{"id":"cyd"}`)
	ann.watches("cyd", "")
	again.signedIn(`{"id":"cyd"}`)
	knows("cyd", 2)
	cyd.conn.CloseNow()
	bob.conn.CloseNow()
	ann.watches("", "bob") // and not cyd, who is there still
}

func TestAWatchlistThatIsTooLong(t *testing.T) {
	app := testApp
	app.Watchlist = true
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{app}})
	c := n.dial()
	var many []string
	for i := range 120 {
		many = append(many, fmt.Sprintf(`"u%d"`, i))
	}
	c.signedIn(`{"id":"ann","watchlist":[` + strings.Join(many, ",") + `]}`)
	c.wantError("4302")
	var first []string
	for i := range maxWatchlist {
		first = append(first, fmt.Sprint("u", i))
	}
	c.watches("", strings.Join(first, " "))
}
