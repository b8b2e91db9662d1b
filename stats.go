package live

// Stats are what a hub holds at a moment. Its members are read one after another while the hub goes on: they do not have to fit each other.
type Stats struct {
	// Sessions are the connected clients by the Name of the transport that they are on, "pusher" for those of package pusher. Each of the
	// hub's transports is there. A
	// poll is a session for as long as it is answered.
	Sessions map[string]int
	// ParkedPolls are the long-polls among them, which wait for something to tell.
	ParkedPolls int
	// Subscriptions are those of all sessions, accepted or about to be.
	Subscriptions int
	// LiveQueries are what identical subscriptions share: so many different lists, windows, counts and channels are followed, or were
	// until a minute or so ago.
	LiveQueries int
	// QueuedBytes is the size of all messages that wait for clients to take them. One that waits for several counts for each.
	QueuedBytes int64
	// Position is the place up to which the hub has followed the log, as a cursor; empty until it has begun.
	Position string
	// Degraded says that the broker cannot be reached.
	Degraded bool
	// UnsentEntries and UnsentBytes are what waits for the broker: see Options.MaxUnsentBytes.
	UnsentEntries, UnsentBytes int
	// HistoryEntries and HistoryBytes are what the hub holds of the log in memory.
	HistoryEntries, HistoryBytes int
}

// Stats returns what the hub holds. It is cheap, however many clients there are: call it as often as metrics are collected.
func (h *Hub) Stats() Stats {
	held := h.engine.Stats()
	s := Stats{
		Sessions:       map[string]int{},
		ParkedPolls:    int(h.env.Parked.Load()),
		Subscriptions:  int(h.env.Subscriptions.Load()),
		LiveQueries:    held.Queries,
		QueuedBytes:    h.env.Queued.Load(),
		Degraded:       h.engine.Degraded(),
		HistoryEntries: held.Entries, HistoryBytes: held.Bytes,
	}
	s.UnsentEntries, s.UnsentBytes = h.unsent.size()
	h.mu.Lock()
	for name, n := range h.on {
		s.Sessions[name] = int(n.Load())
	}
	h.mu.Unlock()
	if at := h.engine.Position(); !at.IsZero() {
		s.Position = at.String()
	}
	return s
}
