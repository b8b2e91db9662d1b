package livetest_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
)

// TestNothingIsLeft counts goroutines before and after a test that used everything. It is not parallel: the count is of all.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("test", func(t *testing.T) {
		a := newApp()
		srv := livetest.New(t, a.todos, a.chat)
		for _, transport := range []string{livetest.WebSocket, livetest.SSE, livetest.LongPoll, livetest.ShortPoll} {
			alice := srv.Connect(t, as("alice"), livetest.Over(transport))
			todos, chat := alice.Subscribe(t, "todos"), alice.Channel(t, "chat:7")
			row := a.add(t, "alice", "milk")
			todos.Want(t, live.Create, row.ID)
			chat.WantNone(t)
			alice.Disconnect(t)
			alice.Reconnect(t, transport)
			todos.WantNone(t)
		}
	})
	end := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before { // those of net/http end a moment after their connections
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}
