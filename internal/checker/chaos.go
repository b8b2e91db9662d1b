package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// chaos does the faults that are not the clients' own.
type chaos struct {
	world   *world
	proxies []*proxy
	rnd     *rand.Rand
	long    atomic.Bool // a hub is paused for long
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
	switch c.rnd.IntN(16) {
	case 0:
		w.tally.Fault(Kill)
		n.replace(0)
	case 1:
		w.tally.Fault(Drain)
		n.replace(5 * time.Second)
	case 2, 3:
		d := time.Duration(c.rnd.Int64N(int64(w.config.PauseFor)))
		if c.rnd.IntN(6) == 0 && w.config.PauseLong > 0 && c.long.CompareAndSwap(false, true) {
			c.pause(ctx, n, w.config.PauseLong, func() { c.long.Store(false) })
			return
		}
		c.pause(ctx, n, d, func() {})
	case 4, 5, 6:
		w.tally.Fault(Trim)
		w.trim(c.rnd.IntN(20))
	case 7:
		w.tally.Fault(NewEpoch)
		w.newLog()
	case 8:
		c.restart()
	case 9:
		c.leave(time.Duration(c.rnd.Int64N(int64(time.Second))))
	default:
		c.rights()
	}
}

// pause keeps the log from a hub for a while, or until ctx ends, unless it is kept from it already.
func (c *chaos) pause(ctx context.Context, n *node, d time.Duration, over func()) {
	h := n.present().handle
	if !h.pause() {
		over()
		return
	}
	fault := Pause
	if d == c.world.config.PauseLong {
		fault = PauseLong
	}
	c.world.tally.Fault(fault)
	c.world.tasks.Go(func() {
		defer over()
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		c.world.exclusive(h.resume)
	})
}

// restart stops the log's server and starts it again.
func (c *chaos) restart() {
	w := c.world
	if w.server.log.Restart == nil {
		return
	}
	w.tally.Fault(Restart)
	w.tasks.Go(func() { w.server.do(func(l Log) { l.Restart() }) })
}

// leave takes the log's server away for a while.
func (c *chaos) leave(d time.Duration) {
	w := c.world
	if w.server.log.Away == nil {
		return
	}
	w.tally.Fault(Away)
	w.tasks.Go(func() { w.server.leave(w.ctx, d) })
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
