package longpoll_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/longpoll"
)

var _ transport.Transport = longpoll.Transport{}

func TestAccepts(t *testing.T) {
	for _, test := range []struct {
		method, url string
		want        bool
	}{
		{"POST", "/live/?wait=25", true},
		{"GET", "/live/todos?list_id=7&wait=25", true},
		{"POST", "/live/?wait=much", true}, // the hub refuses it, with the reason
		{"POST", "/live/?wait=0", false},
		{"POST", "/live/?wait=", false},
		{"POST", "/live/", false},
		{"DELETE", "/live/?wait=25", false},
	} {
		if got := (longpoll.Transport{}).Accepts(httptest.NewRequest(test.method, test.url, nil)); got != test.want {
			t.Errorf("%s %s: accepts %v", test.method, test.url, got)
		}
	}
}

// A long-poll waits for something to say; what there is comes as one message a line.
func Example() {
	s := script.New(script.Quiet("resumed", "e.6", `{"type":"resumed","id":1,"query":"k3","cursor":"e.6"}`))
	s.OnCursor = func() { s.Push(script.Cursor("e.8")) }
	s.Push(script.Change("e.7", `{"op":"leave","key":"42"}`)) // it could come later, up to o.Wait

	w := httptest.NewRecorder()
	longpoll.Transport{}.Serve(w, httptest.NewRequest("POST", "/live/?wait=25", nil), s, script.Options())
	fmt.Print(w.Body)
	// Output:
	// {"type":"resumed","id":1,"query":"k3","cursor":"e.6"}
	// {"type":"change","query":"q","cursor":"e.7","changes":[{"op":"leave","key":"42"}]}
	// {"type":"cursor","cursor":"e.8"}
}
