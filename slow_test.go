package live_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

func TestASocketOnWhichNothingCameIsClosed(t *testing.T) {
	b := newBench(t, live.Options{Limits: live.Limits{FirstMessage: 50 * time.Millisecond}}, desk())
	url := b.server() + "/live/"
	silent := follow(t, transporttest.WebSocket, url, "")
	last := silent.want("reconnect")
	if got, _ := code(last); got != "no_message" {
		t.Errorf("got %s", last.Raw)
	}
	if m, err := silent.Next(limit(t)); err == nil {
		t.Errorf("then %s", m.Raw)
	}
}

// One whose URL said it, or an event stream, which says all with its request, is let be.
func TestASocketThatBroughtASubscriptionIsLetBe(t *testing.T) {
	for _, test := range []struct{ transport, url, says string }{
		{transporttest.WebSocket, "/live/memos", ""},
		{transporttest.SSE, "/live/", `{"type":"subscribe","id":9,"router":"memos"}`},
	} {
		m := desk()
		b := newBench(t, live.Options{Limits: live.Limits{FirstMessage: 1}}, m)
		f := follow(t, test.transport, b.server()+test.url, test.says)
		f.want("snapshot")
		for i := range 20 {
			m.retitle(t, 1, fmt.Sprint(i))
			f.want("change")
		}
	}
}

// trickle is a body that comes a byte at a time, as long as it is read.
type trickle struct{ ended chan struct{} }

func (b trickle) Read(p []byte) (int, error) {
	select {
	case <-b.ended:
		return 0, io.ErrUnexpectedEOF
	case <-time.After(5 * time.Millisecond):
		p[0] = ' '
		return 1, nil
	}
}

func TestABodyThatTricklesInIsCutOff(t *testing.T) {
	const tooSlow = `"code":"too_slow"`
	m := desk()
	b := newBench(t, live.Options{Limits: live.Limits{Receive: 50 * time.Millisecond}}, m)
	before := m.snapshot()
	server := b.server()
	refused := []way{ // nobody reads their bodies
		{"POST", "/live/", "x", []string{"Origin", "https://evil.example.net"}}, {"POST", "/live/no", "x", nil}, {"PUT", "/live/memos", "x", nil},
		{"POST", "/live/memos", "x", []string{"Content-Encoding", "gzip"}},
	}
	for i, r := range append(refused, everyWay...) {
		if r.body == "" {
			continue
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(server, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n", r.method, r.url)
		for i := 0; i < len(r.headers); i += 2 {
			fmt.Fprintf(c, "%s: %s\r\n", r.headers[i], r.headers[i+1])
		}
		io.WriteString(c, "\r\n")
		ended := make(chan struct{})
		go func() { _, _ = io.Copy(c, trickle{ended}) }()
		answer, err := io.ReadAll(c)
		close(ended)
		if i >= len(refused) && (!strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), tooSlow)) {
			t.Errorf("%s %s: %s, %v", r.method, r.url, answer, err)
		}
	}
	equal(t, "table", m.snapshot(), before)
}

// Who asks for much and reads nothing is let go.
func TestAnAnswerThatNobodyReadsIsCutOff(t *testing.T) {
	m := newMemos()
	for id := range int64(32) {
		m.put(memo{ID: id + 1, OwnerID: 1, Note: strings.Repeat("x", 1<<20), Version: 1})
	}
	b := newBench(t, live.Options{WriteTimeout: 50 * time.Millisecond}, m)
	for _, url := range []string{"/live/memos", "/live/memos?cursor=0"} {
		served := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(served)
			b.serve.ServeHTTP(w, r)
		}))
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", url)
		select {
		case <-served:
		case <-limit(t).Done():
			t.Fatalf("%s: it is served for ever", url)
		}
		got, _ := io.Copy(io.Discard, c)
		if got >= 32<<20 {
			t.Errorf("%s: all %d bytes went out", url, got)
		}
		c.Close()
		server.Close()
	}
}
