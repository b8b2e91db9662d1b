// Package livetest tests applications that use live, as net/http/httptest tests handlers: a server with the application's
// own routers, clients that subscribe to them, and the next change that a client must be told, or must not.
//
//	func TestDoneTodosLeave(t *testing.T) {
//		srv := livetest.New(t, todos)
//		alice := srv.Connect(t, livetest.As(userKey{}, "alice"))
//		bob := srv.Connect(t, livetest.As(userKey{}, "bob"), livetest.Over(livetest.LongPoll))
//		open := alice.Subscribe(t, "todos", livetest.Where(where.Eq("done", false)))
//		others := bob.Subscribe(t, "todos")
//
//		milk, err := alice.Create(t, "todos", map[string]any{"title": "milk"})
//		if err != nil {
//			t.Fatal(err)
//		}
//		open.Want(t, live.Create, milk.Key)
//		others.WantNone(t) // bob does not see what is alice's
//
//		_, err = alice.Update(t, "todos", milk, map[string]any{"done": true})
//		open.Want(t, live.Leave, milk.Key)
//	}
//
// Nothing here sleeps. A Want waits for what comes next and fails with what came instead, or, after five seconds, with what had
// come. WantNone waits until the server has said, in the protocol's own words, that nothing is left of what stood on the log
// when it was called; so it costs a round trip, and what it says holds on every transport. The clients keep the rules of
// docs/protocol.md: a server that breaks them fails the test, and so does a resync that the test did not expect.
//
// Who a client is comes from the request's context, as in the application: [As] puts a value there; or [Header] sends what
// the application's own middleware reads, which [Config] takes. [Each] runs a test for each transport.
//
// Model code that only reports what it committed needs no server: a [Recorder] stands in for its router.
package livetest
