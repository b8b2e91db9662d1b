package live_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/swampline/live"
)

// While a long-poll waits, nothing is kept of its request, and no handler waits for it. Its connection serves the next one.
func TestAPollThatWaitsKeepsNothingOfItsRequest(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	var request weak.Pointer[http.Request]
	handled := make(chan struct{}, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request = weak.Make(r)
		b.serve.ServeHTTP(w, r)
		handled <- struct{}{}
	}))
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	ask := func(method, url, body string) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nVisitor: 1\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", method, url, len(body), body); err != nil {
			t.Fatal(err)
		}
		<-handled
	}
	read := func() string {
		t.Helper()
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", answer.StatusCode, body, err)
		}
		return string(body)
	}
	ask("GET", "/live/memos?list_id=7", "")
	first := read()
	_, cursor, _ := strings.Cut(first, `"cursor":"`)
	cursor, _, _ = strings.Cut(cursor, `"`)
	for i := range 3 {
		ask("POST", "/live/?wait=60", `{"type":"subscribe","id":1,"router":"memos","where":{"list_id":7},"cursor":"`+cursor+`"}`)
		until(t, "the poll waits", func() bool { return b.hub.Stats().ParkedPolls == 1 })
		until(t, "the request is free", func() bool { runtime.GC(); return request.Value() == nil })
		title := fmt.Sprint("title ", i)
		m.retitle(t, 1, title)
		answer := read()
		if !strings.Contains(answer, title) || strings.Count(answer, `"type":"cursor"`) != 1 {
			t.Errorf("the answer is %s", answer)
		}
		cursor, _, _ = strings.Cut(answer[strings.LastIndex(answer, `"cursor":"`)+len(`"cursor":"`):], `"`)
	}
	ask("GET", "/live/memos?list_id=7", "")
	if last := read(); !strings.Contains(last, "title 2") {
		t.Errorf("the list is %s", last)
	}
	until(t, "nothing is left of the polls", func() bool { s := b.hub.Stats(); return s.Sessions["longpoll"] == 0 && s.ParkedPolls == 0 })
}
