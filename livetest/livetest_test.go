package livetest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

func TestChanges(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.todos, a.chat)
		tea := a.add(t, "alice", "tea")
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		bob := srv.Connect(t, as("bob"), livetest.Over(transport))
		open := alice.Subscribe(t, "todos", livetest.Where(where.Eq("done", false)), livetest.Order("-title"))
		all := alice.Subscribe(t, "todos")
		bobs := bob.Subscribe(t, "todos")
		if got := open.Keys(); !slices.Equal(got, []string{"1"}) {
			t.Fatalf("the snapshot holds %q", got)
		}

		milk := a.add(t, "alice", "milk")
		open.Want(t, live.Create, milk.ID).Row.WantFields(t, map[string]any{
			"id": 2, "title": "milk", "done": false, "due": nil, "version": 1,
		})
		milk = a.change(t, milk, func(row *todo) { row.Title = "oat milk" })
		if got := open.Rows(); len(got) != 2 || string(got[1].Fields["title"]) != `"milk"` {
			t.Errorf("the rows run ahead of what was wanted, or are out of order: %v", got)
		}
		c := open.Want(t, live.Update, "2").WantFields(t, map[string]any{"title": "oat milk", "version": 2})
		var held todo
		c.Row.Decode(t, &held)
		if want := (todo{ID: 2, Title: "oat milk", Version: 2}); held != want {
			t.Errorf("the row is held as %+v, want %+v", held, want)
		}
		milk = a.change(t, milk, func(row *todo) { row.Done = true })
		open.Want(t, live.Leave, milk.ID)
		open.WantNone(t)
		milk = a.change(t, milk, func(row *todo) { row.Done = false })
		open.Want(t, live.Enter, milk.ID)
		if err := a.todos.Deleted(t.Context(), tea); err != nil {
			t.Fatal(err)
		}
		open.Want(t, live.Delete, tea.ID)
		open.WantNone(t)
		bobs.WantNone(t)
		all.Sync(t)
		if got := all.Keys(); !slices.Equal(got, []string{"2"}) {
			t.Errorf("after all that the rows are %q", got)
		}
		all.Row(t, 2).Decode(t, &held)
		all.Unsubscribe(t)
		open.WantNone(t)
	})
}

func TestCalls(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.todos)
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		todos := alice.Subscribe(t, "todos")

		milk, err := alice.Create(t, "todos", map[string]any{"title": "milk"})
		if err != nil || milk.Key != "1" {
			t.Fatalf("got %v, %v", milk, err)
		}
		todos.Want(t, live.Create, milk.Key)
		answer, err := alice.Do(t, livetest.Call{
			Router: "todos", Verb: "update", Key: 1, Version: milk.Version, Data: map[string]any{"done": true},
			Mutation: "01890a5d-ac96-774b-bcce-b302099a8058",
		})
		if err != nil || answer.Cursor == "" {
			t.Fatalf("got %v, %v", answer, err)
		}
		if c := todos.Want(t, live.Update, 1); c.Mutation != "01890a5d-ac96-774b-bcce-b302099a8058" {
			t.Errorf("the mutation is %q", c.Mutation)
		}
		now, err := alice.Update(t, "todos", milk, map[string]any{"title": "tea"})
		if !errors.Is(err, live.ErrConflict) || string(now.Version) != "2" {
			t.Errorf("a stale write is answered with %v, %v", now, err)
		}
		_, err = alice.Create(t, "todos", map[string]any{"title": ""})
		var e *live.Error
		if !errors.As(err, &e) || e.Code != "invalid" || e.Status != http.StatusUnprocessableEntity || e.Errors["title"] == nil {
			t.Errorf("a bad row is answered with %#v", err)
		}
		if row, err := alice.Get(t, "todos", 1); err != nil || string(row.Version) != "2" {
			t.Errorf("get answers with %v, %v", row, err)
		}
		rows, err := alice.List(t, "todos", livetest.Where(where.Eq("done", true)), livetest.Order("title"))
		if err != nil || len(rows) != 1 {
			t.Errorf("list answers with %v, %v", rows, err)
		}
		bob := srv.Connect(t, as("bob"), livetest.Over(transport))
		if err := bob.Delete(t, "todos", now); !errors.Is(err, live.ErrNotFound) {
			t.Errorf("deleting what is another's is answered with %v", err)
		}
		if err := alice.Delete(t, "todos", now); err != nil {
			t.Error(err)
		}
		todos.Want(t, live.Delete, 1)
		if err := alice.Verb(t, "todos", "archive", map[string]any{"id": 1}, nil); !errors.As(err, &e) || e.Code != "unknown_verb" {
			t.Errorf("a verb that does not exist is answered with %v", err)
		}
		_, err = alice.Create(t, "todos", map[string]any{"title": strings.Repeat("x", 100_000)})
		if !errors.As(err, &e) || e.Code != "message_too_large" {
			t.Errorf("a message that is too large is answered with %v", err)
		}
		todos.WantNone(t)
	})
}

func TestChannels(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.chat)
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		bob := srv.Connect(t, as("bob"), livetest.Over(transport))
		seven := alice.Channel(t, "chat:7")
		staff := alice.Channel(t, "chat:staff")
		if _, err := bob.TryChannel(t, "chat:staff"); !errors.Is(err, live.ErrForbidden) {
			t.Errorf("bob follows the staff: %v", err)
		}
		if err := bob.Publish(t, "chat:7", "hello"); err != nil {
			t.Fatal(err)
		}
		if err := bob.Publish(t, "chat:7", ""); err == nil || err.Error() != "empty" {
			t.Errorf("a refused message is answered with %v", err)
		}
		if err := srv.Hub.Publish(t.Context(), "chat:7", 12345678901234567); err != nil {
			t.Fatal(err)
		}
		seven.WantMessage(t, map[string]any{"text": "hello", "from": "bob"})
		var n int64
		if seven.Next(t, &n); n != 12345678901234567 {
			t.Errorf("the message is %d", n)
		}
		seven.WantNone(t)
		staff.WantNone(t)
	})
}

func TestRefusals(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.todos)
		nobody := srv.Connect(t, livetest.Over(transport))
		if _, err := nobody.TrySubscribe(t, "todos"); !errors.Is(err, live.ErrForbidden) {
			t.Errorf("nobody is answered with %v", err)
		}
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		var e *live.Error
		_, err := alice.TrySubscribe(t, "todos", livetest.Where(where.Eq("owner", "bob")))
		if !errors.As(err, &e) || e.Code != "unknown_field" || e.Errors["owner"] == nil {
			t.Errorf("a filter by a hidden field is answered with %#v", err)
		}
		alice.Subscribe(t, "todos").WantNone(t)
	})
}

// TestMiddleware has the application's own middleware find out who the caller is.
func TestMiddleware(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.Config{
			Path: "/app/live/",
			Middleware: func(hub http.Handler) http.Handler {
				mux := http.NewServeMux()
				mux.HandleFunc("/hello", func(http.ResponseWriter, *http.Request) {})
				mux.HandleFunc("/app/live/", func(w http.ResponseWriter, r *http.Request) {
					user := r.Header.Get("Authorization")
					if user == "" {
						http.Error(w, "who are you?", http.StatusUnauthorized)
						return
					}
					hub.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
				})
				return mux
			},
		}.New(t, a.todos)
		a.add(t, "alice", "milk")
		alice := srv.Connect(t, livetest.Header("Authorization", "alice"), livetest.Over(transport))
		if got := alice.Subscribe(t, "todos").Keys(); len(got) != 1 {
			t.Errorf("alice sees %q", got)
		}
		for url, want := range map[string]int{srv.URL + "todos": 401, strings.TrimSuffix(srv.URL, "app/live/") + "hello": 200} {
			answer, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Body.Close(); answer.StatusCode != want {
				t.Errorf("%s is answered with %s", url, answer.Status)
			}
		}
	})
}

// TestReconnect goes from each transport to another one, and misses nothing.
func TestReconnect(t *testing.T) {
	livetest.Each(t, func(t *testing.T, from string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.todos, a.chat)
		alice := srv.Connect(t, as("alice"), livetest.Over(from))
		todos, chat := alice.Subscribe(t, "todos"), alice.Channel(t, "chat:7")
		for _, to := range []string{livetest.WebSocket, livetest.SSE, livetest.LongPoll, livetest.ShortPoll} {
			before := a.add(t, "alice", "before")
			alice.Disconnect(t)
			missed := a.add(t, "alice", "missed")
			if err := srv.Hub.Publish(t.Context(), "chat:7", to); err != nil {
				t.Fatal(err)
			}
			alice.Reconnect(t, to)
			todos.Want(t, live.Create, before.ID)
			todos.Want(t, live.Create, missed.ID)
			chat.WantMessage(t, to)
			todos.WantNone(t)
			chat.WantNone(t)
		}
	})
}

// TestOneWaitsForAnother has goroutines use one client at once.
func TestOneWaitsForAnother(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.todos, a.chat)
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		chat, todos := alice.Channel(t, "chat:7"), alice.Subscribe(t, "todos")
		waiting := make(chan struct{})
		go func() {
			defer close(waiting)
			var v string
			chat.Next(t, &v)
		}()
		for range 10 {
			if _, err := alice.Get(t, "todos", 1); !errors.Is(err, live.ErrNotFound) {
				t.Error(err)
			}
		}
		a.add(t, "alice", "milk")
		todos.Want(t, live.Create, 1)
		todos.WantNone(t)
		if err := srv.Hub.Publish(t.Context(), "chat:7", "end"); err != nil {
			t.Error(err)
		}
		<-waiting
	})
}

// TestWantNoneIsNoGuess has every change be followed at once by WantNone, which must see it: also right after subscribing,
// when the subscription reads on from the log and other ones are ahead of it.
func TestWantNoneIsNoGuess(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		t.Parallel()
		a := newApp()
		srv := livetest.New(t, a.todos, a.chat)
		alice := srv.Connect(t, as("alice"), livetest.Over(transport))
		alice.Channel(t, "chat:7")
		for range 50 {
			todos := alice.Subscribe(t, "todos")
			row := a.add(t, "alice", "milk")
			got := run(t, func(t *fake) { todos.WantNone(t) })
			if len(got.failures) != 1 || !strings.Contains(got.failures[0], "want nothing more, got create "+string(keyOf(row))) {
				t.Fatalf("the change is not seen: %q", got.failures)
			}
			todos.WantNone(t)
			todos.Unsubscribe(t)
		}
	})
}

func keyOf(row todo) live.Key { return live.Key(rowKey(row)) }
