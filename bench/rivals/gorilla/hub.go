package main

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

// queued is how many messages may wait for one client, as in gorilla's chat example. A client with more of them is let go.
const queued = 256

// hub is gorilla's chat example with PreparedMessage, which builds the frame once for all: two goroutines and a channel for each client.
type hub struct {
	upgrader websocket.Upgrader
	hello    *websocket.PreparedMessage

	mu      sync.RWMutex
	clients map[*client]struct{}
}

type client struct {
	conn *websocket.Conn
	send chan *websocket.PreparedMessage
}

func newHub() *hub {
	return &hub{
		// A pool of write buffers, which its documentation advises where there are many connections.
		upgrader: websocket.Upgrader{WriteBufferPool: &sync.Pool{}},
		hello:    prepared([]byte(rival.Hello)),
		clients:  make(map[*client]struct{}),
	}
}

// ServeHTTP upgrades, and reads until the client is gone.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := h.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered.
	}
	defer conn.Close()
	c := &client{conn, make(chan *websocket.PreparedMessage, queued)}
	c.send <- h.hello
	h.mu.Lock()
	h.clients[c] = struct{}{}
	h.mu.Unlock()
	defer h.remove(c)
	go c.write()
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

func (c *client) write() {
	for m := range c.send {
		if c.conn.WritePreparedMessage(m) != nil {
			break
		}
	}
	c.conn.Close()
}

// remove closes the channel, which ends the writer. Who broadcasts holds the lock, so nobody sends on it any more.
func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.clients[c]; ok {
		delete(h.clients, c)
		close(c.send)
	}
}

// Broadcast sends one text message to every client.
func (h *hub) Broadcast(message []byte) {
	m := prepared(message)
	var slow []*client
	h.mu.RLock()
	for c := range h.clients {
		select {
		case c.send <- m:
		default:
			slow = append(slow, c)
		}
	}
	h.mu.RUnlock()
	for _, c := range slow {
		h.remove(c)
	}
}

func prepared(message []byte) *websocket.PreparedMessage {
	m, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
	if err != nil {
		panic(err) // It is of a type that there is not.
	}
	return m
}

// Clients is how many are connected.
func (h *hub) Clients() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.clients)
}
