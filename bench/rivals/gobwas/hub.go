package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/swampline/live/bench/rivals/internal/rival"
)

// waiting is how many messages may wait for a shard. Who broadcasts more waits.
const waiting = 256

// hub is gobwas/ws at its barest: the frame is compiled once, and a goroutine for each core writes it to its part of the connections. A
// client that does not read stops its shard, as nothing here has a deadline.
type hub struct {
	hello  []byte
	shards []*shard
	next   atomic.Uint32
}

// shard owns a part of the connections. Its goroutine writes, and everybody's reader removes.
type shard struct {
	frames chan []byte

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newHub() *hub {
	h := &hub{hello: frame([]byte(rival.Hello)), shards: make([]*shard, runtime.GOMAXPROCS(0))}
	for i := range h.shards {
		h.shards[i] = &shard{frames: make(chan []byte, waiting), conns: make(map[net.Conn]struct{})}
		go h.shards[i].write()
	}
	return h
}

// ServeHTTP upgrades and returns, so that the request can be freed.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // UpgradeHTTP has answered.
	}
	s := h.shards[h.next.Add(1)%uint32(len(h.shards))]
	s.add(conn, h.hello)
	go s.read(conn)
}

// read answers control frames until the client is gone. What else it sends is thrown away.
func (s *shard) read(conn net.Conn) {
	defer s.remove(conn)
	control := wsutil.ControlFrameHandler(conn, ws.StateServerSide)
	reader := wsutil.Reader{Source: conn, State: ws.StateServerSide, OnIntermediate: control}
	for {
		header, err := reader.NextFrame()
		if err != nil {
			return
		}
		if header.OpCode.IsControl() {
			if err := control(header, &reader); err != nil && !errors.Is(err, io.EOF) {
				return
			}
			continue
		}
		if reader.Discard() != nil {
			return
		}
	}
}

func (s *shard) write() {
	for frame := range s.frames {
		s.mu.Lock()
		for conn := range s.conns {
			if _, err := conn.Write(frame); err != nil {
				conn.Close() // Its reader removes it.
			}
		}
		s.mu.Unlock()
	}
}

// add says hello before the connection is written to by the shard.
func (s *shard) add(conn net.Conn, hello []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := conn.Write(hello); err != nil {
		return // Reading fails then, too.
	}
	s.conns[conn] = struct{}{}
}

func (s *shard) remove(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// Broadcast sends one text message to every client.
func (h *hub) Broadcast(message []byte) {
	f := frame(message)
	for _, s := range h.shards {
		s.frames <- f
	}
}

func frame(message []byte) []byte { return ws.MustCompileFrame(ws.NewTextFrame(message)) }

// Clients is how many are connected.
func (h *hub) Clients() int {
	n := 0
	for _, s := range h.shards {
		s.mu.Lock()
		n += len(s.conns)
		s.mu.Unlock()
	}
	return n
}
