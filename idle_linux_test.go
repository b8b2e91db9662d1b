package live_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"

	"github.com/swampline/live"
)

// TestIdleStreams bounds what a stream holds on the heap that is told nothing: its session, one subscription, and what Go has for its connection; what
// the client has is the kernel's. Portable are those whose connections are waited for by a goroutine each, as over TLS and on other systems. What the
// runtime has for a goroutine it uses again, so this is made before, and does not count.
func TestIdleStreams(t *testing.T) {
	const streams = 400
	var begun, ended sync.WaitGroup
	begun.Add(2 * streams)
	for range 2 * streams {
		ended.Go(func() { begun.Done(); begun.Wait() })
	}
	ended.Wait()
	for _, test := range []struct {
		transport, request string
		portable           bool
		most               int // bytes
	}{
		{"sse", subscribing, false, 2750},
		{"sse", subscribing, true, 2800},
		{"websocket", handshake + string(masked(subscription)), false, 4550},
		{"websocket", handshake + string(masked(subscription)), true, 4700},
	} {
		t.Run(fmt.Sprintf("%s, portable %v", test.transport, test.portable), func(t *testing.T) {
			db := newTable()
			db.insert(item{ListID: 1, Title: "x"})
			hub := live.New(live.Options{Logger: slog.New(slog.DiscardHandler)})
			hub.Register(db.router("items"))
			server := httptest.NewUnstartedServer(hub)
			clients := idlers{t: t, port: server.Listener.Addr().(*net.TCPAddr).Port}
			if test.portable {
				server.Listener = veiled{server.Listener}
			}
			server.Start()
			defer func() { clients.leave(); server.Close(); _ = hub.Shutdown(t.Context()) }()

			clients.open(streams/10, test.request) // what is made once
			goroutines, heap := settled(t, 0, 0)
			clients.open(streams, test.request)
			waiting, bytes := settled(t, 0, 0)
			each := (int(bytes) - int(heap)) / streams
			t.Logf("a stream holds %d bytes", each)
			if each > test.most {
				t.Errorf("a stream holds %d bytes, want %d at most", each, test.most)
			}
			if wait := waiting-goroutines >= streams; wait != test.portable {
				t.Errorf("%d goroutines more for %d streams", waiting-goroutines, streams)
			}
		})
	}
}

const subscription = `{"type":"subscribe","id":1,"router":"items","where":{"list_id":1}}`

var subscribing = fmt.Sprintf("POST /live/ HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s",
	len(subscription), subscription)

// veiled is a listener whose connections are known to be nothing more.
type veiled struct{ net.Listener }

func (l veiled) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// idlers are clients of which Go knows nothing.
type idlers struct {
	t       *testing.T
	port    int
	sockets []int
}

// open opens streams, one after the other, and reads each up to its snapshot.
func (c *idlers) open(n int, request string) {
	c.t.Helper()
	data := make([]byte, 16<<10)
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		c.sockets = append(c.sockets, fd)
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: c.port, Addr: [4]byte{127, 0, 0, 1}})
		if err == nil {
			err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 60})
		}
		if err == nil {
			_, err = syscall.Write(fd, []byte(request))
		}
		for got := 0; err == nil && !bytes.Contains(data[:got], []byte(`"snapshot"`)); {
			var more int
			more, err = syscall.Read(fd, data[got:])
			switch {
			case err == syscall.EINTR: // the runtime's signals end a read that has a time-out
				more, err = 0, nil
			case more <= 0:
				c.t.Fatalf("the stream ended behind %q: %v", data[:got], err)
			}
			got += more
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *idlers) leave() {
	for _, fd := range c.sockets {
		syscall.Close(fd)
	}
}
