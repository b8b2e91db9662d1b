package transport_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/swampline/live/transport"
)

func TestNextPing(t *testing.T) {
	for _, interval := range []time.Duration{1, 25 * time.Second} {
		shortest, longest := time.Hour, time.Duration(0)
		for range 1000 {
			d := transport.Options{PingInterval: interval}.NextPing()
			shortest, longest = min(shortest, d), max(longest, d)
		}
		if shortest < interval*8/10 || longest > interval*12/10 {
			t.Errorf("%v became %v to %v, want a fifth less to a fifth more at most", interval, shortest, longest)
		}
		if interval > 1 && longest-shortest < interval/5 {
			t.Errorf("%v became %v to %v: clients that connect together stay together", interval, shortest, longest)
		}
	}
}

func TestWriteProblem(t *testing.T) {
	shared := append(make([]byte, 0, 64), `{"code":"forbidden"}`...)
	for _, test := range []struct{ status, want int }{{403, 403}, {0, 500}} {
		w := httptest.NewRecorder()
		transport.WriteProblem(w, test.status, shared)
		if w.Code != test.want || w.Body.String() != `{"code":"forbidden"}`+"\n" {
			t.Errorf("status %d: got %d %q", test.status, w.Code, w.Body)
		}
		if kind := w.Header().Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("Content-Type %q", kind)
		}
	}
	if spare := shared[:len(shared)+1]; spare[len(shared)] != 0 {
		t.Error("the shared problem was written to")
	}
}

func TestUnavailable(t *testing.T) {
	w := httptest.NewRecorder()
	transport.Unavailable(w, 501, `no "flush"`)
	want := `{"title":"Not Implemented","status":501,"code":"unavailable","detail":"no \"flush\""}` + "\n"
	if w.Code != 501 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
