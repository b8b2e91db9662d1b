package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

// queued is how many messages may wait for one client. A client with more of them is let go.
const queued = 256

// hub is what one writes first with coder/websocket, after its chat example: two goroutines and a channel for each client, and a call of
// Write for each message. live has the same library below it.
type hub struct {
	mu      sync.RWMutex
	clients map[*client]struct{}
}

type client struct {
	conn *websocket.Conn
	send chan []byte
}

func newHub() *hub { return &hub{clients: make(map[*client]struct{})} }

// ServeHTTP upgrades, and writes until the client is gone.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered.
	}
	defer conn.CloseNow()
	c := &client{conn, make(chan []byte, queued)}
	c.send <- []byte(rival.Hello)
	h.mu.Lock()
	h.clients[c] = struct{}{}
	h.mu.Unlock()
	defer h.remove(c)

	ctx := conn.CloseRead(context.Background()) // It reads what is not a message, and ends with the connection.
	for {
		select {
		case message := <-c.send:
			if conn.Write(ctx, websocket.MessageText, message) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}

// Broadcast sends one text message to every client.
func (h *hub) Broadcast(message []byte) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range h.clients {
		select {
		case c.send <- message:
		default:
			go c.conn.CloseNow() // CloseNow may wait for the writer.
		}
	}
}

// Clients is how many are connected.
func (h *hub) Clients() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.clients)
}
