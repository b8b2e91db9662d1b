package loan_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live/transport/internal/loan"
)

const patience = time.Minute

// lender is a server that answers /wait over a borrowed connection, and the rest of requests itself.
type lender struct {
	*httptest.Server
	lent     chan *loan.Conn // at /wait
	accepted atomic.Int64
	all      sync.WaitGroup
}

func newLender(t *testing.T, wrap func(http.ResponseWriter) http.ResponseWriter) *lender {
	l := &lender{lent: make(chan *loan.Conn, 16)}
	l.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Middleware", "was here")
		if r.URL.Path != "/wait" {
			fmt.Fprint(w, r.URL.Path)
			return
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Errorf("the body: %v", err)
		}
		if wrap != nil {
			w = wrap(w)
		}
		c := loan.Take(w, r)
		if l.lent <- c; c == nil {
			fmt.Fprint(w, "waited")
		}
	}))
	l.Listener = counted{l.Listener, &l.accepted}
	t.Cleanup(func() { l.all.Wait(); l.Close() })
	return l
}

type counted struct {
	net.Listener
	n *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// answer answers over the next borrowed connection when the channel is closed.
func (l *lender) answer(t *testing.T, when <-chan struct{}, gone func()) {
	l.all.Go(func() {
		c := <-l.lent
		if c == nil {
			t.Error("nothing was lent")
			return
		}
		c.Watch(gone)
		<-when
		c.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(c, "waited")
		if err := c.Finish(c.Pace(patience)); err != nil {
			t.Errorf("the answer: %v", err)
			c.Close()
			return
		}
		c.Return()
	})
}

func get(t *testing.T, client *http.Client, url string) (header http.Header, body string) {
	t.Helper()
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", answer.StatusCode, err)
	}
	return answer.Header, string(text)
}

var now = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// A client never notices that its connection was borrowed: it stays open for the next request, borrowed again or not.
func TestTheConnectionIsGivenBack(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", secure), func(t *testing.T) {
			l := newLender(t, nil)
			if secure {
				l.StartTLS()
			} else {
				l.Start()
			}
			client := l.Client()
			for range 3 {
				l.answer(t, now, func() {})
				header, body := get(t, client, l.URL+"/wait")
				if body != "waited" || header.Get("Middleware") != "was here" || header.Get("Content-Type") != "text/plain" || header.Get("Date") == "" || header.Get("Content-Length") != "6" {
					t.Errorf("borrowed: %q, %v", body, header)
				}
				if _, body := get(t, client, l.URL+"/next"); body != "/next" {
					t.Errorf("given back: %q", body)
				}
			}
			if n := l.accepted.Load(); n != 1 {
				t.Errorf("%d connections for one client", n)
			}
		})
	}
}

// A client may send its next request before it has the answer to this one.
func TestNothingThatComesEarlyIsLost(t *testing.T) {
	const wait, next = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, test := range []struct {
		name   string
		pieces []string // the second is sent while the first is waited for
	}{
		{"with the first", []string{wait + next, ""}},
		{"some of it with the first", []string{wait + next[:7], next[7:]}},
		{"while it waits", []string{wait, next}},
		{"one byte while it waits", []string{wait, next[:1], next[1:]}},
		{"three at once", []string{wait + wait + next}},
		{"behind one that came early", []string{wait + wait, next}},
		{"behind the answer", []string{wait, "", next}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLender(t, nil)
			l.Start()
			c, err := net.Dial("tcp", l.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			r := bufio.NewReader(c)
			read := func(want string) {
				t.Helper()
				answer, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(answer.Body); err != nil || string(body) != want {
					t.Fatalf("%q, %v, want %q", body, err, want)
				}
			}
			send := func(i int) {
				t.Helper()
				if i < len(test.pieces) {
					if _, err := io.WriteString(c, test.pieces[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			when := make(chan struct{})
			l.answer(t, when, func() { t.Error("it is said to be gone") })
			send(0)
			send(1)
			close(when)
			read("waited")
			if strings.Count(strings.Join(test.pieces, ""), "/wait") == 2 {
				l.answer(t, now, func() { t.Error("it is said to be gone") })
				read("waited")
			}
			send(2)
			read("/next")
			l.all.Wait()
		})
	}
}

func TestAClientThatGoesIsFoundOut(t *testing.T) {
	l := newLender(t, nil)
	l.Start()
	c, err := net.Dial("tcp", l.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	lent := <-l.lent
	gone := make(chan struct{})
	lent.Watch(func() { close(gone) })
	c.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("nobody noticed")
	}
	fmt.Fprint(lent, "late")
	lent.Return() // it has nobody to serve, and says nothing
}

// Who stops the server gets back no connection.
func TestAServerThatHasStopped(t *testing.T) {
	l := newLender(t, nil)
	l.Start()
	c, err := net.Dial("tcp", l.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	lent := <-l.lent
	lent.Watch(func() {})
	if err := l.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(lent, "the last")
	if err := lent.Finish(lent.Pace(patience)); err != nil {
		t.Fatal(err)
	}
	lent.Return()
	if rest, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(rest), "\r\n\r\nthe last") {
		t.Errorf("%q, %v", rest, err)
	}
}

// An answer that says so is the last.
func TestAnAnswerThatEndsTheConnection(t *testing.T) {
	l := newLender(t, nil)
	l.Start()
	c, err := net.Dial("tcp", l.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	lent := <-l.lent
	lent.Watch(func() {})
	lent.Header().Set("Connection", "close")
	lent.WriteHeader(http.StatusServiceUnavailable)
	if err := lent.Finish(lent.Pace(patience)); err != nil {
		t.Fatal(err)
	}
	lent.Return()
	if rest, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(rest), "HTTP/1.1 503 Service Unavailable\r\n") {
		t.Errorf("%q, %v", rest, err)
	}
}

// plain hides what is behind a ResponseWriter.
type plain struct{ http.ResponseWriter }

func TestWhatIsNotLent(t *testing.T) {
	for _, test := range []struct {
		name    string
		request string
		wrap    func(http.ResponseWriter) http.ResponseWriter
	}{
		{"HTTP/1.0", "GET /wait HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", nil},
		{"a connection's last request", "GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", nil},
		{"HEAD", "HEAD /wait HTTP/1.1\r\nHost: x\r\n\r\n", nil},
		{"behind what hides it", "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter) http.ResponseWriter { return plain{w} }},
		{"behind what will compress it", "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter) http.ResponseWriter {
			w.Header().Set("Content-Encoding", "br")
			return w
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLender(t, test.wrap)
			l.Start()
			c, err := net.Dial("tcp", l.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, test.request)
			if lent := <-l.lent; lent != nil {
				t.Fatal("it was lent")
			}
			answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: strings.Fields(test.request)[0]})
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
	t.Run("HTTP/2", func(t *testing.T) {
		l := newLender(t, nil)
		l.EnableHTTP2 = true
		l.StartTLS()
		if _, body := get(t, l.Client(), l.URL+"/wait"); body != "waited" || <-l.lent != nil {
			t.Error("it was lent")
		}
	})
	t.Run("no connection", func(t *testing.T) {
		if loan.Take(httptest.NewRecorder(), httptest.NewRequest("GET", "/wait", nil)) != nil {
			t.Error("it was lent")
		}
	})
}
