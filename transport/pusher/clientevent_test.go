package pusher

import (
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
)

func TestClientEventsGoToTheOthers(t *testing.T) {
	log := memory.New(memory.Options{})
	a, b := startNode(t, log, live.Options{}, Options{Apps: []App{silent}}), startNode(t, log, live.Options{}, Options{Apps: []App{silent}})
	sender, near, far := a.dial(), a.dial(), b.dial()
	for _, c := range []*client{sender, near, far} {
		c.follow("private-x")
	}
	sender.send(`{"event":"client-typing","channel":"private-x","data":{"who": "me"},"user_id":"forged","extra":1}`)
	sender.send(`{"event":"client-typing","channel":"private-x","data":"as it is"}`)
	sender.send(`{"event":"client-typing","channel":"private-x"}`)
	for _, c := range []*client{near, far} {
		c.want(`client-typing private-x "{\"who\": \"me\"}"`)
		c.want(`client-typing private-x "as it is"`)
		c.want(`client-typing private-x ""`)
	}
	a.trigger("private-x", "e", "behind them")
	sender.want(`e private-x "behind them"`) // and nothing of its own before
	hooks := a.hooks.all()
	if len(hooks) != 3 || len(b.hooks.all()) != 0 {
		t.Fatalf("hooks %+v and %+v", hooks, b.hooks.all())
	}
	want := hook{Name: "client_event", Channel: "private-x", Event: "client-typing", Data: `{"who": "me"}`, SocketID: sender.socket}
	if hooks[0] != want {
		t.Errorf("hook %+v", hooks[0])
	}
}

func TestClientEventsThatAreRefused(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}})
	c, other := n.dial(), n.dial()
	for _, channel := range []string{"x", "private-x", "private-encrypted-x"} {
		c.follow(channel)
		other.follow(channel)
	}
	for text, code := range map[string]string{
		`{"event":"client-e","channel":"x","data":1}`:                                                                 "4301",
		`{"event":"client-e","channel":"private-encrypted-x","data":1}`:                                               "4301",
		`{"event":"client-e","channel":"private-y","data":1}`:                                                         "4009",
		`{"event":"client-e","data":1}`:                                                                               "4301",
		`{"event":"client-","channel":"private-x","data":1}`:                                                          "4301",
		`{"event":"client-` + strings.Repeat("x", 200) + `","channel":"private-x","data":1}`:                          "4301",
		`{"event":"client-e","channel":"private-x","data":"` + strings.Repeat("x", 10<<10+1) + `"}`:                   "4301",
		`{"event":"Client-e","channel":"private-x","data":1}`:                                                         "null",
		`{"event":"e","channel":"private-x","data":1}`:                                                                "null",
		`{"event":"pusher:subscription_succeeded","channel":"private-x","data":1}`:                                    "null",
		`{"event":"client-e","channel":["private-x"],"data":1}`:                                                       "null",
		`{"event":"client-e","channel":"presence-x","data":1}`:                                                        "4009",
		`{"event":"client-e","channel":"#server-to-user-1","data":1}`:                                                 "4301",
		`{"event":"client-e","channel":"private-x","data":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`: "null",
	} {
		c.send(text)
		c.wantError(code)
	}
	if len(n.hooks.all()) > 0 {
		t.Errorf("hooks %+v", n.hooks.all())
	}
	longest := strings.Repeat("x", 10<<10)
	c.send(`{"event":"client-e","channel":"private-x","data":"` + longest + `"}`)
	if f := other.next(); f.text() != longest {
		t.Errorf("got %.99v", f)
	}
}

func TestClientEventsAreLimited(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}})
	c, other := n.dial(), n.dial()
	c.follow("private-x")
	other.follow("private-x")
	const sent = 60
	for range sent {
		c.send(`{"event":"client-e","channel":"private-x","data":1}`)
	}
	c.send(`{"event":"pusher:ping"}`)
	refused := 0
	for f := c.next(); f.Event != "pusher:pong"; f = c.next() {
		if f.Event != "pusher:error" || !strings.Contains(string(f.Data), `"code":4301`) {
			t.Fatalf("got %v", f)
		}
		refused++
	}
	if refused == 0 || refused > sent-clientEventsPerS {
		t.Errorf("%d of %d were refused", refused, sent)
	}
	for range sent - refused {
		other.want(`client-e private-x "1"`)
	}
	other.sync()
}

func TestAnAppWithoutClientEventsRefusesThem(t *testing.T) {
	app := silent
	app.ClientEvents = false
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{app}})
	c := n.dial()
	c.follow("private-x")
	c.send(`{"event":"client-e","channel":"private-x","data":1}`)
	c.wantError("4301")
}
