package checker

import (
	"compress/gzip"
	"net"
	"net/http"
	"strings"
	"sync"
)

// socket is a listener that knows its connections, so that a hub can be killed.
type socket struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

func listen() *socket {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return &socket{Listener: l, conns: map[net.Conn]struct{}{}}
}

// Accept waits for a connection.
func (s *socket) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	k := &known{c, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		reset(c)
		return k, nil
	}
	s.conns[c] = struct{}{}
	return k, nil
}

// cut resets all connections and takes no more.
func (s *socket) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	_ = s.Listener.Close()
	for c := range s.conns {
		reset(c)
	}
}

// known is a connection that its socket forgets when it is closed.
type known struct {
	net.Conn
	socket *socket
}

// Close closes it.
func (k *known) Close() error {
	k.socket.mu.Lock()
	delete(k.socket.conns, k.Conn)
	k.socket.mu.Unlock()
	return k.Conn.Close()
}

// reset ends a connection so that the other side gets an RST.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// zip is a middleware that compresses whatever the client takes compressed.
func zip(tally *Tally, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || r.Header.Get("Upgrade") != "" {
			next.ServeHTTP(rw, r)
			return
		}
		tally.Fault(Gzip)
		z := &zipped{ResponseWriter: rw, gz: gzip.NewWriter(rw)}
		defer z.gz.Close()
		rw.Header().Set("Content-Encoding", "gzip")
		rw.Header().Add("Vary", "Accept-Encoding")
		next.ServeHTTP(z, r)
	})
}

// zipped is an answer that is compressed.
type zipped struct {
	http.ResponseWriter
	gz *gzip.Writer
}

// Write compresses.
func (z *zipped) Write(p []byte) (int, error) { return z.gz.Write(p) }

// Unwrap lets an http.ResponseController set deadlines.
func (z *zipped) Unwrap() http.ResponseWriter { return z.ResponseWriter }

// FlushError sends what was written.
func (z *zipped) FlushError() error {
	if err := z.gz.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(z.ResponseWriter).Flush()
}

// Flush sends what was written.
func (z *zipped) Flush() { _ = z.FlushError() }
