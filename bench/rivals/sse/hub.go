package main

import (
	"io"
	"net/http"
	"sync"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

// queued is how many messages may wait for one client. A client with more of them is let go.
const queued = 256

// hub is an event stream as one writes it with net/http alone: a channel for each client, and a Flush for each event.
type hub struct {
	mu      sync.Mutex
	clients map[chan string]struct{}
}

func newHub() *hub { return &hub{clients: make(map[chan string]struct{})} }

// ServeHTTP writes until the client is gone.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w).Flush
	events := make(chan string, queued)
	events <- event([]byte(rival.Hello))
	h.mu.Lock()
	h.clients[events] = struct{}{}
	h.mu.Unlock()
	defer h.remove(events)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return // It was too slow.
			}
			if _, err := io.WriteString(w, e); err != nil {
				return
			}
			if flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func event(message []byte) string { return "data: " + string(message) + "\n\n" }

func (h *hub) remove(events chan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, events)
}

// Broadcast sends one event to every client. It is the only one that closes a channel, and does so with the lock held.
func (h *hub) Broadcast(message []byte) {
	e := event(message)
	h.mu.Lock()
	defer h.mu.Unlock()
	for events := range h.clients {
		select {
		case events <- e:
		default:
			delete(h.clients, events)
			close(events)
		}
	}
}

// Clients is how many are connected.
func (h *hub) Clients() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}
