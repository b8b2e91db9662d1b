package live

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/once"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/turnstile"
	"github.com/swampline/live/internal/wire"
)

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
	outbox   broker.TxAppender    // nil without
	unsent   *unsent              // nil when nothing waits for the broker
	away     atomic.Bool          // the broker cannot be reached
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

	// run names the time since the hub began to follow the log, or began anew, in ETags.
	run atomic.Pointer[string]

	watches watches
	// As the log is followed: of the engine's goroutine, and between two batches of it.
	extended  extend.Extension
	listeners []extend.Listener

	mu        sync.Mutex
	extension extend.Extension // nil without
	endpoints map[string]*endpoint
	models    map[reflect.Type][]rowRouter
	channels  []*Channel
	expected  map[string]chan broker.Position // entries of an outbox by their ids, which answers wait for
	open      map[*session.Session]string     // whose each is
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
		models:    map[reflect.Type][]rowRouter{},
		open:      map[*session.Session]string{},
		idle:      make(chan struct{}),
		on:        map[string]*atomic.Int64{},
		expected:  map[string]chan broker.Position{},
	}
	h.outbox = outboxOf(h.options)
	h.unsent = newUnsent(h, h.options.MaxUnsentBytes)
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
		WindowEntries: h.options.HistoryEntries, WindowBytes: h.options.HistoryBytes, MaxReads: h.options.MaxLoads, AppendTimeout: h.options.PublishTimeout,
		Lost: h.resync, Degraded: h.degraded, Seen: h.seen, Began: h.began,
	})
	h.env = &session.Env{
		App: app{h}, Log: h.engine, Logger: h.options.Logger, Watch: h.watch, Running: &h.sessions,
		MaxQueueBytes: h.options.MaxQueueBytes, MaxSubscriptions: h.options.MaxSubscriptions,
		MaxMessageBytes: h.options.MaxMessageBytes, Refresh: h.refresh(), Budget: session.NewBudget(h.options.MaxTotalQueueBytes),
		Rounds: turnstile.New(8 * runtime.GOMAXPROCS(0)), MaxBatch: h.options.Limits.Batch, MaxDepth: h.options.Limits.Depth,
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.running, h.stop = ctx, cancel
	h.waits, h.cut = context.WithCancel(ctx)
	go func() {
		defer close(h.stopped)
		var budget sync.WaitGroup
		budget.Go(func() { h.env.Keep(ctx, h.openSessions) })
		if h.unsent != nil {
			budget.Go(func() { h.unsent.run(ctx) })
		}
		h.engine.Run(ctx)
		budget.Wait()
		h.unsent.abandon()
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
	h.models[e.row] = h.sortRouters(e.row)
	return h.checkRelations()
}

func (h *Hub) endpointOf(name string) *endpoint {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.endpoints[name]
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
