package live

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live/internal/session"
)

// ErrShutdown is returned by Shutdown when it was called before.
var ErrShutdown = errors.New("live: the hub is shut down")

// Shutdown lets the clients go to another server, or to the one that comes after this one, and returns when the last goroutine of the
// hub has ended. It takes at most Options.DrainWindow and a second, as long as the application's funcs end, and no longer than there
// are clients.
//
// New requests are refused with 503. Clients on a stream are told when to connect again, spread over the window so that they do not all
// come at once, and are served until they have: a client that opens the new connection before it leaves the old one sees no pause. Each
// connection is closed soon after its time, whether or not its client has gone; what was queued is sent before. Polls that wait are
// answered as the same spread has it. Nothing is lost: clients go on by their cursors.
//
// What waits for the broker, with Options.MaxUnsentBytes, is sent before the end, for Options.PublishTimeout at most; the Logger is told
// how much of it is lost if it cannot be.
//
// When ctx ends before, what is left is cut off and the error is ctx's; the hub's goroutines still end. Call it beside
// http.Server.Shutdown, and before: that does not wait for the
// connections that the hub has taken over (WebSockets, and over plain HTTP/1.1 event streams and long-polls that wait), and waits for others.
func (h *Hub) Shutdown(ctx context.Context) error {
	leaving, ok := h.close()
	if !ok {
		return ErrShutdown
	}
	err := h.drainAll(ctx, leaving)
	h.cut()
	select {
	case <-h.idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if x := h.present(); x != nil {
		x.Leave(ctx)
	}
	h.unsent.finish(ctx, h.options.PublishTimeout)
	h.stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-h.stopped
		h.sessions.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return err
}

// close lets no new requests in and returns the sessions that there are; it reports false if that was done before.
func (h *Hub) close() (open []*session.Session, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return nil, false
	}
	if h.closing = true; h.requests == 0 {
		close(h.idle)
	}
	return slices.Collect(maps.Keys(h.open)), true
}

const (
	// overlap is how long a client has, at most, to open its new connection before the old one is closed.
	overlap = 400 * time.Millisecond
	// flush is how long the last ones have to take what they are sent.
	flush = 200 * time.Millisecond
)

// drainAll tells the clients to go and closes their sessions one by one. It returns when nobody is left, or when it was long enough.
func (h *Hub) drainAll(ctx context.Context, leaving []*session.Session) error {
	window := h.options.DrainWindow
	start, grace := time.Now(), min(window/4, overlap)
	rand.Shuffle(len(leaving), func(i, j int) { leaving[i], leaving[j] = leaving[j], leaving[i] })
	times := spread(len(leaving), window)
	for i, s := range leaving {
		s.Leave(times[i])
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := func(d time.Duration) (left bool, err error) {
		timer.Reset(time.Until(start.Add(d)))
		select {
		case <-h.idle:
			return true, nil
		case <-ctx.Done():
			return true, ctx.Err()
		case <-timer.C:
			return false, nil
		}
	}
	defer func() { // when time is up; of those that have gone already it is nothing
		for _, s := range leaving {
			s.Gone()
		}
	}()
	for i, s := range leaving {
		if left, err := wait(times[i] + grace); left {
			return err
		}
		s.Gone()
	}
	_, err := wait(window + grace + flush)
	return err
}

// spread returns n times within a window, in order: one at random in each of n equal parts of it. Times that are drawn independently
// would come in bunches.
func spread(n int, window time.Duration) []time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = time.Duration((float64(i) + rand.Float64()) / float64(n) * float64(window))
	}
	return times
}

// enter counts a request in, unless the hub is shutting down.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.requests++
	return true
}

func (h *Hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.requests--; h.requests == 0 && h.closing {
		close(h.idle)
	}
}

// stay is a session, which goes on after its request where the transport has taken the connection over. Then it counts as a request of its own.
type stay struct {
	hub          *Hub
	session      *session.Session
	held, served bool // of the request's goroutine
	over         sync.Once
}

// hold keeps the session when its request ends.
func (st *stay) hold() (release func(failure error)) {
	st.hub.mu.Lock()
	defer st.hub.mu.Unlock()
	st.hub.requests++ // the one that is being served counts, so Shutdown still waits
	st.held = true
	return st.release
}

// release ends a session that was held. Failure is what a goroutine of the transport panicked with.
func (st *stay) release(failure error) {
	st.over.Do(func() {
		if s := st.session; failure != nil {
			session.Report(context.Background(), st.hub.options.Logger, failure, "session", s.ID(), "transport", s.Transport, "remote", s.Remote)
		}
		st.session.Close()
		st.hub.leave()
	})
}

// end is deferred by the request. A transport that panics has not kept anything.
func (st *stay) end() {
	switch {
	case !st.held:
		st.session.Close()
	case !st.served:
		st.release(nil)
	}
}
