package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/turnstile"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// App answers what a client asks for. Its errors are Problems, or else internal.
type App interface {
	// Subscribe authorises a subscription and acquires its query.
	Subscribe(ctx context.Context, m wire.Message) (Source, error)
	// Call runs a verb, or publishes; it returns the position of the last change that this caused.
	Call(ctx context.Context, m wire.Message) (wire.Answer, broker.Position, error)
}

// Source is an authorised subscription.
type Source struct {
	Query *livequery.Query
	// Release pays the query back.
	Release func()
	// Load reads the rows that the caller may see, from a database that holds at least what the log holds up to a
	// position. The error may be a *TooMany. Again says that the client is told them for a reason of the hub's, as others may be at the same time:
	// so they may have been read for others a moment before. Nil for a channel.
	Load func(ctx context.Context, after broker.Position, again bool) (Loaded, error)
	// Prepare gives a window that other subscriptions have not loaded its rows, for one that resumes. Nil for other queries.
	Prepare func(ctx context.Context) error
	// Edge is the place up to which a client that resumes holds every row of a window; nil when it holds all.
	Edge where.Row
	// Since, unless zero, is from where on this hub knows the rows: who resumes from before may hold some that nobody here has heard of,
	// and is given a resync.
	Since broker.Position
}

// Loaded is what a list returned.
type Loaded struct {
	// At is the position that the database had reached.
	At broker.Position
	// Mark is what Stream.Prime returned; empty when there is none.
	Mark string
	// Fills is how often a list had taken a window's place, this one included.
	Fills uint64
	// Listing has the members that only a list knows.
	Listing wire.Listing
	Keys    []string
	// Edge is the place up to which the rows of a window are all rows; nil when no row is beyond.
	Edge where.Row
}

// TooMany says that more rows match a subscription than a list may have: it must become a window of so many.
type TooMany struct{ Limit int }

// Error says so.
func (e *TooMany) Error() string { return fmt.Sprintf("more than %d rows match", e.Limit) }

// Log is the hub's view of the log.
type Log interface {
	// Ready waits until the hub follows the log; ReadySoon not for long, and then the error wraps ErrUnavailable.
	Ready(ctx context.Context) error
	ReadySoon(ctx context.Context) error
	// Position is that up to which entries were matched; what they mean is with the shards, or about to be.
	Position() broker.Position
	// Wait returns when the shards have everything up to p, or the log is not the one any more that it was.
	Wait(ctx context.Context, p broker.Position) error
	// Window returns entries after p from memory, and whether memory reaches back to it: p is exactly the position of something.
	Window(p broker.Position, limit int) ([]*livequery.Entry, bool)
	// Read returns entries after p, from memory or the broker, at least one unless p is Position or later. The error
	// wraps broker.ErrExpired when they are gone.
	Read(ctx context.Context, p broker.Position, limit int, old *livequery.Backfill) ([]*livequery.Entry, error)
	// Holds reports whether p, which does not lie after Position, is a position that the log gave out, and all that follows it is there.
	Holds(ctx context.Context, p broker.Position) (bool, error)
	// Beyond reports whether p lies after the end of the log.
	Beyond(ctx context.Context, p broker.Position) (bool, error)
	// Settle runs f between two batches of the log: streams and history are as of the position, and what f asks of a shard comes
	// behind everything up to it. F must not wait.
	Settle(f func(at broker.Position) *livequery.Delivery)
}

// Env is what the sessions of a hub share.
type Env struct {
	App    App
	Log    Log
	Logger *slog.Logger
	// Watch is told what happens; nil when nobody watches.
	Watch *observe.Watch
	// Queued is what all sessions hold for their clients, in bytes: data, snapshots and answers, in queues and on their way. A frame that
	// several sessions share counts for each. Budget is what bounds it; nil for no bound.
	Queued atomic.Int64
	Budget *Budget
	// Subscriptions counts those of all sessions, and Parked the polls that wait for something to say.
	Subscriptions, Parked atomic.Int64
	// Rounds bounds how many polls that were woken end their round at once; nil for no bound.
	Rounds *turnstile.Turnstile
	// MaxQueueBytes bounds what waits in a session's queue.
	MaxQueueBytes int
	// MaxSubscriptions bounds the subscriptions of a session.
	MaxSubscriptions int
	// MaxMessageBytes is what a message that is too large is told.
	MaxMessageBytes int64
	// MaxBatch bounds the messages that come together, besides subscriptions, MaxDepth how deep they are nested.
	MaxBatch, MaxDepth int
	// Refresh renews what a session's context holds, before its rights are evaluated anew; nil when there is nothing to renew.
	Refresh func(ctx context.Context) (context.Context, error)
	// Running counts the goroutines of sessions.
	Running *sync.WaitGroup
}
