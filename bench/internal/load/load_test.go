//go:build linux

package load

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swampline/live/bench/internal/server"
)

var ready = server.Ready{
	Address: "127.0.0.1:1",
	First:   server.Visit{Path: "/", Sign: "welcome"},
	Anew:    "anew",
}

// fed returns what a client counts that is sent some pieces.
func fed(t *testing.T, transport string, pieces ...string) Counts {
	t.Helper()
	g, err := NewGroup(ready, transport, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	both, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(both[1])
	c := g.clients[0]
	c.begin(both[0], false)
	g.byFd = make([]*client, both[0]+1)
	c.sign = []byte(ready.First.Sign)
	for _, piece := range pieces {
		if _, err := syscall.Write(both[1], []byte(piece)); err != nil {
			t.Fatal(err)
		}
		if g.handle(c, syscall.EPOLLIN); g.err != nil {
			t.Fatalf("%v, of %q", g.err, pieces)
		}
	}
	if g.Following() != 1 {
		t.Errorf("the client does not follow after %q", pieces)
	}
	return g.Counts
}

func frame(data string) string {
	if len(data) > 125 {
		return string([]byte{0x81, 126, byte(len(data) >> 8), byte(len(data))}) + data
	}
	return string([]byte{0x81, byte(len(data))}) + data
}

func chunk(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

const (
	upgraded = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	chunked  = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// streams are the same six messages, after one that does not count, in every form that they can have.
var streams = []struct{ transport, data string }{
	{"websocket", upgraded + frame(`{"n":9,"welcome":1}`) + frame(`{"n":1}`) + "\x89\x00" + frame(`{"n":2}`+"\n"+`{"n":3}`) + "\x01\x04{\"n\"\x80\x03:4}" + frame(`[{"n":5},{"n":6}]`+strings.Repeat("x", 200))},
	{"websocket", upgraded + frame(`{"n":9,"welcome":1}`+"\n"+`{"n":1}`+"\n"+`{"n":2}`) + frame(`{"n":3}`) + frame(`{"n":4}{"n":5}{"n":6}`)},
	{"sse", "HTTP/1.1 200 OK\r\n\r\n: hello\n\nevent: a\ndata: {\"n\":9,\"welcome\":1}\n\n" + events(1, 2, 3, 4, 5, 6)},
	{"sse", chunked + chunk("retry: 1\n\ndata: welcome\n\nda") + chunk("ta: {\"n\":1}\n\ndata: {\"n\":") + chunk("2}\n\n") + chunk(events(3, 4)+"data: {\"n\":5}") + chunk("\n\n"+events(6))},
	{"longpoll", "HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n" + `{"n":9,"welcome":1}` + "\n" + `{"n":1}` + "\n" + chunked + chunk(`{"n":2}`+"\n"+`{"n"`) + chunk(`:3}`+"\n"+`{"n":4}`) + "0\r\n\r\n" + "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + `{"n":5}` + "\n" + `{"n":6}`},
}

func events(numbers ...int) (all string) {
	for _, n := range numbers {
		all += fmt.Sprintf("event: m\nid: 1\ndata: {\"n\":%d}\n\n", n)
	}
	return all
}

// Wherever a stream is cut, it says the same.
func TestStreamsAreReadInPieces(t *testing.T) {
	for _, s := range streams {
		for cut := 1; cut < len(s.data); cut++ {
			if got := fed(t, s.transport, s.data[:cut], s.data[cut:]); got.Deliveries != 6 || got.Lost+got.Double+got.Told+got.Closed != 0 {
				t.Errorf("%s, cut at %d of %q: %+v", s.transport, cut, s.data, got)
			}
		}
		bytes := slices.Collect(func(yield func(string) bool) {
			for i := range len(s.data) {
				if !yield(s.data[i : i+1]) {
					return
				}
			}
		})
		if got := fed(t, s.transport, bytes...); got.Deliveries != 6 {
			t.Errorf("%s, byte by byte: %+v of %q", s.transport, got, s.data)
		}
	}
}

func TestWhatIsWrongIsCounted(t *testing.T) {
	for _, test := range []struct {
		messages []string
		want     Counts
	}{
		{[]string{`{"n":1}`, `{"n":2}`}, Counts{Deliveries: 2}},
		{[]string{`{"n":1}`, `{"n":4}`}, Counts{Deliveries: 2, Lost: 2}},
		{[]string{`{"n":3}`}, Counts{Deliveries: 1, Lost: 2}},
		{[]string{`{"n":1}`, `{"n":2}`, `{"n":1}`}, Counts{Deliveries: 2, Double: 1}},
		{[]string{`{"n":1}`, `{"anew":1,"n":7}`, `{"n":8}`}, Counts{Deliveries: 3, Told: 1}},
		{[]string{`{"n":1}`, `{"anew":1,"n":7}`, `{"n":6}`, `{"n":7}`, `{"n":8}`, `{"n":8}`}, Counts{Deliveries: 3, Told: 1, Double: 1}},
		{[]string{`{"n":1}`, `{"anew":1}`, `{"n":8}`}, Counts{Deliveries: 2, Told: 1}},
		{[]string{`{"n":1}`, `{"anew":1}`, `{"n":8}`, `{"n":10}`}, Counts{Deliveries: 3, Told: 1, Lost: 1}},
	} {
		data := upgraded + frame("welcome")
		for _, m := range test.messages {
			data += frame(m)
		}
		got := fed(t, "websocket", data)
		if got.Bytes = 0; got != test.want {
			t.Errorf("%q: %+v, want %+v", test.messages, got, test.want)
		}
	}
}

// A server says what stands before a number, as where messages are JSON in a string.
func TestNumbersInStrings(t *testing.T) {
	before := ready
	defer func() { ready = before }()
	ready.Number = `\"n\":`
	data := upgraded + frame(`{"event":"established","data":"{\"n\":9}"}`) + frame("welcome")
	for n := range 4 {
		data += frame(fmt.Sprintf(`{"event":"message","channel":"c","data":"{\"n\":%d,\"text\":\"x\"}"}`, n+1))
	}
	got := fed(t, "websocket", data)
	if got.Bytes = 0; got != (Counts{Deliveries: 4}) {
		t.Errorf("counted %+v, want 4 deliveries", got)
	}
}

// A group against a server that sends events: all come, and what they cost is known.
func TestMeasure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const clients = 20
	lines := make(chan chan string, clients)
	handler := func(w http.ResponseWriter, r *http.Request) {
		mine := make(chan string, 1000)
		_, _ = io.WriteString(w, "data: welcome\n\n")
		for control := http.NewResponseController(w); ; {
			if control.Flush() != nil {
				return
			}
			select {
			case lines <- mine:
			default:
			}
			select {
			case line := <-mine:
				_, _ = io.WriteString(w, line)
			case <-r.Context().Done():
				return
			}
		}
	}
	s := &http.Server{Handler: http.HandlerFunc(handler)}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	r := ready
	r.Address = l.Addr().String()
	g, err := NewGroup(r, "sse", clients, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Connect(0, clients, false); err != nil {
		t.Fatal(err)
	}
	var to []chan string
	for range clients {
		to = append(to, <-lines)
	}
	publish := func(first, count int) error {
		for n := first; n < first+count; n++ {
			for _, c := range to {
				c <- events(n)
			}
		}
		return nil
	}
	found, err := g.Measure(os.Getpid(), os.Getpid(), func() error { return g.Window(4, 20*time.Millisecond, publish) })
	if err != nil {
		t.Fatal(err)
	}
	if found.Deliveries != found.Messages*clients || found.Messages < 4 || found.CPU <= 0 || found.Bytes < found.Deliveries {
		t.Errorf("found %+v", found)
	}
	latency, err := g.Rate(200, 0, 50*time.Millisecond, publish)
	if err != nil || len(latency) == 0 || len(latency)%clients != 0 || !slices.IsSorted(latency) {
		t.Errorf("%d latencies: %v", len(latency), err)
	}
	if c := g.Counts; c.Lost+c.Double+c.Told+c.Closed != 0 {
		t.Errorf("counted %+v", c)
	}
}
