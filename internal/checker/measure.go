package checker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// measured is the world of measurements: one hub, few rows, no faults but those that are measured.
func measured(ctx context.Context, tally *Tally) (*world, Config) {
	c := Short(1)
	c.Hubs, c.Ping, c.Patience = 1, time.Second, 2500*time.Millisecond
	w := newWorld(ctx, c, tally)
	w.rights.add("u0", everything)
	for range 50 {
		w.table.insert(item{List: 1, Title: "new"})
	}
	return w, c
}

// LostTail is the longest time until a client on a quiet subscription has the last message, when nothing follows it and what carried it
// was lost: frozen with the connection, or swallowed by a proxy. It is measured a number of times for each transport.
func LostTail(ctx context.Context, times int, tally *Tally) map[string]time.Duration {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, _ := measured(ctx, tally)
	defer w.close()
	longest := map[string]time.Duration{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for n, transport := range Transports {
		all.Go(func() {
			c := newClient(w, n, "u0", []interest{{kind: channel, channel: fmt.Sprintf("bulletin:%d", n)}})
			defer c.close()
			for i := range times {
				d := c.loseTail(ctx, transport, []Fault{Freeze, Swallow, Stall}[i%3])
				mu.Lock()
				longest[transport] = max(longest[transport], d)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return longest
}

// loseTail loses one message.
func (c *client) loseTail(ctx context.Context, transport string, f Fault) time.Duration {
	following, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for following.Err() == nil {
			if k, err := c.open(following, transport, c.node); err == nil {
				<-k.done
			}
		}
	})
	defer done.Wait()
	defer stop()
	c.until(ctx, func() bool { return c.settled(c.world.oracle.end()) })
	c.until(ctx, func() bool { return c.proxy.fault(f) })
	begin := time.Now()
	if err := c.node.present().hub.Publish(ctx, c.subs[1].channel, 1); err != nil {
		c.world.tally.Find(Protocol, "Publish: %v", err)
	}
	end := c.world.oracle.end()
	c.until(ctx, func() bool { return c.settled(end) })
	return time.Since(begin)
}

// until waits for a condition.
func (c *client) until(ctx context.Context, f func() bool) {
	for !f() && ctx.Err() == nil {
		c.sleep(ctx, 200*time.Microsecond)
	}
}

// Times are the median and the 99th percentile of a number of measurements.
type Times struct{ P50, P99 time.Duration }

// CatchUp measures for each transport how long a client takes, from the moment it connects again, until it has the 100 changes that
// it missed.
func CatchUp(ctx context.Context, times int, tally *Tally) map[string]Times {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, _ := measured(ctx, tally)
	defer w.close()
	out := map[string]Times{}
	for n, transport := range Transports {
		c := newClient(w, n, "u0", []interest{{kind: rows, list: 1}})
		var took []time.Duration
		c.settleBy(ctx, transport)
		for i := range times {
			for change := range 100 {
				was, now, _ := w.table.change(int64(1+change%50), func(r *item) { r.Title = fmt.Sprint(i, change) })
				if err := c.node.present().items.Updated(ctx, was, now); err != nil {
					tally.Find(Protocol, "Updated: %v", err)
				}
			}
			took = append(took, c.settleBy(ctx, transport))
		}
		c.close()
		slices.Sort(took)
		out[transport] = Times{took[len(took)/2], took[len(took)*99/100]}
	}
	return out
}

// settleBy connects, follows to the end of the log, and disconnects; it returns how long that took.
func (c *client) settleBy(ctx context.Context, transport string) time.Duration {
	end := c.world.oracle.end()
	begin := time.Now()
	for ctx.Err() == nil {
		k, err := c.open(ctx, transport, c.node)
		if err != nil {
			continue
		}
		c.until(ctx, func() bool { return c.settled(end) })
		took := time.Since(begin)
		k.close(false)
		return took
	}
	return 0
}
