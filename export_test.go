package live

// Waiting is how many reads of lists and counts wait for their turn.
func (h *Hub) Waiting() int { return h.loads.Waiting() }

// Sessions is how many sessions are open or are being served.
func (h *Hub) Sessions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open) + h.requests
}

// Queued is how many bytes wait for clients.
func (h *Hub) Queued() int64 { return h.env.Queued.Load() }
