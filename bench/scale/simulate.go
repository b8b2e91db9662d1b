//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// simulate lets a cluster run for some seconds of its own time, and returns a line of the table. Entries are written at random moments; each
// node's one goroutine takes them in their order, as long as each of them takes, and then the deliveries of those whose
// members are there. What a node adds is the wait behind what came before, and the entry's own time. The log's own delay is not in it.
func (c costs) simulate(rate int, entryBytes int) string {
	const length = 20.0
	random := rand.New(rand.NewPCG(*seed, uint64(rate)))
	free := make([]float64, *nodes) // when each has done what it has
	here := make([]int, *nodes)     // members of the present entry's list on each
	var nodeDeliveries, vain int    // of all nodes
	var adds histogram
	var n int
	for now := 0.0; ; n++ {
		if now += random.ExpFloat64() / float64(rate); now > length {
			break
		}
		clear(here)
		for range *members {
			here[random.IntN(*nodes)]++
		}
		for i := range free {
			free[i] = max(free[i], now) + c.follow.Seconds()
			if here[i] == 0 {
				vain++
				continue
			}
			nodeDeliveries += here[i]
			adds.add(time.Duration((free[i] - now) * 1e9)) // the shards, beside it, deliver
		}
	}
	perNode := func(count int) float64 { return float64(count) / length / float64(*nodes) }
	delivered := perNode(nodeDeliveries)
	pings := float64(*clients) / float64(*nodes) / 25
	processors := float64(n)/length*c.entry.Seconds() + delivered*(c.delivery+c.write).Seconds() + pings*2*c.write.Seconds()
	delays := fmt.Sprintf("%s / %s", millis(adds.at(0.5)), millis(adds.at(0.999)))
	if c.follow.Seconds()*float64(rate) >= 1 {
		delays = "it falls behind"
	}
	return fmt.Sprintf("| %d | %v | %.0f | %.2f | %.2f | %.1f | %s |", rate, (time.Duration(*clients) * time.Second / time.Duration(rate)).Round(time.Second),
		delivered, processors, perNode(vain)*c.entry.Seconds(), float64(rate*entryBytes**nodes)/1e6, delays)
}
