package sse_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/sse"
)

func TestAccepts(t *testing.T) {
	for _, test := range []struct {
		method string
		accept []string
		want   bool
	}{
		{"GET", []string{"text/event-stream"}, true},
		{"POST", []string{"text/event-stream"}, true},
		{"GET", []string{"Text/Event-Stream; charset=utf-8"}, true},
		{"GET", []string{"application/json, text/event-stream;q=0.5"}, true},
		{"GET", []string{"application/json", "text/event-stream"}, true},
		{"GET", []string{"text/event-stream;q=0"}, false},
		{"GET", []string{"text/event-stream;q=0.000"}, false},
		{"GET", []string{"text/event-stream;q=much"}, false},
		{"GET", []string{"*/*"}, false},
		{"GET", []string{"text/*"}, false},
		{"GET", []string{"text/event-streams"}, false},
		{"GET", nil, false},
		{"DELETE", []string{"text/event-stream"}, false},
	} {
		r := httptest.NewRequest(test.method, "/live/", nil)
		r.Header["Accept"] = test.accept
		if got := (sse.Transport{}).Accepts(r); got != test.want {
			t.Errorf("%s with Accept %q: accepts %v", test.method, test.accept, got)
		}
	}
}

// serve runs a whole request, that the session ends, into a recorder.
func serve(s *script.Session, single bool) *httptest.ResponseRecorder {
	o := script.Options()
	o.Single = single
	w := httptest.NewRecorder()
	sse.Transport{}.Serve(w, httptest.NewRequest("POST", "/live/", nil), s, o)
	return w
}

const start = "retry: 1000\n\n"

func TestEvents(t *testing.T) {
	s := script.New(script.Frame("hello", "", `{"type":"hello"}`), script.Change("e.7", `{"op":"leave","key":"42"}`))
	s.Close()
	w := serve(s, false)
	want := start + `event: hello
data: {"type":"hello"}

event: change
id: e.7
data: {"type":"change","query":"q","cursor":"e.7","changes":[{"op":"leave","key":"42"}]}

`
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for name, want := range map[string]string{
		"Content-Type":      "text/event-stream; charset=utf-8",
		"Cache-Control":     "no-store",
		"X-Accel-Buffering": "no",
		"Content-Encoding":  "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !w.Flushed || w.Code != http.StatusOK || !s.Closed() {
		t.Errorf("flushed %v, status %d, session closed %v", w.Flushed, w.Code, s.Closed())
	}
}

func TestSingle(t *testing.T) {
	hello := script.Frame("hello", "", `{"type":"hello"}`)
	forbidden := script.Problem("error", http.StatusForbidden, "forbidden")
	closed := script.Problem("closed", http.StatusForbidden, "forbidden")
	for _, test := range []struct {
		name   string
		frames []*transport.Frame
		status int
		body   string
	}{
		{"refused", []*transport.Frame{hello, forbidden}, 403, string(forbidden.Problem) + "\n"},
		{"accepted", []*transport.Frame{hello, script.Frame("snapshot", "e.1", "{}")}, 200,
			start + "event: hello\ndata: {\"type\":\"hello\"}\n\nevent: snapshot\nid: e.1\ndata: {}\n\n"},
		{"nothing", nil, 503,
			`{"title":"Service Unavailable","status":503,"code":"unavailable","detail":"the server is shutting down"}` + "\n"},
		{"shutdown", []*transport.Frame{script.Frame("reconnect", "", "{}")}, 200, start + "event: reconnect\ndata: {}\n\n"},
		{"closed at once", []*transport.Frame{script.Frame("snapshot", "e.1", "{}"), closed}, 403, string(closed.Problem) + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := script.New(test.frames...)
			s.Close()
			w := serve(s, true)
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d\n%s\nwant %d\n%s", w.Code, w.Body, test.status, test.body)
			}
			if problem := w.Header().Get("Content-Type") == "application/problem+json"; problem != (test.status != 200) {
				t.Errorf("status %d has Content-Type %q", w.Code, w.Header().Get("Content-Type"))
			}
		})
	}
}

// plain is a ResponseWriter that cannot flush.
type plain struct{ http.ResponseWriter }

func TestCannotFlush(t *testing.T) {
	w := httptest.NewRecorder()
	s := script.New()
	o := script.Options()
	o.Body = []byte("call")
	sse.Transport{}.Serve(plain{w}, httptest.NewRequest("GET", "/live/", nil), s, o)
	if w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), `"code":"unavailable"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !s.Closed() || len(s.Received()) != 0 {
		t.Errorf("closed %v, received %q: a request that cannot be answered must have no effect", s.Closed(), s.Received())
	}
}

// events opens a stream over a pipe.
func events(t *testing.T, srv *script.Server) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://pipe/live/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res, bufio.NewReader(res.Body)
}

func event(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream broke after %q: %v", all.String(), err)
		}
		if line == "\n" {
			return all.String()
		}
		all.WriteString(line)
	}
}

// protocols serve over what a stream can run on. Their servers have a WriteTimeout and a ReadTimeout of a second.
var protocols = []struct {
	name  string
	serve func(testing.TB, transport.Transport, transport.Session, transport.Options) *script.Server
}{{"HTTP1", script.Serve}, {"HTTP2", script.ServeHTTP2}}

func TestQuietStreamStaysOpen(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.New()
				first := time.AfterFunc(5*time.Second, func() { s.Push(script.Frame("snapshot", "e.1", "{}")) })
				defer first.Stop()
				o := script.Options()
				o.Single = true // so that the header waits for the snapshot
				srv := protocol.serve(t, sse.Transport{}, s, o)
				res, r := events(t, srv)
				event(t, r)
				event(t, r)
				for start := time.Now(); time.Since(start) < time.Hour; {
					if got := event(t, r); !strings.HasPrefix(got, "event: cursor\nid: e.") {
						t.Fatalf("got %q, want a cursor", got)
					}
				}
				res.Body.Close()
				srv.Wait()
				if !s.Closed() {
					t.Error("the session is open after its client has gone")
				}
			})
		})
	}
}

func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New(script.Frame("hello", "", "{}"))
		srv := script.Serve(t, sse.Transport{}, s, script.Options())
		res, r := events(t, srv)
		event(t, r)
		event(t, r)
		for range 100 {
			before := time.Now()
			event(t, r)
			if d := time.Since(before); d < 16*time.Second || d > 24*time.Second {
				t.Errorf("a cursor after %v, want 20 s ± 20 %%", d)
			}
		}
		res.Body.Close()
	})
}

func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New(script.Frame("hello", "", "{}"))
		o := script.Options()
		srv := script.Serve(t, sse.Transport{}, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\n\r\n")
		synctest.Wait()
		srv.Wait()
		if d := time.Since(start); d != o.WriteTimeout {
			t.Errorf("served for %v, want %v", d, o.WriteTimeout)
		}
		if !s.Slow() {
			t.Error("the session was not told why")
		}
	})
}

func TestSlowClientIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100_000
		s, o := script.New(script.Frame("snapshot", "", strings.Repeat("x", size))), script.Options()
		srv := script.Serve(t, sse.Transport{}, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\n\r\n")
		for range size / 1000 {
			if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if s.Closed() || s.Slow() {
			t.Error("the session was ended")
		}
		c.Close()
		s.Close()
		srv.Wait()
	})
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cut := context.WithCancel(t.Context())
		s, o := script.New(script.Frame("hello", "", "{}")), script.Options()
		o.Cut = ctx
		srv := script.Serve(t, sse.Transport{}, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\n\r\n")
		synctest.Wait() // it serves
		start := time.Now()
		time.AfterFunc(time.Second, cut)
		srv.Wait()
		if d := time.Since(start); d != time.Second || s.Slow() {
			t.Errorf("served for %v (too slow: %v)", d, s.Slow())
		}
	})
}

// Who reads a byte a second is not served longer than one write may take.
func TestAReaderOfAByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New(script.Frame("hello", "", `"`+strings.Repeat("x", 1000)+`"`))
		o := script.Options()
		srv := script.Serve(t, sse.Transport{}, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\n\r\n")
		gone := make(chan struct{})
		defer func() { c.Close(); <-gone }()
		go func() {
			defer close(gone)
			var err error
			for one := make([]byte, 1); err == nil; _, err = c.Read(one) {
				<-time.After(time.Second)
			}
		}()
		synctest.Wait()
		srv.Wait()
		if d := time.Since(start); d != o.WriteTimeout || !s.Closed() {
			t.Errorf("served for %v, closed %v", d, s.Closed())
		}
	})
}

func TestClientGoesBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New()
		s.OnReceive = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		o := script.Options()
		o.Body = []byte("slow")
		srv := script.Serve(t, sse.Transport{}, s, o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://pipe/live/", nil)
		if _, err := srv.Client.Do(r); err == nil {
			t.Error("answered")
		}
		srv.Wait()
		if !s.Closed() {
			t.Error("the session is open after its client has gone")
		}
	})
}

func TestSingleEndsWithSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New(script.Frame("snapshot", "e.1", "{}"))
		o := script.Options()
		o.Single = true
		srv := script.Serve(t, sse.Transport{}, s, o)
		res, r := events(t, srv)
		event(t, r)
		event(t, r)
		s.Push(script.Problem("closed", http.StatusForbidden, "forbidden"))
		if rest, err := io.ReadAll(r); err != nil || !strings.HasPrefix(string(rest), "event: closed\n") {
			t.Errorf("got %q, %v; want closed, and the end", rest, err)
		}
		res.Body.Close()
	})
}
