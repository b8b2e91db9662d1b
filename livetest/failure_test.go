package livetest_test

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

func rowKey(row todo) string { return strconv.FormatInt(row.ID, 10) }

// TestFailures wants each failure to say in a sentence what was wanted and what came, at the line of the call.
func TestFailures(t *testing.T) {
	tests := []struct {
		name string
		want string
		test func(t *fake, a *app, alice *livetest.Client)
	}{
		{
			"another change", `alice over websocket, todos {"done":false} by -id: want enter 7, got create 1 ` +
				`{"done":false,"due":null,"id":1,"title":"milk","version":1}, then update 1 {"title":"tea","version":2}`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos", livetest.Where(where.Eq("done", false)), livetest.Order("-id"))
				both := alice.Subscribe(t, "todos")
				a.change(t, a.add(t, "alice", "milk"), func(row *todo) { row.Title = "tea" })
				a.add(t, "bob", "of no concern")
				both.Sync(t) // by a cursor, which is for both
				t.here()
				todos.Want(t, live.Enter, 7)
			},
		},
		{
			"nothing", `alice over websocket, todos: want delete 1, got nothing within …; it holds 1, 2`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				a.add(t, "alice", "milk")
				a.add(t, "alice", "tea")
				todos.Sync(t)
				t.hasten()
				t.here()
				todos.Want(t, live.Delete, 1)
			},
		},
		{
			"something", `alice over websocket, todos: want nothing more, got create 1 {`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				a.add(t, "alice", "milk")
				t.here()
				todos.WantNone(t)
			},
		},
		{
			"no resync", `alice over websocket, todos: want resync "rights", got create 1 {`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				a.add(t, "alice", "milk")
				t.here()
				todos.WantResync(t, "rights")
			},
		},
		{
			"no end", `alice over websocket, todos: want the end of the subscription with forbidden, got nothing within …; it holds no rows`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				t.hasten()
				t.here()
				todos.WantClosed(t, "forbidden")
			},
		},
		{
			"refused", `alice over websocket: cannot subscribe to todos: unknown_field: unknown field "colour"`,
			func(t *fake, a *app, alice *livetest.Client) {
				t.here()
				alice.Subscribe(t, "todos", livetest.Where(where.Eq("colour", 1)))
			},
		},
		{
			"no such row", `alice over websocket, todos: want row 3, it holds no rows`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				t.here()
				todos.Row(t, 3)
			},
		},
		{
			"other fields", `create 1: "done" is false, want true; no "owner", want "alice"; "due" is null, and is not wanted; "id" is 1, and is not wanted; "version" is 1, and is not wanted`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				a.add(t, "alice", "milk")
				c := todos.Want(t, live.Create, 1)
				t.here()
				c.WantFields(t, map[string]any{"title": "milk", "done": true, "owner": "alice"})
			},
		},
		{
			"does not fit", `row 1 {"done":false,"due":null,"id":1,"title":"milk","version":1}: field Title: json: cannot unmarshal string into Go value of type int`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				a.add(t, "alice", "milk")
				row := todos.Want(t, live.Create, 1).Row
				var v struct {
					Title int `live:"title"`
				}
				t.here()
				row.Decode(t, &v)
			},
		},
		{
			"another message", `alice over websocket, channel chat:7: want the message "bye", got the message {"from":"alice","text":1}`,
			func(t *fake, a *app, alice *livetest.Client) {
				chat := alice.Channel(t, "chat:7")
				if err := alice.Publish(t, "chat:7", 1); err != nil {
					t.Fatal(err)
				}
				t.here()
				chat.WantMessage(t, "bye")
			},
		},
		{
			"disconnected", `alice over websocket, todos: want enter 1, but the test has disconnected it; it holds no rows`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				alice.Disconnect(t)
				t.here()
				todos.Want(t, live.Enter, 1)
			},
		},
		{
			"unsubscribed", `alice over websocket, todos: want enter 1, but the subscription has ended`,
			func(t *fake, a *app, alice *livetest.Client) {
				todos := alice.Subscribe(t, "todos")
				todos.Unsubscribe(t)
				t.here()
				todos.Want(t, live.Enter, 1)
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := run(t, func(t *fake) {
				a := newApp()
				alice := livetest.New(t, a.todos, a.chat).Connect(t, as("alice"))
				tt.test(t, a, alice)
			})
			f.want(t, tt.want)
		})
	}
}

// TestUnexpectedResync loses the log: a test that does not say so fails.
func TestUnexpectedResync(t *testing.T) {
	t.Parallel()
	begin := func(t *fake) (a *app, one, other *livetest.Subscription) {
		a = newApp()
		log := memory.New(memory.Options{})
		srv := livetest.Config{Options: live.Options{Broker: log}}.New(t, a.todos)
		a.add(t, "alice", "milk")
		alice := srv.Connect(t, as("alice"), livetest.Over(livetest.LongPoll))
		one, other = alice.Subscribe(t, "todos"), alice.Subscribe(t, "todos")
		log.Reset()
		return a, one, other
	}
	run(t, func(t *fake) {
		_, one, _ := begin(t)
		t.here()
		one.Want(t, live.Enter, 1)
	}).want(t, `alice over longpoll, todos: want enter 1, got resync "epoch", holding 1`)
	run(t, func(t *fake) {
		_, one, _ := begin(t)
		t.here()
		one.Sync(t)
	}).want(t, `alice over longpoll, todos: want changes only, got resync "epoch", holding 1`)

	f := run(t, func(t *fake) {
		a, _, other := begin(t)
		other.WantResync(t, "epoch")
		a.add(t, "bob", "of no concern")
		other.WantNone(t) // by a cursor, which is for both
		if keys := other.Keys(); len(keys) != 1 {
			t.Errorf("the rows after the resync are %q", keys)
		}
	})
	f.lines = []string{f.line} // that of no call
	f.want(t, `alice over longpoll, todos: got resync "epoch", holding 1, that nobody wanted: if it is right, expect it with WantResync`)
}

// TestBrokenProtocol has something between the server and the client that changes what is said.
func TestBrokenProtocol(t *testing.T) {
	t.Parallel()
	begin := func(t *fake, from, to string) (*app, *livetest.Client) {
		a := newApp()
		srv := livetest.Config{Middleware: func(hub http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hub.ServeHTTP(forger{w, []byte(from), []byte(to)}, r)
			})
		}}.New(t, a.todos)
		return a, srv.Connect(t, as("alice"), livetest.Over(livetest.ShortPoll))
	}
	run(t, func(t *fake) {
		a, alice := begin(t, `"op":"create"`, `"op":"explode"`)
		todos := alice.Subscribe(t, "todos")
		a.add(t, "alice", "milk")
		t.here()
		todos.Want(t, live.Create, 1)
	}).want(t, `want create 1, but the server broke the protocol: unknown op "explode": {"type":"change"`)
	run(t, func(t *fake) {
		a, alice := begin(t, `"type":"resumed"`, `"type":"snapshot"`)
		todos := alice.Subscribe(t, "todos")
		a.add(t, "bob", "of no concern")
		t.here()
		todos.WantNone(t)
	}).want(t, `but the server broke the protocol: a second snapshot, without a reason: {"type":"snapshot"`)
}

// forger is a ResponseWriter that replaces text.
type forger struct {
	http.ResponseWriter
	from, to []byte
}

func (f forger) Write(b []byte) (int, error) {
	_, err := f.ResponseWriter.Write(bytes.ReplaceAll(b, f.from, f.to))
	return len(b), err
}

// TestServerFailures are those of the server.
func TestServerFailures(t *testing.T) {
	t.Parallel()
	run(t, func(t *fake) {
		a := newApp()
		a.todos.Scope = nil
		t.here()
		livetest.New(t, a.todos)
	}).want(t, "live: router todos: it has no Scope")

	blocked := make(chan struct{})
	defer close(blocked)
	f := run(t, func(t *fake) {
		a := newApp()
		a.todos.List = func(context.Context, live.Query) ([]todo, error) {
			<-blocked
			return nil, nil
		}
		hasty := livetest.Config{Patience: 50 * time.Millisecond}
		alice := hasty.New(t, a.todos).Connect(t, as("alice"), livetest.Over(livetest.SSE)) // which asks nothing yet
		t.here()
		alice.Subscribe(t, "todos")
	})
	if len(f.failures) != 2 || !strings.Contains(f.failures[1], "the hub did not end within 50ms: is a func of a router still running?") {
		t.Fatalf("got %q", f.failures)
	}
	f.failures, f.lines = f.failures[:1], f.lines[:1]
	f.want(t, "alice over sse, todos: want a snapshot, got nothing within 50ms")
}

// TestDeadline ends a wait before the test is killed.
func TestDeadline(t *testing.T) {
	t.Parallel()
	a := newApp()
	todos := livetest.New(t, a.todos).Connect(t, as("alice")).Subscribe(t, "todos")
	run(t, func(t *fake) {
		t.hasten()
		t.here()
		todos.Want(t, live.Create, 1)
	}).want(t, "want create 1, got nothing within …ms; it holds no rows")
}

// want checks the one failure. "…" in what is wanted stands for anything.
func (f *fake) want(t *testing.T, want string) {
	t.Helper()
	before, after, _ := strings.Cut(want, "…")
	if len(f.failures) != 1 || !strings.Contains(f.failures[0], before) || !strings.Contains(f.failures[0], after) {
		t.Errorf("got  %q\nwant %q", f.failures, want)
	} else if f.lines[0] != f.line {
		t.Errorf("%q is said of %s, want %s", f.failures[0], f.lines[0], f.line)
	}
}
