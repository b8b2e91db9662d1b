package live_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live"
)

// TestCyclesLeaveNothing connects, subscribes and kills, by RST, by FIN, or in the middle of the handshake, two thousand times and a
// hundred thousand times with LIVE_TEST_LONG, beside clients that stay. Afterwards there are as many goroutines as before, and as much memory.
//
// What is kept on purpose, and for how long, is full before the first measurement: queries that nobody watches (a minute), of
// which there are as many as different lists. What grows with how many came at once, as maps do, is not given back: the clients that stay
// make a hundredth of the heap more than that.
func TestCyclesLeaveNothing(t *testing.T) {
	cycles, spare := 2000, uint64(128<<10) // spare is 64 bytes a cycle, where a session that is not let go of costs thousands
	if os.Getenv("LIVE_TEST_LONG") != "" {
		cycles, spare = 100_000, 0
	}
	seed := uint64(1)
	if s := os.Getenv("LIVE_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	db := newTable()
	for i := range int64(100) {
		db.insert(item{ListID: i % 10, Title: "x"})
	}
	// A ping has what it needs for seconds, and whoever is measured is pinged or not: so nobody is.
	hub := live.New(live.Options{Logger: slog.New(slog.DiscardHandler), PingInterval: time.Hour})
	hub.Register(db.router("items"), &live.Channel{Name: "news", Subscribe: anyone})
	server := httptest.NewServer(hub)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer func() { server.Close(); _ = hub.Shutdown(t.Context()) }()
	k := &killer{t: t, addr: server.Listener.Addr().String(), url: server.URL + "/live/"}
	open := 0
	run := func(n int) {
		var all sync.WaitGroup
		for w := range 4 {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			all.Go(func() {
				for range n / 4 {
					k.cycle(r)
				}
			})
		}
		all.Wait()
		until(t, "the sessions have ended", func() bool { return hub.Sessions() == open })
	}
	stay(t, server.URL, residents)
	open = hub.Sessions()
	// How much is kept of what was once needed differs by a hundredth from one moment to the next: the most of four counts.
	var goroutines int
	var heap uint64
	for range 4 {
		run(cycles / 8)
		n, bytes := settled(t, 0, 0)
		goroutines, heap = max(goroutines, n), max(heap, bytes)
	}
	run(cycles)
	most := heap + heap/100 + spare
	after, bytes := settled(t, goroutines, most)
	t.Logf("%d cycles (seed %d): goroutines %d, then %d; heap %d, then %d bytes (%+.2f %%)",
		cycles, seed, goroutines, after, heap, bytes, 100*(float64(bytes)/float64(heap)-1))
	if after > goroutines {
		t.Errorf("%d goroutines, %d before", after, goroutines)
	}
	if bytes > most {
		t.Errorf("%d bytes of heap, %d before", bytes, heap)
	}
	if n := hub.Queued(); n != 0 {
		t.Errorf("%d bytes are queued, and there is no session", n)
	}
}

// residents is how many clients stay: with theirs, the heap is some megabytes.
const residents = 500

// stay connects clients that follow a list until the test ends.
func stay(t *testing.T, url string, n int) {
	t.Helper()
	for i := range n {
		conn, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/live/", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		subscribe := fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","where":{"list_id":%d}}`, i%10)
		if err := conn.Write(t.Context(), ws.MessageText, []byte(subscribe)); err != nil {
			t.Fatal(err)
		}
		for text := []byte(nil); !strings.Contains(string(text), `"snapshot"`); {
			if _, text, err = conn.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// settled is the number of goroutines and the size of the heap when they are no more than wanted, or go down no further.
func settled(t *testing.T, wantGoroutines int, wantHeap uint64) (goroutines int, heap uint64) {
	for quiet := 0; quiet < 20; quiet++ {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		n := runtime.NumGoroutine()
		if goroutines == 0 || n < goroutines || m.HeapAlloc < heap-heap/1000 {
			quiet = 0
		}
		if goroutines == 0 || n < goroutines {
			goroutines = n
		}
		if heap == 0 || m.HeapAlloc < heap {
			heap = m.HeapAlloc
		}
		if goroutines <= wantGoroutines && heap <= wantHeap {
			break
		}
		select { // what ends by itself, such as a connection that was reset, is given its turn
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	return goroutines, heap
}

// killer makes connections and ends them badly.
type killer struct {
	t         *testing.T
	addr, url string
}

// cycle is one connection.
func (k *killer) cycle(r *rand.Rand) {
	c, err := net.Dial("tcp", k.addr)
	if err != nil {
		k.t.Error(err)
		return
	}
	defer c.Close()
	if r.IntN(2) == 0 {
		defer c.(*net.TCPConn).SetLinger(0) // RST
	}
	subscribe := fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","where":{"list_id":%d}}`, r.IntN(10))
	if r.IntN(4) == 0 {
		subscribe = fmt.Sprintf(`{"type":"subscribe","id":1,"router":"items","order":"id","limit":%d}`, 1+r.IntN(10))
	}
	subscribe += "\n" + `{"type":"subscribe","id":2,"channel":"news"}`
	answers := 0
	switch r.IntN(6) {
	case 0: // in the middle of the handshake
		io.WriteString(c, handshake[:1+r.IntN(len(handshake)-1)])
		return
	case 1: // an event stream
		fmt.Fprintf(c, "POST /live/ HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(subscribe), subscribe)
		answers = r.IntN(3)
	case 2: // a poll that waits
		fmt.Fprintf(c, "POST /live/?wait=60 HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(subscribe), subscribe)
		answers = r.IntN(2)
	default:
		io.WriteString(c, handshake)
		frame := masked(subscribe)
		if r.IntN(4) == 0 { // in the middle of a message
			c.Write(frame[:1+r.IntN(len(frame)-1)])
			return
		}
		c.Write(frame)
		answers = r.IntN(3)
	}
	in := bufio.NewReader(c)
	for answers > 0 {
		line, err := in.ReadString('}')
		if err != nil {
			return
		}
		if strings.Contains(line, `"snapshot"`) {
			answers--
		}
	}
}
