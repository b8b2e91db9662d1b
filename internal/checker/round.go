package checker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/swampline/live/where"
)

// Config is what a run is made of.
type Config struct {
	Seed                   uint64
	Hubs, Clients, Writers int
	// TypeScript is how many clients of Node there are besides the Clients.
	TypeScript int
	// Callers is how many users the clients belong to.
	Callers int
	// Rows is how many rows the table has at most, about.
	Rows int
	// Burst is how many messages are published together at most.
	Burst int
	// Length is how long a round's faults go on; its end comes on top.
	Length time.Duration
	// Pace is the time between two writes of a writer, on average, and Calm that between two faults.
	Pace, Calm time.Duration
	// Ping is the hubs' PingInterval; a client that hears nothing for Patience takes its connection for dead.
	Ping, Patience time.Duration
	// Settle is how long clients may take in the end to be told everything.
	Settle time.Duration
	// Lease and Linger are how long members stay of whom nothing is heard.
	Lease, Linger time.Duration
	// PauseFor is how long a hub is paused at most; with PauseLong, one at a time is paused as long as that now and then.
	PauseFor, PauseLong time.Duration
	// Log is the log of the world; the zero Log is one in memory.
	Log Log
	// Until are invariants of which one broken is enough: the round ends.
	Until []Invariant
	// Debug prints what clients do.
	Debug bool
}

// Short is a run of some seconds, for a machine of any speed.
func Short(seed uint64) Config {
	return Config{
		Seed: seed, Hubs: 3, Clients: 16, Writers: 3, Callers: 4, Rows: 250, Burst: 6, Length: 6 * time.Second,
		Pace: 4 * time.Millisecond, Calm: 10 * time.Millisecond, Ping: 500 * time.Millisecond, Patience: 4 * time.Second,
		Settle: time.Minute, PauseFor: 1500 * time.Millisecond, Lease: 2 * time.Second, Linger: 400 * time.Millisecond,
	}
}

// Long is a run of a minute and more, which makes some million deliveries.
func Long(seed uint64) Config {
	c := Short(seed)
	c.TypeScript = 8
	c.Clients, c.Writers, c.Callers, c.Rows, c.Burst = 48, 4, 6, 300, 150
	c.Length, c.Pace, c.Calm = 45*time.Second, 5*time.Millisecond, 8*time.Millisecond
	c.Lease, c.Linger = 4*time.Second, time.Second
	c.Ping, c.Settle, c.PauseFor, c.PauseLong = time.Second, 3*time.Minute, 5*time.Second, 30*time.Second
	return c
}

// Round is one life of a world: it is made, harmed for a while, healed and compared.
func Round(ctx context.Context, c Config, tally *Tally) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rnd := rand.New(rand.NewPCG(c.Seed, 1))
	w := newWorld(ctx, c, tally)
	defer w.close()
	for i := range c.Callers {
		w.rights.add(fmt.Sprintf("u%d", i), 1+rnd.Uint64N(everything))
	}
	clients := make([]*client, c.Clients)
	w.furnish(ctx)
	social := rand.New(rand.NewPCG(c.Seed, 3))
	for i := range clients {
		clients[i] = newClient(w, i, fmt.Sprintf("u%d", i%c.Callers), append(interests(rnd), meetings(social)...))
		defer clients[i].close()
	}

	var agents *agent
	if c.TypeScript > 0 {
		var err error
		if agents, err = startAgent(w); err != nil {
			tally.Find(Protocol, "the TypeScript client: %v", err)
			return
		}
		defer agents.close()
		for i := range c.TypeScript {
			agents.open(i, fmt.Sprintf("u%d", i%c.Callers), interests(rnd))
		}
	}

	harm, heal := context.WithTimeout(ctx, c.Length)
	defer heal()
	if len(c.Until) > 0 {
		go c.stop(ctx, tally, cancel)
	}
	var writers, others sync.WaitGroup
	for i := range c.Writers {
		writer := &writer{w, rand.New(rand.NewPCG(c.Seed, uint64(100+i)))}
		writers.Go(func() { writer.write(harm) })
	}
	for _, k := range clients {
		others.Go(func() { k.behave(harm) })
	}
	proxies := make([]*proxy, len(clients))
	for i, k := range clients {
		proxies[i] = k.proxy
	}
	if agents != nil {
		for _, k := range agents.all() {
			proxies = append(proxies, k.proxy)
			others.Go(func() { k.behave(harm) })
		}
	}
	others.Go(func() { (&chaos{world: w, proxies: proxies, rnd: rand.New(rand.NewPCG(c.Seed, 2))}).reign(harm) })
	writers.Wait()
	for _, p := range proxies {
		p.heal()
	}
	others.Wait()
	for _, p := range proxies {
		p.heal()
	}
	w.quiesce(ctx, clients, agents)
}

// stop ends a round when enough was found.
func (c Config) stop(ctx context.Context, tally *Tally, cancel func()) {
	for ctx.Err() == nil {
		if tally.Any(c.Until) {
			cancel()
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// quiesce heals everything, has the clients follow to the end of the log, and compares.
func (w *world) quiesce(ctx context.Context, clients []*client, agents *agent) {
	w.calm.Store(true) // on a machine under load an answer may take long
	for _, n := range w.nodes {
		n.present().handle.resume()
	}
	w.exclusive(func() {})
	w.tasks.Wait()
	ctx, cancel := context.WithTimeout(ctx, w.config.Settle)
	defer cancel()
	if ctx.Err() != nil {
		return
	}
	end := w.oracle.end()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			if c.settle(ctx, end); w.ctx.Err() == nil {
				c.compare(end)
			}
		})
	}
	if agents != nil {
		all.Go(func() { agents.settle(ctx) })
	}
	all.Wait()
	if ctx.Err() == nil {
		w.gather(w.ctx, clients)
	}
}

// interests draws what a client follows.
func interests(rnd *rand.Rand) (all []interest) {
	all = append(all, interest{kind: channel, channel: "news"})
	for range 2 {
		all = append(all, interest{kind: channel, channel: fmt.Sprintf("chat:%d", rnd.IntN(owners))},
			interest{kind: channel, channel: fmt.Sprintf("bulletin:%d", rnd.IntN(bulletins))})
	}
	for range 3 {
		all = append(all, interest{kind: rows, list: rnd.Int64N(lists)})
	}
	all = append(all, interest{kind: rows, list: -1})
	orders := []string{"rank", "-rank,title", "title", "-id"}
	for range 2 {
		all = append(all, interest{kind: window, list: rnd.Int64N(lists+1) - 1, order: orders[rnd.IntN(len(orders))], limit: 1 + rnd.IntN(12)})
	}
	return append(all, interest{kind: count, list: rnd.Int64N(lists+1) - 1})
}

// compare judges what a client shows in the end.
func (c *client) compare(end fmt.Stringer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mask, _ := c.world.rights.of(c.who)
	for _, id := range c.ids() {
		s := c.subs[id]
		if c.barred(s) {
			continue
		}
		if !s.known || s.feed.Cursor < end.String() {
			c.world.tally.Find(Stuck, "%s (%s), %s: it is at %q, the log ends at %s", c.name, c.who, s.interest, s.feed.Cursor, end)
			continue
		}
		if s.meets() {
			continue // until the last lease is over
		}
		c.world.tally.Compared.Add(1)
		if got, want := s.shown(), c.world.truth(s.interest, mask); got != want && s.late(c.world.oracle) {
			c.world.tally.Late.Add(1)
		} else if got != want {
			c.keep()
			c.world.tally.Find(WrongRows, "%s (%s), %s, link %d, at %s: it shows%s, and the database has%s", c.name, c.who, s.interest, s.link.number, s.at, got, want)
		}
	}
}

// late reports whether a row is held that a hub could not know to be gone; in a window, of which the steps between are not judged, by a
// version that was published after a newer one.
func (s *subscription) late(o *oracle) bool {
	for key, r := range s.feed.Rows {
		if s.blind[key] || s.kind == window && o.late(key, versionOf(r.Version)) {
			return true
		}
	}
	return false
}

// truth is what a subscription must show.
func (w *world) truth(i interest, mask uint64) string {
	if i.kind == channel {
		return ""
	}
	seen, err := schema.Bind(scope(mask))
	if err != nil {
		panic(err)
	}
	asked, err := schema.Bind(filter(i.list))
	if err != nil {
		panic(err)
	}
	order, err := where.ParseOrder(i.order)
	if err != nil {
		panic(err)
	}
	found, _ := w.table.list(seen.And(asked), order, i.limit)
	if i.kind == count {
		return fmt.Sprint(len(found))
	}
	if i.kind == rows { // without an order a client sorts by key, which is text
		slices.SortFunc(found, func(a, b item) int { return cmp.Compare(strconv.FormatInt(a.ID, 10), strconv.FormatInt(b.ID, 10)) })
	}
	text := ""
	for _, r := range found {
		text += fmt.Sprintf(" %d@%d", r.ID, r.Version)
	}
	return text
}

// debug prints what happens, if that was asked for.
func (w *world) debug(format string, args ...any) {
	if w.config.Debug {
		fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("05.000")}, args...)...)
	}
}
