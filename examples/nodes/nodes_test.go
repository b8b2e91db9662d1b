package nodes

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	_ "github.com/swampline/live" // of which the processes are made, and of the outbox: see spawn.Build
	"github.com/swampline/live/broker"
	"github.com/swampline/live/examples/internal/spawn"
	_ "github.com/swampline/live/outbox"
)

// transports are those of the clients: each alone, and all of them, for who falls back by himself.
var transports = map[string][]string{
	"websocket": {"websocket"},
	"sse":       {"sse"},
	"longpoll":  {"longpoll"},
	"shortpoll": {"shortpoll"},
	"any":       {"websocket", "sse", "longpoll", "shortpoll"},
}

// What each client is subscribed to.
const (
	allTodos = iota + 1
	allLists
	doneTodos
	firstOpen // a window
)

func TestOneApplicationInThreeProcesses(t *testing.T) {
	binary := spawn.Build(t, "todo")
	for _, name := range slices.Sorted(maps.Keys(engines)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, binary, engines[name](t))
			stop := w.write()
			rounds := 1
			if os.Getenv("LIVE_TEST_LONG") != "" {
				rounds = 10
			}
			for range rounds {
				w.killInTurn()
				w.restartEngine()
			}
			stop()
			w.judge()
		})
	}
}

// world is three nodes on an engine, a proxy before them, and clients.
type world struct {
	t      *testing.T
	ctx    context.Context // that which nobody should have to wait for has not come when it ends
	engine engine
	file   string // the database
	nodes  []*spawn.Node
	url    string // of the proxy
	agent  *agent
	ledger *ledger
}

// newWorld starts it, and returns when all clients have their rows.
func newWorld(t *testing.T, binary string, e engine) *world {
	patience := 3 * time.Minute
	if os.Getenv("LIVE_TEST_LONG") != "" {
		patience = 20 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, engine: e, file: filepath.Join(t.TempDir(), "todo.db"), agent: startAgent(t), ledger: newLedger()}
	for i := range 3 {
		n := &spawn.Node{Binary: binary, Args: []string{"-addr", "127.0.0.1:0", "-db", w.file, "-broker", e.url}}
		if err := n.Start(); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		t.Cleanup(func() {
			n.Kill()
			if t.Failed() {
				t.Logf("node %d said:\n%s", i, n.Log.String())
			}
		})
		w.nodes = append(w.nodes, n)
	}
	w.url = roundRobin(t, w.nodes)
	for name, these := range transports {
		w.agent.open(name, w.url, these...)
		w.agent.subscribe(name, allTodos, "todos", nil)
		w.agent.subscribe(name, allLists, "lists", nil)
		w.agent.subscribe(name, doneTodos, "todos", map[string]any{"where": map[string]any{"done": true}})
		w.agent.subscribe(name, firstOpen, "todos", map[string]any{"where": map[string]any{"done": false}, "order": "title", "limit": 5})
		w.agent.open("page-"+name, w.url, these...)
		w.agent.subscribe("page-"+name, allTodos, "todos", nil)
	}
	w.agent.await(ctx, "every client has its rows", func() bool {
		for _, f := range w.agent.feeds {
			if !f.ready {
				return false
			}
		}
		return true
	})
	return w
}

// write begins to write, and returns what ends that.
func (w *world) write() (stop func()) {
	const seed = 20261122
	var writers sync.WaitGroup
	end := make(chan struct{})
	for i := range 2 {
		p := &program{
			url: w.url, client: &http.Client{Transport: &http.Transport{}}, ledger: w.ledger,
			rows: rows{of: fmt.Sprint("program ", i), random: rand.New(rand.NewPCG(seed, uint64(i)))},
		}
		writers.Go(func() { p.run(w.ctx, end) })
	}
	for i, name := range slices.Sorted(maps.Keys(transports)) {
		p := &page{
			agent: w.agent, client: "page-" + name, ledger: w.ledger,
			rows: rows{of: name, random: rand.New(rand.NewPCG(seed, uint64(10+i)))},
		}
		writers.Go(func() { p.run(w.ctx, end) })
	}
	return func() {
		close(end)
		writers.Wait()
	}
}

// progress waits until so many writes more were done.
func (w *world) progress(n int, when string) {
	w.t.Helper()
	if !w.ledger.more(w.ctx, n) {
		w.t.Fatalf("%s no %d writes were done until %v; refused were %v", when, n, w.ctx.Err(), w.ledger.refused)
	}
}

// killInTurn kills each node amid writes, and starts it again when the others have gone on without it.
func (w *world) killInTurn() {
	w.t.Helper()
	for i, n := range w.nodes {
		w.progress(25, "with all nodes")
		n.Kill()
		w.progress(25, fmt.Sprintf("without node %d", i))
		if err := n.Start(); err != nil {
			w.t.Fatalf("node %d could not be started again: %v", i, err)
		}
	}
}

// restartEngine takes the log away amid writes, which go on, until clients were told that they hear of them late.
func (w *world) restartEngine() {
	w.t.Helper()
	w.progress(25, "with all nodes")
	told := func() int { w.agent.mu.Lock(); defer w.agent.mu.Unlock(); return w.agent.away["websocket"] }
	before := told()
	w.engine.stop()
	w.agent.await(w.ctx, "a client is told that the log is away", func() bool { return w.agent.away["websocket"] > before })
	w.progress(25, "without the log")
	w.engine.start()
	w.progress(25, "with the log again")
}

// judge compares what everybody has and was told, when all is quiet.
func (w *world) judge() {
	w.t.Helper()
	const last = "this is the last one"
	p := &program{url: w.url, client: http.DefaultClient}
	if refused := p.send(w.ctx, http.MethodPost, "/live/todos", map[string]any{"list_id": 1, "title": last}, 0, &row{}); refused != "" {
		w.t.Fatal("the last todo:", refused)
	}
	w.agent.await(w.ctx, "every client is told of the last todo", func() bool {
		for name := range transports {
			f := w.agent.feeds[name+"/"+strconv.Itoa(allTodos)]
			if f.told[len(f.told)-1].Row.Title != last && !f.again { // judge does not let a resync pass
				return false
			}
		}
		return true
	})
	log := readLog(w.ctx, w.t, w.engine.log, last)
	todos := stored(w.ctx, w.t, w.file, todosByID)
	lists := stored(w.ctx, w.t, w.file, listsByID)
	judgeLog(w.t, log, w.ledger, todos, lists)
	w.awaitLists(log)
	ticked := stored(w.ctx, w.t, w.file, doneByID)
	first := stored(w.ctx, w.t, w.file, openFirst)
	for _, name := range slices.Sorted(maps.Keys(transports)) {
		w.shows(name, allTodos, todos)
		w.shows(name, allLists, lists)
		w.shows(name, doneTodos, ticked)
		w.shows(name, firstOpen, first)
		w.agent.mu.Lock()
		w.agent.feeds[name+"/"+strconv.Itoa(allTodos)].judge(w.t, name, log)
		w.agent.feeds[name+"/"+strconv.Itoa(allLists)].judge(w.t, name, log)
		w.agent.mu.Unlock()
	}
	w.agent.mu.Lock()
	defer w.agent.mu.Unlock()
	for _, bad := range w.agent.bad {
		w.t.Error("the agent says", bad)
	}
	w.t.Logf("%d changes on the log, %d writes done, %d of unknown outcome; refused: %v", len(log), len(w.ledger.done), w.ledger.unknown, w.ledger.refused)
	for why := range w.ledger.refused {
		// A row is gone when somebody cleared the done ones; it has changed when an update is said again that its node did before it died.
		if why != "not_found" && why != "conflict" {
			w.t.Errorf("a write was refused as %s", why)
		}
	}
}

// awaitLists waits until every client is told of the last change of a list. That it shows the lists does not tell: it may be
// behind by lists that came and went, as one subscription reads the log again after another.
func (w *world) awaitLists(log []event) {
	w.t.Helper()
	var last broker.Position
	for _, e := range log {
		if e.router == "lists" {
			last = position(w.t, e.cursor)
		}
	}
	w.agent.await(w.ctx, "every client is told of the last change of a list", func() bool {
		for name := range transports {
			f := w.agent.feeds[name+"/"+strconv.Itoa(allLists)]
			if last.After(position(w.t, f.told[len(f.told)-1].Cursor)) && !f.again { // judge does not let a resync pass
				return false
			}
		}
		return true
	})
}

// position reads a cursor; the zero position, and an error of the test, when it is none.
func position(t *testing.T, cursor string) broker.Position {
	t.Helper()
	p, err := broker.ParsePosition(cursor)
	if err != nil {
		t.Errorf("the cursor %q: %v", cursor, err)
	}
	return p
}

// shows waits until a subscription shows these rows.
func (w *world) shows(client string, sub int, want []row) {
	w.t.Helper()
	f := w.agent.feeds[client+"/"+strconv.Itoa(sub)]
	var got *line
	same := func() bool {
		rows := slices.Clone(got.Rows)
		if sub != firstOpen {
			slices.SortFunc(rows, func(a, b row) int { return int(a.ID - b.ID) })
		}
		return slices.Equal(rows, want)
	}
	for {
		w.agent.mu.Lock()
		f.shown = nil
		w.agent.mu.Unlock()
		w.agent.do(map[string]any{"do": "dump", "client": client, "sub": sub})
		w.agent.await(w.ctx, "the agent answers", func() bool { got = f.shown; return got != nil })
		if same() {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-w.ctx.Done():
			w.t.Fatalf("%s shows in its subscription %d\n%v; the database has\n%v", client, sub, got.Rows, want)
		}
	}
}
