package pusher

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Subscribers are told how many they are, on all nodes, when that changes.
func TestSubscriptionCount(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		a, b := c.members[0].registry, c.members[1].registry
		var here, there []int
		a.subscribed(shop, "orders")
		stopHere := a.watch(shop, "orders", func(n int) { here = append(here, n) })
		c.pass(time.Second)
		b.subscribed(shop, "orders")
		stopThere := b.watch(shop, "orders", func(n int) { there = append(there, n) })
		c.pass(time.Second)
		b.unsubscribed(shop, "orders", true)
		stopThere()
		c.pass(time.Second)
		if !slices.Equal(here, []int{1, 2, 1}) || !slices.Equal(there, []int{2}) {
			t.Errorf("they are told %v and %v", here, there)
		}
		c.hooked("1 channel_occupied orders, 1 subscription_count orders 1, 1 subscription_count orders 2, 1 subscription_count orders 1")

		here = nil
		a.unsubscribed(shop, "orders", false) // one goes and one comes: it is as before, and he is told
		stopHere()
		a.subscribed(shop, "orders")
		stopHere = a.watch(shop, "orders", func(n int) { here = append(here, n) })
		c.pass(time.Second)
		var too []int
		defer a.watch(shop, "orders", func(n int) { too = append(too, n) })()
		c.pass(time.Second)
		if !slices.Equal(here, []int{1}) || !slices.Equal(too, []int{1}) {
			t.Errorf("he is told %v, and who came after him %v", here, too)
		}
		stopHere()
		stopHere()
		a.unsubscribed(shop, "orders", false)
		c.pass(time.Second)
		if len(a.counters)-1+len(b.counters)+len(a.recount)+len(b.recount) > 0 || len(here) > 1 {
			t.Errorf("left: %v %v %v %v, told %v", a.counters, b.counters, a.recount, b.recount, here)
		}
	})
}

// More than 100 are told how many they are every five seconds.
func TestManySubscriptionsCount(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		a, b := c.members[0].registry, c.members[1].registry
		var told []int
		var times []time.Time
		for range 100 {
			b.subscribed(shop, "orders")
		}
		c.pass(soonEnough)
		defer b.watch(shop, "orders", func(n int) { told, times = append(told, n), append(times, time.Now()) })()
		c.pass(time.Second)
		for range 20 {
			a.subscribed(shop, "orders")
			c.pass(500 * time.Millisecond)
		}
		c.pass(10 * time.Second)
		if len(told) != 4 || told[0] != 100 || told[3] != 120 {
			t.Errorf("they are told %v", told)
		}
		for i := range len(times) - 1 {
			if d := times[i+1].Sub(times[i]); d < crowdedFor || d > crowdedFor+time.Second {
				t.Errorf("they are told again after %v", d)
			}
		}
		for range 60 {
			b.unsubscribed(shop, "orders", false)
		}
		c.pass(soonEnough)
		b.unsubscribed(shop, "orders", false)
		c.pass(soonEnough)
		if len(told) != 6 || told[4] != 60 || told[5] != 59 {
			t.Errorf("they are told %v", told)
		}
		if n := strings.Count(c.members[0].hooks(), "subscription_count"); n != 6 {
			t.Errorf("the webhooks are told %d numbers", n)
		}
	})
}
