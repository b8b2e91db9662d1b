package redisbroker_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a client and its server. While swallow is set it drops the answer to a script, and the connection with it;
// a new connection can be made meanwhile.
type proxy struct {
	addr    string
	swallow atomic.Bool
}

func newProxy(t testing.TB, server string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		conns   []net.Conn
	)
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, client, upstream)
			mu.Unlock()
			var drop atomic.Bool // the next answer is that to a script
			running.Go(func() {
				p.pass(upstream, client, func(data []byte) bool {
					drop.Store(p.swallow.Load() && bytes.Contains(data, []byte("evalsha")))
					return true
				})
			})
			running.Go(func() { p.pass(client, upstream, func([]byte) bool { return !drop.Load() }) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return p
}

// pass hands on what comes for as long as it may, and closes both.
func (p *proxy) pass(to, from net.Conn, may func(data []byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !may(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
