package live

import (
	"context"
	"net/http/httptest"
	"runtime"
	"testing"
	"weak"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// A session may last for days. It keeps the values of the request that opened it, and nothing else of that: neither itself nor through what it
// counted, follows or has called.
func TestASessionDoesNotKeepItsRequest(t *testing.T) {
	type key struct{}
	h := New(Options{Identity: func(ctx context.Context) string { return ctx.Value(key{}).(string) }})
	h.Register(&Channel{Name: "chat", Subscribe: func(ctx context.Context, _ string) error {
		if ctx.Value(key{}) != "ada" {
			t.Error("the values of the request are lost")
		}
		return nil
	}})
	defer h.Shutdown(t.Context())
	for _, transport := range []string{"websocket", "sse", "longpoll"} {
		t.Run(transport, func(t *testing.T) {
			open := func() (*session.Session, func() bool) {
				r := httptest.NewRequest("POST", "/live/", nil)
				r = r.WithContext(context.WithValue(r.Context(), key{}, "ada"))
				s, err := h.openSession(r, transport, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				request, url := weak.Make(r), weak.Make(r.URL)
				return s, func() bool { return request.Value() == nil && url.Value() == nil }
			}
			s, gone := open()
			if err := s.Receive(t.Context(), []byte(`{"type":"subscribe","id":1,"channel":"chat"}`)); err != nil {
				t.Fatal(err)
			}
			for answered := false; !answered; {
				frames, err := s.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range frames {
					answered = answered || f.Type == "snapshot"
				}
			}
			for n := 0; !gone(); n++ {
				if n == 10 { // a stack may hold on to it for a while
					t.Fatal("the session keeps its request")
				}
				runtime.GC()
			}
			s.Tell(wire.Status(false))
			s.Close()
		})
	}
}
