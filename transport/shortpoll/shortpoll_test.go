package shortpoll_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/shortpoll"
)

var _ transport.Transport = shortpoll.Transport{}

func TestAccepts(t *testing.T) {
	for _, test := range []struct {
		method, url string
		want        bool
	}{
		{"POST", "/live/", true},
		{"GET", "/live/todos?list_id=7", true},
		{"GET", "/live/todos?list_id=7&wait=0", true},
		{"DELETE", "/live/todos/42", false},
		{"HEAD", "/live/", false},
	} {
		if got := (shortpoll.Transport{}).Accepts(httptest.NewRequest(test.method, test.url, nil)); got != test.want {
			t.Errorf("%s %s: accepts %v", test.method, test.url, got)
		}
	}
}

// A single router's poll is answered with one object.
func Example() {
	s := script.New(script.Change("e.6", `{"op":"leave","key":"42"}`), script.Change("e.7", `{"op":"leave","key":"43"}`))
	s.OnCursor = func() { s.Push(script.Cursor("e.8")) }
	o := script.Options()
	o.Single = true

	w := httptest.NewRecorder()
	shortpoll.Transport{}.Serve(w, httptest.NewRequest("GET", "/live/todos?list_id=7&cursor=e.5", nil), s, o)
	fmt.Print(w.Body)
	// Output:
	// {"type":"change","cursor":"e.8","changes":[{"op":"leave","key":"42"},{"op":"leave","key":"43"}]}
}
