package main

import (
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/bench/internal/server"
)

// counting tells a flow of the hub's deliveries. The hub says that a frame is taken just before it is written, so the last ones of a message may
// be a write behind.
type counting struct{ flow *server.Flow }

// Count implements live.Observer.
func (c counting) Count(m live.Metric, _ string, n int) {
	if m == live.MetricDeliveries {
		c.flow.Wrote(n)
	}
}

// Measure implements live.Observer.
func (counting) Measure(live.Metric, string, time.Duration) {}
