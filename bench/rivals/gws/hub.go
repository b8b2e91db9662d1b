package main

import (
	"net/http"
	"sync"

	"github.com/lxzan/gws"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

// hub is lxzan/gws with its Broadcaster, which builds the frame once and queues it with each client.
type hub struct {
	gws.BuiltinEventHandler
	upgrader *gws.Upgrader

	mu      sync.RWMutex
	clients map[*gws.Conn]struct{}
}

func newHub() *hub {
	h := &hub{clients: make(map[*gws.Conn]struct{})}
	h.upgrader = gws.NewUpgrader(h, nil)
	return h
}

// ServeHTTP upgrades and returns, so that the request can be freed, as gws advises.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := h.upgrader.Upgrade(w, r)
	if err != nil {
		return // Upgrade has answered.
	}
	go conn.ReadLoop()
}

// OnOpen is called when ReadLoop begins.
func (h *hub) OnOpen(conn *gws.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[conn] = struct{}{}
	conn.WriteAsync(gws.OpcodeText, []byte(rival.Hello), nil) // It goes into the queue that messages go into.
}

// OnClose is called once, when ReadLoop ends.
func (h *hub) OnClose(conn *gws.Conn, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, conn)
}

// Broadcast sends one text message to every client.
func (h *hub) Broadcast(message []byte) {
	b := gws.NewBroadcaster(gws.OpcodeText, message)
	defer b.Close()
	h.mu.RLock()
	defer h.mu.RUnlock()
	for conn := range h.clients {
		_ = b.Broadcast(conn) // Its error is that of the frame, which a text that fits has not.
	}
}

// Clients is how many are connected.
func (h *hub) Clients() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.clients)
}
