// Package rivaltest tests that a rival does what fanout counts on: each client that follows gets each message once and in order.
package rivaltest

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/bench/internal/server"
	"github.com/swampline/live/bench/rivals/internal/rival"
)

const (
	clients = 20
	// burst is as many messages as fanout has in flight at once, at most.
	burst  = 32
	rounds = 5
)

// Hub is a hub that tells how many clients it has.
type Hub interface {
	rival.Hub
	Clients() int
}

// Run connects clients, broadcasts to them, lets a half go and broadcasts to the others.
func Run(t *testing.T, hub Hub, first server.Visit, dial Dial) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ready := rival.Serve(l, hub, first)
	all := make([]Client, clients)
	for i := range all {
		all[i] = follow(t, ctx, ready, dial)
	}
	if n := hub.Clients(); n != clients {
		t.Fatalf("%d of %d clients have been told that they are subscribed, and are not", clients-n, clients)
	}
	n := 1
	for range rounds {
		n = broadcast(t, ctx, hub, all, n)
	}

	for _, c := range all[:clients/2] {
		if err := c.Leave(); err != nil {
			t.Errorf("a client cannot leave: %v", err)
		}
	}
	for hub.Clients() > clients/2 {
		select {
		case <-ctx.Done():
			t.Fatalf("%d clients are held, of %d that are there", hub.Clients(), clients/2)
		case <-time.After(time.Millisecond): // no library tells when a client is forgotten
		}
	}
	broadcast(t, ctx, hub, all[clients/2:], n)
}

// follow returns a client that follows.
func follow(t *testing.T, ctx context.Context, ready server.Ready, dial Dial) Client {
	c, err := dial(ctx, ready)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Cut)
	for {
		data, err := c.Next(ctx)
		if err != nil {
			t.Fatalf("a client waits for %s: %v", ready.First.Sign, err)
		}
		if number.Match(data) {
			t.Fatalf("a client is sent %q before it follows", data)
		}
		if bytes.Contains(data, []byte(ready.First.Sign)) {
			return c
		}
	}
}

// broadcast sends a burst from message n on, and returns the number of the next message.
func broadcast(t *testing.T, ctx context.Context, hub Hub, all []Client, n int) int {
	for i := range burst {
		hub.Broadcast(server.Message(n+i, 128))
	}
	var reading sync.WaitGroup
	for _, c := range all {
		reading.Go(func() {
			for next := n; next < n+burst; {
				data, err := c.Next(ctx)
				if err != nil {
					t.Errorf("waiting for message %d: %v", next, err)
					return
				}
				found := number.FindAllSubmatch(data, -1)
				if len(found) == 0 {
					t.Errorf("instead of message %d comes %q", next, data)
					return
				}
				for _, m := range found {
					if string(m[1]) != strconv.Itoa(next) {
						t.Errorf("instead of message %d comes %s", next, m[1])
						return
					}
					next++
				}
			}
		})
	}
	reading.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return n + burst
}

var number = regexp.MustCompile(`"n":(\d+)`)
