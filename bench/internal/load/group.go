//go:build linux

// Package load is the clients of a server that is measured: thousands of connections in one process, read by one thread with epoll, so that they take
// little of the processors that they share with the server. They speak as package server has it, count what they are sent, and miss nothing.
package load

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/swampline/live/bench/internal/server"
)

// Group are the clients of one server. It is used by one goroutine.
type Group struct {
	Counts

	// Keep has clients remember their cursors with every message, for those that come again while messages flow. Otherwise they
	// know those of their subscription.
	Keep bool
	// Gulps has the clients' sockets hold what Discard leaves in them.
	Gulps bool

	ready     server.Ready
	number    []byte // what stands before a message's number
	transport string
	keys      int
	address   syscall.SockaddrInet4
	epoll     int
	clients   []*client
	byFd      []*client // by file descriptor
	events    []syscall.EpollEvent
	buffer    []byte
	following int
	perKey    []int // following clients by key
	newest    []int // message by key
	err       error // ends everything: the server is not what it said

	n       int // of the newest message
	open    []flight
	asked   int // the first message that is not complete
	now     time.Time
	latency []time.Duration // nil: nobody asks
}

// Counts are what a group was sent.
type Counts struct {
	Deliveries int64
	Bytes      int64
	Lost       int64 // messages that never came, or after a later one
	Double     int64 // messages that came again
	Told       int64 // times that a client was told that messages were left out
	Closed     int64 // connections that the server ended
}

// flight is a message on its way.
type flight struct {
	at      time.Time
	missing int
}

// ring is how many messages can be on their way. It is a power of two.
const ring = 1 << 14

// NewGroup returns clients that are not connected yet. With keys there are that many, and client i has key i modulo keys, and is sent its own messages;
// with none, everybody's.
func NewGroup(ready server.Ready, transport string, clients, keys int) (*Group, error) {
	at, err := netip.ParseAddrPort(ready.Address)
	if err != nil {
		return nil, fmt.Errorf("the server says that it is at %q: %w", ready.Address, err)
	}
	g := &Group{ready: ready, transport: transport, keys: keys, buffer: make([]byte, 256<<10), events: make([]syscall.EpollEvent, 1024), open: make([]flight, ring), asked: 1}
	g.number = []byte(cmp.Or(ready.Number, `"n":`))
	g.address = syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	if g.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	g.perKey, g.newest = make([]int, max(1, keys)), make([]int, max(1, keys))
	for i := range clients {
		g.clients = append(g.clients, &client{number: i, key: i % max(1, keys), fd: -1, last: -1})
	}
	return g, nil
}

// Close ends all connections at once, and the group with them.
func (g *Group) Close() {
	for _, c := range g.clients {
		g.leave(c)
	}
	_ = syscall.Close(g.epoll)
}

// atOnce is how many clients are connecting at the same time.
const atOnce = 128

// Connect connects the clients from one number up to another and waits until all follow. Again says that they come with what they have.
func (g *Group) Connect(from, to int, again bool) error {
	before, limit := g.following, time.Now().Add(time.Minute)
	for next := from; g.following < before+to-from; {
		for next < to && next-from-(g.following-before) < atOnce {
			if err := g.connect(g.clients[next], again); err != nil {
				return err
			}
			next++
		}
		if err := g.look(time.Second); err != nil {
			return err
		}
		if g.now.After(limit) {
			return fmt.Errorf("%d of %d clients follow after a minute", g.following-before, to-from)
		}
	}
	return nil
}

// Leave ends the connections of the clients from one number up to another.
func (g *Group) Leave(from, to int) {
	for _, c := range g.clients[from:to] {
		g.leave(c)
	}
}

// Following is how many clients follow now.
func (g *Group) Following() int { return g.following }

// Newest is the number of the newest message, 0 before the first.
func (g *Group) Newest() int { return g.n }

// connect begins a connection.
func (g *Group) connect(c *client, again bool) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("client %d: %w (each needs an open file: see ulimit -n)", c.number, err)
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if g.Gulps { // the largest window is agreed on when they connect
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, room)
	}
	// The end is a reset: ports that wait for stragglers would run out.
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	if err := syscall.Connect(fd, &g.address); err != nil && err != syscall.EINPROGRESS {
		_ = syscall.Close(fd)
		return fmt.Errorf("client %d: %w", c.number, err)
	}
	c.begin(fd, again)
	if !again {
		c.last = -1
	}
	for fd >= len(g.byFd) {
		g.byFd = append(g.byFd, nil)
	}
	g.byFd[fd] = c
	return syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLOUT, Fd: int32(fd)})
}

// leave ends a connection.
func (g *Group) leave(c *client) {
	if c.fd < 0 {
		return
	}
	if c.state == follows {
		g.following--
		g.perKey[c.key]--
	}
	g.byFd[c.fd] = nil
	_ = syscall.Close(c.fd)
	c.fd, c.state = -1, away
}

// visit is how a client comes.
func (g *Group) visit(again bool) server.Visit {
	if again && g.ready.Again != nil {
		return *g.ready.Again
	}
	return g.ready.First
}

// fill puts what a client has into a text of a visit.
func (c *client) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer("{key}", strconv.Itoa(c.key), "{last}", strconv.Itoa(max(0, c.last)), "{cursor}", string(c.cursor), "{tag}", string(c.tag)).Replace(text)
}
