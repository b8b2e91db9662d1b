package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// Recheck evaluates a caller's rights anew, on every node: call it after they were changed and that was committed. Who is what
// Options.Identity returns for him.
//
// Each of his sessions stops at once: when Recheck returns, nothing is delivered on this node any more that the old rights let
// through, and on the others from when the log reaches them, but for what a connection has taken already. Then Options.Refresh and
// the Scope, or the channel's Subscribe, are asked anew for each subscription. One that comes to the same rows goes on where it was
// and the client notices nothing; one that comes to others is given them by a resync; one that is refused is closed. It costs one
// entry of the log and one evaluation for each of his subscriptions, and a list for each that changed.
//
// When the log cannot be reached the error says so; this node's sessions are rechecked all the same. Polls and single requests need
// none of this: each is authorised anew.
func (h *Hub) Recheck(ctx context.Context, who string) error {
	return h.concern(ctx, who, "recheck", record.Entry{Recheck: []string{who}}, (*session.Session).Recheck)
}

// Disconnect ends a caller's sessions on every node: he signed out, or was locked out. Who is what Options.Identity returns for him.
// Each subscription is closed with the problem 401 signed_out, and the client is asked to connect again, which is a new request for
// the application's middleware to judge. When it returns this node's sessions have ended; those of others end when the log
// reaches them. When the log cannot be reached the error says so; this node's sessions end all the same.
func (h *Hub) Disconnect(ctx context.Context, who string) error {
	return h.concern(ctx, who, "disconnect", record.Entry{Disconnect: []string{who}}, func(s *session.Session, _ broker.Position) { signOut(s) })
}

// promptly is how long this node's sessions wait for the position of what concerns them, which spares them doing it again when the log comes
// to it.
const promptly = 100 * time.Millisecond

// concern puts on the log what concerns the sessions of a caller, and does it to those of this node: soon, even when the broker hangs.
func (h *Hub) concern(ctx context.Context, who, what string, e record.Entry, do func(*session.Session, broker.Position)) error {
	var at broker.Position
	var err error
	told := make(chan struct{})
	go func() {
		defer close(told)
		if at, err = h.engine.Append(ctx, e); err != nil {
			err = fmt.Errorf("live: %s: other nodes are not told: %w", what, err)
		} else {
			h.published(e)
		}
	}()
	slow := time.NewTimer(promptly)
	defer slow.Stop()
	select {
	case <-told:
		return firstOf(err, h.onShards(ctx, who, func(s *session.Session) { do(s, at) }))
	case <-slow.C:
	}
	failed := h.onShards(ctx, who, func(s *session.Session) { do(s, broker.Position{}) })
	<-told
	return firstOf(err, failed)
}

func signOut(s *session.Session) {
	s.End(wire.NewProblem(http.StatusUnauthorized, "signed_out", "you were signed out"), wire.Reconnect(rand.Int64N(2000), nil))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// seen takes what an entry of the log asks of the hub itself.
func (h *Hub) seen(at broker.Position, e *record.Entry) {
	if e == nil { // it may have told of anybody's rights; all is loaded anew, and must be with rights that are new, too
		h.memory.Reset(at)
		h.each((*session.Session).Renew)
		h.extend(at, nil)
		return
	}
	h.extend(at, e)
	h.note(at, e)
	if e.ID != "" {
		h.arrived(e.ID, at)
	}
	for _, who := range e.Recheck {
		h.of(who, func(s *session.Session) { s.Recheck(at) })
	}
	for _, who := range e.Disconnect {
		h.of(who, signOut)
	}
}

// of has f called with each session of a caller, on the goroutine of its shard. It returns a channel for each that is closed when
// that was done.
func (h *Hub) of(who string, f func(*session.Session)) (done []<-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s, whose := range h.open {
		if whose != who {
			continue
		}
		ran := make(chan struct{})
		if s.Shard().Do(func() { defer close(ran); f(s) }) {
			done = append(done, ran)
		} else { // the hub has stopped: nobody is told anything any more
			close(ran)
		}
	}
	return done
}

// onShards calls f with each session of a caller, on the goroutine of its shard, and waits until that was done.
func (h *Hub) onShards(ctx context.Context, who string, f func(*session.Session)) error {
	for _, ran := range h.of(who, f) {
		select {
		case <-ran:
		case <-ctx.Done():
			return fmt.Errorf("live: %w", ctx.Err())
		}
	}
	return nil
}

// identity asks the application whose a request is.
func (h *Hub) identity(ctx context.Context) (who string, err error) {
	if h.options.Identity == nil {
		return "", nil
	}
	defer h.guard(&err, inIdentity)
	return h.options.Identity(ctx), nil
}

// refresh returns Options.Refresh with its errors as sessions know them, nil when there is none.
func (h *Hub) refresh() func(context.Context) (context.Context, error) {
	f := h.options.Refresh
	if f == nil {
		return nil
	}
	return func(ctx context.Context) (renewed context.Context, err error) {
		defer h.guard(&err, inRefresh)
		return f(ctx)
	}
}
