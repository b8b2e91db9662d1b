package round_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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

// waiting is a transport made of Serve.
type waiting struct{ transport.Transport }

func (waiting) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	round.Serve(w, r, s, o, o.Wait)
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
	}{
		{"something", script.Serve, 10 * time.Second, 10 * time.Second},
		{"nothing", script.Serve, time.Hour, script.Options().Wait},
		{"something over HTTP2", script.ServeHTTP2, 10 * time.Second, 10 * time.Second},
		{"nothing over HTTP2", script.ServeHTTP2, time.Hour, script.Options().Wait},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.New(resumed)
				srv := test.serve(t, waiting{}, s, script.Options())
				later := time.AfterFunc(test.after, func() { s.Push(script.Change("e.2", `{"op":"create"}`)) })
				defer later.Stop()
				start := time.Now()
				got, err := get(t.Context(), srv)
				if err != nil || !strings.HasSuffix(strings.TrimSpace(got), `{"type":"cursor","cursor":"e.101"}`) {
					t.Errorf("got %s, %v", got, err)
				}
				if happened := strings.Contains(got, "create"); happened != (test.after < time.Hour) {
					t.Errorf("got %s", got)
				}
				if d := time.Since(start); d != test.want {
					t.Errorf("answered after %v, want %v", d, test.want)
				}
			})
		})
	}
}

// Who reads a byte a second is not served longer than the answer may take.
func TestAReaderOfAByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New(script.Frame("snapshot", "e.1", `"`+strings.Repeat("x", 1<<20)+`"`))
		o := script.Options()
		o.Wait = 0
		srv := script.Serve(t, waiting{}, s, o)
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

func TestClientGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New()
		srv := script.Serve(t, waiting{}, s, script.Options())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if got, err := get(ctx, srv); err == nil {
			t.Errorf("answered %s", got)
		}
		srv.Wait()
		if d := time.Since(start); d != 5*time.Second || !s.Closed() {
			t.Errorf("served for %v, session closed %v", d, s.Closed())
		}
	})
}
