package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
)

// lines streams messages as lines of one long answer.
type lines struct{}

func (lines) Name() string { return "lines" }

func (lines) Accepts(r *http.Request) bool {
	return r.Header.Get("Accept") == "application/x-ndjson-stream"
}

func (lines) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	defer s.Close()
	if err := s.Receive(r.Context(), o.Body); err != nil {
		return
	}
	for {
		frames, err := s.Next(r.Context())
		if err != nil {
			return
		}
		for _, f := range frames {
			if _, err := fmt.Fprintf(w, "%s\n", f.Data); err != nil {
				return
			}
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}

// A transport accepts a request, hands what came with it to the session, and writes what the session says. (This one lacks deadlines and
// pings.)
func Example() {
	s := script.New() // the hub's part
	s.OnReceive = func(context.Context, string) error {
		s.Push(
			script.Frame("hello", "", `{"type":"hello","protocol":1}`),
			script.Frame("snapshot", "4fk2m9qa.2sy", `{"type":"snapshot","id":1,"query":"k3","cursor":"4fk2m9qa.2sy","rows":[]}`),
		)
		s.Close()
		return nil
	}

	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/live/", nil)
	lines{}.Serve(w, r, s, transport.Options{Body: []byte(`{"type":"subscribe","id":1,"router":"todos"}`)})
	fmt.Print(w.Body)
	// Output:
	// {"type":"hello","protocol":1}
	// {"type":"snapshot","id":1,"query":"k3","cursor":"4fk2m9qa.2sy","rows":[]}
}
