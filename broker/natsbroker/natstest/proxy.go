package natstest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between clients and a server, and can do to them what a network does. Its methods may be called from several
// goroutines at once.
type Proxy struct {
	l      net.Listener
	server string

	mu     sync.Mutex
	change *sync.Cond
	frozen bool // nothing passes, in no direction
	deaf   bool // nothing from the server passes: it is thrown away
	closed bool
	conns  map[net.Conn]struct{}
	pumps  sync.WaitGroup
}

// NewProxy starts a proxy before the server at a URL; it ends when the test is over.
func NewProxy(t testing.TB, url string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{l: l, server: strings.TrimPrefix(url, "nats://"), conns: make(map[net.Conn]struct{})}
	p.change = sync.NewCond(&p.mu)
	p.pumps.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL returns where clients reach the proxy.
func (p *Proxy) URL() string { return "nats://" + p.l.Addr().String() }

// Freeze lets nothing pass until Thaw, and keeps every connection: a machine that stands still.
func (p *Proxy) Freeze() { p.set(func() { p.frozen = true }) }

// Thaw ends Freeze. What came meanwhile passes.
func (p *Proxy) Thaw() { p.set(func() { p.frozen = false }) }

// Deafen throws away what the server sends until Cut: what clients ask is done, and they do not learn of it.
func (p *Proxy) Deafen() { p.set(func() { p.deaf = true }) }

// Cut breaks all connections, and ends Deafen. New connections are taken.
func (p *Proxy) Cut() {
	p.set(func() {
		p.deaf = false
		for c := range p.conns {
			_ = c.Close()
		}
	})
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.change.Broadcast()
}

func (p *Proxy) close() {
	_ = p.l.Close()
	p.set(func() { p.closed, p.frozen = true, false })
	p.Cut()
	p.pumps.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil || !p.add(client, server) {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.pumps.Go(func() { p.pump(server, client, false) })
		p.pumps.Go(func() { p.pump(client, server, true) })
	}
}

func (p *Proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

// pump copies from one side to the other until one of them ends.
func (p *Proxy) pump(to, from net.Conn, fromServer bool) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, to)
		delete(p.conns, from)
	}()
	_, _ = io.Copy(valve{to, p, fromServer}, from)
}

// valve is one direction of a connection.
type valve struct {
	net.Conn
	p          *Proxy
	fromServer bool
}

// Write writes when the proxy lets it.
func (v valve) Write(b []byte) (int, error) {
	v.p.mu.Lock()
	for v.p.frozen {
		v.p.change.Wait()
	}
	drop := v.p.deaf && v.fromServer
	v.p.mu.Unlock()
	if drop {
		return len(b), nil
	}
	return v.Conn.Write(b)
}
