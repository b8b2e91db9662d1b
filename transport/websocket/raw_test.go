package websocket_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/websocket"
)

// overlong is how long anything may take before a case has failed. Nothing waits so long when all is well.
const overlong = 30 * time.Second

// rawLimit is Options.MaxMessageBytes of raw cases.
const rawLimit = 128 << 10

// ways are what a WebSocket runs over, and whether its session is left to who has something to say. The transport serves each on a path of
// its own.
var ways = []struct {
	name         string
	tls, drained bool
}{{"plain", false, false}, {"TLS", true, false}, {"plain, drained", false, true}, {"TLS, drained", true, true}}

// eachWay runs a test over each of the ways.
func eachWay(t *testing.T, test func(t *testing.T, srv *rawServer)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			srv := serveRaw(t, way.tls)
			srv.drained = way.drained
			test(t, srv)
		})
	}
}

// rawServer serves WebSockets over real connections, each with a session of its own.
type rawServer struct {
	*httptest.Server
	drained  bool // sessions do not park
	mu       sync.Mutex
	sessions []*watched
}

func serveRaw(t *testing.T, secure bool) *rawServer {
	srv := &rawServer{}
	srv.Server = httptest.NewUnstartedServer(http.HandlerFunc(srv.serve))
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

func (srv *rawServer) serve(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("session"))
	srv.mu.Lock()
	known := err == nil && n < len(srv.sessions)
	srv.mu.Unlock()
	if !known || !(websocket.Transport{}).Accepts(r) {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	o := script.Options()
	o.PingInterval = time.Hour // a case hears nothing but what it caused
	o.PongTimeout = overlong   // and is closed for no other reason
	o.MaxMessageBytes = rawLimit
	websocket.Transport{}.Serve(w, r, srv.sessions[n], o)
}

// answer is what sessions say to a message. That of a hub, too, answers text which is none with an error.
func answer(message string) string {
	if !utf8.ValidString(message) {
		return "malformed_message"
	}
	return message
}

// open makes a session that answers, and its number in requests.
func (srv *rawServer) open() (s *watched, n int) {
	s = &watched{Session: script.New(), over: make(chan struct{})}
	s.NeverParks = srv.drained
	s.OnReceive = func(_ context.Context, data string) error {
		s.Push(script.Frame("echo", "", answer(data)))
		return nil
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.sessions = append(srv.sessions, s)
	return s, len(srv.sessions) - 1
}

// dial opens a connection of bytes.
func (srv *rawServer) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if srv.TLS != nil {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	c.SetDeadline(time.Now().Add(overlong))
	return c
}

// watched is a session whose end can be waited for.
type watched struct {
	*script.Session
	once sync.Once
	over chan struct{}
}

func (s *watched) Close() {
	s.Session.Close()
	s.once.Do(func() { close(s.over) })
}

// rawClient is the other end of a WebSocket, as bytes. It judges what the server sends by RFC 6455, and answers nothing by itself.
type rawClient struct {
	net.Conn
	frames chan rawFrame // closed at the end, whose reason is err
	err    error
}

type rawFrame struct {
	op      byte
	payload string
}

func (f rawFrame) control() bool { return f.op >= opClose }

// String is how cases name a control frame.
func (f rawFrame) String() string {
	switch f.op {
	case opText:
		return fmt.Sprintf("text %.60q", f.payload)
	case opClose:
		if len(f.payload) < 2 {
			return strings.TrimSpace("close " + f.payload)
		}
		return fmt.Sprintf("close %d", binary.BigEndian.Uint16([]byte(f.payload)))
	case opPing:
		return "ping " + f.payload
	case opPong:
		return "pong " + f.payload
	}
	return fmt.Sprintf("opcode %d", f.op)
}

// upgrade is a whole handshake of RFC 6455, section 1.3.
func upgrade(session int) string {
	return fmt.Sprintf("GET /live/?session=%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", session) +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// connect opens a WebSocket. Early goes out with the handshake, in the same write.
func (srv *rawServer) connect(t *testing.T, session int, early string) *rawClient {
	t.Helper()
	c := srv.dial(t)
	if _, err := io.WriteString(c, upgrade(session)+early); err != nil {
		t.Fatal(err)
	}
	return begin(t, c)
}

// begin reads the answer to the handshake, and from then on frames.
func begin(t *testing.T, conn net.Conn) *rawClient {
	t.Helper()
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v", res, err)
	}
	if got := res.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // as in section 1.3
		t.Fatalf("Sec-WebSocket-Accept: %q", got)
	}
	c := &rawClient{Conn: conn, frames: make(chan rawFrame, 1000)}
	go func() {
		defer close(c.frames)
		for {
			f, err := readRaw(in)
			if err != nil {
				c.err = err
				return
			}
			c.frames <- f
		}
	}()
	t.Cleanup(func() {
		c.Close()
		for range c.frames {
		}
	})
	return c
}

var errNotRFC = errors.New("the server breaks RFC 6455")

// readRaw reads a frame of a server, which must be as RFC 6455 wants it. That it is no fragment is of this library.
func readRaw(in *bufio.Reader) (f rawFrame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:1]); err != nil {
		return f, err // between two frames: io.EOF
	}
	if _, err := io.ReadFull(in, head[1:]); err != nil {
		return f, fmt.Errorf("%w: it leaves in the middle of a frame: %v", errNotRFC, err)
	}
	size, least := uint64(head[1]), uint64(0)
	switch head[1] {
	case 126:
		var long [2]byte
		_, err = io.ReadFull(in, long[:])
		size, least = uint64(binary.BigEndian.Uint16(long[:])), 126
	case 127:
		var long [8]byte
		_, err = io.ReadFull(in, long[:])
		size, least = binary.BigEndian.Uint64(long[:]), 1<<16
	}
	f.op = head[0] & 0x0f
	switch {
	case err != nil || size > 1<<20:
		return f, fmt.Errorf("%w: a length of %d, %v", errNotRFC, size, err)
	case head[0]&0x80 == 0 || head[0]&0x70 != 0 || f.op != opText && f.op != opClose && f.op != opPing && f.op != opPong:
		return f, fmt.Errorf("%w: a frame begins with %#x", errNotRFC, head[0])
	case head[1]&0x80 != 0:
		return f, fmt.Errorf("%w: a masked frame", errNotRFC)
	case size < least || f.control() && size > 125:
		return f, fmt.Errorf("%w: a length of %d in the form for %d", errNotRFC, size, least)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(in, payload); err != nil {
		return f, fmt.Errorf("%w: it leaves in the middle of a frame: %v", errNotRFC, err)
	}
	f.payload = string(payload)
	if f.op == opText && !utf8.ValidString(f.payload) {
		return f, fmt.Errorf("%w: a text that is not UTF-8: %.100q", errNotRFC, f.payload)
	}
	return f, nil
}

// heard is what a client was sent.
type heard struct {
	data    []string // text messages
	control []string // control frames
}

// note takes a frame down. After a close frame there is none (5.5.1).
func (h *heard) note(t *testing.T, f rawFrame) {
	t.Helper()
	if n := len(h.control); n > 0 && strings.HasPrefix(h.control[n-1], "close") {
		t.Errorf("%v came after %s", f, h.control[n-1])
	}
	if f.control() {
		h.control = append(h.control, f.String())
		return
	}
	h.data = append(h.data, f.payload)
}

// reached reports whether this is the last control frame.
func (h *heard) reached(said string) bool {
	return len(h.control) > 0 && h.control[len(h.control)-1] == said
}

// echoed is what the session sent back: it joins messages by newlines.
func (h *heard) echoed() string { return strings.Join(h.data, "\n") }

// until reads until it has heard enough, or to the end. It reports which.
func (c *rawClient) until(t *testing.T, h *heard, enough func() bool) bool {
	t.Helper()
	for !enough() {
		f, more := <-c.frames
		if !more {
			if errors.Is(c.err, errNotRFC) || errors.Is(c.err, os.ErrDeadlineExceeded) {
				t.Errorf("%v; heard %.200q and %.200q before", c.err, h.control, h.data)
			}
			return false
		}
		h.note(t, f)
	}
	return true
}

func (c *rawClient) write(data string) error {
	_, err := io.WriteString(c.Conn, data)
	return err
}

// wait waits for the end of the session.
func (s *watched) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.over:
	case <-time.After(overlong):
		t.Error("the session is open after its client has gone")
	}
}

var _ transport.Session = (*watched)(nil)

// Opcodes, and the bits beside them.
const (
	opContinuation, opText, opBinary, opClose, opPing, opPong = 0x0, 0x1, 0x2, 0x8, 0x9, 0xa
	fin, rsv1, rsv2, rsv3                                     = 0x80, 0x40, 0x20, 0x10
)

// key is what cases mask with.
const key = "\x37\xfa\x21\x3d"

// frame is a frame of a client: the first byte, the length in its shortest form, the key, and the masked payload.
func frame(first byte, payload string) string {
	return header(first, len(payload), key) + mask(payload, key)
}

// header is the part of a frame before the payload.
func header(first byte, size int, key string) string {
	b := []byte{first}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(size))
	}
	return string(b) + key
}

func mask(payload, key string) string {
	b := []byte(payload)
	for i := range b {
		b[i] ^= key[i%4]
	}
	return string(b)
}

func text(s string) string { return frame(fin|opText, s) }
func ping(s string) string { return frame(fin|opPing, s) }

// closing is a close frame with a status and a reason.
func closing(status int, reason string) string {
	return frame(fin|opClose, string([]byte{byte(status >> 8), byte(status)})+reason)
}

// pieces cuts what is sent into writes of so many bytes.
func pieces(size int, s string) (writes []string) {
	for len(s) > size {
		writes, s = append(writes, s[:size]), s[size:]
	}
	return append(writes, s)
}
