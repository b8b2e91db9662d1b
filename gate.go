package live

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/swampline/live/internal/rate"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// gate counts who comes, how often, and how many are inside. Its memory is bounded: what it remembers of somebody who is gone it forgets when
// his buckets are full again.
type gate struct {
	limits                           Limits
	connects, polls                  *rate.Table // by caller
	subscribes, messages             *rate.Table // by caller
	connectsOfAddress, ofAddress     *rate.Table // by address
	mu                               sync.Mutex
	sessionsOfCaller, sessionsOfHome map[string]int // the open ones, by caller and by address
}

// retrySession is when somebody who has too many sessions may try to open another.
const retrySession = 5 * time.Second

// most is how many callers, or addresses, a hub remembers that have used up something.
const most = 1 << 16

func newGate(l Limits) *gate {
	table := func(r Rate) *rate.Table { return rate.NewTable(r.limit(), most) }
	return &gate{
		limits:   l,
		connects: table(l.Connects), polls: table(l.Polls), subscribes: table(l.Subscribes), messages: table(l.Messages),
		connectsOfAddress: table(l.ConnectsOfAddress), ofAddress: table(l.RequestsOfAddress),
		sessionsOfCaller: map[string]int{}, sessionsOfHome: map[string]int{},
	}
}

// asker is who sent a request; either can be empty when nobody knows.
type asker struct{ who, address string }

// asker finds out who sent a request.
func (h *Hub) asker(r *http.Request) (a asker, err error) {
	if a.who, err = h.identity(r.Context()); err != nil {
		return a, err
	}
	a.address, err = h.address(r)
	return a, err
}

// address returns where a request comes from, empty when nobody can tell.
func (h *Hub) address(r *http.Request) (address string, err error) {
	if h.options.Address != nil {
		defer h.guard(&err, elsewhere)
		return home(h.options.Address(r)), nil
	}
	ip, err := netip.ParseAddr(hostOf(r.RemoteAddr))
	if err != nil || private(ip.Unmap()) {
		return "", nil // a proxy of ours, which does not say here whom it speaks for
	}
	return home(ip.String()), nil
}

// hostOf takes the port off.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// shared is what providers use between themselves and their customers (RFC 6598), and clouds inside.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// private reports whether an address is not of the public internet.
func private(ip netip.Addr) bool {
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || shared.Contains(ip)
}

// home is what an address is counted as: of IPv6 the network of 64 bits, which is what one customer is given at least.
func home(address string) string {
	ip, err := netip.ParseAddr(hostOf(strings.TrimSpace(address)))
	if err != nil {
		return address[:min(len(address), wire.MaxName)] // whatever the application calls it
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}

// take takes a token for a name, none for nobody.
func take(t *rate.Table, name, what string) error {
	if name == "" {
		return nil
	}
	if wait, ok := t.Take(name, 1); !ok {
		return wire.RateLimited(what, wait)
	}
	return nil
}

// poll counts a request that opens no stream and writes nothing.
func (g *gate) poll(a asker) error {
	return firstOf(take(g.polls, a.who, "requests"), take(g.ofAddress, a.address, "requests"))
}

// write counts a request that writes.
func (g *gate) write(a asker) error {
	return firstOf(take(g.messages, a.who, "messages"), take(g.ofAddress, a.address, "requests"))
}

// connect counts a request that opens a stream.
func (g *gate) connect(a asker) error {
	return firstOf(take(g.connects, a.who, "connections"), take(g.connectsOfAddress, a.address, "connections"))
}

// allowances are the messages and the answers from the beginning that a session has: its caller's, or if nobody knows him its own.
func (g *gate) allowances(a asker) (messages, subscribes session.Allowance) {
	if a.who != "" {
		of := func(t *rate.Table) session.Allowance {
			return func(n int) (time.Duration, bool) { return t.Take(a.who, n) }
		}
		return of(g.messages), of(g.subscribes)
	}
	return g.messages.Bucket().Take, g.subscribes.Bucket().Take
}

// polled counts a request that opens no session and writes nothing.
func (h *Hub) polled(r *http.Request) error {
	a, err := h.asker(r)
	return firstOf(err, h.gate.poll(a))
}

// wrote counts a request that writes.
func (h *Hub) wrote(r *http.Request) error {
	a, err := h.asker(r)
	return firstOf(err, h.gate.write(a))
}

// enter counts a session in, and returns what counts it out.
func (g *gate) enter(a asker) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case a.who != "" && g.sessionsOfCaller[a.who] >= g.limits.SessionsOfCaller:
		return nil, tooManySessions("you have", g.limits.SessionsOfCaller)
	case a.address != "" && g.sessionsOfHome[a.address] >= g.limits.SessionsOfAddress:
		return nil, tooManySessions("your address has", g.limits.SessionsOfAddress)
	}
	g.count(a, 1)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.count(a, -1)
	}, nil
}

// count adds to the sessions of somebody. The lock is held.
func (g *gate) count(a asker, n int) {
	for _, by := range []struct {
		sessions map[string]int
		name     string
	}{{g.sessionsOfCaller, a.who}, {g.sessionsOfHome, a.address}} {
		if by.name == "" {
			continue
		}
		if by.sessions[by.name] += n; by.sessions[by.name] == 0 {
			delete(by.sessions, by.name)
		}
	}
}

func tooManySessions(whose string, limit int) *wire.Problem {
	return wire.NewProblem(http.StatusTooManyRequests, "too_many_sessions",
		fmt.Sprintf("%s %d connections open: close one", whose, limit)).After(retrySession)
}
