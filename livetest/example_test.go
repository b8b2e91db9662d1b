package livetest_test

import (
	"context"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

// Examples need a *testing.T, so these are tests.

func TestExample(t *testing.T) {
	srv := livetest.New(t, newApp().todos)
	alice := srv.Connect(t, livetest.As(userKey{}, "alice"))
	bob := srv.Connect(t, livetest.As(userKey{}, "bob"), livetest.Over(livetest.LongPoll))
	open := alice.Subscribe(t, "todos", livetest.Where(where.Eq("done", false)))
	others := bob.Subscribe(t, "todos")

	milk, err := alice.Create(t, "todos", map[string]any{"title": "milk"})
	if err != nil {
		t.Fatal(err)
	}
	open.Want(t, live.Create, milk.Key)
	others.WantNone(t) // bob does not see what is alice's

	if _, err = alice.Update(t, "todos", milk, map[string]any{"done": true}); err != nil {
		t.Fatal(err)
	}
	open.Want(t, live.Leave, milk.Key)
	open.WantNone(t)
}

// complete is model code that reports what it did.
func complete(ctx context.Context, told live.Publisher[todo], was todo) error {
	now := was
	now.Done = true
	// … commit it, then
	return told.Updated(ctx, was, now)
}

func TestExampleRecorder(t *testing.T) {
	rec := &livetest.Recorder[todo]{}
	if err := complete(t.Context(), rec, todo{ID: 1, Title: "milk"}); err != nil {
		t.Fatal(err)
	}
	rec.Want(t, live.Update, todo{ID: 1, Title: "milk", Done: true})
	rec.WantNone(t)
}

func TestExampleEach(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		a := newApp()
		srv := livetest.New(t, a.todos, a.chat)
		chat := srv.Connect(t, as("alice"), livetest.Over(transport)).Channel(t, "chat:7")
		if err := srv.Hub.Publish(t.Context(), "chat:7", "hello"); err != nil {
			t.Fatal(err)
		}
		chat.WantMessage(t, "hello")
		chat.WantNone(t)
	})
}
