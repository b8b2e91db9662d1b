package sse_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/sse"
)

// A stream has an event a message: its name is the message's type, its id the cursor.
func Example() {
	s := script.New(script.Frame("hello", "", `{"type":"hello","protocol":1}`), script.Change("e.7", `{"op":"leave","key":"42"}`))
	s.Close() // or the stream would not end

	w := httptest.NewRecorder()
	sse.Transport{}.Serve(w, httptest.NewRequest("POST", "/live/", nil), s, script.Options())
	fmt.Print(w.Body)
	// Output:
	// retry: 1000
	//
	// event: hello
	// data: {"type":"hello","protocol":1}
	//
	// event: change
	// id: e.7
	// data: {"type":"change","query":"q","cursor":"e.7","changes":[{"op":"leave","key":"42"}]}
}
