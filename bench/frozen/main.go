// Frozen measures what a client that reads nothing costs the others.
//
//	go run ./bench/frozen -clients 1000 -rate 1000 -rounds 4 -seconds 15
//
// Clients follow channels over real WebSockets on loopback; -rate messages a second are published, each of which goes to -fan clients.
// In every other round one more client subscribes to all channels and reads
// nothing. The table compares the time from Publish to the client's read.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/swampline/live"
	"github.com/swampline/live/transport"
	ws "github.com/swampline/live/transport/websocket"
)

var (
	clients = flag.Int("clients", 1000, "clients that read")
	rate    = flag.Int("rate", 1000, "messages a second")
	fan     = flag.Int("fan", 10, "clients that each message goes to")
	size    = flag.Int("size", 1000, "bytes of a message")
	rounds  = flag.Int("rounds", 4, "rounds, with and without a frozen client in turn")
	seconds = flag.Float64("seconds", 15, "length of a round")
	queue   = flag.Int("queue", 256<<10, "MaxQueueBytes")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	watch := &watching{}
	hub := live.New(live.Options{Transports: []transport.Transport{watch}, MaxQueueBytes: *queue})
	hub.Register(&live.Channel{Name: "c:*", Subscribe: func(context.Context, string) error { return nil }})
	server := httptest.NewUnstartedServer(hub)
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew { // else the system's buffers hold megabytes for a client that reads nothing
			_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10)
		}
	}
	server.Start()
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	channels := max(1, *clients / *fan)
	var record recorder
	var reading sync.WaitGroup
	for i := range *clients {
		c, _, err := websocket.Dial(ctx, server.URL+"/live/", nil)
		if err != nil {
			return err
		}
		c.SetReadLimit(-1)
		if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"subscribe","id":1,"channel":"c:%d"}`, i%channels)); err != nil {
			return err
		}
		reading.Go(func() { record.follow(ctx, c) })
	}
	var with, without []time.Duration
	var heldWith, heldWithout []int64
	for round := range *rounds {
		var f net.Conn
		if round%2 == 1 {
			var err error
			if f, err = freeze(server.Listener.Addr().String(), channels); err != nil {
				return err
			}
			watch.begin()
		}
		record.begin(int(*seconds * float64(*rate**clients/channels)))
		held := least(hub)
		late, err := publish(ctx, hub, channels)
		if err != nil {
			return err
		}
		times := record.end()
		name := "without"
		if f != nil {
			name, with, heldWith = "with", append(with, times...), append(heldWith, held())
		} else {
			without, heldWithout = append(without, times...), append(heldWithout, held())
		}
		fmt.Printf("round %d, %-7s  %7d deliveries  p50 %8v  p99 %8v  publisher late %v\n", round+1, name, len(times), at(times, 50), at(times, 99), late)
		if f != nil {
			f.Close()
			fmt.Println("         the frozen client", watch.ended())
		}
	}
	fmt.Printf("\n%d clients, %d messages a second of %d bytes to %d each, %d cores\n\n", *clients, *rate, *size, *clients/channels, runtime.NumCPU())
	fmt.Printf("|     | without | with a frozen client | ratio |\n| --- | ---: | ---: | ---: |\n")
	for _, p := range []int{50, 99} {
		a, b := at(without, p), at(with, p)
		fmt.Printf("| p%d | %v | %v | %.2f |\n", p, a, b, float64(b)/float64(a))
	}
	fmt.Printf("\nqueued for all clients, at the least, between 3 s and 8 s of a round: %d KiB without, %d KiB with it (its bound: %d KiB)\n",
		slices.Max(heldWithout)>>10, slices.Max(heldWith)>>10, *queue>>10)
	return nil
}

// least is the least that was queued for all clients while it was looked, from 3 s to 8 s after the call: what the frozen one holds, for
// the others' queues are empty from time to time.
func least(hub *live.Hub) func() int64 {
	held, done := int64(1<<62), make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(3 * time.Second)
		for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
			held = min(held, hub.Stats().QueuedBytes)
		}
	}()
	return func() int64 { <-done; return held }
}

// watching is the WebSocket transport. It notes when a session is told that its client is too slow.
type watching struct {
	ws.Transport
	mu    sync.Mutex
	begun time.Time
	slow  []time.Duration
}

func (w *watching) Serve(rw http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	w.Transport.Serve(rw, r, &watched{s, w}, o)
}

func (w *watching) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun, w.slow = time.Now(), nil
}

func (w *watching) ended() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.slow) == 0 {
		return "was still connected"
	}
	return fmt.Sprintf("was sent away, too_slow, %v after it began to read nothing (clients so ended: %d)", w.slow[0].Round(time.Millisecond), len(w.slow))
}

type watched struct {
	transport.Session
	w *watching
}

func (s *watched) TooSlow() {
	s.w.mu.Lock()
	s.w.slow = append(s.w.slow, time.Since(s.w.begun))
	s.w.mu.Unlock()
	s.Session.TooSlow()
}

// publish publishes at the rate for the length of a round, and returns by how much it fell behind.
func publish(ctx context.Context, hub *live.Hub, channels int) (late time.Duration, err error) {
	filler := bytes.Repeat([]byte("x"), *size)
	start := time.Now()
	for n := range int(*seconds * float64(*rate)) {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(*rate))
		time.Sleep(time.Until(due))
		late = max(late, time.Since(due))
		data := struct {
			At   int64
			Text string
		}{time.Now().UnixNano(), string(filler)}
		if err := hub.Publish(ctx, "c:"+strconv.Itoa(n%channels), data); err != nil {
			return late, err
		}
	}
	time.Sleep(200 * time.Millisecond) // for the last ones to arrive
	return late, nil
}

// recorder collects the times of deliveries.
type recorder struct {
	on    atomic.Bool
	mu    sync.Mutex
	times []time.Duration
}

func (r *recorder) begin(deliveries int) {
	r.times = make([]time.Duration, 0, deliveries)
	runtime.GC()
	r.on.Store(true)
}

func (r *recorder) end() []time.Duration {
	r.on.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	times := r.times
	r.times = nil
	return times
}

func (r *recorder) follow(ctx context.Context, c *websocket.Conn) {
	for {
		_, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		now := time.Now().UnixNano()
		for r.on.Load() {
			_, rest, ok := bytes.Cut(data, []byte(`{"At":`))
			if !ok {
				break
			}
			digits, _, _ := bytes.Cut(rest, []byte(","))
			if at, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
				r.mu.Lock()
				r.times = append(r.times, time.Duration(now-at))
				r.mu.Unlock()
			}
			data = rest
		}
	}
}

// at is a percentile.
func at(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[(len(times)-1)*percent/100].Round(time.Microsecond)
}

// freeze opens a client that subscribes to everything and reads nothing, by hand: its socket takes as little as the system lets it.
func freeze(addr string, channels int) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("GET /live/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	for i := range min(channels, 128) {
		text := fmt.Sprintf(`{"type":"subscribe","id":%d,"channel":"c:%d"}`, i+1, i)
		b.Write([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0})
		b.WriteString(text)
	}
	_, err = c.Write(b.Bytes())
	return c, err
}
