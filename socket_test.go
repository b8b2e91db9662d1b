package live_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
)

// websocketTo opens a WebSocket by hand, whose client answers nothing that it is sent. Opened is closed when the server has accepted it.
func websocketTo(t testing.TB, addr string, opened chan<- struct{}, messages ...string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Write([]byte(handshake))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, m := range messages {
		if _, err := c.Write(masked(m)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := in.Peek(1); err != nil { // hello
		t.Fatal(err)
	}
	close(opened)
	return c
}

const handshake = "GET /live/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// masked is a text frame of a client, of less than 64 KiB, with a mask of zeros.
func masked(text string) []byte {
	var b strings.Builder
	b.WriteByte(0x81)
	if n := len(text); n < 126 {
		b.WriteByte(0x80 | byte(n))
	} else {
		b.Write([]byte{0x80 | 126, byte(n >> 8), byte(n)})
	}
	b.WriteString("\x00\x00\x00\x00")
	b.WriteString(text)
	return []byte(b.String())
}
