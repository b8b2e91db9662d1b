package live_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport"
)

// holding is a transport whose sessions go on after their requests.
type holding struct {
	then func(s transport.Session, release func(error))
}

func (holding) Name() string               { return "websocket" }
func (holding) Accepts(*http.Request) bool { return true }

func (h holding) Serve(_ http.ResponseWriter, _ *http.Request, s transport.Session, o transport.Options) {
	h.then(s, o.Hold())
}

// A session that is held lives on when its request has been served, Shutdown waits for it, and what its transport panicked with is logged.
func TestShutdownWaitsForWhomATransportHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var session transport.Session
		var release func(error)
		hub := live.New(live.Options{
			DrainWindow: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Transports: []transport.Transport{holding{func(s transport.Session, r func(error)) { session, release = s, r }}},
		})
		post(t.Context(), hub, "")
		if _, err := session.Next(t.Context()); err != nil { // hello
			t.Fatalf("the session ended with its request: %v", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- hub.Shutdown(t.Context()) }()
		<-time.After(time.Minute)
		select {
		case err := <-ended:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		release(errors.New("panic: oh"))
		release(nil) // counts once
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := session.Receive(t.Context(), []byte(`{"type":"ping","id":1}`)); err != transport.ErrClosed {
			t.Errorf("the session is open: %v", err)
		}
		if !strings.Contains(log.String(), "panic: oh") {
			t.Errorf("logged %s", &log)
		}
	})
}

// A transport that panics before Serve returns holds nothing.
func TestATransportThatPanicsHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := live.New(live.Options{
			DrainWindow: time.Second,
			Transports:  []transport.Transport{holding{func(transport.Session, func(error)) { panic("oh") }}},
		})
		func() {
			defer func() {
				if p := recover(); p != "oh" {
					t.Errorf("recovered %v", p)
				}
			}()
			hub.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/live/?channel=x", nil))
		}()
		start := time.Now()
		if err := hub.Shutdown(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("Shutdown took %v, %v", time.Since(start), err)
		}
	})
}
