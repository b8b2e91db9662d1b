package websocket_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// handshakes are requests, and what a hub answers (RFC 6455, section 4.2). A header that begins with - takes one of the usual ones away.
var handshakes = []struct {
	rfc, name string
	line      string // GET /live/ HTTP/1.1 if empty
	headers   []string
	status    int
	answer    string // a header that the answer must have
	without   string // one that it must not
	differs   string
}{
	{rfc: "1.3", name: "as it should be", status: 101, answer: "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
	{rfc: "4.2.2", name: "the answer upgrades", status: 101, answer: "Upgrade: websocket"},
	{rfc: "4.2.2", name: "the answer's connection upgrades", status: 101, answer: "Connection: Upgrade"},
	{rfc: "4.2.1", name: "other case", headers: []string{"-Upgrade", "uPGRADE: WebSocket", "-Connection", "CONNECTION: upgrade"}, status: 101},
	{rfc: "4.2.1", name: "a list of connection options", headers: []string{"-Connection", "Connection: keep-alive, Upgrade"}, status: 101},
	{rfc: "4.2.1", name: "two connection headers", headers: []string{"-Connection", "Connection: keep-alive", "Connection: Upgrade"}, status: 101},
	{rfc: "4.2.1", name: "a list of protocols to upgrade to", headers: []string{"-Upgrade", "Upgrade: h2c, websocket"}, status: 101},
	{rfc: "4.2.1", name: "spaces around the key", headers: []string{"-Sec-WebSocket-Key", "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  "}, status: 101},
	{rfc: "4.2.1", name: "a whole URL", line: "GET http://x/live/ HTTP/1.1", status: 101},
	{rfc: "4.2.1", name: "a page of the same host", headers: []string{"Origin: SCHEME://x"}, status: 101},
	{rfc: "10.2", name: "a page of another host", headers: []string{"Origin: SCHEME://evil.example"}, status: 403, without: "Upgrade"},
	{rfc: "10.2", name: "a page of none", headers: []string{"Origin: null"}, status: 403, without: "Upgrade"},
	{rfc: "4.2.1", name: "another method", line: "POST /live/ HTTP/1.1", headers: []string{"Content-Length: 0"}, status: 415, without: "Upgrade"},
	{rfc: "4.2.1", name: "HTTP/1.0", line: "GET /live/ HTTP/1.0", status: 426, without: "Sec-WebSocket-Accept"},
	{rfc: "4.2.1", name: "no host", headers: []string{"-Host"}, status: 400, without: "Upgrade"},
	{rfc: "4.2.1", name: "two hosts", headers: []string{"Host: y"}, status: 400, without: "Upgrade"},
	{rfc: "4.2.1", name: "no upgrade", headers: []string{"-Upgrade"}, status: 426, answer: "Upgrade: websocket", without: "Sec-WebSocket-Accept"},
	{rfc: "4.2.1", name: "an upgrade to something else", headers: []string{"-Upgrade", "Upgrade: websockets"}, status: 426, answer: "Upgrade: websocket"},
	{rfc: "4.2.1", name: "no connection option", headers: []string{"-Connection"}, status: 426, answer: "Upgrade: websocket"},
	{rfc: "4.2.1", name: "another connection option", headers: []string{"-Connection", "Connection: keep-alive"}, status: 426, answer: "Upgrade: websocket"},
	{rfc: "4.2.1", name: "no key", headers: []string{"-Sec-WebSocket-Key"}, status: 400, without: "Sec-WebSocket-Accept"},
	{rfc: "4.2.1", name: "an empty key", headers: []string{"-Sec-WebSocket-Key", "Sec-WebSocket-Key:"}, status: 400},
	{rfc: "4.2.1", name: "a key of 15 bytes", headers: []string{"-Sec-WebSocket-Key", "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1"}, status: 400},
	{rfc: "4.2.1", name: "a key of 17 bytes", headers: []string{"-Sec-WebSocket-Key", "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Njc="}, status: 400},
	{rfc: "4.2.1", name: "a key that is not base64", headers: []string{"-Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="}, status: 400},
	{rfc: "11.3.1", name: "two keys", headers: []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="}, status: 400},
	{rfc: "4.4", name: "no version", headers: []string{"-Sec-WebSocket-Version"}, status: 400, answer: "Sec-WebSocket-Version: 13"},
	{rfc: "4.4", name: "an older version", headers: []string{"-Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"}, status: 400, answer: "Sec-WebSocket-Version: 13"},
	{rfc: "4.4", name: "a newer version", headers: []string{"-Sec-WebSocket-Version", "Sec-WebSocket-Version: 14"}, status: 400, answer: "Sec-WebSocket-Version: 13"},
	{rfc: "4.4", name: "a version with a leading zero", headers: []string{"-Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"}, status: 400, answer: "Sec-WebSocket-Version: 13"},
	{rfc: "4.4", name: "several versions", headers: []string{"-Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"}, status: 400, answer: "Sec-WebSocket-Version: 13"},
	{rfc: "4.2.2", name: "subprotocols, of which there is none", headers: []string{"Sec-WebSocket-Protocol: chat, superchat"}, status: 101, without: "Sec-WebSocket-Protocol"},
	{rfc: "9.1", name: "compression, which is not offered", headers: []string{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}, status: 101, without: "Sec-WebSocket-Extensions"},
	{rfc: "9.1", name: "an extension that nobody knows", headers: []string{"Sec-WebSocket-Extensions: x-frames; a=1, x-more"}, status: 101, without: "Sec-WebSocket-Extensions"},
	{rfc: "9.1", name: "extensions that cannot be read", headers: []string{"Sec-WebSocket-Extensions: ;;=,"}, status: 101, without: "Sec-WebSocket-Extensions",
		differs: "such a header MUST fail the connection; the library, which agrees on no extension, does not read it"},
}

func TestHandshakes(t *testing.T) {
	hub := live.New(live.Options{})
	t.Cleanup(func() { hub.Shutdown(t.Context()) })
	eachWay(t, func(t *testing.T, srv *rawServer) {
		srv.Config.Handler = hub
		for _, c := range handshakes {
			t.Run(c.rfc+" "+c.name, func(t *testing.T) {
				if c.differs != "" {
					t.Log("RFC 6455: " + c.differs)
				}
				line := c.line
				if line == "" {
					line = "GET /live/ HTTP/1.1"
				}
				conn := srv.dial(t)
				request := line + "\r\n" + strings.Join(usual(c.headers, srv.TLS != nil), "\r\n") + "\r\n\r\n"
				for _, piece := range pieces(50, request) {
					if _, err := io.WriteString(conn, piece); err != nil {
						t.Fatal(err)
					}
				}
				in := bufio.NewReader(conn)
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != c.status {
					body, _ := io.ReadAll(res.Body)
					t.Fatalf("%s %v %s, want %d", res.Status, res.Header, body, c.status)
				}
				if name, value, _ := strings.Cut(c.answer, ": "); c.answer != "" && res.Header.Get(name) != value {
					t.Errorf("%s: %q, want %q", name, res.Header.Get(name), value)
				}
				if got, there := res.Header[http.CanonicalHeaderKey(c.without)]; there {
					t.Errorf("%s: %q, want none", c.without, got)
				}
				if c.status == http.StatusSwitchingProtocols { // and it works
					hello, err := readRaw(in)
					if err != nil || !strings.HasPrefix(hello.payload, `{"type":"hello"`) {
						t.Errorf("hello: %v, %v", hello, err)
					}
				}
				conn.Close()
			})
		}
	})
}

// usual returns the headers of a handshake with these besides, or instead.
func usual(changes []string, secure bool) (headers []string) {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	all := []string{"Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for _, h := range all {
		keep := true
		name, _, _ := strings.Cut(h, ":")
		for _, change := range changes {
			keep = keep && change != "-"+name
		}
		if keep {
			headers = append(headers, h)
		}
	}
	for _, change := range changes {
		if !strings.HasPrefix(change, "-") {
			headers = append(headers, strings.ReplaceAll(change, "SCHEME", scheme))
		}
	}
	return headers
}
