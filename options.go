package live

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/longpoll"
	"github.com/swampline/live/transport/shortpoll"
	"github.com/swampline/live/transport/sse"
	"github.com/swampline/live/transport/websocket"
)

// Options configure a Hub. The zero value is right for one machine. Sizes are in bytes; a zero means the default.
type Options struct {
	// Broker stores the log. Nil means one in this process's memory, which is lost when it ends; clients then resync.
	Broker broker.Broker

	// Outbox stores what is published in a [Tx], or another [Transaction], within that transaction of the application's database, so that
	// a crash between its COMMIT and the log loses nothing: see docs/transactions.md. Every such transaction in which something of this hub
	// is published must be of the database that has the outbox's table. Nil means the Broker, if it is a broker.TxAppender, as one
	// whose log is a table is; else what is published goes on the log right after the COMMIT.
	Outbox broker.TxAppender

	// Logger gets what clients are not told: the application's errors and panics, what the broker says, what was refused.
	// Nil means slog.Default().
	Logger *slog.Logger

	// Observer is told what happens, for metrics. Nil costs nothing.
	Observer Observer

	// Transports that clients may use, in the order in which a request is offered to them. Nil means WebSocket, SSE,
	// long-poll and short-poll.
	Transports []transport.Transport

	// Origins are the web pages, such as "https://app.example.com", that may use the hub besides those of its own
	// host. They are compared exactly; "null" is no origin. Register panics when one of them can be no page's.
	Origins []string

	// Address says where a request comes from, for the limits by address: behind proxies, what they say of the client, such as the
	// last element of X-Forwarded-For that one of them wrote. Addresses of IPv6 count by their network of 64 bits. Empty: nobody
	// knows, and nothing is counted. Nil: the connection's own address, unless that is a private or a local one, which is a
	// proxy's: then nothing is counted by address.
	Address func(r *http.Request) string

	// Limits bound what clients may ask for.
	Limits Limits

	// Identity says whose a request is: a user's id, or whatever [Hub.Recheck] and [Hub.Disconnect] are to call him by. It is
	// called with the context of each request, and again of each write that carries a mutation; it must be quick. Nil: everybody
	// is "".
	Identity func(ctx context.Context) string

	// Author says who makes a change, such as Person{"u7", "Ada"}: it goes with the change, as the JSON that encoding/json makes of it, to everybody
	// who is told of it, of whatever view; so it must hold nothing that one of those who may see the row must not know. It is called with the context
	// with which something is published on a router, of a verb that of its caller's request, also in a [Tx] or another [Transaction]; of a change that nobody asked
	// for, as by a job, it returns nil, and nothing is told. It must be quick. What it returns is 1 KiB of JSON at most: what is larger, or a panic, is logged,
	// and the change goes out without it. Nodes of a version that does not know it take such changes for unreadable: set it when all nodes
	// know it.
	Author func(ctx context.Context) any

	// Refresh renews what a session's context holds, such as the user's roles, before its rights are evaluated anew. It is given
	// the context of the request that opened the session and returns one with newer values, usually made of that. Its error
	// ends the session: an *Error as it says, any other as internal. Nil: the context stays as it was, which is right where Scope
	// asks the database.
	Refresh func(ctx context.Context) (context.Context, error)

	// IdempotencyEntries is how many writes that carry a mutation the hub remembers with their answers, for clients that lost an
	// answer and send again, and how many of those that other nodes did. None is remembered for longer than 10 minutes. Default 10,000.
	IdempotencyEntries int

	// Debug lets every client ask why it does not see a row, as [Hub.Explain] does. The answers tell what is hidden: it is for
	// development only.
	Debug bool

	// Prefix is the path at which the hub is mounted, such as "/live/", for a mux that is neither http.ServeMux nor
	// strips the prefix. Usually it can be left empty.
	Prefix string

	// MaxMessageBytes bounds what a client sends at once. Default 64 KiB.
	MaxMessageBytes int64
	// MaxQueueBytes bounds what waits for one slow client, or is on its way to it: each message counts with its text and 256 bytes.
	// Past it changes are dropped and later read from the log again, and nothing more is asked for by this client until it reads. A
	// client that reads nothing for WriteTimeout is sent away. Default 256 KiB.
	MaxQueueBytes int
	// MaxTotalQueueBytes bounds what waits for all clients together; a message that waits for many counts for each. Past it the
	// longest queues are dropped first, and read from the log again; where that does not help, the clients that hold most are sent
	// away. Default 256 MiB.
	MaxTotalQueueBytes int
	// MaxLoads bounds how many lists and counts the hub reads from the application at once, for subscriptions, calls and requests
	// alike, and how many subscriptions read old history from the broker at once. Identical subscriptions share one read; the others
	// wait in the order in which they came. A List that asks the hub itself with its own context is not waited for by itself. Default 16.
	MaxLoads int
	// MaxSubscriptions bounds the subscriptions of one session. Default 128.
	MaxSubscriptions int
	// MaxBulk bounds the rows that one call creates, updates or deletes. Default 100.
	MaxBulk int
	// HistoryBytes and HistoryEntries bound the part of the log that the hub keeps decoded in memory, for clients that
	// reconnect; what is older is read from the broker. Default 16 MiB and 10,000.
	HistoryBytes   int
	HistoryEntries int

	// MaxUnsentBytes bounds what waits for a broker that cannot be reached. Zero: nothing does, and publishing returns an error, as it does
	// past the bound. Otherwise what is published, by the application or a verb, waits in memory in its order, with its size on the
	// log, and goes on the log when the broker answers again; publishing returns nil, and a verb answers that it was done. Whatever is
	// published meanwhile goes behind it. What still waits when the process ends is lost, after Shutdown has tried to send it: clients are not told of those changes
	// before the rows change again or are read anew. A row that is larger than 16 MiB on the log is refused at once, with an error that wraps
	// [broker.ErrTooLarge]; one that only the broker finds too large is lost when it is sent, and logged. Recheck and Disconnect do not wait, nor does what package presence says of members and locks. Each entry takes 35 bytes more on the log.
	MaxUnsentBytes int
	// PublishTimeout is how long publishing may take, for each entry, when its context has no deadline. What was committed is published with
	// the rest of its caller's deadline, but at least a second, even when the caller has gone. Default 5 s.
	PublishTimeout time.Duration

	// PingInterval is the time between two signs of life that a stream sends, give or take a fifth. Default 25 s.
	PingInterval time.Duration
	// PongTimeout is how long a WebSocket may take to answer a ping. Default 10 s.
	PongTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of what it is sent: less than 4 KiB. Default 8 s, so that who takes nothing is gone within ten.
	WriteTimeout time.Duration
	// DrainWindow is the time over which Shutdown spreads the clients that it sends away. Default 2 s.
	DrainWindow time.Duration
	// MaxWait bounds how long a long-poll waits. Default 60 s.
	MaxWait time.Duration
}

// withDefaults returns the options with nothing left zero.
func (o Options) withDefaults() Options {
	if o.Broker == nil {
		o.Broker = memory.New(memory.Options{})
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Transports == nil {
		o.Transports = []transport.Transport{websocket.Transport{}, sse.Transport{}, longpoll.Transport{}, shortpoll.Transport{}}
	}
	orDefault(&o.MaxMessageBytes, 64<<10)
	orDefault(&o.MaxQueueBytes, 256<<10)
	orDefault(&o.MaxTotalQueueBytes, 256<<20)
	orDefault(&o.MaxLoads, 16)
	orDefault(&o.MaxSubscriptions, 128)
	orDefault(&o.MaxBulk, 100)
	orDefault(&o.HistoryBytes, 16<<20)
	orDefault(&o.HistoryEntries, 10_000)
	orDefault(&o.IdempotencyEntries, 10_000)
	orDefault(&o.PublishTimeout, 5*time.Second)
	orDefault(&o.PingInterval, 25*time.Second)
	orDefault(&o.PongTimeout, 10*time.Second)
	orDefault(&o.WriteTimeout, 8*time.Second)
	orDefault(&o.DrainWindow, 2*time.Second)
	orDefault(&o.MaxWait, time.Minute)
	o.Limits = o.Limits.withDefaults()
	return o
}

func orDefault[N int | int64 | time.Duration](n *N, value N) {
	if *n <= 0 {
		*n = value
	}
}
