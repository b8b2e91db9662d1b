package outlet

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/swampline/live/transport/internal/script"
)

// Slots are used again, by others: nobody is woken for what came for the one before, and there is no epoll when nobody is left.
func TestSlotsAreUsedAgain(t *testing.T) {
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range 50 {
				near, far := tcp(t)
				l := open(t, near, "", script.New())
				text := fmt.Sprint("hello ", i)
				io.WriteString(far, text)
				until(t, "read", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.said.String() == text })
				far.Close()
				<-l.over
			}
		})
	}
	clients.Wait()
	lookout.mu.Lock()
	defer lookout.mu.Unlock()
	if lookout.file != nil || len(lookout.slots) > 0 {
		t.Errorf("%d slots are left", len(lookout.slots))
	}
}

// Each is woken for what comes for it, and only then.
func TestWakesWhoIsMeant(t *testing.T) {
	const n = 200 // more than come at once
	all, far := make([]*lines, n), make([]net.Conn, n)
	for i := range all {
		near, f := tcp(t)
		all[i], far[i] = open(t, near, "", script.New()), f
		defer f.Close()
	}
	for i, l := range all {
		until(t, "idle", func() bool { return l.session.Parked() && l.goroutines() == 0 })
		if i%2 == 0 {
			io.WriteString(far[i], "x")
		}
	}
	for i, l := range all {
		want := 1 - i%2
		until(t, "read", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.said.Len() == want })
		l.mu.Lock()
		if l.wakes != want+1 {
			t.Errorf("%d was woken %d times", i, l.wakes-1)
		}
		l.mu.Unlock()
	}
}
