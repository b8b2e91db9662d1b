package round_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/round"
	"github.com/swampline/live/transport/internal/script"
)

type frames = []*transport.Frame

var resumed = script.Quiet("resumed", "e.1", `{"type":"resumed","id":1,"query":"q","cursor":"e.1"}`)

// The session's own cursor frame ends each round: e.101.
func TestAnswers(t *testing.T) {
	resync := script.Frame("resync", "e.3", `{"type":"resync","cursor":"e.3","rows":[]}`)
	whole, more := script.Change("e.003", `{"op":"enter"}`), true
	whole.More, whole.Whole = &more, true
	forbidden := script.Problem("error", 403, "forbidden")
	closed := script.Problem("closed", 403, "forbidden")
	for _, test := range []struct {
		name   string
		url    string
		single bool
		frames frames
		status int
		kind   string
		body   string
	}{
		{"many", "/live/", false, frames{resumed, script.Change("e.2", `{"op":"leave"}`)}, 200, "application/x-ndjson",
			`{"type":"resumed","id":1,"query":"q","cursor":"e.1"}
{"type":"change","query":"q","cursor":"e.2","changes":[{"op":"leave"}]}
{"type":"cursor","cursor":"e.101"}
`},
		{"an error among many", "/live/", false, frames{forbidden}, 200, "application/x-ndjson",
			string(forbidden.Data) + "\n" + `{"type":"cursor","cursor":"e.101"}` + "\n"},
		{"nothing new", "/live/todos?cursor=e.1", true, frames{resumed}, 200, "application/json",
			`{"type":"change","cursor":"e.101","changes":[]}` + "\n"},
		{"changes are one", "/live/todos?cursor=e.1", true,
			frames{resumed, script.Change("e.002", `{"op":"create"},{"op":"update"}`), script.Change("e.003", `{"op":"leave"}`)}, 200,
			"application/json",
			`{"type":"change","cursor":"e.101","changes":[{"op":"create"},{"op":"update"},{"op":"leave"}]}` + "\n"},
		{"a cursor that is behind", "/live/todos?cursor=e.1", true, frames{script.Change("e.102", `{"op":"create"}`)}, 200,
			"application/json", `{"type":"change","cursor":"e.102","changes":[{"op":"create"}]}` + "\n"},
		{"another epoch", "/live/todos?cursor=e.1", true, frames{script.Change("f.102", `{"op":"create"}`)}, 200,
			"application/json", `{"type":"change","cursor":"e.101","changes":[{"op":"create"}]}` + "\n"},
		{"a window told whole", "/live/todos?cursor=e.1", true,
			frames{script.Change("e.002", `{"op":"create"}`), whole, script.Change("e.004", `{"op":"leave"}`)}, 200,
			"application/json", `{"type":"change","cursor":"e.101","more":true,"whole":true,"changes":[{"op":"enter"},{"op":"leave"}]}` + "\n"},
		{"messages are one", "/live/?channel=a&cursor=e.1", true,
			frames{resumed, script.Message("e.002", `1,2`), script.Message("e.003", `3`)}, 200, "application/json",
			`{"type":"message","cursor":"e.101","messages":[1,2,3]}` + "\n"},
		{"no messages", "/live/?channel=a&cursor=e.1", true, frames{resumed}, 200, "application/json",
			`{"type":"message","cursor":"e.101","messages":[]}` + "\n"},
		{"rows", "/live/todos", true, frames{script.Frame("snapshot", "e.1", `{"type":"snapshot"}`)}, 200, "application/json",
			`{"type":"snapshot"}` + "\n"},
		{"what follows a resync waits", "/live/todos?cursor=a.1", true,
			frames{script.Change("e.2", `{"op":"create"}`), resync, script.Change("e.4", `{"op":"leave"}`)}, 200, "application/json",
			string(resync.Data) + "\n"},
		{"refused", "/live/todos", true, frames{forbidden}, 403, "application/problem+json", string(forbidden.Problem) + "\n"},
		{"closed", "/live/todos", true, frames{resumed, closed}, 403, "application/problem+json", string(closed.Problem) + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := script.Options()
			o.Single = test.single
			w := httptest.NewRecorder()
			s := script.New(test.frames...)
			round.Serve(w, httptest.NewRequest("GET", test.url, nil), s, o, 0)
			if w.Code != test.status || w.Header().Get("Content-Type") != test.kind || w.Body.String() != test.body {
				t.Errorf("got %d %s\n%swant %d %s\n%s", w.Code, w.Header().Get("Content-Type"), w.Body, test.status, test.kind, test.body)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: %q", got)
			}
			if !s.Closed() {
				t.Error("the session is open after its round")
			}
		})
	}
}

func TestClosedSession(t *testing.T) {
	const unavailable = `{"title":"Service Unavailable","status":503,"code":"unavailable","detail":"the server is shutting down"}` + "\n"
	reconnect := script.Frame("reconnect", "", `{"type":"reconnect","after":5}`)
	for _, test := range []struct {
		name   string
		single bool
		frames frames
		status int
		body   string
	}{
		{"nothing to say", false, nil, 503, unavailable},
		{"last words", false, frames{reconnect}, 200, string(reconnect.Data) + "\n"},
		{"no cursor", true, frames{reconnect}, 503, unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := script.New(test.frames...)
			s.Close()
			o := script.Options()
			o.Single, o.Body = test.single, []byte("too late")
			w := httptest.NewRecorder()
			round.Serve(w, httptest.NewRequest("POST", "/live/", nil), s, o, 0)
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d\n%swant %d\n%s", w.Code, w.Body, test.status, test.body)
			}
		})
	}
}

// waiting is a transport made of Serve. With a hub that lets it, it borrows the connection while it waits.
type waiting struct {
	transport.Transport
	hub *holder
}

func (t waiting) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	if o.Hold = nil; t.hub != nil {
		o.Hold = t.hub.hold
	}
	round.Serve(w, r, s, o, o.Wait)
}

// holder is a hub for transports that go on after Serve.
type holder struct {
	held    sync.WaitGroup
	mu      sync.Mutex
	holds   int
	failure error
}

func (h *holder) hold() func(error) {
	h.held.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holds++
	return func(failure error) {
		defer h.held.Done()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.failure = failure
	}
}

// wait returns when nothing goes on; how often a connection was borrowed, and what failed.
func (h *holder) wait() (int, error) {
	h.held.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holds, h.failure
}

func get(ctx context.Context, srv *script.Server) (string, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://pipe/live/", nil)
	if err != nil {
		return "", err
	}
	res, err := srv.Client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var b strings.Builder
	err = res.Write(&b)
	return b.String(), err
}

// The servers of package script have a WriteTimeout and a ReadTimeout of a second.
func TestWaits(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(testing.TB, transport.Transport, transport.Session, transport.Options) *script.Server
		after time.Duration // when something happens
		want  time.Duration
		holds int // with a hub that lets connections be borrowed; -1 without
	}{
		{"something", script.Serve, 10 * time.Second, 10 * time.Second, -1},
		{"nothing", script.Serve, time.Hour, script.Options().Wait, -1},
		{"something on a borrowed connection", script.Serve, 10 * time.Second, 10 * time.Second, 1},
		{"nothing on a borrowed connection", script.Serve, time.Hour, script.Options().Wait, 1},
		{"something that is there", script.Serve, 0, 0, 0},
		{"something over HTTP2", script.ServeHTTP2, 10 * time.Second, 10 * time.Second, 0},
		{"nothing over HTTP2", script.ServeHTTP2, time.Hour, script.Options().Wait, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.New(resumed)
				way := waiting{}
				if test.holds >= 0 {
					way.hub = &holder{}
				}
				srv := test.serve(t, way, s, script.Options())
				happen := func() { s.Push(script.Change("e.2", `{"op":"create"}`)) }
				if test.after == 0 {
					happen()
				} else {
					later := time.AfterFunc(test.after, happen)
					defer later.Stop()
				}
				start := time.Now()
				got, err := get(t.Context(), srv)
				lines := strings.Split(strings.TrimSpace(got), "\n")
				if err != nil || !strings.HasPrefix(got, "HTTP/") || !strings.HasPrefix(lines[len(lines)-1], `{"type":"cursor","cursor":"e.10`) ||
					strings.Count(got, `"type":"cursor"`) != 1 || strings.Count(got, `"resumed"`) != 1 {
					t.Errorf("got %s, %v", got, err)
				}
				if happened := strings.Contains(got, "create"); happened != (test.after < time.Hour) {
					t.Errorf("got %s", got)
				}
				if d := time.Since(start); d != test.want {
					t.Errorf("answered after %v, want %v", d, test.want)
				}
				if way.hub == nil {
					return
				}
				if holds, failure := way.hub.wait(); holds != test.holds || failure != nil || !s.Closed() {
					t.Errorf("borrowed %d times, want %d; %v, closed %v", holds, test.holds, failure, s.Closed())
				}
			})
		})
	}
}

// bothWays runs a test with the handler waiting, and with a borrowed connection.
func bothWays(t *testing.T, test func(t *testing.T, way waiting)) {
	for name, hub := range map[string]func() *holder{"handler": func() *holder { return nil }, "borrowed": func() *holder { return &holder{} }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				way := waiting{hub: hub()}
				test(t, way)
				if way.hub != nil {
					if holds, failure := way.hub.wait(); holds != 1 || failure != nil {
						t.Errorf("borrowed %d times, %v", holds, failure)
					}
				}
			})
		})
	}
}

// ended waits until nothing is done for a session.
func (t waiting) ended(srv *script.Server) {
	if srv.Wait(); t.hub != nil {
		t.hub.held.Wait()
	}
}

// Who reads a byte a second is not served longer than the answer may take.
func TestAReaderOfAByteASecond(t *testing.T) {
	bothWays(t, func(t *testing.T, way waiting) {
		s := script.New()
		o := script.Options()
		srv := script.Serve(t, way, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\n\r\n")
		synctest.Wait()
		start := time.Now()
		s.Push(script.Frame("snapshot", "e.1", `"`+strings.Repeat("x", 1<<20)+`"`))
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
		way.ended(srv)
		if d := time.Since(start); d != o.WriteTimeout || !s.Closed() || !s.Slow() {
			t.Errorf("served for %v, closed %v, too slow %v", d, s.Closed(), s.Slow())
		}
	})
}

func TestClientGoes(t *testing.T) {
	bothWays(t, func(t *testing.T, way waiting) {
		s := script.New()
		srv := script.Serve(t, way, s, script.Options())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if got, err := get(ctx, srv); err == nil {
			t.Errorf("answered %s", got)
		}
		way.ended(srv)
		if d := time.Since(start); d != 5*time.Second || !s.Closed() {
			t.Errorf("served for %v, session closed %v", d, s.Closed())
		}
	})
}

// When the hub waits for no client any more, what is being written is cut off.
func TestCut(t *testing.T) {
	bothWays(t, func(t *testing.T, way waiting) {
		s := script.New()
		o := script.Options()
		cut, now := context.WithCancel(t.Context())
		defer now()
		o.Cut = cut
		srv := script.Serve(t, way, s, o)
		c, err := srv.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\n\r\n")
		synctest.Wait()
		s.Push(script.Frame("snapshot", "e.1", `"`+strings.Repeat("x", 1<<20)+`"`)) // nobody reads
		start := time.Now()
		synctest.Wait()
		now()
		way.ended(srv)
		if d := time.Since(start); d != 0 || !s.Closed() {
			t.Errorf("it took %v, closed %v", d, s.Closed())
		}
	})
}

// bad panics when it is asked to wait.
type bad struct{ *script.Session }

func (b bad) Poll(ctx context.Context, wait time.Duration) ([]*transport.Frame, error) {
	if wait > 0 {
		panic("waited for")
	}
	return b.Session.Poll(ctx, wait)
}

// A panic where there is no server to catch it does not end the process: the hub is told.
func TestAPanicOnABorrowedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bad{script.New()}
		way := waiting{hub: &holder{}}
		if got, err := get(t.Context(), script.Serve(t, way, s, script.Options())); err == nil {
			t.Errorf("answered %s", got)
		}
		if holds, failure := way.hub.wait(); holds != 1 || failure == nil || !strings.Contains(failure.Error(), "waited for") || !s.Closed() {
			t.Errorf("borrowed %d times, %v, closed %v", holds, failure, s.Closed())
		}
	})
}
