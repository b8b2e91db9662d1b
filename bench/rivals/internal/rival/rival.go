// Package rival is what the rivals in Go have in common: what other libraries do with the messages that live sends in the bench.
// Each is as its own examples and documentation advise, with its fastest way of sending one message to all, and without what is only asked
// of some: no pings, no deadline for each write, no compression. So their figures are the lowest that the library allows.
package rival

import (
	"errors"
	"log"
	"net"
	"net/http"

	"github.com/swampline/live/bench/internal/server"
)

// Hello is what a client is sent when it is subscribed: what is broadcast from then on, it gets. It is no message, as it has no number.
const Hello = `{"type":"hello"}`

// Hub holds the clients of one library. Its handler accepts them.
type Hub interface {
	http.Handler
	// Broadcast sends one message to all, in the order of its calls. It is called by one goroutine at a time.
	Broadcast(message []byte)
}

// Followed is how clients of a hub connect that says Hello by itself.
func Followed(path string) server.Visit { return server.Visit{Path: path, Sign: `"hello"`} }

// Main is the whole main function of a rival that has one transport.
func Main(hub Hub, transport string, first server.Visit) {
	o := server.Parse()
	if o.Transport != transport {
		log.Fatalf("this server does not have the transport %s, it has %s", o.Transport, transport)
	}
	ready := Serve(o.Listen(), hub, first)
	server.Run(ready, func(n, key int) {
		if key >= 0 {
			log.Fatal("this server cannot send to one client: it has no keys")
		}
		hub.Broadcast(server.Message(n, o.Size))
	}, nil, nil)
}

// Serve serves the hub, and returns at once.
func Serve(l net.Listener, hub Hub, first server.Visit) server.Ready {
	go func() {
		if err := http.Serve(l, hub); !errors.Is(err, net.ErrClosed) {
			log.Fatal(err)
		}
	}()
	return server.Ready{Address: l.Addr().String(), First: first}
}
