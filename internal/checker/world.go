// Package checker is a machine that tries to break the delivery contract, see docs/reliability.md.
//
// Writers change rows and publish to channels on several hubs of one log, clients follow them over four transports through a proxy
// that does to their connections what networks do, and the hubs, the log and the callers' rights have their accidents, too. The
// oracle knows the log as it was appended and the table as it was committed, so that what a client is told can be judged at once, and
// what it shows in the end as well. All decisions come from one seed; what the operating system schedules when does not.
package checker

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/presence"
	"github.com/swampline/live/where"
)

// root is the caller who may see everything; he asks hubs how far they are.
const root = "root"

// world is what a round happens in: hubs on one log, a database, callers.
type world struct {
	config Config
	tally  *Tally
	table  *table
	rights *rights
	// members are those who are somewhere.
	members *members
	oracle  *oracle
	nodes   []*node
	lives   sync.Map // the *handle of each hub that there was, by the name that it signs with
	server  *accidents

	// order is held by writers from before they commit until they have published, and alone by what begins to follow the log: a hub
	// knows of versions that were published in the other order only what came by since it began.
	order sync.RWMutex
	// still is held by every Append, and alone by what happens to the log while nobody appends: hubs talk about members at any time.
	still sync.RWMutex
	// calm says that nothing breaks any more.
	calm atomic.Bool
	// tasks are what the world does by itself: hubs that end, revocations that are acknowledged.
	tasks sync.WaitGroup
	ctx   context.Context
	// reading is the oracle's; it ends after everything else.
	reading sync.WaitGroup
	end     context.CancelFunc
}

// callerKey is where a request's context has the caller.
type callerKey struct{}

func callerOf(ctx context.Context) string { who, _ := ctx.Value(callerKey{}).(string); return who }

// newWorld makes the hubs.
func newWorld(ctx context.Context, c Config, tally *Tally) *world {
	ctx, end := context.WithCancel(ctx)
	w := &world{config: c, tally: tally, table: newTable(), rights: newRights(), ctx: ctx, end: end}
	w.members = newMembers(w.table)
	w.server = &accidents{log: c.Log.orMemory()}
	w.oracle = newOracle(ctx, w.server.log.New(), w.table, tally)
	w.reading.Go(w.oracle.read)
	w.rights.add(root, everything)
	for i := range c.Hubs {
		w.nodes = append(w.nodes, &node{world: w, index: i})
	}
	for _, n := range w.nodes {
		n.start()
	}
	return w
}

// close ends the hubs.
func (w *world) close() {
	for _, n := range w.nodes {
		n.stop(context.Background(), 10*time.Second)
	}
	w.tasks.Wait()
	w.end()
	w.reading.Wait()
}

// patience is how long a client waits for a sign of life. When nothing breaks any more it is the machine that is slow, and to connect anew
// would make it slower.
func (w *world) patience() time.Duration {
	if w.calm.Load() {
		return max(w.config.Patience, w.config.Settle/2)
	}
	return w.config.Patience
}

// node is the place of a hub: when it is killed another one comes there.
type node struct {
	world *world
	index int

	mu   sync.Mutex
	life *life
}

// life is one hub with its server.
type life struct {
	hub    *live.Hub
	items  *live.Router[item]
	who    *presence.Presence
	handle *handle
	mux    http.Handler
	server *http.Server
	socket *socket
	done   chan struct{}
}

// start makes a hub, and returns when it follows the log.
func (n *node) start() {
	w := n.world
	l := &life{handle: &handle{Broker: w.server.log.New(), still: &w.still, window: 1 << 20, began: map[uint64]broker.Position{}}, done: make(chan struct{})}
	o := live.Options{
		Broker: l.handle, Logger: slog.New(errorLog{w.tally}), Identity: callerOf,
		PingInterval: w.config.Ping, PongTimeout: w.config.Patience, WriteTimeout: w.config.Patience,
	}
	switch n.index % 3 { // resumes read from the broker, and queues overflow
	case 1:
		o.HistoryEntries, o.MaxQueueBytes = 150, 4<<10
		l.handle.window = o.HistoryEntries
	case 2:
		o.HistoryEntries = 30
		l.handle.window = o.HistoryEntries
	}
	l.hub, l.items = live.New(o), w.router()
	l.hub.Register(l.items,
		&live.Channel{Name: "news", Subscribe: func(context.Context, string) error { return nil }},
		&live.Channel{Name: "bulletin:*", Subscribe: func(context.Context, string) error { return nil }},
		&live.Channel{Name: "chat:*", Subscribe: w.mayChat})
	l.who = presence.New(l.hub, presence.Options{Person: person, Lease: w.config.Lease, Linger: w.config.Linger, Batch: 20 * time.Millisecond})
	mux := http.NewServeMux()
	mux.Handle("/as/{who}/live/", as(zip(w.tally, w.signed(l.handle, l.hub))))
	l.mux = mux
	l.socket = listen()
	l.server = &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() {
		defer close(l.done)
		_ = l.server.Serve(l.socket)
	}()
	if _, err := l.reached(w.ctx); err != nil && w.ctx.Err() == nil {
		w.tally.Find(Stuck, "a new hub does not answer: %v", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life = l
}

// signed says in each answer which hub gave it.
func (w *world) signed(h *handle, hub http.Handler) http.Handler {
	name := rand.Text()
	w.lives.Store(name, h)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set(lifeHeader, name)
		hub.ServeHTTP(rw, r)
	})
}

// lifeOf is the hub of a name; nil when there was none.
func (w *world) lifeOf(name string) *handle {
	if h, ok := w.lives.Load(name); ok {
		return h.(*handle)
	}
	return nil
}

// present returns the hub that is there now.
func (n *node) present() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// address is where the hub listens.
func (n *node) address() string { return n.present().socket.Addr().String() }

// stop ends a hub: in the time that it is given with a goodbye.
func (n *node) stop(ctx context.Context, grace time.Duration) {
	l := n.present()
	l.handle.resume()
	if grace == 0 {
		l.socket.cut()
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := l.hub.Shutdown(ctx); err != nil && grace > 0 && ctx.Err() == nil {
		n.world.tally.Find(Protocol, "Shutdown: %v", err)
	}
	l.socket.cut()
	_ = l.server.Close()
	<-l.done
}

// replace puts another hub in the place, with a grace for the old one.
func (n *node) replace(grace time.Duration) {
	w := n.world
	if grace > 0 {
		n.stop(w.ctx, grace)
	} else {
		n.present().socket.cut() // at once: what follows may wait for writers
	}
	w.order.Lock()
	defer w.order.Unlock()
	if grace == 0 {
		n.stop(w.ctx, 0)
	}
	n.start()
}

// reached asks how far the hub has followed the log.
func (l *life) reached(ctx context.Context) (broker.Position, error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/as/"+root+"/live/", strings.NewReader(`{"type":"subscribe","id":1,"channel":"news"}`))
	r.Header.Set("Content-Type", "application/x-ndjson")
	answer := httptest.NewRecorder()
	l.mux.ServeHTTP(answer, r)
	line, _, _ := strings.Cut(answer.Body.String(), "\n")
	m, err := mirror.Decode([]byte(line))
	if err != nil || m.Type != "snapshot" {
		return broker.Position{}, fmt.Errorf("asked how far it is, the hub says %d %q", answer.Code, line)
	}
	return broker.ParsePosition(m.Cursor)
}

// await returns when every hub has followed the log to a position, or is gone, or the log has become another one.
func (w *world) await(ctx context.Context, at broker.Position) error {
	for _, n := range w.nodes {
		for l := n.present(); ; {
			p, err := l.reached(ctx)
			lost := p.Epoch == w.oracle.known().Epoch && p.Epoch != at.Epoch
			if err == nil && (lost || p.Epoch == at.Epoch && !at.After(p)) || n.present() != l {
				break
			}
			select {
			case <-time.After(2 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// exclusive runs f while no writer is between a commit and its publishing, and returns when the hubs that are not paused know of
// it.
func (w *world) exclusive(f func()) {
	w.order.Lock()
	defer w.order.Unlock()
	f()
	at := w.oracle.end()
	for _, n := range w.nodes {
		for l := n.present(); !l.handle.paused() && w.ctx.Err() == nil; {
			p, err := l.reached(w.ctx)
			if err != nil || p.Epoch == at.Epoch && !at.After(p) {
				break
			}
			time.Sleep(time.Millisecond) // it has to find out that the log is another one
		}
	}
}

// trim cuts the history short: all but the newest entries are gone.
func (w *world) trim(keep int) {
	w.exclusive(func() {
		w.still.Lock()
		defer w.still.Unlock()
		w.oracle.end()
		w.server.do(func(l Log) { l.Trim(keep) })
		w.oracle.end() // entries may have been there that could not be read yet, and count
		w.oracle.trimmed(keep)
	})
}

// noted returns when the oracle knows of what was done to the log before: hubs may see that history is gone, and say so, before whoever cut it
// has said how far.
func (w *world) noted() {
	w.still.RLock()
	defer w.still.RUnlock()
}

// newLog loses the log: a new epoch begins.
func (w *world) newLog() {
	w.exclusive(func() {
		w.still.Lock()
		defer w.still.Unlock()
		old := w.oracle.end()
		w.server.do(func(l Log) { l.NewEpoch() })
		w.oracle.renewed(old)
	})
}

// grant gives a caller other rights and has the hubs told; what he loses may not be sent to him any more once all of them know.
func (w *world) grant(who string, mask uint64) {
	w.rights.set(who, mask)
	_, turns := w.rights.of(who)
	w.tasks.Go(func() {
		if err := w.recheck(w.nodes[int(mask)%len(w.nodes)].present().hub, who); err != nil {
			if w.ctx.Err() == nil {
				w.tally.Find(Protocol, "Recheck: %v", err)
			}
			return
		}
		ctx, cancel := context.WithTimeout(w.ctx, w.config.Settle)
		defer cancel()
		if w.await(ctx, w.oracle.end()) == nil {
			w.rights.revoked(who, turns, w.table.now())
		} else if w.ctx.Err() == nil {
			w.tally.Find(Stuck, "a hub does not follow the log")
		}
	})
}

// recheck has a hub tell all of a caller's rights, and again as long as the log cannot be reached.
func (w *world) recheck(hub *live.Hub, who string) error {
	w.order.RLock() // the log is not lost meanwhile
	defer w.order.RUnlock()
	for end := time.Now().Add(w.config.Settle); ; time.Sleep(again) {
		if err := hub.Recheck(w.ctx, who); err == nil || w.ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

// mayChat permits a channel of an owner whose rows the caller may see.
func (w *world) mayChat(ctx context.Context, name string) error {
	owner, err := strconv.Atoi(strings.TrimPrefix(name, "chat:"))
	if mask, _ := w.rights.of(callerOf(ctx)); err != nil || mask&(1<<owner) == 0 {
		return live.ErrNotFound
	}
	return nil
}

// person is the caller as others see him.
func person(ctx context.Context) (presence.Person, error) {
	who := callerOf(ctx)
	return presence.Person{ID: who, Name: nameOf(who), Info: map[string]string{"of": who}}, nil
}

// router makes the router of one hub over the table.
func (w *world) router() *live.Router[item] {
	return &live.Router[item]{
		Name: router,
		Scope: func(ctx context.Context) (where.Where, error) {
			mask, _ := w.rights.of(callerOf(ctx))
			return scope(mask), nil
		},
		List: func(ctx context.Context, q live.Query) ([]item, error) {
			found, turn := w.table.list(q.Where, q.Order, q.Limit)
			select { // a database takes its time to answer
			case <-time.After(time.Duration(turn%4) * time.Millisecond):
			case <-ctx.Done():
			}
			return found, ctx.Err()
		},
		Count: func(_ context.Context, q live.Query) (int64, error) {
			found, _ := w.table.list(q.Where, nil, 0)
			return int64(len(found)), nil
		},
	}
}

// as names the caller by the path, so that clients need no headers.
func as(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), callerKey{}, r.PathValue("who"))))
	})
}

// errorLog makes a finding of every error that a hub logs.
type errorLog struct{ tally *Tally }

// Enabled takes errors.
func (errorLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle notes one. That the log cannot be reached is none once its server was made one that cannot.
func (e errorLog) Handle(_ context.Context, r slog.Record) error {
	text, away := r.Message, false
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		away = away || strings.Contains(a.Value.String(), session.ErrUnavailable.Error())
		return true
	})
	if faults := e.tally.Faults(); away && faults[Away]+faults[Restart] > 0 {
		return nil
	}
	e.tally.Find(Logged, "%s", text)
	return nil
}

// WithAttrs and WithGroup change nothing.
func (e errorLog) WithAttrs([]slog.Attr) slog.Handler { return e }

// WithGroup changes nothing.
func (e errorLog) WithGroup(string) slog.Handler { return e }
