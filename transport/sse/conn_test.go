package sse

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
)

// sayings are frames of all sizes and forms, and the events that they are.
func sayings(seed uint64) (frames []*transport.Frame, events []dispatched) {
	r := rand.New(rand.NewPCG(seed, 0))
	sizes := []int{0, 1, 10, 100, 1000, 4000, 16_000, 33_000, 100_000}
	id := ""
	for i := range 60 {
		data := strings.Repeat("x", sizes[r.IntN(len(sizes))])
		if r.IntN(8) == 0 {
			data += "\n\nevent: forged\r\r\n" + data
		}
		f := script.Frame("change", "", data)
		if r.IntN(2) == 0 {
			f.Cursor = fmt.Sprintf("e.%d", i)
			id = f.Cursor + "~tag"
		}
		frames = append(frames, f)
		events = append(events, dispatched{"change", id, strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")})
	}
	return frames, events
}

// What is said comes in chunks whose lengths are right, whatever it is, and the stream ends as a whole one.
func TestEventsOfATakenConnection(t *testing.T) {
	for _, drained := range []bool{false, true} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("drained %v, seed %d", drained, seed), func(t *testing.T) {
				s := script.New(script.Frame("hello", "", "{}"))
				s.NeverParks = drained
				h := newHost(t, s)
				h.options.Tag = "tag"
				c := h.open(t, plainRequest)
				if got := c.res.TransferEncoding; len(got) != 1 || got[0] != "chunked" || !c.res.Close {
					t.Errorf("Transfer-Encoding %q, to be closed: %v", got, c.res.Close)
				}
				<-h.returned
				frames, want := sayings(seed)
				r := rand.New(rand.NewPCG(seed, 1))
				for n := 0; len(frames) > 0; frames = frames[n:] {
					n = min(1+r.IntN(6), len(frames))
					s.Push(frames[:n]...)
					if r.IntN(3) == 0 { // so that it is parked now and then
						last := script.Frame("mark", "", fmt.Sprintf("behind %d", len(frames)-n))
						s.Push(last)
						c.until(string(last.Data))
					}
				}
				last := script.Frame("reconnect", "", "bye")
				s.Push(last)
				c.until("bye\n\n") // a script that is closed has only Next to say it
				s.Close()
				var got []dispatched
				for _, e := range parse(c.end()) {
					if e.kind == "change" {
						got = append(got, e)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%d events, want %d, or they differ", len(got), len(want))
				}
				h.over(t)
				if taken, _ := s.Offered(); taken == 0 != drained {
					t.Errorf("%d offers were taken", taken)
				}
			})
		}
	}
}

// compressor says that it compresses. What it does is of no matter.
type compressor struct{ http.ResponseWriter }

func (c compressor) WriteHeader(status int) {
	c.Header().Set("Content-Encoding", "aes128gcm")
	c.ResponseWriter.WriteHeader(status)
}
func (c compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// watcher sees what is written, and changes nothing.
type watcher struct{ http.ResponseWriter }

func (w watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bare is a writer that flushes and no more.
type bare struct{ http.ResponseWriter }

func (b bare) FlushError() error { return http.NewResponseController(b.ResponseWriter).Flush() }

// unchunked asks the server for a body without chunks.
type unchunked struct{ watcher }

func (u unchunked) WriteHeader(status int) {
	u.Header().Set("Transfer-Encoding", "identity")
	u.ResponseWriter.WriteHeader(status)
}

func TestWhoseConnectionIsTaken(t *testing.T) {
	for _, test := range []struct {
		name    string
		request string
		wrap    func(w http.ResponseWriter) http.ResponseWriter
		taken   bool
	}{
		{name: "nobody between", taken: true},
		{name: "a writer that watches", wrap: func(w http.ResponseWriter) http.ResponseWriter { return watcher{watcher{w}} }, taken: true},
		{name: "a request that wants it closed", request: "GET /live/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", taken: true},
		{name: "a POST", request: "POST /live/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", taken: true},
		{name: "a writer that compresses", wrap: func(w http.ResponseWriter) http.ResponseWriter { return compressor{w} }},
		{name: "a writer that hides the server's", wrap: func(w http.ResponseWriter) http.ResponseWriter { return bare{w} }},
		{name: "a body without chunks", wrap: func(w http.ResponseWriter) http.ResponseWriter { return unchunked{watcher{w}} }},
		{name: "HTTP/1.0", request: "GET /live/ HTTP/1.0\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := script.New(script.Frame("hello", "", "{}"))
			h := newHost(t, s)
			h.wrap = test.wrap
			if test.request == "" {
				test.request = plainRequest
			}
			c := h.open(t, test.request)
			c.until("hello")
			if test.taken {
				<-h.returned
			}
			s.Push(script.Frame("change", "e.1", "1"))
			c.until("id: e.1\ndata: 1\n\n")
			s.Push(script.Frame("change", "e.2", "2"))
			c.until("id: e.2\ndata: 2\n\n")
			s.Close()
			if got, want := c.end(), "retry: 1000\n\nevent: hello\ndata: {}\n\nevent: change\nid: e.1\ndata: 1\n\nevent: change\nid: e.2\ndata: 2\n\n"; got != want {
				t.Errorf("got %q", got)
			}
			if got := h.held.Load() == 1; got != test.taken {
				t.Errorf("taken over: %v", got)
			}
			if test.taken {
				h.over(t)
			} else {
				<-h.returned
			}
		})
	}
}

// A client that is gone is found out, and one that says more is not.
func TestClientsOfATakenConnection(t *testing.T) {
	for _, drained := range []bool{false, true} {
		for _, test := range []struct {
			name   string
			behind string // the request
			act    func(c *client)
			goes   bool
		}{
			{name: "closes", act: func(c *client) { c.conn.Close() }, goes: true},
			{name: "sends no more", act: func(c *client) { c.conn.(*net.TCPConn).CloseWrite() }, goes: true},
			{name: "resets", act: func(c *client) { c.conn.(*net.TCPConn).SetLinger(0); c.conn.Close() }, goes: true},
			{name: "asks for more at once", behind: plainRequest, act: func(*client) {}},
			{name: "asks for more later", act: func(c *client) { io.WriteString(c.conn, plainRequest) }},
			{name: "talks", act: func(c *client) { io.WriteString(c.conn, strings.Repeat("and so on ", 10_000)) }},
			{name: "asks for more at once, and closes", behind: plainRequest, act: func(c *client) { c.conn.Close() }, goes: true},
			{name: "talks, and closes", act: func(c *client) { io.WriteString(c.conn, strings.Repeat("bye ", 10_000)); c.conn.Close() }, goes: true},
		} {
			t.Run(fmt.Sprintf("%s, drained %v", test.name, drained), func(t *testing.T) {
				s := script.New(script.Frame("hello", "", "{}"))
				s.NeverParks = drained
				h := newHost(t, s)
				c := h.open(t, plainRequest+test.behind)
				c.until("hello")
				<-h.returned
				test.act(c)
				if !test.goes {
					s.Push(script.Frame("change", "e.1", "1"))
					c.until("id: e.1\ndata: 1\n\n")
					s.Close()
					c.end()
				}
				h.over(t)
			})
		}
	}
}

// Nothing of the request is reachable while its stream is idle.
func TestTheRequestIsForgotten(t *testing.T) {
	s := script.New(script.Frame("hello", "", "{}"))
	h := newHost(t, s)
	h.options.Body = []byte("subscribe")
	collected := make(chan string, 2)
	h.requests = func(r *http.Request) {
		runtime.AddCleanup(r, func(what string) { collected <- what }, "the request")
		runtime.AddCleanup(r.URL, func(what string) { collected <- what }, "its URL")
	}
	c := h.open(t, plainRequest)
	c.until("hello")
	<-h.returned
	patience := time.After(overlong)
	for left := 2; left > 0; {
		runtime.GC()
		select {
		case <-collected:
			left--
		case <-patience:
			t.Fatalf("%d things are still reachable", left)
		default:
			runtime.Gosched()
		}
	}
	s.Push(script.Frame("change", "e.1", "1"))
	c.until("data: 1")
	s.Close()
	c.end()
	h.over(t)
}

// lot is a session that is parked, and whose connection is offered what a test likes.
type lot struct {
	*script.Session
	parked chan transport.Parked
}

func (l *lot) Park(p transport.Parked) bool { l.parked <- p; return true }

// What many streams have to say is made once, and costs each its write and no allocation.
func BenchmarkOffer(b *testing.B) {
	l := &lot{script.New(script.Frame("hello", "", "{}")), make(chan transport.Parked, 1)}
	h := newHost(b, l.Session)
	h.serves = l
	c := h.open(b, plainRequest)
	c.until("hello")
	c.conn.SetDeadline(time.Time{})
	go io.Copy(io.Discard, onlyReader{c.conn})
	batch := &transport.Batch{Frames: []*transport.Frame{script.Frame("change", "e.1", strings.Repeat("x", 128))}}
	p := <-l.parked
	b.ReportAllocs()
	for b.Loop() {
		if !p.Offer(batch) { // it was slow
			p = <-l.parked
		}
	}
	c.conn.Close()
	h.over(b)
}

// onlyReader is read by a buffer of io.Copy's, which is an allocation once.
type onlyReader struct{ io.Reader }

// inBubble runs a test over a pipe, in a bubble, with a client that has read the first event.
func inBubble(t *testing.T, s *script.Session, o transport.Options, test func(t *testing.T, c net.Conn, in *bufio.Reader, srv *script.Server)) {
	synctest.Test(t, func(t *testing.T) {
		srv := script.Serve(t, Transport{}, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go io.WriteString(c, plainRequest)
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(res.Body, make([]byte, len("retry: 1000\n\nevent: hello\ndata: {}\n\n")))
		synctest.Wait() // it is taken over, and parked
		test(t, c, in, srv)
	})
}

func TestATakenConnectionThatIsSlow(t *testing.T) {
	for _, drained := range []bool{false, true} {
		for _, size := range []int{10, 100_000} {
			s, o := script.New(script.Frame("hello", "", "{}")), script.Options()
			s.NeverParks = drained
			o.PingInterval = time.Hour
			inBubble(t, s, o, func(t *testing.T, c net.Conn, in *bufio.Reader, srv *script.Server) {
				start := time.Now()
				s.Push(script.Frame("change", "", strings.Repeat("x", size)))
				srv.Wait()
				if d := time.Since(start); d != o.WriteTimeout || !s.Slow() {
					t.Errorf("drained %v, %d bytes: served for %v, told %v", drained, size, d, s.Slow())
				}
			})
			s = script.New(script.Frame("hello", "", "{}"))
			s.NeverParks = drained
			inBubble(t, s, o, func(t *testing.T, c net.Conn, in *bufio.Reader, srv *script.Server) {
				s.Push(script.Frame("change", "", strings.Repeat("x", size)))
				for left := size; left > 0; left -= 1000 { // a kilobyte a second
					if _, err := io.ReadFull(in, make([]byte, min(left, 1000))); err != nil {
						t.Fatal(err)
					}
					<-time.After(time.Second)
				}
				go io.Copy(io.Discard, in)
				synctest.Wait()
				if s.Closed() || s.Slow() {
					t.Errorf("drained %v, %d bytes: the session was ended", drained, size)
				}
				s.Close()
				srv.Wait()
			})
		}
	}
}

func TestATakenConnectionIsCut(t *testing.T) {
	for _, writing := range []bool{false, true} {
		ctx, cut := context.WithCancel(t.Context())
		s, o := script.New(script.Frame("hello", "", "{}")), script.Options()
		o.PingInterval = time.Hour
		o.Cut = ctx
		inBubble(t, s, o, func(t *testing.T, c net.Conn, in *bufio.Reader, srv *script.Server) {
			if writing {
				s.Push(script.Frame("change", "", "1"))
			}
			start := time.Now()
			time.AfterFunc(time.Second, cut)
			srv.Wait()
			if d := time.Since(start); d != time.Second || s.Slow() || !s.Closed() {
				t.Errorf("served for %v (too slow: %v, closed: %v)", d, s.Slow(), s.Closed())
			}
		})
	}
}
