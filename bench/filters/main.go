// Filters measures publishing to a hub with very many subscriptions, each of which has a filter of its own, so that a change concerns one of them.
//
//	go -C bench run ./filters -filters 1000000
//
// Sessions are drained by a transport that writes nowhere. It prints JSON: what a change costs from the application's call to the transport, in
// microseconds of processor time and of time, and what a subscription costs.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport"
	"github.com/swampline/live/where"
)

var (
	filters   = flag.Int("filters", 1000, "subscriptions, each with a filter of its own")
	each      = flag.Int("each", 100, "subscriptions of a session")
	publishes = flag.Int("publishes", 20_000, "changes")
	profile   = flag.String("profile", "", "a file for a CPU profile of the publishing")
	tries     = flag.Int("tries", 3, "how often these are published: the fastest counts")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

type row struct {
	ID      int64  `live:"id,key"`
	List    int64  `live:"list,filter"`
	Text    string `live:"text"`
	Version int64  `live:"version,version"`
}

func run() error {
	to := &sink{}
	unlimited := live.Rate{PerSecond: -1}
	hub := live.New(live.Options{
		Transports: []transport.Transport{to}, Logger: slog.New(slog.DiscardHandler), MaxSubscriptions: *each, PingInterval: time.Hour,
		MaxQueueBytes: 1 << 30, MaxTotalQueueBytes: 1 << 40, Limits: live.Limits{Subscribes: unlimited, Messages: unlimited, Batch: *each},
	})
	router := &live.Router[row]{Name: "rows", Scope: live.Everyone, List: list}
	hub.Register(router)
	before, began := used(), time.Now()
	open(hub, to)
	took, held := time.Since(began), used()-before
	// What lists returned is looked through once, a few rows after each change; what that costs belongs to the subscriptions.
	if _, _, err := publish(router, to, *filters/4); err != nil {
		return err
	}
	found := map[string]float64{"subscribe_us": micros(took) / float64(*filters), "subscription_bytes": float64(held) / float64(*filters)}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	for range *tries {
		wall, cpu, err := publish(router, to, *publishes)
		if err != nil {
			return err
		}
		note(found, "publish_us", wall)
		note(found, "publish_cpu", cpu)
	}
	pprof.StopCPUProfile()
	began = time.Now()
	to.end()
	found["unsubscribe_us"] = micros(time.Since(began)) / float64(*filters)
	return json.NewEncoder(os.Stdout).Encode(found)
}

// note keeps the least.
func note(found map[string]float64, name string, all time.Duration) {
	v := micros(all) / float64(*publishes)
	if least, ok := found[name]; !ok || v < least {
		found[name] = v
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// list returns the one row of a list.
func list(_ context.Context, q live.Query) ([]row, error) {
	_, args := q.SQL(where.Postgres)
	id, ok := args[0].(int64) // it is the only condition
	if !ok {
		return nil, fmt.Errorf("a list is asked for by %v", args)
	}
	return []row{{ID: id, List: id, Text: text[0], Version: 1}}, nil
}

var text = [2]string{strings.Repeat("x", 96), strings.Repeat("y", 96)}

// open opens the sessions, and returns when all are live.
func open(hub *live.Hub, to *sink) {
	ctx, cancel := context.WithCancel(context.Background())
	to.cancel = cancel
	for first := 0; first < *filters; first += *each {
		var says strings.Builder
		for i := first; i < min(first+*each, *filters); i++ {
			fmt.Fprintf(&says, `{"type":"subscribe","id":%d,"router":"rows","where":{"list":%d}}`+"\n", i-first+1, i)
		}
		to.sessions.Add(1)
		go func() {
			r := httptest.NewRequestWithContext(context.WithValue(ctx, sayKey{}, says.String()), "GET", "/live/", nil)
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			w := httptest.NewRecorder()
			hub.ServeHTTP(w, r)
			if w.Body.Len() > 0 {
				log.Fatalf("a session is refused: %s", w.Body)
			}
			to.sessions.Add(-1)
		}()
	}
	await(&to.snapshots, int64(*filters))
}

// publish changes so many rows, one after the other, and waits until all who are concerned know.
func publish(router *live.Router[row], to *sink, changes int) (wall, cpu time.Duration, err error) {
	const inFlight = 256
	began, spent, done := time.Now(), processor(), to.changes.Load()
	for i := range changes {
		id := int64(to.next * 7919 % *filters)
		version := int64(2 + to.next / *filters)
		to.next++
		was := row{ID: id, List: id, Text: text[version&1], Version: version - 1}
		now := row{ID: id, List: id, Text: text[1-version&1], Version: version}
		if err := router.Updated(context.Background(), was, now); err != nil {
			return 0, 0, err
		}
		if i%inFlight == inFlight-1 {
			await(&to.changes, done+int64(i+1-inFlight/2))
		}
	}
	await(&to.changes, done+int64(changes))
	return time.Since(began), processor() - spent, nil
}

// await waits until a counter is so high. Changes that do not come end the process.
func await(count *atomic.Int64, want int64) {
	for limit := time.Now().Add(5 * time.Minute); count.Load() < want; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(limit) {
			log.Fatalf("%d of %d came", count.Load(), want)
		}
	}
}

func used() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err) // the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type sayKey struct{}

// sink is a transport that takes what there is and sends it to nobody.
type sink struct {
	snapshots, changes atomic.Int64
	sessions           atomic.Int64
	cancel             context.CancelFunc
	next               int // change
}

func (*sink) Name() string { return "sink" }

func (*sink) Accepts(*http.Request) bool { return true }

func (t *sink) Serve(_ http.ResponseWriter, r *http.Request, s transport.Session, _ transport.Options) {
	defer s.Close()
	said, _ := r.Context().Value(sayKey{}).(string)
	go func() {
		for lines := range slices.Chunk(strings.SplitAfter(strings.TrimSuffix(said, "\n"), "\n"), 50) {
			if s.Receive(r.Context(), []byte(strings.Join(lines, ""))) != nil {
				return
			}
		}
	}()
	for {
		frames, err := s.Next(r.Context())
		for _, f := range frames {
			switch f.Type {
			case "snapshot":
				t.snapshots.Add(1)
			case "change":
				t.changes.Add(1)
			case "error", "resync", "closed":
				log.Fatalf("a session is told %s", f.Data)
			}
		}
		if err != nil {
			return
		}
	}
}

// end closes all sessions.
func (t *sink) end() {
	t.cancel()
	for t.sessions.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}
