package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/websocket"
)

// bubble runs a test in a testing/synctest bubble with a client that reads and answers pings.
func bubble(t *testing.T, s *script.Session, o transport.Options, test func(t *testing.T, c *ws.Conn, srv *script.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := script.Serve(t, websocket.Transport{}, s, o)
		c, _, err := ws.Dial(t.Context(), "ws://pipe/live/", &ws.DialOptions{HTTPClient: srv.Client})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(-1)
		test(t, c, srv)
		c.CloseNow()
		srv.Wait()
		if !s.Closed() {
			t.Error("the session is open after its client has gone")
		}
	})
}

func read(t *testing.T, c *ws.Conn) string {
	t.Helper()
	kind, data, err := c.Read(context.Background())
	if err != nil || kind != ws.MessageText {
		t.Fatalf("read %v: %v", kind, err)
	}
	return string(data)
}

func write(t *testing.T, c *ws.Conn, kind ws.MessageType, data string) {
	t.Helper()
	if err := c.Write(context.Background(), kind, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

// deaf opens a WebSocket by hand, whose client answers nothing.
func deaf(t *testing.T, srv *script.Server) net.Conn {
	t.Helper()
	c, err := srv.Dial()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /live/ HTTP/1.1\r\nHost: pipe\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v", res, err)
	}
	return c
}

func TestAccepts(t *testing.T) {
	for _, test := range []struct {
		method, upgrade string
		want            bool
	}{
		{"GET", "websocket", true},
		{"GET", "h2c, WebSocket", true},
		{"GET", "", false},
		{"GET", "h2c", false},
		{"POST", "websocket", false},
	} {
		r := httptest.NewRequest(test.method, "/live/", nil)
		r.Header.Set("Upgrade", test.upgrade)
		if got := (websocket.Transport{}).Accepts(r); got != test.want {
			t.Errorf("%s with Upgrade %q: accepts %v", test.method, test.upgrade, got)
		}
	}
}

func TestFramesAreJoined(t *testing.T) {
	big := `"` + strings.Repeat("x", 20<<10) + `"`
	s := script.New(script.Frame("a", "", "1"), script.Frame("b", "", "2"), script.Frame("c", "", big), script.Frame("d", "", big),
		script.Frame("e", "", "5"))
	bubble(t, s, script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
		if got := read(t, c); got != "1\n2\n"+big {
			t.Errorf("first message: %.50q… of %d bytes", got, len(got))
		}
		if got := read(t, c); got != big+"\n5" {
			t.Errorf("second message: %.50q… of %d bytes", got, len(got))
		}
		s.Push(script.Frame("f", "", "6"))
		if got := read(t, c); got != "6" {
			t.Errorf("third message: %q", got)
		}
	})
}

func TestReceivesBodyFirst(t *testing.T) {
	s := script.New()
	s.OnReceive = func(_ context.Context, data string) error {
		s.Push(script.Frame("echo", "", data))
		return nil
	}
	o := script.Options()
	o.Body = []byte("subscribe")
	bubble(t, s, o, func(t *testing.T, c *ws.Conn, srv *script.Server) {
		if got := read(t, c); got != "subscribe" {
			t.Errorf("received %q, want the body", got)
		}
		write(t, c, ws.MessageText, "one\ntwo")
		if got := read(t, c); got != "one\ntwo" {
			t.Errorf("received %q, want the message as it was sent", got)
		}
	})
}

func TestTooLarge(t *testing.T) {
	s := script.New()
	s.OnReceive = func(_ context.Context, data string) error {
		s.Push(script.Frame("echo", "", data))
		return nil
	}
	o := script.Options()
	o.MaxMessageBytes = 8 << 10
	bubble(t, s, o, func(t *testing.T, c *ws.Conn, srv *script.Server) {
		for _, size := range []int{8<<10 + 1, 16 * 8 << 10} {
			write(t, c, ws.MessageText, strings.Repeat("x", size))
			if got := read(t, c); !strings.Contains(got, "message_too_large") {
				t.Errorf("%d bytes: %q", size, got)
			}
			exact := strings.Repeat("y", 8<<10)
			write(t, c, ws.MessageText, exact)
			if got := read(t, c); got != exact {
				t.Errorf("after %d bytes: the next message did not arrive: %.50q", size, got)
			}
		}
		if s.Large() != 2 {
			t.Errorf("the session was told of %d messages that are too large, want 2", s.Large())
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name string
		kind ws.MessageType
		size int
		want ws.StatusCode
	}{
		{"binary", ws.MessageBinary, 1, ws.StatusUnsupportedData},
		{"far too large", ws.MessageText, 1 << 20, ws.StatusMessageTooBig},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, script.New(), script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
				go c.Write(t.Context(), test.kind, make([]byte, test.size))
				_, _, err := c.Read(t.Context())
				if got := ws.CloseStatus(err); got != test.want {
					t.Errorf("closed with %v (%v), want %v", got, err, test.want)
				}
			})
		})
	}
}

func TestSessionCloses(t *testing.T) {
	s := script.New()
	bubble(t, s, script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
		s.Push(script.Frame("reconnect", "", `{"type":"reconnect","after":1200}`))
		s.Close()
		if got := read(t, c); got != `{"type":"reconnect","after":1200}` {
			t.Errorf("last words: %q", got)
		}
		_, _, err := c.Read(t.Context())
		if got := ws.CloseStatus(err); got != ws.StatusGoingAway {
			t.Errorf("closed with %v (%v), want 1001", got, err)
		}
	})
}

func TestSessionIsEndedForAReason(t *testing.T) {
	s := script.New()
	s.Reason = &transport.ClosedError{Status: 1013, Code: "too_slow"}
	bubble(t, s, script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
		s.Close()
		_, _, err := c.Read(t.Context())
		var closed ws.CloseError
		if errors.As(err, &closed); closed.Code != ws.StatusTryAgainLater || closed.Reason != "too_slow" {
			t.Errorf("closed with %v, want 1013 too_slow", err)
		}
	})
}

// A client that sends while the session is being closed still gets the last frames.
func TestLastWordsAfterRefusedMessage(t *testing.T) {
	s := script.New()
	bubble(t, s, script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
		s.OnReceive = func(context.Context, string) error { return transport.ErrClosed }
		write(t, c, ws.MessageText, "too late")
		synctest.Wait()
		s.Push(script.Frame("reconnect", "", "last"))
		s.Close()
		if got := read(t, c); got != "last" {
			t.Errorf("last words: %q", got)
		}
		if _, _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusGoingAway {
			t.Errorf("closed with %v, want 1001", err)
		}
	})
}

func TestClientCloses(t *testing.T) {
	s := script.New()
	bubble(t, s, script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
		if err := c.Close(ws.StatusNormalClosure, ""); err != nil {
			t.Errorf("close handshake: %v", err)
		}
		srv.Wait()
	})
}

func TestPingKeepsQuietConnectionOpen(t *testing.T) {
	s := script.New()
	bubble(t, s, script.Options(), func(t *testing.T, c *ws.Conn, srv *script.Server) {
		for start := time.Now(); time.Since(start) < time.Hour; {
			before := time.Now()
			if got := read(t, c); !strings.Contains(got, `"cursor"`) {
				t.Fatalf("read %q, want a cursor", got)
			}
			if d := time.Since(before); d < 16*time.Second || d > 24*time.Second {
				t.Errorf("a cursor after %v, want 20 s ± 20 %%", d)
			}
		}
	})
}

// While the session takes no more, the reader does not listen for pongs: that is not the client's fault.
func TestPingWhileSessionIsBusy(t *testing.T) {
	s := script.New()
	s.OnReceive = func(ctx context.Context, _ string) error {
		select {
		case <-time.After(10 * time.Minute):
			s.Push(script.Frame("done", "", "done"))
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	o := script.Options()
	o.Body = []byte("slow")
	synctest.Test(t, func(t *testing.T) {
		srv := script.Serve(t, websocket.Transport{}, s, o)
		c := deaf(t, srv) // a pipe holds no pong that nobody reads
		defer c.Close()
		for said := ""; !strings.Contains(said, "done"); {
			data := make([]byte, 4096)
			n, err := c.Read(data)
			if err != nil {
				t.Fatalf("closed while the session was busy: %v", err)
			}
			said += string(data[:n])
		}
	})
}

func TestDeadClients(t *testing.T) {
	o := script.Options()
	o.PongTimeout = 3 * time.Second // the library would wait five for the answer to a close
	for _, test := range []struct {
		name     string
		reads    bool
		act      func(s *script.Session)
		from, to time.Duration
	}{
		{"no pong", true, func(*script.Session) {}, o.PingInterval*8/10 + o.PongTimeout, o.PingInterval*12/10 + o.PongTimeout},
		{"no reading", false, func(s *script.Session) { s.Push(script.Frame("a", "", "1")) }, o.WriteTimeout, o.WriteTimeout},
		{"no answer to close", true, func(s *script.Session) { s.Close() }, o.PongTimeout, o.PongTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.New()
				srv := script.Serve(t, websocket.Transport{}, s, o)
				c := deaf(t, srv)
				defer c.Close()
				if test.reads {
					go io.Copy(io.Discard, c)
				}
				synctest.Wait()
				start := time.Now()
				test.act(s)
				srv.Wait()
				if d := time.Since(start); d < test.from || d > test.to {
					t.Errorf("served for %v, want %v to %v", d, test.from, test.to)
				}
				if !s.Closed() {
					t.Error("the session is open after its client has gone")
				}
				if s.Slow() != !test.reads {
					t.Errorf("the session was told that its client is too slow: %v", s.Slow())
				}
			})
		})
	}
}

func TestSlowClientIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := script.New(), script.Options()
		o.PingInterval, o.PongTimeout = time.Hour, time.Hour
		srv := script.Serve(t, websocket.Transport{}, s, o)
		c := deaf(t, srv)
		defer c.Close()
		const size = 100_000
		s.Push(script.Frame("snapshot", "", strings.Repeat("x", size)))
		start := time.Now()
		for range size / 1000 { // a kilobyte a second
			if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			time.Sleep(time.Second)
		}
		if s.Closed() || s.Slow() {
			t.Error("the session was ended")
		}
		c.Close()
		srv.Wait()
	})
}

func TestCutWhileWritingAndClosing(t *testing.T) {
	for name, act := range map[string]func(s *script.Session){
		"writing": func(s *script.Session) { s.Push(script.Frame("a", "", "1")) },
		"closing": func(s *script.Session) { s.Close() },
		"waiting": func(s *script.Session) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cut := context.WithCancel(t.Context())
				s, o := script.New(), script.Options()
				o.Cut = ctx
				srv := script.Serve(t, websocket.Transport{}, s, o)
				c := deaf(t, srv)
				defer c.Close()
				synctest.Wait()
				act(s)
				time.AfterFunc(time.Second, cut)
				start := time.Now()
				srv.Wait()
				if d := time.Since(start); d != time.Second {
					t.Errorf("served for %v", d)
				}
			})
		})
	}
}

func TestCannotHijack(t *testing.T) {
	r := httptest.NewRequest("GET", "/live/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	w := httptest.NewRecorder()
	s := script.New()
	websocket.Transport{}.Serve(w, r, s, script.Options())
	if w.Code != http.StatusNotImplemented || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if !s.Closed() {
		t.Error("the session is open")
	}
}

// A message that is begun must end in time, however lively it trickles in; one that comes in time is none of this.
func TestAMessageThatTricklesIn(t *testing.T) {
	o := script.Options()
	o.ReceiveTimeout, o.MaxMessageBytes = 50*time.Second, 1<<20
	for _, test := range []struct {
		seconds, ended int // after which the server has ended it; 0 for never
	}{{40, 0}, {100, 50}} {
		synctest.Test(t, func(t *testing.T) {
			s := script.New()
			received := make(chan string, 1)
			s.OnReceive = func(_ context.Context, data string) error { received <- data; return nil }
			srv := script.Serve(t, websocket.Transport{}, s, o)
			c := deaf(t, srv)
			said := make(chan []byte, 1)
			go func() {
				data, _ := io.ReadAll(c)
				said <- data
			}()
			start := time.Now()
			const perSecond = 200 // fewer, and the ping's answer, which cannot come meanwhile, is missed
			size := test.seconds * perSecond
			c.Write([]byte{0x81, 0xfe, byte(size >> 8), byte(size), 0, 0, 0, 0}) // a text message with a mask of zeros
			for range test.seconds {
				<-time.After(time.Second)
				if _, err := c.Write(bytes.Repeat([]byte(" "), perSecond)); err != nil {
					break
				}
			}
			if test.ended == 0 {
				if data := <-received; len(data) != size {
					t.Errorf("received %d bytes", len(data))
				}
				c.Close()
				srv.Wait()
				return
			}
			srv.Wait()
			if d := time.Since(start); d < time.Duration(test.ended)*time.Second || d > time.Duration(test.ended+2)*time.Second+o.PongTimeout {
				t.Errorf("ended after %v", d)
			}
			if data := <-said; !strings.Contains(string(data), "\x03\xf5too_slow") { // 1013
				t.Errorf("said %q", data)
			}
			if len(received) != 0 {
				t.Error("half a message was received")
			}
			c.Close()
		})
	}
}

// Who reads a byte a second is not served longer than one write may take.
func TestAReaderOfAByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := script.Options()
		s := script.New()
		srv := script.Serve(t, websocket.Transport{}, s, o)
		c := deaf(t, srv)
		gone := make(chan struct{})
		defer func() { c.Close(); <-gone }()
		go func() {
			defer close(gone)
			one := make([]byte, 1)
			for {
				<-time.After(time.Second)
				if _, err := c.Read(one); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		start := time.Now()
		s.Push(script.Frame("a", "", `"`+strings.Repeat("x", 1000)+`"`))
		srv.Wait()
		if d := time.Since(start); d != o.WriteTimeout || !s.Closed() {
			t.Errorf("served for %v, closed %v", d, s.Closed())
		}
	})
}
