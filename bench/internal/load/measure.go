//go:build linux

package load

import (
	"fmt"
	"slices"
	"time"

	"github.com/swampline/live/bench/internal/server"
)

// Publish asks the server to send messages: so many, from the first on. It does not wait.
type Publish func(first, count int) error

// Result is what a measurement found.
type Result struct {
	Took       time.Duration
	CPU        time.Duration // of the server
	Own        time.Duration // processor time of the clients
	Messages   int64
	Deliveries int64
	Bytes      int64
	Latency    []time.Duration // of each delivery, sorted; only of Rate
}

// Percentile returns the latency that a part of the deliveries stayed below.
func (r Result) Percentile(part float64) time.Duration {
	if len(r.Latency) == 0 {
		return 0
	}
	return r.Latency[min(len(r.Latency)-1, int(part*float64(len(r.Latency))))]
}

// Measure calls do and returns what it cost the server with the process id, and what the clients were sent meanwhile.
func (g *Group) Measure(pid, own int, do func() error) (r Result, err error) {
	before := g.Counts
	n := g.n
	began := time.Now()
	cpu, err := CPU(pid)
	if err != nil {
		return r, err
	}
	ours, err := CPU(own)
	if err != nil {
		return r, err
	}
	if err = do(); err != nil {
		return r, err
	}
	r.Took = time.Since(began)
	after, err := CPU(pid)
	if err != nil {
		return r, err
	}
	r.CPU = after - cpu
	if after, err = CPU(own); err != nil {
		return r, err
	}
	r.Own = after - ours
	r.Messages, r.Deliveries, r.Bytes = int64(g.n-n), g.Deliveries-before.Deliveries, g.Bytes-before.Bytes
	return r, nil
}

// Window keeps so many messages on their way, for so long, and returns when all of them have come to all.
func (g *Group) Window(width int, d time.Duration, publish Publish) error {
	g.forget()
	g.asked = g.n + 1
	for end := time.Now().Add(d); ; {
		g.now = time.Now()
		if free := width - (g.n + 1 - g.asked); free > 0 && g.now.Before(end) {
			if err := g.publish(free, publish); err != nil {
				return err
			}
		}
		if g.asked > g.n {
			return nil
		}
		if g.now.After(end.Add(2 * patience)) {
			return fmt.Errorf("message %d of %d did not come to %d clients in %v", g.asked, g.n, g.open[g.asked%ring].missing, 2*patience)
		}
		if err := g.look(time.Second); err != nil {
			return err
		}
		for g.asked <= g.n && g.open[g.asked%ring].missing <= 0 {
			g.asked++
		}
	}
}

// patience is how long is waited when nothing comes.
const patience = 20 * time.Second

// publish asks for messages.
func (g *Group) publish(count int, publish Publish) error {
	first := g.n + 1
	for range count {
		g.n++
		key := max(0, server.Key(g.n, g.keys))
		g.newest[key] = g.n
		g.open[g.n%ring] = flight{at: g.now, missing: g.perKey[key]}
	}
	return publish(first, count)
}

// forget lets the clients begin anew with the next message, whatever came: of clients that share a source each is sent every one.
func (g *Group) forget() { g.latency = nil }

// Rate asks for so many messages a second, one at a time, for so long, and then waits for those on their way. Each second so many clients leave
// and come again at once. It returns the latency of each delivery, sorted.
func (g *Group) Rate(perSecond, leaving int, d time.Duration, publish Publish) ([]time.Duration, error) {
	g.latency = make([]time.Duration, 0, 1<<20)
	defer g.forget()
	all := g.following
	begin := time.Now()
	next := [2]int{}
	each := [2]time.Duration{time.Second / time.Duration(perSecond), d + 1}
	if leaving > 0 {
		each[1] = time.Second / time.Duration(leaving)
	}
	for {
		g.now = time.Now()
		run := g.now.Sub(begin)
		if run >= d {
			break
		}
		for each[0]*time.Duration(next[0]) <= run {
			next[0]++
			if err := g.publish(1, publish); err != nil {
				return nil, err
			}
		}
		for each[1]*time.Duration(next[1]+1) <= run {
			c := g.clients[next[1]*spread%len(g.clients)]
			next[1]++
			if c.state != follows {
				continue // it is not back yet
			}
			g.leave(c)
			if err := g.connect(c, true); err != nil {
				return nil, err
			}
		}
		due := min(each[0]*time.Duration(next[0]), each[1]*time.Duration(next[1]+1), d)
		if err := g.look(max(0, due-time.Since(begin))); err != nil {
			return nil, err
		}
	}
	if err := g.Settle(all); err != nil {
		return nil, err
	}
	slices.Sort(g.latency)
	return g.latency, nil
}

// spread is prime: clients that leave one after the other did not come one after the other.
const spread = 6151

// Settle waits until so many clients follow and each has the newest message that concerns it. What does not come is counted as lost,
// when nothing else comes any more either.
func (g *Group) Settle(following int) error {
	limit, came := time.Now().Add(patience), g.Bytes
	for {
		missing := g.missing()
		if g.Bytes > came {
			limit, came = g.now.Add(patience), g.Bytes
		}
		if missing == 0 && g.following == following {
			return nil
		}
		if g.now.After(limit) {
			g.Lost += missing
			if g.following != following {
				return fmt.Errorf("%d of %d clients follow", g.following, following)
			}
			return nil
		}
		if err := g.look(20 * time.Millisecond); err != nil {
			return err
		}
	}
}

// missing counts what clients that have had messages do not have.
func (g *Group) missing() (n int64) {
	step := max(1, g.keys)
	for _, c := range g.clients {
		if newest := g.newest[c.key]; c.state == follows && c.last >= 0 && c.last < newest {
			n += int64((newest - c.last) / step)
		}
	}
	return n
}

// Ask asks for messages and waits until each client has them, or, while nobody follows, for nothing.
func (g *Group) Ask(count int, publish Publish) error {
	if err := g.Say(count, publish); err != nil {
		return err
	}
	return g.Settle(g.following)
}

// Say asks for messages, and looks at nothing that comes.
func (g *Group) Say(count int, publish Publish) error {
	g.now = time.Now()
	return g.publish(count, publish)
}
