//go:build linux

package load

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// What is discarded is not looked at, and what follows it is: nothing is lost or doubled between the two.
func TestDiscard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const clients = 5
	conns := make(chan net.Conn, clients)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\ndata: welcome\n\n"))
		conns <- c
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	r := ready
	r.Address = l.Addr().String()
	g, err := NewGroup(r, "sse", clients, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	g.Gulps = true
	if err := g.Connect(0, clients, false); err != nil {
		t.Fatal(err)
	}
	var to []net.Conn
	for range clients {
		to = append(to, <-conns)
	}
	publish := func(first, count int) error {
		for n := first; n < first+count; n++ {
			for _, c := range to {
				if _, err := c.Write([]byte(events(n))); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := g.Ask(1, publish); err != nil {
		t.Fatal(err)
	}
	before := g.Counts
	const messages = 1000
	if err := g.Discard(func() (int, error) { return messages, publish(g.Newest()+1, messages) }); err != nil {
		t.Fatal(err)
	}
	want := before.Bytes
	for n := 2; n < 2+messages; n++ {
		want += int64(clients * len(events(n)))
	}
	if g.Bytes != want || g.Deliveries != before.Deliveries {
		t.Errorf("counted %+v, want %d bytes and nothing else", g.Counts, want)
	}
	if err := g.Ask(1, publish); err != nil {
		t.Fatal(err)
	}
	if g.Newest() != messages+2 || g.Deliveries != 2*clients || g.Lost+g.Double+g.Closed != 0 {
		t.Errorf("counted %+v after message %d", g.Counts, g.Newest())
	}
	to[3].Close()
	if err := g.Discard(func() (int, error) { return 0, nil }); err == nil || !strings.Contains(err.Error(), errEnded.Error()) {
		t.Errorf("a connection that ends is taken for one that is still: %v", err)
	}
}

func TestWritten(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, calls, err := Written(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := f.WriteString("0123456789"); err != nil {
			t.Fatal(err)
		}
	}
	after, callsAfter, err := Written(os.Getpid())
	if err != nil || after-before < 100 || callsAfter-calls < 10 {
		t.Errorf("%d bytes in %d calls are counted, of 100 in 10: %v", after-before, callsAfter-calls, err)
	}
}
