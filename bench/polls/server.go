package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swampline/live"
)

// row is 128 bytes of JSON, or about that.
type row struct {
	ID   int64  `live:"id,key"`
	List int64  `live:"list,filter"`
	Text string `live:"text"`
}

const text = "a row of the list, of about as many letters as a row has"

// waiter is what is measured: something that is asked over HTTP, waits, and is woken.
type waiter interface {
	http.Handler
	// change wakes all who wait.
	change(ctx context.Context) error
	// waiting is how many do.
	waiting() int
	// lists is how often the database was asked for a list.
	lists() int
}

// beServer serves the clients at one address, and at another what measures them. It ends when its standard input does.
func beServer(kind string) error {
	var w waiter
	switch kind {
	case "live":
		w = newHub()
	case "bare":
		w = &bare{changed: make(chan struct{})}
	default:
		return fmt.Errorf("no server %q: want live or bare", kind)
	}
	clients, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	go func() { failed <- http.Serve(clients, w) }()
	go func() { failed <- http.Serve(control, &controls{waiter: w}) }()
	go func() { _, err := io.Copy(io.Discard, os.Stdin); failed <- err }()
	fmt.Println(clients.Addr(), control.Addr())
	return <-failed
}

// state is what a server says of itself.
type state struct {
	Waiting, Lists, Goroutines int
	// Heap is what the runtime uses: live objects, stacks, and what it needs to know about them.
	Heap, Stack, Objects, Resident, Mallocs, Allocated, Peak uint64
	CPU                                                      time.Duration
}

// controls is the server's other address.
type controls struct {
	waiter waiter
	peak   atomic.Uint64
	watch  sync.WaitGroup
	stop   chan struct{}
}

func (c *controls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := error(nil)
	switch r.URL.Path {
	case "/waiting":
		fmt.Fprint(w, c.waiter.waiting())
	case "/collect":
		for range 2 { // what finalizers hold goes with the second
			runtime.GC()
		}
		debug.FreeOSMemory()
	case "/state":
		err = json.NewEncoder(w).Encode(c.state())
	case "/change":
		c.follow()
		err = c.waiter.change(r.Context())
	case "/settled":
		close(c.stop)
		c.watch.Wait()
	case "/profile":
		var f *os.File
		if f, err = os.Create(r.URL.Query().Get("file")); err == nil {
			err = pprof.StartCPUProfile(f)
		}
	case "/heap":
		var f *os.File
		if f, err = os.Create(r.URL.Query().Get("file")); err == nil {
			err = pprof.Lookup("heap").WriteTo(f, 0)
			f.Close()
		}
	case "/profiled":
		pprof.StopCPUProfile()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// follow looks every millisecond how large the heap has grown.
func (c *controls) follow() {
	c.stop = make(chan struct{})
	c.peak.Store(0)
	c.watch.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				c.peak.Store(max(c.peak.Load(), used()))
			}
		}
	})
}

// used is the memory in use by the runtime, garbage included.
func used() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() + samples[1].Value.Uint64()
}

func (c *controls) state() state {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	s := state{
		Waiting: c.waiter.waiting(), Lists: c.waiter.lists(), Goroutines: runtime.NumGoroutine(),
		Heap: m.HeapInuse + m.StackInuse + m.MSpanInuse + m.MCacheInuse + m.GCSys + m.OtherSys, Mallocs: m.Mallocs, Allocated: m.TotalAlloc, Peak: c.peak.Load(),
		Stack: m.StackInuse, Objects: m.HeapAlloc,
		CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()),
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			s.Resident = kb << 10
		}
	}
	return s
}

// hub is the library.
type hub struct {
	*live.Hub
	rows  *live.Router[row]
	turn  atomic.Int64
	reads atomic.Int64
}

func newHub() *hub {
	h := &hub{}
	none := live.Rate{PerSecond: -1}
	h.Hub = live.New(live.Options{
		Logger: slog.New(slog.DiscardHandler),
		Limits: live.Limits{SessionsOfAddress: -1, SessionsOfCaller: -1, Polls: none, RequestsOfAddress: none, Subscribes: none},
	})
	h.rows = &live.Router[row]{Name: "rows", Scope: live.Everyone, List: func(context.Context, live.Query) ([]row, error) {
		h.reads.Add(1)
		all := make([]row, 10)
		for i := range all {
			all[i] = row{int64(i), 7, text}
		}
		return all, nil
	}}
	h.Register(h.rows)
	return h
}

func (h *hub) change(ctx context.Context) error {
	n := h.turn.Add(1)
	was := row{1, 7, text}
	return h.rows.Updated(ctx, was, row{1, 7, fmt.Sprint(text, n)})
}

func (h *hub) waiting() int { return h.Stats().ParkedPolls }

func (h *hub) lists() int { return int(h.reads.Load()) }

// bare waits for a channel, and answers with as much as the hub would.
type bare struct {
	mu      sync.Mutex
	changed chan struct{}
	parked  atomic.Int64
	turn    atomic.Int64
}

func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, `{"type":"snapshot","cursor":"a.1","tag":"t"}`)
		return
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		return
	}
	b.mu.Lock()
	woken := b.changed
	b.mu.Unlock()
	b.parked.Add(1)
	select {
	case <-woken:
		b.parked.Add(-1)
	case <-r.Context().Done():
		b.parked.Add(-1)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	n := b.turn.Load()
	fmt.Fprintf(w, `{"type":"resumed","id":1,"query":"k1","cursor":"4fk2m9qa.%[1]d"}
{"type":"change","query":"k1","cursor":"4fk2m9qa.%[1]d","changes":[{"op":"update","key":"1","version":"4fk2m9qa.%[1]d","fields":{"text":"%[2]s%[1]d"}}]}
{"type":"cursor","cursor":"4fk2m9qa.%[1]d"}
`, n, text)
}

func (b *bare) change(context.Context) error {
	b.turn.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

func (b *bare) waiting() int { return int(b.parked.Load()) }

func (b *bare) lists() int { return 0 }
