package livetest_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

// gated is a broker that lags: what is on the log is delivered when the gate opens.
type gated struct {
	broker.Broker
	open chan struct{}
}

func (g gated) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	return g.Broker.Follow(ctx, after, func(entries []broker.Entry) error {
		select {
		case <-g.open:
			return deliver(entries)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// TestSubscribeAheadOfTheLog has the snapshot hold a row before the hub has seen it come: it is no news when it does.
func TestSubscribeAheadOfTheLog(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a, log := newApp(), gated{memory.New(memory.Options{}), make(chan struct{})}
		listed := make(chan struct{}, 100)
		a.todos.List = func(ctx context.Context, q live.Query) ([]todo, error) {
			defer func() { listed <- struct{}{} }()
			return a.list(ctx, q)
		}
		srv := livetest.Config{Options: live.Options{Broker: log}}.New(t, a.todos, a.chat)
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		row := a.change(t, a.add(t, "alice", "milk"), func(row *todo) { row.Title = "tea" })
		go func() {
			<-listed
			close(log.open)
		}()
		todos := alice.Subscribe(t, "todos")
		todos.WantNone(t)
		a.change(t, row, func(row *todo) { row.Done = true })
		todos.Want(t, live.Update, row.ID).WantFields(t, map[string]any{"done": true, "version": 3})
		todos.WantNone(t)
	})
}

// TestEnd takes a caller's rights away and loses the log, so that they are asked for anew.
func TestEnd(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a, log := newApp(), memory.New(memory.Options{})
		var refuse atomic.Bool
		a.todos.Scope = func(ctx context.Context) (where.Where, error) {
			if refuse.Load() {
				return where.Nothing(), &live.Error{Code: "left", Detail: "you have left the team"}
			}
			return a.scope(ctx)
		}
		srv := livetest.Config{Options: live.Options{Broker: log}}.New(t, a.todos, a.chat)
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		todos, chat := alice.Subscribe(t, "todos"), alice.Channel(t, "chat:7")
		refuse.Store(true)
		log.Reset()
		var err error = todos.WantClosed(t, "left")
		if !errors.Is(err, &live.Error{Code: "left"}) || err.Error() != "left: you have left the team" {
			t.Errorf("it ends with %v", err)
		}
		todos.WantNone(t)
		chat.WantResync(t, "epoch")
		if err := srv.Hub.Publish(t.Context(), "chat:7", "still here"); err != nil {
			t.Fatal(err)
		}
		chat.WantMessage(t, "still here")
		a.add(t, "alice", "milk")
		todos.WantNone(t)
		run(t, func(t *fake) {
			t.here()
			todos.Want(t, live.Create, 1)
		}).want(t, "todos: want create 1, but the subscription has ended")
	})
}

// TestVerb has an answer with data, which a forger puts there.
func TestVerb(t *testing.T) {
	t.Parallel()
	a := newApp()
	srv := livetest.Config{Middleware: func(hub http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hub.ServeHTTP(forger{w, []byte(`"rows":[]`), []byte(`"data":{"n":7}`)}, r)
		})
	}}.New(t, a.todos)
	alice := srv.Connect(t, as("alice"), livetest.Over(livetest.ShortPoll))
	var out struct{ N int }
	if err := alice.Verb(t, "todos", "list", nil, &out); err != nil || out.N != 7 {
		t.Errorf("got %+v, %v", out, err)
	}
	run(t, func(t *fake) {
		var text string
		t.here()
		_ = alice.Verb(t, "todos", "list", nil, &text)
	}).want(t, `list of todos returned {"n":7}: json: cannot unmarshal object`)
	a.add(t, "alice", "milk")
	run(t, func(t *fake) {
		t.here()
		_ = alice.Verb(t, "todos", "list", nil, &out)
	}).want(t, `list of todos returned no data`)
}
