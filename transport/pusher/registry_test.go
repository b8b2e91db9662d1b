package pusher

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A channel has the subscriptions of all nodes; it is occupied with the first and vacated with the last, and one node says so.
func TestCountsOverNodes(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		a, b, z := c.members[0].registry, c.members[1].registry, c.members[2].registry
		a.subscribed(shop, "orders")
		a.subscribed(shop, "orders")
		c.pass(soonEnough)
		b.subscribed(shop, "orders")
		b.subscribed(shop, "stock")
		c.pass(soonEnough)
		c.counted(shop, "orders", 3, c.members...)
		got := z.channels(shop, "")
		if want := map[string]occupancy{"orders": {subscriptions: 3}, "stock": {subscriptions: 1}}; !maps.Equal(got, want) {
			t.Errorf("the channels are %v, want %v", got, want)
		}
		if got := z.channels(shop, "st"); len(got) != 1 {
			t.Errorf("the channels that begin with st are %v", got)
		}
		if got := z.channels(&App{ID: "2"}, ""); len(got) != 0 {
			t.Errorf("the channels of another app are %v", got)
		}
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_occupied orders, 1 channel_occupied stock, 1 subscription_count orders 2, 1 subscription_count orders 3, 1 subscription_count stock 1") {
			t.Errorf("the webhooks are told %q", told)
		}
		b.unsubscribed(shop, "orders", false)
		b.unsubscribed(shop, "stock", false)
		b.unsubscribed(shop, "stock", false) // of nothing
		c.pass(soonEnough)
		c.counted(shop, "orders", 2, c.members...)
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_vacated stock, 1 subscription_count orders 2") {
			t.Errorf("the webhooks are told %q", told)
		}
		a.unsubscribed(shop, "orders", false)
		a.unsubscribed(shop, "orders", false)
		c.pass(soonEnough)
		c.counted(shop, "orders", 0, c.members...)
		if got := z.channels(shop, ""); len(got) != 0 {
			t.Errorf("the channels are %v", got)
		}
		c.hooked("1 channel_vacated orders")
	})
}

// sameWords compares what was told in any order: a batch has that of its members' names.
func sameWords(got, want string) bool {
	g, w := strings.Split(got, ", "), strings.Split(want, ", ")
	slices.Sort(g)
	slices.Sort(w)
	return slices.Equal(g, w)
}

// Who loses his connection has three seconds to come back, to whatever node.
func TestComingBack(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		a, b := c.members[0].registry, c.members[1].registry
		a.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		c.hooked("1 channel_occupied presence-x")

		a.unsubscribed(shop, "presence-x", true)
		c.pass(soonEnough)
		c.counted(shop, "presence-x", 0, c.members...)
		c.pass(2 * time.Second)
		b.subscribed(shop, "presence-x")
		c.pass(time.Minute)
		c.counted(shop, "presence-x", 1, c.members...)
		c.hooked("")

		b.unsubscribed(shop, "presence-x", true)
		c.pass(2 * time.Second)
		b.subscribed(shop, "presence-x")
		c.pass(2 * time.Second)
		b.unsubscribed(shop, "presence-x", true)
		c.pass(comeBack - time.Millisecond)
		c.hooked("")
		c.pass(soonEnough)
		c.hooked("1 channel_vacated presence-x")

		a.subscribed(shop, "presence-x")
		a.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		a.unsubscribed(shop, "presence-x", true) // he may come back, though the other one does not want to any more
		a.unsubscribed(shop, "presence-x", false)
		c.pass(comeBack - time.Millisecond)
		c.hooked("1 channel_occupied presence-x")
		c.pass(soonEnough)
		c.hooked("1 channel_vacated presence-x")
		for _, n := range c.members {
			r := n.registry
			if len(r.holdings)+len(r.waning)+len(r.tallies)+len(r.unsaid)+len(r.recount) != 0 {
				t.Errorf("left: %v %v %v %v %v", r.holdings, r.waning, r.tallies, r.unsaid, r.recount)
			}
		}
	})
}

// What a killed node had is gone when its lease is over.
func TestAKilledNode(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		c.members[0].registry.subscribed(shop, "orders")
		c.members[1].registry.subscribed(shop, "orders")
		c.members[1].registry.subscribed(shop, "private-x")
		c.members[1].registry.signedIn(shop, "u1", nil, nil)
		c.members[1].person("shop:presence-y", "u1")
		c.pass(soonEnough)
		c.members[0].hooks()
		c.members[1].kill()
		c.pass(20 * time.Second)
		c.counted(shop, "orders", 2, c.members[0], c.members[2])
		c.hooked("")
		c.pass(30 * time.Second)
		c.counted(shop, "orders", 1, c.members[0], c.members[2])
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_vacated private-x, 1 member_removed presence-y u1, 1 subscription_count orders 1") {
			t.Errorf("the webhooks are told %q", told)
		}
		if r := c.members[2].registry; len(r.online) > 0 {
			t.Errorf("online: %v", r.online)
		}
		c.hooked("")
	})
}

// A node that joins knows all, and tells nobody of what was so before.
func TestANodeThatJoins(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		for i := range 700 { // more than one entry tells of
			c.members[i%2].registry.subscribed(shop, fmt.Sprint("channel-", i))
		}
		c.members[0].registry.subscribed(shop, "channel-1")
		c.pass(settled)
		for _, n := range c.members {
			n.hooks()
		}
		third := c.start()
		c.pass(settled)
		if n := len(third.registry.channels(shop, "")); n != 700 {
			t.Errorf("it knows %d channels", n)
		}
		c.counted(shop, "channel-1", 2, c.members...)
		c.hooked("")
		third.registry.subscribed(shop, "late")
		c.pass(soonEnough)
		c.hooked("1 channel_occupied late, 1 subscription_count late 1")
	})
}

// The log begins anew: nobody is told of what was so before, and of what happened meanwhile everybody is told.
func TestTheLogIsLost(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		a, b := c.members[0].registry, c.members[1].registry
		a.subscribed(shop, "orders")
		b.subscribed(shop, "stock")
		b.subscribed(shop, "presence-x")
		b.subscribed(shop, "over")
		c.members[2].registry.subscribed(shop, "of-the-dead")
		here := c.members[1].person("shop:presence-x", "u1")
		var seen []string
		a.signedIn(shop, "u1", []string{"u2", "u3"}, func(online, offline []string) { seen = append(seen, fmt.Sprint(online, offline)) })
		b.signedIn(shop, "u2", nil, nil)
		c.pass(settled)
		for _, n := range c.members {
			n.hooks()
		}
		seen = nil
		for range 2 {
			c.log.Reset()
			c.pass(10 * time.Second)
			c.hooked("")
			c.counted(shop, "orders", 1, c.members...)
			c.counted(shop, "of-the-dead", 1, c.members...)
			if len(seen) > 0 {
				t.Errorf("who watches is told %q", seen)
			}
		}
		for _, n := range c.members {
			n.link.sever()
		}
		here.Leave()
		b.unsubscribed(shop, "over", false)
		b.subscribed(shop, "new")
		c.members[2].kill()
		c.log.Reset()
		for _, n := range c.members[:2] {
			n.link.mend()
		}
		c.pass(20 * time.Second)
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_vacated over, 1 channel_occupied new, 1 subscription_count new 1, 1 member_removed presence-x u1, 1 channel_vacated of-the-dead") {
			t.Errorf("the webhooks are told %q", told)
		}
		c.hooked("")
		if len(seen) > 0 {
			t.Errorf("who watches is told %q", seen)
		}
	})
}

// However many subscriptions come at once, the log has a few entries of them.
func TestManyAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		channels, entries int
	}{"one channel": {1, 2}, "as many channels": {10_000, 21}} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 2, func(t *testing.T, c *cluster) {
				before := c.logged("")
				for i := range 10_000 {
					c.members[0].registry.subscribed(shop, fmt.Sprint("channel-", i%test.channels))
				}
				c.pass(settled)
				c.counted(shop, "channel-0", 10_000/test.channels, c.members...)
				if n := len(c.members[1].registry.channels(shop, "")); n != test.channels {
					t.Errorf("the other node knows %d channels", n)
				}
				n := c.logged("") - before
				if t.Logf("%d entries", n); n > test.entries {
					t.Errorf("%d entries on the log, want %d at most", n, test.entries)
				}
			})
		})
	}
}

// Names as long as they may be fit.
func TestLongNames(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		channel, user := "presence-"+strings.Repeat("x", 191), strings.Repeat("ü", 128)
		c.members[0].registry.subscribed(shop, channel)
		c.members[0].person("shop:"+channel, user)
		c.pass(soonEnough)
		if got := c.members[1].registry.occupancy(shop, channel); got != (occupancy{1, 1}) {
			t.Errorf("%+v", got)
		}
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_occupied "+channel+", 1 member_added "+channel+" "+user) {
			t.Errorf("the webhooks are told %q", told)
		}
	})
}

// A user is added to a channel once, whatever his connections and nodes, and removed with his last.
func TestMembersOfPresenceChannels(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		r := c.members[1].registry
		r.subscribed(shop, "presence-x")
		one, two := c.members[0].person("shop:presence-x", "u1"), c.members[1].person("shop:presence-x", "u1")
		c.members[1].person("presence-x", "nobody") // of no app: it has not the prefix
		c.members[1].person("shop:x-presence-x", "nobody")
		c.pass(soonEnough)
		other := c.members[0].person("shop:presence-x", "u2")
		c.pass(soonEnough)
		if got := r.occupancy(shop, "presence-x"); got != (occupancy{1, 2}) {
			t.Errorf("%+v", got)
		}
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_occupied presence-x, 1 member_added presence-x u1, 1 member_added presence-x u2") {
			t.Errorf("the webhooks are told %q", told)
		}
		one.Set([]byte(`{"s":1}`))
		one.Leave()
		c.pass(soonEnough)
		c.hooked("")
		two.Leave()
		other.Leave()
		c.pass(soonEnough)
		if told := c.members[0].hooks(); !sameWords(told, "1 member_removed presence-x u1, 1 member_removed presence-x u2") {
			t.Errorf("the webhooks are told %q", told)
		}
		if crowds := c.members[1].registry.crowds; len(crowds) != 2 { // those of no app
			t.Errorf("left: %v", crowds)
		}
	})
}

// Who loses his connection to a presence channel has three seconds before the webhooks are told, though the members of presence are told at once.
func TestAMemberThatComesBack(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		a, b := c.members[0].registry, c.members[1].registry
		come := func(n *member) (lose func(lost bool)) {
			n.registry.subscribed(shop, "presence-x")
			n.registry.entered(shop, "presence-x", "u1")
			here := n.person("shop:presence-x", "u1")
			return func(lost bool) {
				here.Leave()
				n.registry.exited(shop, "presence-x", "u1", lost)
				n.registry.unsubscribed(shop, "presence-x", lost)
			}
		}
		lose := come(c.members[0])
		c.pass(soonEnough)
		if got := b.occupancy(shop, "presence-x"); got != (occupancy{1, 1}) {
			t.Errorf("%+v", got)
		}
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_occupied presence-x, 1 member_added presence-x u1") {
			t.Errorf("the webhooks are told %q", told)
		}
		lose(true)
		c.pass(soonEnough)
		if got := a.occupancy(shop, "presence-x"); got != (occupancy{}) {
			t.Errorf("%+v", got)
		}
		c.pass(2 * time.Second)
		lose = come(c.members[1])
		c.pass(time.Minute)
		c.hooked("")
		lose(true)
		c.pass(comeBack - time.Millisecond)
		c.hooked("")
		c.pass(soonEnough)
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_vacated presence-x, 1 member_removed presence-x u1") {
			t.Errorf("the webhooks are told %q", told)
		}
		lose = come(c.members[1])
		c.pass(soonEnough)
		c.members[0].hooks()
		lose(false)
		c.pass(soonEnough)
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_vacated presence-x, 1 member_removed presence-x u1") {
			t.Errorf("the webhooks are told %q", told)
		}
		if len(a.crowds)+len(b.crowds)+len(b.holdings) > 0 {
			t.Errorf("left: %v %v %v", a.crowds, b.crowds, b.holdings)
		}
	})
}
