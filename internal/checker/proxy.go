package checker

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// proxy stands before the hubs, one for each client. A connection carries one request, or a WebSocket. It does to connections what it
// is told to.
type proxy struct {
	tally  *Tally
	front  *socket
	random func(n int) int

	mu      sync.Mutex
	backend func() string
	pipes   map[*pipe]struct{}
	next    Fault         // of the next request, or empty
	swap    chan struct{} // what a POST waits for that is to be overtaken
	ended   bool
	tasks   sync.WaitGroup
}

func newProxy(tally *Tally, random func(int) int, backend func() string) *proxy {
	p := &proxy{tally: tally, front: listen(), random: random, backend: backend, pipes: map[*pipe]struct{}{}}
	p.tasks.Go(func() {
		for {
			c, err := p.front.Accept()
			if err != nil {
				return
			}
			p.tasks.Go(func() { p.serve(c) })
		}
	})
	return p
}

// to turns what follows to another hub.
func (p *proxy) to(backend func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = backend
}

// close ends everything.
func (p *proxy) close() {
	p.heal()
	p.mu.Lock()
	p.ended = true
	for pipe := range p.pipes {
		pipe.close()
	}
	p.mu.Unlock()
	p.front.cut()
	p.tasks.Wait()
}

// heal takes the faults back, and cuts what was frozen.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = ""
	if p.swap != nil {
		close(p.swap)
		p.swap = nil
	}
	for pipe := range p.pipes {
		pipe.heal()
	}
}

// fault does something to the connections that are there, or to the next request. It reports whether there was anything to do it to.
func (p *proxy) fault(f Fault) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f {
	case Repeat, Swap, Buffer:
		p.next = f
		return true
	}
	done := false
	for pipe := range p.pipes {
		done = pipe.fault(f, 1+p.random(400)) || done
	}
	return done
}

// serve hands one request on.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	var raw bytes.Buffer
	r := bufio.NewReader(io.TeeReader(client, &raw))
	request, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	if _, err = io.Copy(io.Discard, request.Body); err != nil {
		return
	}
	backend, f := p.turn(request)
	server, err := net.DialTimeout("tcp", backend, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	if f == Repeat {
		p.repeat(backend, raw.Bytes())
	}
	if _, err = server.Write(raw.Bytes()); err != nil {
		return
	}
	pipe := &pipe{proxy: p, client: client, server: server, cut: -1, hold: f == Buffer, ended: make(chan struct{})}
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.pipes[pipe] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pipes, pipe)
		p.mu.Unlock()
	}()
	pipe.run()
}

// turn says where a request goes, and what is done to it; one that is to be overtaken it holds back.
func (p *proxy) turn(r *http.Request) (backend string, f Fault) {
	p.mu.Lock()
	if r.Method == http.MethodPost {
		f, p.next = p.next, ""
	}
	to := p.backend
	waiting := p.swap
	switch {
	case waiting != nil && r.Method == http.MethodPost: // this one overtakes
		close(waiting)
		p.swap = nil
		p.tally.Fault(Swap)
		f = ""
	case f == Swap:
		waiting = make(chan struct{})
		p.swap = waiting
	}
	p.mu.Unlock()
	switch f {
	case Swap:
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		select {
		case <-waiting:
			select { // let the other one get ahead
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		case <-ctx.Done():
			p.mu.Lock()
			if p.swap == waiting {
				p.swap = nil
			}
			p.mu.Unlock()
		}
	case Repeat, Buffer:
		p.tally.Fault(f)
	}
	return to(), f
}

// repeat sends a request whose answer nobody gets.
func (p *proxy) repeat(backend string, raw []byte) {
	c, err := net.DialTimeout("tcp", backend, 5*time.Second)
	if err != nil {
		return
	}
	p.tasks.Go(func() {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Write(raw); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	})
}

// pipe is one connection through the proxy.
type pipe struct {
	proxy          *proxy
	client, server net.Conn

	mu      sync.Mutex
	cut     int // bytes until the connection is cut; negative for never
	reset   bool
	frozen  bool // what comes is thrown away, both ways
	stalled bool // nothing is taken
	swallow bool // the next that the server says is thrown away, then the connection is cut
	trickle int  // bytes that go one by one
	slow    int  // bytes that go at 1 kB/s
	hold    bool // the answer goes on when it is whole
	healed  chan struct{}

	kind   Fault // that was asked for last
	bitten bool  // it has done something
	once   sync.Once
	ended  chan struct{}
}

// bite counts a fault when it does something. The lock is held.
func (p *pipe) bite() {
	if !p.bitten {
		p.bitten = true
		p.proxy.tally.Fault(p.kind)
	}
}

// run copies both ways until one side has ended.
func (p *pipe) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.up()
	}()
	p.down()
	p.close()
	<-done
}

func (p *pipe) close() {
	p.once.Do(func() { close(p.ended) })
	_ = p.client.Close()
	_ = p.server.Close()
}

// up carries what the client says.
func (p *pipe) up() {
	buf := make([]byte, 4<<10)
	for {
		n, err := p.client.Read(buf)
		if err != nil {
			p.close()
			return
		}
		p.mu.Lock()
		frozen := p.frozen
		if frozen {
			p.bite()
		}
		p.mu.Unlock()
		if frozen {
			continue
		}
		if _, err := p.server.Write(buf[:n]); err != nil {
			p.close()
			return
		}
	}
}

// down carries what the server says.
func (p *pipe) down() {
	buf := make([]byte, 4<<10)
	var held []byte
	for {
		n, err := p.server.Read(buf)
		p.mu.Lock()
		hold, swallow, stuck, healed := p.hold, p.swallow && n > 0, p.stalled || p.frozen && err != nil, p.healed
		if swallow || stuck {
			p.bite()
		}
		p.mu.Unlock()
		if swallow {
			reset(p.client)
			return
		}
		if stuck { // the client hears nothing of it, not even that the server has closed
			select {
			case <-healed:
			case <-p.ended:
			}
			return
		}
		if held = append(held, buf[:n]...); err != nil || !hold {
			if p.send(held) != nil {
				return
			}
			held = nil
		}
		if err != nil {
			return
		}
	}
}

// send passes bytes to the client as the faults will have it.
func (p *pipe) send(b []byte) error {
	for len(b) > 0 {
		p.mu.Lock()
		n, pause := len(b), time.Duration(0)
		frozen, cut := p.frozen, p.cut
		switch {
		case p.slow > 0:
			n, pause = min(n, 64), 62*time.Millisecond
			p.slow -= n
		case p.trickle > 0:
			n = 1
			p.trickle--
		}
		if cut >= 0 {
			n = min(n, cut)
			p.cut -= n
		}
		rst, healed := p.reset, p.healed
		if frozen || cut == 0 || n < len(b) {
			p.bite()
		}
		p.mu.Unlock()
		switch {
		case frozen:
			return nil
		case cut == 0 && rst:
			reset(p.client)
			return io.EOF
		case cut == 0:
			return io.EOF
		}
		if _, err := p.client.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-healed:
			case <-p.ended:
				return io.EOF
			}
		}
	}
	return nil
}

// fault does one to this connection, which may have only one at a time.
func (p *pipe) fault(f Fault, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut >= 0 || p.frozen || p.stalled || p.swallow || p.trickle > 0 || p.slow > 0 || p.hold {
		return false
	}
	p.healed = make(chan struct{})
	p.kind, p.bitten = f, false
	switch f {
	case CutRST, CutFIN:
		p.cut, p.reset = n, f == CutRST
	case Freeze:
		p.frozen = true
	case Stall:
		p.stalled = true
	case Swallow:
		p.swallow = true
	case Trickle:
		p.trickle = 10 * n
	case Throttle:
		p.slow = 5 * n
	}
	return true
}

// heal takes the fault back. What was frozen or stalled is closed: what was thrown away would be missing.
func (p *pipe) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	frozen := p.frozen || p.stalled
	p.cut, p.swallow, p.trickle, p.slow, p.hold = -1, false, 0, 0, false
	if p.healed != nil {
		close(p.healed)
		p.healed = nil
	}
	p.stalled = false
	if frozen {
		p.close()
	}
}
