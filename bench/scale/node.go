//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

type row struct {
	ID   int64  `live:"id,key"`
	List int64  `live:"list,filter"`
	N    int    `live:"n"`
	Text string `live:"text"`
}

// rowsOfList is how many rows a list has; the rows of list l are l*rowsOfList and those after it.
const rowsOfList = 4

var text = strings.Repeat("x", 180)

func newRouter() *live.Router[row] {
	return &live.Router[row]{Name: "rows", Scope: live.Everyone, List: func(_ context.Context, q live.Query) ([]row, error) {
		_, args := q.SQL(where.Postgres)
		list, ok := args[0].(int64) // it is the only condition
		if !ok {
			return nil, fmt.Errorf("a list is asked for by %v", args)
		}
		var all []row
		for i := range int64(rowsOfList) {
			all = append(all, row{list*rowsOfList + i, list, 0, text})
		}
		return all, nil
	}}
}

// node is one hub and its sessions.
type node struct {
	hub        *live.Hub
	log        broker.Broker
	sessions   int
	members    map[int64]int // how many sessions follow a list here
	lists      int64         // of the cluster
	perSession float64       // bytes
	entryBytes int
	random     *rand.Rand
	sink       *sink
	ended      context.CancelFunc
	serving    sync.WaitGroup
	written    int // entries so far
}

// newNode returns a node whose sessions are all live.
func newNode() (*node, error) {
	n := &node{
		log:      memory.New(memory.Options{MaxEntries: -1, MaxBytes: 1 << 30}),
		sessions: *clients / *nodes,
		members:  map[int64]int{},
		lists:    int64(*clients / *members),
		random:   rand.New(rand.NewPCG(*seed, 0)),
		sink:     &sink{end: make(chan struct{}, 1)},
	}
	n.hub = live.New(live.Options{
		Broker: n.log, Transports: []transport.Transport{n.sink}, Logger: slog.New(slog.DiscardHandler),
		Address: func(*http.Request) string { return "" }, PingInterval: time.Hour,
	})
	n.hub.Register(newRouter(), &live.Channel{Name: "end", Subscribe: func(context.Context, string) error { return nil }})
	before := memoryUsed()
	ctx, cancel := context.WithCancel(context.Background())
	n.ended = cancel
	n.sink.loaded.Add(n.sessions + 1)
	n.open(ctx, `{"type":"subscribe","id":1,"channel":"end"}`)
	for range n.sessions {
		list := n.random.Int64N(n.lists)
		n.members[list]++
		n.open(ctx, fmt.Sprintf(`{"type":"subscribe","id":1,"router":"rows","where":{"list":%d}}`, list))
	}
	n.sink.loaded.Wait()
	n.perSession = float64(memoryUsed()-before) / float64(n.sessions)
	return n, nil
}

// open opens a session.
func (n *node) open(ctx context.Context, subscribe string) {
	r := httptest.NewRequestWithContext(ctx, "GET", "/live/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Subscribe", subscribe)
	n.serving.Go(func() {
		w := httptest.NewRecorder()
		if n.hub.ServeHTTP(w, r); w.Body.Len() > 0 {
			n.sink.fail(w.Body.String())
		}
	})
}

func (n *node) close() {
	n.ended()
	n.serving.Wait()
	_ = n.hub.Shutdown(context.Background()) // nobody is connected
}

func memoryUsed() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sink is a transport that takes what there is and sends it to nobody.
type sink struct {
	loaded    sync.WaitGroup // until each session has its snapshot
	end       chan struct{}  // is told of each message of the channel end
	delivered atomic.Int64
	due       []time.Time // when entry number i was due, while delays are measured; index: its number less first
	first     int
	delays    histogram
}

func (*sink) Name() string { return "sink" }

func (*sink) Accepts(*http.Request) bool { return true }

func (t *sink) Serve(_ http.ResponseWriter, r *http.Request, s transport.Session, _ transport.Options) {
	defer s.Close()
	if s.Receive(r.Context(), []byte(r.Header.Get("Subscribe"))) != nil {
		return
	}
	for {
		frames, err := s.Next(r.Context())
		for _, f := range frames {
			t.take(f)
		}
		if err != nil {
			return
		}
	}
}

// fail ends the process: a session that is refused makes all that follows meaningless.
func (*sink) fail(why any) { log.Fatalf("a session is refused: %s", why) }

func (t *sink) take(f *transport.Frame) {
	switch f.Type {
	case "error", "end":
		t.fail(f.Data)
	case "snapshot":
		t.loaded.Done()
	case "message":
		t.end <- struct{}{}
	case "change":
		if t.due != nil {
			if n := number(f.Data) - t.first; n >= 0 && n < len(t.due) {
				t.delays.add(time.Since(t.due[n]))
			}
		}
		t.delivered.Add(1) // behind the delay: who has counted all may read them
	}
}

// number reads which entry a change is of.
func number(data []byte) int {
	_, rest, _ := bytes.Cut(data, []byte(`"n":`))
	end := bytes.IndexAny(rest, ",}")
	if end < 0 {
		return -1
	}
	n, err := strconv.Atoi(string(rest[:end]))
	if err != nil {
		return -1
	}
	return n
}

// recording is a log that keeps what is appended: the entries, as another node would append them.
type recording struct {
	broker.Broker
	entries [][]byte
}

func (r *recording) Append(ctx context.Context, data []byte) (broker.Position, error) {
	r.entries = append(r.entries, bytes.Clone(data))
	return r.Broker.Append(ctx, data)
}

// produce returns entries about rows of lists, with the deliveries that they make here.
func (n *node) produce(count int, list func() int64) (data [][]byte, deliveries int, err error) {
	r := &recording{Broker: memory.New(memory.Options{})}
	hub, router := live.New(live.Options{Broker: r, Logger: slog.New(slog.DiscardHandler)}), newRouter()
	hub.Register(router)
	for range count {
		l := list()
		now := row{l*rowsOfList + n.random.Int64N(rowsOfList), l, n.written, text}
		was := now
		was.N--
		if err := router.Updated(context.Background(), was, now); err != nil {
			return nil, 0, err
		}
		n.written++
		deliveries += n.members[l]
	}
	n.entryBytes = len(r.entries[0])
	return r.entries, deliveries, hub.Shutdown(context.Background())
}

// any returns a list of the cluster, which concerns this node or not.
func (n *node) any() int64 { return n.random.Int64N(n.lists) }

// nobodys returns a list that nobody here follows.
func (n *node) nobodys() int64 {
	for {
		if l := n.any(); n.members[l] == 0 {
			return l
		}
	}
}

// handled waits until the node has handled all that is on the log, and made so many deliveries.
func (n *node) handled(deliveries int) error {
	if err := n.hub.Publish(context.Background(), "end", 0); err != nil {
		return err
	}
	<-n.sink.end
	for limit := time.Now().Add(time.Minute); n.sink.delivered.Load() < int64(deliveries); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			return fmt.Errorf("%d of %d deliveries", n.sink.delivered.Load(), deliveries)
		}
	}
	return nil
}
