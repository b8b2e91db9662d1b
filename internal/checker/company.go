package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/presence"
)

// gather has the clients be where they are, without faults, but for some that were killed, until everybody knows who is there and who is not; then
// they go over to other hubs, and nobody is told that somebody left who did not.
func (w *world) gather(ctx context.Context, clients []*client) {
	var here []*client
	for i, c := range clients {
		if c.mu.Lock(); i%4 == 3 {
			for _, s := range c.subs {
				w.members.goes(s.member)
			}
		} else {
			here = append(here, c)
		}
		c.mu.Unlock()
	}
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalls := &pulse{}
	all.Go(func() { stalls.beat(ctx) })
	stays := make([]stay, len(here))
	for i, c := range here {
		stays[i] = c.stays(ctx, &all)
	}
	if !w.agree(ctx, here, "when all are there") {
		return
	}
	calm := w.oracle.end()
	stalls.reset()
	each(here, func(i int, c *client) {
		if c.speaks(ctx); i%3 != 0 {
			stays[i] = c.moves(ctx, &all, stays[i])
		}
	})
	select { // whoever was left takes them for gone after that
	case <-time.After(w.config.Linger + w.config.Lease/2):
	case <-ctx.Done():
	}
	if !w.agree(ctx, here, "when some went over to other hubs") {
		return
	}
	staying := map[string]bool{}
	for _, m := range w.members.there() {
		staying[m.id] = true
	}
	if late := stalls.longest(); late < w.config.Lease/4 { // otherwise signs of life may be as late
		for _, a := range w.oracle.left(calm, func(id string) bool { return staying[id] }) {
			w.tally.Find(Flicker, "at %v member %s is told to be gone, though it has been there since %v: %s", a.at, a.id, calm, w.tale(a.id))
		}
	}
}

// each runs f for all clients at once.
func each(clients []*client, f func(i int, c *client)) {
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() { f(i, c) })
	}
	all.Wait()
}

// stay is a connection that is opened again whenever it ends.
type stay struct {
	streams bool
	leave   func() // ends it, and returns when it has ended
}

// stays keeps a connection of the client open.
func (c *client) stays(ctx context.Context, all *sync.WaitGroup) stay {
	ctx, cancel := context.WithCancel(ctx)
	transport, node := c.transports[c.rnd.IntN(len(c.transports))], c.node
	polite := c.rnd.IntN(2) == 0
	c.world.debug("%s stays on hub %d over %s", c.name, node.index, transport)
	done := make(chan struct{})
	all.Go(func() {
		defer close(done)
		for ctx.Err() == nil {
			k, err := c.open(context.WithoutCancel(ctx), transport, node)
			if err != nil {
				c.sleep(ctx, 20*time.Millisecond)
				continue
			}
			for lacks := false; !lacks; {
				select {
				case <-k.done:
					c.sleep(ctx, 20*time.Millisecond)
					lacks = true
				case <-ctx.Done():
					lacks = true
				case <-time.After(20 * time.Millisecond):
					lacks = c.lacks() && transport != LongPoll && transport != ShortPoll
				}
			}
			k.close(polite)
		}
	})
	return stay{transport == WebSocket || transport == SSE, func() { cancel(); <-done }}
}

// speaks gives each of the client's members a new state, by a call to whatever hub, until that has been answered.
func (c *client) speaks(ctx context.Context) {
	c.mu.Lock()
	var all []*member
	for _, id := range c.ids() {
		if s := c.subs[id]; s.member != nil && !c.barred(s) {
			all = append(all, s.member)
		}
	}
	c.mu.Unlock()
	for _, m := range all {
		c.world.members.does(m)
		url := c.elsewhere(c.world.nodes[c.rnd.IntN(len(c.world.nodes))])
		for try := 0; ctx.Err() == nil; try++ {
			answer, err := c.call(ctx, url, c.world.members.call(1, m, "set"))
			if answer == "result" {
				break
			}
			if try == 20 {
				c.world.tally.Find(Refused, "%s (%s): what member %s does is answered %s, %v: %s", c.name, c.who, m.id, answer, err, c.world.tale(m.id))
				break
			}
			c.sleep(ctx, 50*time.Millisecond)
		}
	}
}

// moves goes over to the next hub: it ends a stream to the one before when the new one has answered.
func (c *client) moves(ctx context.Context, all *sync.WaitGroup, before stay) stay {
	w := c.world
	if !before.streams {
		before.leave()
	}
	c.node = w.nodes[(c.node.index+1)%len(w.nodes)]
	c.proxy.to(c.node.address)
	c.mu.Lock()
	links := c.links
	c.mu.Unlock()
	now := c.stays(ctx, all)
	soon, cancel := context.WithTimeout(ctx, w.config.Settle)
	defer cancel()
	var waits *subscription
	c.until(soon, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		waits = nil
		for _, s := range c.subs {
			if !c.barred(s) && (s.link == nil || s.link.number <= links || s.link.handle != c.node.present().handle) {
				waits = s
			}
		}
		return waits == nil
	})
	if waits != nil && ctx.Err() == nil {
		w.tally.Find(Stuck, "%s (%s): hub %d does not answer for %s", c.name, c.who, c.node.index, waits.interest)
	}
	before.leave()
	return now
}

// agree waits until all clients, and all hubs, know who is where.
func (w *world) agree(ctx context.Context, here []*client, when string) bool {
	soon, cancel := context.WithTimeout(ctx, w.config.Settle)
	defer cancel()
	for {
		wrong := w.disagreements(here)
		if len(wrong) == 0 || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		select {
		case <-soon.Done():
			for _, text := range wrong {
				w.tally.Find(WrongRows, "%s: %s", when, text)
			}
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// disagreements are what clients and hubs take for the truth about members, and is not.
func (w *world) disagreements(here []*client) (wrong []string) {
	for _, c := range here {
		c.mu.Lock()
		for _, id := range c.ids() {
			s := c.subs[id]
			if !s.meets() || c.barred(s) {
				continue
			}
			w.tally.Compared.Add(1)
			if got, want := s.faces(), w.company(s.interest, c.who); !s.known || got != want {
				wrong = append(wrong, fmt.Sprintf("%s (%s), %s, at %v on hub %d, known %v: it shows%s, and the truth is%s; %s", c.name, c.who, s.interest, s.at, c.node.index, s.known, got, want, w.difference(got, want)))
			}
		}
		c.mu.Unlock()
	}
	for _, n := range w.nodes {
		for desk := range desks {
			for _, place := range []extend.Place{{Router: router, Key: fmt.Sprint(1 + desk)}, {Channel: fmt.Sprintf("chat:%d", desk)}} {
				if got, want := n.present().knows(place), w.company(interest{places: []string{place.String()}}, root); got != want {
					wrong = append(wrong, fmt.Sprintf("hub %d knows at %v%s, and the truth is%s; %s", n.index, place, got, want, w.difference(got, want)))
				}
			}
		}
	}
	return wrong
}

// knows is whom a hub knows to be at a place.
func (l *life) knows(place extend.Place) string {
	all := l.who.At(presence.Place(place))
	slices.SortFunc(all, func(a, b presence.Member) int { return strings.Compare(a.ID, b.ID) })
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, " %s does %s away %v", m.ID, m.State, m.Away)
	}
	return b.String()
}

// difference tells what became of those members of whom two texts differ.
func (w *world) difference(got, want string) string {
	var b strings.Builder
	for _, texts := range [][2]string{{got, want}, {want, got}} {
		for text := range strings.FieldsSeq(texts[0]) {
			if _, ok := w.members.of(text); ok && !strings.Contains(texts[1], text) {
				fmt.Fprintf(&b, "%s: %s; ", text, w.tale(text))
			}
		}
	}
	return b.String()
}

// pulse notices when the process does not get to work for a while.
type pulse struct {
	mu   sync.Mutex
	late time.Duration
}

func (p *pulse) beat(ctx context.Context) {
	const step = 10 * time.Millisecond
	for ctx.Err() == nil {
		begin := time.Now()
		time.Sleep(step)
		p.mu.Lock()
		p.late = max(p.late, time.Since(begin)-step)
		p.mu.Unlock()
	}
}

func (p *pulse) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = 0
}

// longest is the longest time that it has lasted.
func (p *pulse) longest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.late
}
