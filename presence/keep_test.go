package presence_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/presence"
)

// onlooker is a Watcher that writes down what it is told.
type onlooker struct {
	mu    sync.Mutex
	lines []string
	runs  bool
	on    func() // called by Leave
}

func (o *onlooker) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
}

func (o *onlooker) Saw(was, now *extend.Member) {
	of := func(m *extend.Member) string {
		if m == nil {
			return "nothing"
		}
		return m.Person + " at " + m.Place.String() + " " + string(m.State)
	}
	o.note("%s, was %s", of(now), of(was))
}

func (o *onlooker) Known() { o.note("known") }

func (o *onlooker) Run(ctx context.Context) {
	o.runs = true
	<-ctx.Done()
	o.note("over")
}

func (o *onlooker) Leave() {
	o.note("leave")
	if o.on != nil {
		o.on()
	}
}

// told returns what it was told since the last call, in the order of the log.
func (o *onlooker) told() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := o.lines
	o.lines = nil
	return strings.Join(lines, "; ")
}

func (n *node) keep(channel, person, state string) extend.Kept {
	return n.presence.Keep(extend.Member{Place: extend.Place{Channel: channel}, Person: person, State: []byte(state)})
}

// A node keeps members of its own, which all see as they see those of clients.
func TestKeptMembers(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		eve := w.client("eve")
		eve.stream(w.nodes[1], on(1, "chat:7", `{}`))
		k := w.nodes[0].keep("chat:7", "bot", `{"state":"reading"}`)
		pass(soon)
		if at := w.nodes[1].presence.At(presence.Place{Channel: "chat:7"}); len(at) != 1 || at[0].Person != "bot" || at[0].ID != k.ID() || string(at[0].State) != `{"state":"reading"}` {
			t.Errorf("%+v", at)
		}
		eve.sees(1, " reading")
		k.Set([]byte(`{"state":"typing"}`))
		k.Set([]byte(`{"state":"writing"}`))
		pass(10 * time.Minute) // it gives no signs of life
		eve.sees(1, " writing")
		for _, n := range w.nodes { // no client speaks for it
			for _, message := range []string{`{"type":"call","id":1,"router":"presence","verb":"leave","data":{"member":%q,"token":%q}}`, `{"type":"call","id":1,"router":"presence","verb":"set","data":{"member":%q,"token":%q,"away":true}}`} {
				if got := eve.call(n, fmt.Sprintf(message, k.ID(), token(1))); !has(got, "forbidden") {
					t.Errorf("it is answered %s", got)
				}
			}
		}
		pass(soon)
		eve.sees(1, " writing")
		k.Leave()
		k.Set([]byte(`{"state":"back"}`))
		k.Leave()
		pass(soon)
		eve.sees(1, "")

		w.nodes[0].keep("chat:7", "one", `{"state":"one"}`).Leave() // before anybody is told
		w.nodes[0].keep("chat:7", "two", `{"state":"two"}`)
		pass(soon)
		eve.sees(1, " two")
		w.log.Reset()
		pass(10 * time.Second)
		eve.sees(1, " two")
		w.nodes[0].broker.sever()
		pass(time.Minute)
		eve.sees(1, "") // its node is taken for dead
		w.nodes[0].broker.mend()
		pass(20 * time.Second)
		eve.sees(1, " two")
		eve.hangUp()
		w.nodes[0].kill()
		pass(time.Minute)
		if at := w.nodes[1].presence.At(presence.Place{Channel: "chat:7"}); len(at) != 0 {
			t.Errorf("%+v", at)
		}
	})
}

// A watcher is told of everybody, in the order of the log, and when it knows all.
func TestWatcher(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann := w.client("ann")
		ann.stream(w.nodes[1], at(1, "1", as(1, "viewing")))
		early, late, last := &onlooker{}, &onlooker{}, &onlooker{}
		w.nodes[0].presence.Watch(early) // before it is known who is there
		pass(soon)
		is := func(o *onlooker, want string) {
			t.Helper()
			if got := o.told(); got != want {
				t.Errorf("it is told %q, want %q", got, want)
			}
		}
		got := early.told()
		if want := []string{"known", `id-ann at articles/1 {"state":"viewing"}, was nothing`}; !slices.Contains([]string{strings.Join(want, "; "), want[1] + "; " + want[0]}, got) {
			t.Errorf("it is told %q", got)
		}
		w.nodes[0].presence.Watch(late)
		is(late, `id-ann at articles/1 {"state":"viewing"}, was nothing; known`)
		k := w.nodes[1].keep("x", "bot", `{"n":1}`)
		pass(soon)
		k.Set([]byte(`{"n":1}`)) // as it is
		pass(soon)
		ann.call(w.nodes[0], set(1, `,"away":true`)) // nothing that it is told
		pass(soon)
		k.Set([]byte(`{"n":2}`))
		pass(soon)
		for _, o := range []*onlooker{early, late} {
			is(o, `bot at /x {"n":1}, was nothing; bot at /x {"n":2}, was bot at /x {"n":1}`)
			if !o.runs {
				t.Error("it does not run")
			}
		}

		w.log.Reset() // there is nothing new
		pass(20 * time.Second)
		is(early, "known")
		w.nodes[1].broker.sever()
		k.Set([]byte(`{"n":3}`))
		ann.hangUp()
		pass(6 * time.Second)
		w.log.Reset()
		pass(time.Second)
		w.nodes[0].presence.Watch(last) // while they may come again
		told := strings.Split(last.told(), "; ")
		slices.Sort(told)
		if !slices.Equal(told, []string{`bot at /x {"n":2}, was nothing`, `id-ann at articles/1 {"state":"viewing"}, was nothing`, "known"}) {
			t.Errorf("it is told %q", told)
		}
		w.nodes[1].broker.mend()
		pass(20 * time.Second)
		for _, o := range []*onlooker{early, last} {
			told := o.told()
			for _, line := range []string{`bot at /x {"n":3}, was bot at /x {"n":2}`, `nothing, was id-ann at articles/1 {"state":"viewing"}`} {
				if strings.Count(told, line) != 1 {
					t.Errorf("it is told %q, want %q once", told, line)
				}
			}
		}

		late.told()
		late.on = func() { w.nodes[0].keep("y", "last", `{}`) }
		other := &onlooker{}
		w.nodes[1].presence.Watch(other)
		other.told()
		if err := w.nodes[0].hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		is(late, `leave; last at /y {}, was nothing; over`)
		pass(soon)
		is(other, `last at /y {}, was nothing`)
		pass(10 * time.Second)
		is(other, `nothing, was last at /y {}`)
	})
}

// What a node says at the moment at which another one asks, and before it does, that one is told.
func TestANodeThatBeginsWhenAnotherStops(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		pass(time.Second)
		w.nodes[0].keep("chat:7", "bot", `{}`)
		if err := w.nodes[0].hub.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		third := w.start()
		pass(time.Second)
		if at := third.presence.At(presence.Place{Channel: "chat:7"}); len(at) != 1 {
			t.Errorf("it knows %+v", at)
		}
		pass(10 * time.Second)
		if at := third.presence.At(presence.Place{Channel: "chat:7"}); len(at) != 0 {
			t.Errorf("it knows %+v", at)
		}
	})
}
