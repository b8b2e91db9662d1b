package pusher

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
)

// rawClient is a connection without a goroutine of its own.
type rawClient struct {
	*testing.T
	conn net.Conn
	in   *bufio.Reader
}

// dialIdle opens a connection that follows a channel.
func (n *node) dialIdle(channel string) *rawClient {
	n.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "ws://"))
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "GET /app/%s%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", testApp.Key, query)
	c := &rawClient{n.T, conn, bufio.NewReader(conn)}
	r, err := http.ReadResponse(c.in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		n.Fatalf("%v, %v", r, err)
	}
	c.want("connection_established")
	text := fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q}}`, channel)
	conn.Write(append(append([]byte{0x81, 0x80 | byte(len(text))}, 0, 0, 0, 0), text...)) // masked with zeros
	c.want("subscription_succeeded")
	return c
}

// want reads a frame, which must hold a text.
func (c *rawClient) want(text string) {
	c.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		c.Fatal(err)
	}
	size := int(head[1])
	if size == 126 {
		var long [2]byte
		io.ReadFull(c.in, long[:])
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(c.in, data); err != nil || head[0] != 0x81 || !strings.Contains(string(data), text) {
		c.Fatalf("%x %s, %v: want %s", head, data, err, text)
	}
}

// TestIdleConnectionsNeedNoGoroutine, and what they have in common is made ready for the wire once.
func TestIdleConnectionsNeedNoGoroutine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere a goroutine reads")
	}
	n := startNode(t, nil, live.Options{DrainWindow: time.Millisecond}, Options{Apps: []App{silent}})
	publish := func(all []*rawClient) (allocations uint64) {
		var before, after runtime.MemStats
		const events = 20
		runtime.ReadMemStats(&before)
		for i := range events {
			n.trigger("news", "e", fmt.Sprint(i))
			all[len(all)-1].want(fmt.Sprintf(`"data":"%d"`, i))
		}
		runtime.ReadMemStats(&after)
		for _, c := range all[:len(all)-1] {
			for i := range events {
				c.want(fmt.Sprintf(`"data":"%d"`, i))
			}
		}
		return (after.Mallocs - before.Mallocs) / events
	}
	few := []*rawClient{n.dialIdle("news")}
	for range 9 {
		few = append(few, n.dialIdle("news"))
	}
	publish(few) // what is made once
	allocations := publish(few)
	goroutines := runtime.NumGoroutine()
	many := few
	for range 300 {
		many = append(many, n.dialIdle("news"))
	}
	n.until("the connections are parked", func() bool { return runtime.NumGoroutine() < goroutines+30 })
	publish(many)
	if more := publish(many); more > allocations+280 { // one for each would be more; the race detector has pools forget
		t.Errorf("an event allocates %d times for 10 connections, %d times for 310", allocations, more)
	} else {
		t.Logf("an event allocates %d times for 10 connections, %d times for 310", allocations, more)
	}
	t.Logf("%d goroutines for 10 connections, %d for 310", goroutines, runtime.NumGoroutine())
}
