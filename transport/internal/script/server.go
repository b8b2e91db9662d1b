package script

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/transport"
)

// Options are usable transport.Options.
func Options() transport.Options {
	return transport.Options{
		Wait:            30 * time.Second,
		MaxMessageBytes: 1024,
		PingInterval:    20 * time.Second,
		PongTimeout:     5 * time.Second,
		WriteTimeout:    10 * time.Second,
	}
}

// Server serves one session over connections that are pipes.
type Server struct {
	// Client reaches the server whatever the URL's host.
	Client *http.Client

	tb    testing.TB
	pipes *pipes
	mu    sync.Mutex
	idle  sync.Cond
	calls int
}

// Serve starts a server whose requests are all served by t with s. It ends with the test.
func Serve(tb testing.TB, t transport.Transport, s transport.Session, o transport.Options) *Server {
	var p http.Protocols
	p.SetHTTP1(true)
	return serve(tb, t, s, o, &p)
}

// ServeHTTP2 is Serve over HTTP/2.
func ServeHTTP2(tb testing.TB, t transport.Transport, s transport.Session, o transport.Options) *Server {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return serve(tb, t, s, o, &p)
}

func serve(tb testing.TB, t transport.Transport, s transport.Session, o transport.Options, p *http.Protocols) *Server {
	srv := &Server{tb: tb, pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}}
	srv.idle.L = &srv.mu
	o.Hold = srv.hold
	server := &http.Server{
		WriteTimeout: time.Second, // never to matter
		ReadTimeout:  time.Second,
		Protocols:    p,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			srv.count(1)
			defer srv.count(-1)
			t.Serve(w, r, s, o)
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(srv.pipes)
	}()
	way := &http.Transport{Protocols: p, DialContext: func(context.Context, string, string) (net.Conn, error) { return srv.Dial() }}
	srv.Client = &http.Client{Transport: way}
	tb.Cleanup(func() {
		way.CloseIdleConnections()
		server.Close()
		srv.Wait()
		<-done
	})
	return srv
}

// Dial opens a connection of one's own.
func (s *Server) Dial() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.pipes.conns <- far:
		return near, nil
	case <-s.pipes.closed:
		return nil, net.ErrClosed
	}
}

// hold is a hub's: the session goes on when Serve has returned.
func (s *Server) hold() (release func(error)) {
	s.count(1)
	return func(failure error) {
		if failure != nil {
			s.tb.Error(failure)
		}
		s.count(-1)
	}
}

// Wait waits until no call of Transport.Serve runs, and no session is held.
func (s *Server) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.calls > 0 {
		s.idle.Wait()
	}
}

func (s *Server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls += n
	s.idle.Broadcast()
}

// pipes is a net.Listener.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
