// Package extend is the bridge between a hub and the packages that live outside of package live, so that who does not need them does
// not have them: presence, and those that serve other protocols. Only this module can use it.
package extend

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

// Place is where somebody can be: an object of a router, or a channel.
type Place struct{ Router, Key, Channel string }

// String is the place as rows have it: no router's name has a slash.
func (p Place) String() string {
	if p.Channel != "" {
		return "/" + p.Channel
	}
	return p.Router + "/" + p.Key
}

// ParsePlace reads what String wrote.
func ParsePlace(s string) Place {
	router, rest, _ := strings.Cut(s, "/")
	if router == "" {
		return Place{Channel: rest}
	}
	return Place{Router: router, Key: rest}
}

// On is the place as clients call it: the object's key, or the channel's name.
func (p Place) On() string {
	if p.Channel != "" {
		return p.Channel
	}
	return p.Key
}

type nowOrNeverKey struct{}

// NowOrNever returns a context in which nothing that is published waits for a broker that is away, whatever the hub's options say: who says what is
// true for a moment says it anew when the broker is back.
func NowOrNever(ctx context.Context) context.Context {
	return context.WithValue(ctx, nowOrNeverKey{}, true)
}

// IsNowOrNever reports whether a context is one of NowOrNever.
func IsNowOrNever(ctx context.Context) bool { return ctx.Value(nowOrNeverKey{}) != nil }

// Extension is what knows who is where. Its methods may be called by any goroutine.
type Extension interface {
	// Router names the router whose rows are the members. Its field "place" says where each is.
	Router() string
	// Ready waits until it knows everybody, as far as that is possible; it returns the position from which on it has followed the log.
	Ready(ctx context.Context) (broker.Position, error)
	// Join makes the caller of a subscription a member of a place that he may see, for as long as the subscription lasts.
	Join(ctx context.Context, place Place, m wire.Presence, origin *wire.Origin) error
	// Refuse takes out a member whose caller may not see the place, or not any more.
	Refuse(place Place, m wire.Presence)

	// Seen is called with each entry that the hub follows, in order, before anybody is told of it; with nil for one that cannot be
	// read. It must not wait.
	Seen(at broker.Position, e *record.Entry)
	// Began is called when the hub begins to follow the log after a position: what was before it has not seen. It must not wait.
	Began(at broker.Position)
	// Run works until ctx ends, which is when the hub has stopped.
	Run(ctx context.Context)
	// Leave says that the hub is about to stop, when its last client has gone: what is to be said is said before it returns, or ctx ends.
	Leave(ctx context.Context)
}

// Host is what a hub does for an extension.
type Host interface {
	// CatchUp waits until the hub has followed the log to where it ends now.
	CatchUp(ctx context.Context) error
	// Soon waits until an extension is ready, but not for long: the error says that it is not available.
	Soon(ctx context.Context, x Extension) error
	// Visible refuses a caller who may not see a place, as a get of the object or a subscribe to the channel would.
	Visible(ctx context.Context, place Place) error
	// Logger is the hub's.
	Logger() *slog.Logger
}

// Listener is who is told of the log beside the sessions. Its methods must not wait; nil ones are not called.
type Listener struct {
	// Seen is called with each entry that the hub follows, in order, before anybody is told of it; with nil for one that cannot be read.
	Seen func(at broker.Position, e *record.Entry)
	// Began is called when the hub begins to follow the log after a position: what was before it has not seen.
	Began func(at broker.Position)
}

// Foreign is a request whose session speaks another protocol.
type Foreign struct {
	// Transport drains the session. Name is what stats and metrics call it.
	Transport transport.Transport
	Name      string
	Dialect   *session.Dialect
	// Open is given the session before anything is said on it; it returns what the transport drains, and may change the options.
	Open func(s *session.Session, o *transport.Options) transport.Session
	// Closed is called once the session is over, unless it was never opened. It must not wait.
	Closed func()
}

// Protocol is what a hub does for a package that serves another protocol. Its methods may be called by any goroutine.
type Protocol interface {
	Host
	// Listen has l told of the log from now on; Began is called at once, if the hub has begun.
	Listen(l Listener)
	// Serve opens a session for a request and has its transport drain it. It returns when the response is complete, or the connection was
	// taken over. An error says that the request was refused, and that nothing was answered yet: a *wire.Problem for a limit, or for a hub
	// that is shutting down, or else internal.
	Serve(w http.ResponseWriter, r *http.Request, f Foreign) error
	// Go runs f on a goroutine that the hub's Shutdown waits for; ctx ends when the hub stops.
	Go(f func(ctx context.Context))
	// Publish puts messages on the log as one entry, be their channels declared or not; in a batch when that is noted, and not at all where
	// publishing is suppressed.
	Publish(ctx context.Context, messages ...record.Message) error
	// Follow returns the source of a channel, be it declared or not. Nobody is asked whether the caller may.
	Follow(channel string) session.Source
	// Attend returns the source of who is at a place, and makes the subscription's caller a member of it if the message says so. Nobody is asked
	// whether he may.
	Attend(ctx context.Context, m wire.Message, place Place) (session.Source, error)
	// Rows returns the source of the rows of a router that a filter matches, with all published fields. Nobody is asked whether the caller may.
	Rows(ctx context.Context, router string, w where.Where) (session.Source, error)
	// Has reports whether a router is registered.
	Has(router string) bool
}
