package transporttest

import (
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// testClose shuts the hub down under a client.
func testClose(t *testing.T, e *env) {
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	e.expect(t, c, e.createAll(t, 7, 0, 2))
	failed := make(chan error, 1)
	ctx := e.ctx(t)
	asked := e.calls.another()
	go func() {
		if e.transport == LongPoll { // a stream is there once it was answered, and a short-poll nobody waits for
			asked(ctx)
		}
		failed <- e.app.Shutdown(ctx)
	}()
	e.untilEnd(t, c)
	if err := <-failed; err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	if !e.calls.none(ctx) {
		broken(t, ended, "a request is still being served after Shutdown")
	}
	e.refusedAfterwards(t)
}

// untilEnd reads up to the end of a connection. A stream says reconnect before, a poll may be refused instead.
func (e *env) untilEnd(t *testing.T, c *Client) {
	t.Helper()
	told := false
	for {
		m, err := c.Next(e.ctx(t))
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			broken(t, goodbye, "the hub has shut down, and the client does not know")
		case err != nil:
			var refusal *Refusal
			if errors.As(err, &refusal) {
				checkProblem(t, &refusal.Problem, http.StatusServiceUnavailable, "unavailable", "a request during Shutdown")
				told = true
			}
			if !told {
				broken(t, goodbye, "the connection ended with %v, and no reconnect before", err)
			}
			return
		case m.Type == "reconnect":
			if m.After < 0 {
				broken(t, goodbye, "got %s", m.Raw)
			}
			told = true
		}
	}
}

func (e *env) refusedAfterwards(t *testing.T) {
	t.Helper()
	c, err := Dial(e.ctx(t), e.transport, e.url(""), ClientOptions{HTTP: e.server.Client()})
	if err == nil {
		defer c.Drop()
		err = c.Send(e.ctx(t), `{"type":"subscribe","id":1,"router":"items"}`)
	}
	if err == nil {
		_, err = c.Next(e.ctx(t))
	}
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		broken(t, oneShape, "a request after Shutdown: %v, want the problem unavailable", err)
	}
	checkProblem(t, &refusal.Problem, http.StatusServiceUnavailable, "unavailable", "a request after Shutdown")
}

// exchange is a little of everything, to see that a transport works at all.
func (e *env) exchange(t *testing.T) {
	t.Helper()
	c := e.dial(t)
	e.subscribe(t, c, 1, 7)
	for i := range 5 { // one by one: each must come out of every buffer on the way
		e.expect(t, c, e.createAll(t, 7, i, i+1))
	}
	e.send(t, c, `{"type":"call","id":10,"router":"items","verb":"create","data":{"title":"milk"}}`)
	for {
		if m := e.next(t, c, anyMiddleware, "result", "resumed"); m.Type == "result" && m.ID == 10 {
			return
		}
	}
}

// wrapper hides everything of a ResponseWriter, but says where it is.
type wrapper struct{ w http.ResponseWriter }

func (w wrapper) Header() http.Header         { return w.w.Header() }
func (w wrapper) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w wrapper) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w wrapper) Unwrap() http.ResponseWriter { return w.w }

func testUnwrap(t *testing.T, e *env) {
	e.wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrapper{wrapper{w}}, r) })
	}
	e.exchange(t)
}

// zipper compresses an answer, and flushes itself before what it wraps.
type zipper struct {
	wrapper
	zip *gzip.Writer
}

func (z *zipper) WriteHeader(status int) {
	if z.zip == nil && status >= http.StatusOK {
		z.Header().Set("Content-Encoding", "gzip")
		z.Header().Del("Content-Length")
		z.zip = gzip.NewWriter(z.w)
	}
	z.w.WriteHeader(status)
}

func (z *zipper) Write(p []byte) (int, error) {
	if z.zip == nil {
		z.WriteHeader(http.StatusOK)
	}
	return z.zip.Write(p)
}

// FlushError is what http.ResponseController looks for.
func (z *zipper) FlushError() error {
	if z.zip == nil {
		z.WriteHeader(http.StatusOK)
	}
	if err := z.zip.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(z.w).Flush()
}

func testGzip(t *testing.T, e *env) {
	e.wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				h.ServeHTTP(w, r)
				return
			}
			z := &zipper{wrapper: wrapper{w}}
			h.ServeHTTP(z, r)
			if z.zip != nil {
				z.zip.Close()
			}
		})
	}
	e.exchange(t)
}

// testWriteTimeout lets a connection, or a poll that waits, outlive the server's WriteTimeout by far.
func testWriteTimeout(t *testing.T, e *env) {
	e.timeout = 200 * time.Millisecond
	e.start(t)
	c, err := Dial(e.ctx(t), e.transport, e.url(""), ClientOptions{HTTP: e.server.Client(), Wait: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Drop()
	e.subscribe(t, c, 1, 7)
	start, n := time.Now(), 0
	for e.transport == LongPoll && time.Since(start) < 2*e.timeout {
		m, err := c.Next(e.ctx(t)) // the end of a round, of the second after a second in which nothing happens
		if err != nil || m.Type != "cursor" {
			broken(t, anyMiddleware, "a poll that waits longer than WriteTimeout got %s, %v", m.Raw, err)
		}
	}
	for ; time.Since(start) < 3*e.timeout; n++ {
		e.expect(t, c, e.createAll(t, 7, n, n+1))
	}
	e.expect(t, c, e.createAll(t, 7, n, n+5))
}

// testTLS uses what browsers use: HTTP/2, except for WebSockets.
func testTLS(t *testing.T, e *env) {
	e.tls = true
	e.start(t)
	e.exchange(t)
	c := e.dial(t)
	e.subscribe(t, c, 1, 8)
	c.mu.Lock()
	proto := c.proto
	c.mu.Unlock()
	if want := map[bool]string{true: "HTTP/1.1", false: "HTTP/2.0"}[e.transport == WebSocket]; proto != want {
		t.Fatalf("%s ran over %s, want %s", e.transport, proto, want)
	}
}
