package websocket_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
)

// What is sent is one unmasked frame a message, with its length in the shortest form: readRaw judges that.
func TestRawMessages(t *testing.T) {
	eachWay(t, func(t *testing.T, srv *rawServer) {
		for _, size := range []int{0, 1, 125, 126, 127, 4095, 4096, 32 << 10, 65535, 65536, 500_000} {
			t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
				s, n := srv.open()
				client := srv.connect(t, n, "")
				var h heard
				message := strings.Repeat("x", size)
				for range 2 {
					said := len(h.data)
					s.Push(script.Frame("a", "", message))
					client.until(t, &h, func() bool { return len(h.data) > said })
				}
				if len(h.data) != 2 || h.data[0] != message || h.data[1] != message {
					t.Errorf("read %.200q", h.data)
				}
				client.Close()
				s.wait(t)
			})
		}
	})
}

// What a session says at once comes whole and in order, whatever it is cut into.
func TestRawBursts(t *testing.T) {
	eachWay(t, func(t *testing.T, srv *rawServer) {
		s, n := srv.open()
		client := srv.connect(t, n, "")
		var h heard
		var want []string
		for burst := range 50 {
			var frames []*transport.Frame
			for i := range burst {
				line := fmt.Sprintf("%d.%d %s", burst, i, strings.Repeat("x", burst*i))
				want = append(want, line)
				frames = append(frames, script.Frame("a", "", line))
			}
			s.Push(frames...)
		}
		whole := strings.Join(want, "\n")
		client.until(t, &h, func() bool { return len(h.echoed()) >= len(whole) })
		if got := h.echoed(); got != whole {
			t.Errorf("read %d bytes, want %d", len(got), len(whole))
		}
		client.Close()
		s.wait(t)
	})
}

// The server begins the close handshake. Behind its close frame it says nothing, and ends when the client has answered (5.5.1, 7.1.1).
func TestRawGoodbyes(t *testing.T) {
	over := &transport.ClosedError{Status: 1008, Code: "forbidden"}
	for _, c := range []struct {
		name   string
		reason *transport.ClosedError
		before []string // what the client sends before; the server has read it
		words  string   // the session's last
		after  []string // what the client sends when it was told
		leaves bool     // the client goes then, else the server is to
		want   string
	}{
		{name: "the client answers", after: []string{closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client answers with another status", after: []string{closing(4321, "so be it")}, want: "\x03\xe9"},
		{name: "the client answers without a status", after: []string{frame(fin|opClose, "")}, want: "\x03\xe9"},
		{name: "the client leaves without an answer", leaves: true, want: "\x03\xe9"},
		{name: "the session says why", reason: over, after: []string{closing(1008, "")}, want: "\x03\xf0forbidden"},
		{name: "the session has last words", words: "reconnect", after: []string{closing(1001, "")}, want: "\x03\xe9"},
		{name: "the session has many last words", words: strings.Repeat("reconnect ", 50_000), after: []string{closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client was in the middle of a header", before: []string{text("half")[:1]}, after: []string{text("half")[1:] + closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client was in the middle of a payload", before: []string{text("half")[:8]}, after: []string{text("half")[8:] + closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client was between fragments", before: []string{frame(opText, "hel")}, after: []string{frame(fin|opContinuation, "lo") + closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client says more before it answers", after: []string{text("a") + ping("1") + text("b"), closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client pings before it answers", after: []string{ping("1"), ping("2") + closing(1001, "")}, want: "\x03\xe9"},
		{name: "the client answers by what is forbidden", after: []string{frame(fin|rsv1|0x3, "x")}, leaves: true, want: "\x03\xe9"},
		{name: "the client answers without a mask", after: []string{"\x88\x00"}, leaves: true, want: "\x03\xe9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, srv *rawServer) {
				s, n := srv.open()
				s.Reason = c.reason
				client := srv.connect(t, n, "")
				var h heard
				client.write(ping("there?") + strings.Join(c.before, ""))
				client.until(t, &h, func() bool { return h.reached("pong there?") })
				if c.words != "" {
					s.Push(script.Frame("last", "", c.words))
				}
				s.Session.Close() // not watched: that is to be the transport's
				var goodbye rawFrame
				for goodbye.op != opClose {
					f, more := <-client.frames
					if !more {
						t.Fatalf("no goodbye: %v", client.err)
					}
					h.note(t, f)
					goodbye = f
				}
				if goodbye.payload != c.want || h.echoed() != c.words {
					t.Errorf("last words of %d bytes and %q, want %d and %q", len(h.echoed()), goodbye.payload, len(c.words), c.want)
				}
				for _, data := range c.after {
					client.write(data)
				}
				if c.leaves {
					client.Close()
				}
				client.until(t, &h, never)
				s.wait(t)
			})
		})
	}
}
