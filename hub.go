package live

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/once"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/turnstile"
	"github.com/swampline/live/internal/wire"
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

// Hub is the running heart: it follows the log, holds the sessions and serves clients. It is an http.Handler to mount at a path
// that ends in a slash, behind the application's own middleware. Make one with New. Its methods may be called by any
// goroutine.
type Hub struct {
	options  Options
	engine   *engine.Engine
	env      *session.Env
	gate     *gate
	mistake  error // in the options, for Register to tell
	memory   *once.Memory[outcome]
	watch    *observe.Watch       // nil when nobody does
	loads    *turnstile.Turnstile // reads of the database
	running  context.Context      // until the hub has stopped
	stop     context.CancelFunc
	waits    context.Context // until Shutdown waits for no client any more
	cut      context.CancelFunc
	stopped  chan struct{}
	sessions sync.WaitGroup           // the goroutines of sessions
	on       map[string]*atomic.Int64 // how many sessions each transport drains
	next     atomic.Uint64            // the shard of the next session

	mu        sync.Mutex
	endpoints map[string]*endpoint
	channels  []*Channel
	open      map[*session.Session]string // whose each is
	requests  int
	idle      chan struct{} // closed when closing and no request is left
	closing   bool
}

// New returns a hub that follows the log. Shutdown ends it.
func New(o Options) *Hub {
	h := &Hub{
		options:   o.withDefaults(),
		stopped:   make(chan struct{}),
		endpoints: map[string]*endpoint{},
		open:      map[*session.Session]string{},
		idle:      make(chan struct{}),
		on:        map[string]*atomic.Int64{},
	}
	for _, t := range h.options.Transports {
		h.on[t.Name()] = new(atomic.Int64)
	}
	h.watch = observe.New(h.options.Observer, h.options.Logger)
	h.loads = turnstile.New(h.options.MaxLoads)
	h.gate = newGate(h.options.Limits)
	if h.mistake = checkOrigins(h.options.Origins); h.mistake != nil {
		h.options.Origins = nil
	}
	h.memory = once.New[outcome](h.options.IdempotencyEntries, remembered)
	h.engine = engine.New(engine.Options{
		Broker: h.options.Broker, Logger: h.options.Logger, Watch: h.watch,
		WindowEntries: h.options.HistoryEntries, WindowBytes: h.options.HistoryBytes, MaxReads: h.options.MaxLoads,
		Lost: h.resync, Degraded: h.degraded, Seen: h.seen, Began: h.memory.Reset,
	})
	h.env = &session.Env{
		App: app{h}, Log: h.engine, Logger: h.options.Logger, Watch: h.watch, Running: &h.sessions,
		MaxQueueBytes: h.options.MaxQueueBytes, MaxSubscriptions: h.options.MaxSubscriptions,
		MaxMessageBytes: h.options.MaxMessageBytes, Refresh: h.refresh(), Budget: session.NewBudget(h.options.MaxTotalQueueBytes),
		MaxBatch: h.options.Limits.Batch, MaxDepth: h.options.Limits.Depth,
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.running, h.stop = ctx, cancel
	h.waits, h.cut = context.WithCancel(ctx)
	go func() {
		defer close(h.stopped)
		var budget sync.WaitGroup
		budget.Go(func() { h.env.Keep(ctx, h.openSessions) })
		h.engine.Run(ctx)
		budget.Wait()
	}()
	return h
}

// Endpoint is what can be registered with a hub: a *Router[T] or a *Channel.
type Endpoint interface {
	register(h *Hub) error
}

// Register adds routers and channels, before the hub serves them. It panics with a sentence that tells how to mend it when a
// declaration is wrong, or one of the hub's Options is.
func (h *Hub) Register(endpoints ...Endpoint) {
	if h.mistake != nil {
		panic("live: " + h.mistake.Error())
	}
	for _, e := range endpoints {
		if err := e.register(h); err != nil {
			panic("live: " + err.Error())
		}
	}
}

func (h *Hub) addEndpoint(e *endpoint) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.endpoints[e.name] != nil {
		return fmt.Errorf("router %s: another router has this name: rename one", e.name)
	}
	h.endpoints[e.name] = e
	return h.checkRelations()
}

func (h *Hub) endpointOf(name string) *endpoint {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.endpoints[name]
}

// Channel declares a channel, or a family of channels: named streams of messages that belong to no model. What is not
// declared does not exist.
type Channel struct {
	// Name is the channel's name, or a prefix followed by "*": "chat:*" declares "chat:7" and every other one. Names consist of
	// letters, digits and any of "_-=@,.;:/".
	Name string

	// Subscribe decides who may follow the channel of a name; its error refuses, and ErrNotFound is answered as for a channel that
	// was never declared, so that one that is hidden looks like one that is missing. Nil: nobody may.
	Subscribe func(ctx context.Context, name string) error

	// Publish decides what a browser may publish: it returns what is sent to the subscribers, or an error. Nil: browsers
	// may not publish. The application itself publishes with Hub.Publish.
	Publish func(ctx context.Context, name string, data json.RawMessage) (any, error)
}

// Publish sends v, encoded as JSON, to all who follow a channel. It returns when the message is on the log, in a Batch and in
// a verb's func when it is noted. The channel must have been declared.
func (h *Hub) Publish(ctx context.Context, channel string, v any) error {
	if h.channelOf(channel) == nil {
		return fmt.Errorf("live: channel %q is not declared: register a live.Channel", channel)
	}
	if suppressed(ctx) {
		return nil
	}
	data, err := wire.Marshal(v)
	if err != nil {
		return fmt.Errorf("live: channel %s: %w", channel, err)
	}
	if err := h.publish(ctx, record.Entry{Messages: []record.Message{{Channel: channel, Data: data}}}); err != nil {
		return fmt.Errorf("live: channel %s: %w", channel, err)
	}
	return nil
}

// Batch runs do and puts all that is published with the ctx that do is given, by any router of the hub and on any channel, on the log
// as one entry when do has returned nil: subscribers see it whole. When do fails or panics nothing is published. So a
// transaction belongs inside of do, and what it commits is published after it:
//
//	err := hub.Batch(ctx, func(ctx context.Context) error {
//		return db.Tx(ctx, func(ctx context.Context) error { … todos.Updated(ctx, was, now) … })
//	})
//
// Publishing in do returns at once, with an error only for what can never be published. A Batch inside of another, or of a verb's
// func, which is one, becomes part of it. An entry that is too large for the broker is split. After its end the ctx publishes
// directly. The error is do's, or else that of the log: then what do did stands, and not all of it was published. The end of
// ctx does not keep what do did from being published.
func (h *Hub) Batch(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, b := h.begin(ctx)
	defer b.end() // a panic too
	if err := do(ctx); err != nil {
		return err
	}
	if _, err := b.commit(ctx); err != nil {
		return fmt.Errorf("live: batch: %w", err)
	}
	return nil
}

// ServeHTTP serves clients: see docs/protocol.md for the URLs.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.enter() {
		w.Header().Set("Retry-After", "1")
		h.refuse(w, wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "the server is shutting down: connect again"))
		return
	}
	defer h.leave()
	bodyDeadline(w, r, time.Now().Add(h.options.Limits.Receive))
	to := h.route(r)
	if to.file != "" {
		w.Header().Set("Access-Control-Allow-Origin", "*") // any page may import the client; what it may do is another matter
	} else if !h.admit(w, r) {
		return
	}
	if err := h.serve(w, r, to); err != nil {
		p, internal := session.Problem(err)
		if internal {
			h.report(r, to, err)
		}
		if p.Code == "unknown_verb" && to.router != "" {
			w.Header().Set("Allow", h.allow(to))
		}
		h.refuse(w, p)
	}
}

// report logs an error of a request that its client is told nothing of. A query string is a filter, and not logged.
func (h *Hub) report(r *http.Request, to route, err error) {
	args := []any{"method", r.Method, "path", session.Clip(r.URL.Path), "remote", r.RemoteAddr}
	if to.router != "" {
		args = append(args, "router", to.router)
	}
	session.Report(r.Context(), h.options.Logger, err, args...)
}

// refuse answers a request with a problem.
func (h *Hub) refuse(w http.ResponseWriter, p *wire.Problem) {
	h.watch.Count(MetricRefusals, p.Label(), 1)
	writeProblem(w, p)
}

// openSession opens a session for a request, which a transport drains.
func (h *Hub) openSession(r *http.Request, transport string) (*session.Session, error) {
	asker, err := h.asker(r)
	if err != nil {
		return nil, err
	}
	counted := h.gate.connect
	if transport == "longpoll" || transport == "shortpoll" {
		counted = h.gate.poll
	}
	if err := counted(asker); err != nil {
		return nil, err
	}
	leave, err := h.gate.enter(asker)
	if err != nil {
		return nil, err
	}
	shards := h.engine.Shards()
	on := h.on[transport]
	var s *session.Session
	s = session.New(r.Context(), h.env, shards[h.next.Add(1)%uint64(len(shards))], func() {
		leave()
		h.mu.Lock()
		delete(h.open, s)
		h.mu.Unlock()
		on.Add(-1)
	})
	on.Add(1)
	s.Who, s.Transport, s.Remote = asker.who, transport, r.RemoteAddr
	s.Messages, s.Subscribes = h.gate.allowances(asker)
	h.mu.Lock()
	h.open[s] = asker.who
	closing := h.closing
	h.mu.Unlock()
	if closing { // Shutdown may have passed it by
		s.Finish(wire.Reconnect(rand.N(h.options.DrainWindow).Milliseconds(), nil))
	}
	return s, nil
}

// openSessions are the sessions that there are.
func (h *Hub) openSessions() []*session.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.open))
}

// each calls f with every session, on the goroutine of its shard.
func (h *Hub) each(f func(*session.Session)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.open {
		s.Shard().Do(func() { f(s) })
	}
}

// resync sends every subscription back to the beginning.
func (h *Hub) resync(reason string) {
	h.each(func(s *session.Session) { s.Resync(reason) })
}

// degraded tells clients whether the broker can be reached.
func (h *Hub) degraded(yes bool) {
	h.each(func(s *session.Session) { s.Tell(wire.Status(yes)) })
}
