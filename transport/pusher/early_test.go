package pusher

import "testing"

// A node that begins alone does not know at once that it is: what happens until then is told all the same, once.
func TestWhatHappensBeforeANodeKnowsThatItIsAlone(t *testing.T) {
	inCluster(t, 0, func(t *testing.T, c *cluster) {
		n := c.start()
		n.registry.subscribed(shop, "orders")
		n.registry.subscribed(shop, "presence-x")
		n.person("shop:presence-x", "ann")
		n.person("shop:presence-x", "ann")
		c.pass(settled + soonEnough)
		if told := n.hooks(); !sameWords(told, "1 channel_occupied orders, 1 channel_occupied presence-x, 1 member_added presence-x ann, 1 subscription_count orders 1") {
			t.Errorf("the webhooks are told %q", told)
		}
		other := c.start() // its own is told by the first node, and what it finds by nobody
		other.registry.subscribed(shop, "orders")
		other.registry.subscribed(shop, "stock")
		other.person("shop:presence-x", "ann")
		c.pass(settled + soonEnough)
		if told := n.hooks(); !sameWords(told, "1 channel_occupied stock, 1 subscription_count orders 2, 1 subscription_count stock 1") {
			t.Errorf("the webhooks are told %q", told)
		}
		c.hooked("")
	})
}
