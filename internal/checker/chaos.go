package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// chaos does the faults that are not the clients' own.
type chaos struct {
	world   *world
	proxies []*proxy
	rnd     *rand.Rand
}

// reign does a fault every now and then until ctx ends.
func (c *chaos) reign(ctx context.Context) {
	for n := 1; ; n++ {
		select {
		case <-time.After(time.Duration(1 + c.rnd.Int64N(int64(2*c.world.config.Calm)))):
		case <-ctx.Done():
			return
		}
		if n%25 == 0 {
			c.strike(ctx)
			continue
		}
		c.proxies[c.rnd.IntN(len(c.proxies))].fault(wire[c.rnd.IntN(len(wire))])
	}
}

// strike harms a hub, the log, or somebody's rights.
func (c *chaos) strike(ctx context.Context) {
	w := c.world
	n := w.nodes[c.rnd.IntN(len(w.nodes))]
	switch c.rnd.IntN(14) {
	case 0:
		w.tally.Fault(Kill)
		n.replace(0)
	case 1:
		w.tally.Fault(Drain)
		n.replace(5 * time.Second)
	case 2, 3:
		c.pause(n, time.Duration(c.rnd.Int64N(int64(w.config.PauseFor))))
	case 4, 5, 6:
		w.tally.Fault(Trim)
		w.exclusive(func() { w.oracle.trim(c.rnd.IntN(20)) })
	case 7:
		w.tally.Fault(NewEpoch)
		w.exclusive(w.oracle.reset)
	default:
		c.rights()
	}
}

// pause keeps the log from a hub for a while.
func (c *chaos) pause(n *node, d time.Duration) {
	h := n.present().handle
	if !h.pause() {
		return
	}
	c.world.tally.Fault(Pause)
	c.world.tasks.Go(func() {
		select {
		case <-time.After(d):
		case <-c.world.ctx.Done():
		}
		c.world.exclusive(h.resume)
	})
}

// rights gives or takes the right to see an owner's rows.
func (c *chaos) rights() {
	w := c.world
	who := fmt.Sprintf("u%d", c.rnd.IntN(w.config.Callers))
	mask, _ := w.rights.of(who)
	bit := uint64(1) << c.rnd.IntN(owners)
	if mask&bit != 0 {
		w.tally.Fault(Revoke)
	} else {
		w.tally.Fault(Restore)
	}
	w.grant(who, mask^bit)
}
