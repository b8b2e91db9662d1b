package live

import "context"

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

// Expected is how many entries of an outbox a hub waits for.
func Expected(h *Hub) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.expected)
}

// CatchUp waits until a hub follows the log, and has followed it to where it ends now.
func CatchUp(ctx context.Context, h *Hub) error {
	if err := h.engine.Ready(ctx); err != nil {
		return err
	}
	return h.engine.CatchUp(ctx)
}
