package pusher

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The node that lives longest tells the webhooks, and the next one when it stops: what happens then is told once, by one of them.
func TestTheChiefStops(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		last := c.members[2].registry
		for i, n := range c.members[:2] {
			last.subscribed(shop, "presence-x")
			c.pass(soonEnough)
			if told := n.hooks(); told != "1 channel_occupied presence-x" {
				t.Errorf("node %d tells %q", i, told)
			}
			last.unsubscribed(shop, "presence-x", false)
			c.pass(10 * time.Millisecond) // it comes while the node stops
			n.stop()
			c.pass(10 * time.Second)
			c.hooked("1 channel_vacated presence-x")
		}
		last.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		if told := c.members[2].hooks(); told != "1 channel_occupied presence-x" {
			t.Errorf("it tells %q", told)
		}
	})
}

// A chief that stops tells first what is on the log before its good-bye, which it may not have seen yet.
func TestAChiefThatStopsBehindTheLog(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		goOn := c.members[0].link.stop()
		c.members[1].registry.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			_ = c.members[0].hub.Shutdown(context.Background())
		}()
		c.pass(time.Second)
		c.hooked("")
		goOn()
		<-stopped
		if told := c.members[0].hooks(); told != "1 channel_occupied presence-x" {
			t.Errorf("it tells %q", told)
		}
		c.pass(time.Minute)
		c.hooked("")
	})
}

// Who comes after a chief that stops waits for it: what was before its good-bye is told before what was after, though others see both sooner.
func TestTheNextChiefWaitsItsTurn(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		goOn := c.members[0].link.stop()
		next := c.members[1].registry
		next.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			_ = c.members[0].hub.Shutdown(context.Background())
		}()
		c.pass(soonEnough)
		next.unsubscribed(shop, "presence-x", false)
		next.subscribed(shop, "orders")
		c.pass(soonEnough)
		c.hooked("")
		goOn()
		<-stopped
		c.pass(slack)
		told := strings.Join(c.all, ", ")
		first, others, _ := strings.Cut(told, ", ")
		if first != "1 channel_occupied presence-x" || !sameWords(others, "1 channel_vacated presence-x, 1 channel_occupied orders, 1 subscription_count orders 1") {
			t.Errorf("the webhooks are told %q", told)
		}
	})
}

// It waits no longer than it lives itself.
func TestTheNextChiefStopsBeforeItsTurn(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		c.members[0].stop()
		c.members[2].registry.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		c.hooked("")
		c.members[1].stop()
		if told := c.members[1].hooks(); told != "1 channel_occupied presence-x" {
			t.Errorf("it tells %q", told)
		}
		c.pass(time.Minute)
		c.hooked("")
	})
}

// What the stopping node has of a channel, others take over.
func TestSubscriptionsOfANodeThatStops(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		c.members[0].registry.subscribed(shop, "presence-x")
		c.members[0].registry.subscribed(shop, "presence-y")
		c.pass(soonEnough)
		c.members[0].hooks()
		for _, channel := range []string{"presence-x", "presence-y"} { // as its connections are closed
			c.members[0].registry.unsubscribed(shop, channel, true)
		}
		c.members[0].stop()
		c.members[1].registry.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		c.counted(shop, "presence-x", 1, c.members[1])
		c.counted(shop, "presence-y", 0, c.members[1])
		c.pass(20 * time.Second)
		c.hooked("1 channel_vacated presence-y")
	})
}

// When the chief dies, the next one tells what happened since it was heard of last.
func TestTheChiefDies(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		last := c.members[2].registry
		last.subscribed(shop, "presence-before")
		c.pass(time.Minute)
		c.hooked("1 channel_occupied presence-before")
		c.members[0].kill()
		last.subscribed(shop, "presence-x")
		last.subscribed(shop, "orders")
		c.pass(soonEnough)
		c.hooked("") // nobody knows yet
		last.unsubscribed(shop, "presence-x", false)
		c.pass(50 * time.Second)
		if told := c.members[1].hooks(); !sameWords(told, "1 channel_occupied presence-x, 1 channel_occupied orders, 1 channel_vacated presence-x, 1 subscription_count orders 1") {
			t.Errorf("the next one tells %q", told)
		}
		c.hooked("")
		c.pass(10 * time.Minute)
		last.unsubscribed(shop, "orders", false)
		c.pass(soonEnough)
		c.hooked("1 channel_vacated orders") // and nothing again
	})
}

// Two die at once, the one that would have told for the other, too.
func TestTwoChiefsDie(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		last := c.members[2].registry
		c.pass(time.Minute)
		c.members[0].kill()
		c.members[1].kill()
		last.subscribed(shop, "presence-x")
		c.pass(2 * time.Minute)
		c.hooked("1 channel_occupied presence-x")
		if n := len(last.chiefs.recent); n > 0 {
			t.Errorf("%d are left to tell", n)
		}
	})
}

// A node knows that it is alone, and the log does not say so yet: what happens then it tells.
func TestNobodyIsChief(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		c.members[0].kill()
		n := c.start()
		knows := func() bool {
			n.registry.mu.Lock()
			defer n.registry.mu.Unlock()
			return n.registry.known
		}
		for !knows() {
			c.pass(time.Millisecond)
		}
		for i := range 50 {
			n.registry.subscribed(shop, fmt.Sprint("presence-", i))
		}
		c.pass(settled)
		if told := strings.Count(n.hooks(), "channel_occupied"); told != 50 {
			t.Errorf("it tells of %d channels, want 50", told)
		}
	})
}

// A chief that is cut off from the log is taken for dead, and is the chief again when it is back.
func TestTheChiefComesBack(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		other := c.members[1].registry
		c.pass(time.Minute)
		c.members[0].link.sever()
		c.pass(time.Minute)
		other.subscribed(shop, "presence-x")
		c.pass(soonEnough)
		c.hooked("1 channel_occupied presence-x")
		c.members[0].link.mend()
		c.pass(30 * time.Second)
		c.hooked("") // it was not its to tell: it sees that it was taken for dead before
		other.subscribed(shop, "presence-y")
		c.pass(soonEnough)
		if told := c.members[0].hooks(); told != "1 channel_occupied presence-y" {
			t.Errorf("it tells %q", told)
		}
		c.hooked("")
	})
}

// What is remembered for others is bounded.
func TestWhatIsRemembered(t *testing.T) {
	now := time.Now()
	c := chiefs{me: "b", nodes: map[string]bool{"a": true, "b": true}}
	for range maxRecent + 10 {
		c.remember(happening{chief: "a", at: now})
	}
	if n := len(c.recent); n != maxRecent {
		t.Errorf("%d are remembered", n)
	}
	c.remember(happening{chief: "a", at: now.Add(maxAge + 1)})
	if n := len(c.recent); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}

// An app that cannot be found is told nothing, and the others are.
func TestAnAppThatIsNotFound(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		other := &App{ID: "2", Prefix: "other:", Webhook: "http://other.test"}
		silent := &App{ID: "3", Prefix: "silent:"}
		c.mu.Lock()
		c.apps["2"], c.apps["3"], c.missing["2"] = other, silent, true
		c.mu.Unlock()
		r := c.members[1].registry
		for _, app := range []*App{shop, other, silent} {
			r.subscribed(app, "presence-x")
			c.members[1].person(app.Prefix+"presence-x", "u")
		}
		c.pass(soonEnough)
		if told := c.members[0].hooks(); !sameWords(told, "1 channel_occupied presence-x, 1 member_added presence-x u") {
			t.Errorf("the webhooks are told %q", told)
		}
		c.mu.Lock()
		c.missing["2"] = false
		c.mu.Unlock()
		c.pass(againAfter)
		r.unsubscribed(other, "presence-x", false)
		r.subscribed(other, "x")
		c.pass(soonEnough)
		if told := c.members[0].hooks(); !sameWords(told, "2 channel_vacated presence-x, 2 channel_occupied x") {
			t.Errorf("the webhooks are told %q", told)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if app := c.members[0].registry.app(ctx, "3"); app != silent {
			t.Errorf("the app is %v", app) // also when the hub stops
		}
	})
}

// Of an app that was not heard of before, the log may tell who came before it tells that the app has the channel.
func TestAnAppThatIsHeardOfLate(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		late := &App{ID: "2", Prefix: "late:", Webhook: "http://late.test"}
		c.mu.Lock()
		c.apps["2"] = late
		c.mu.Unlock()
		c.members[1].person("late:presence-x", "u")
		c.pass(soonEnough)
		c.hooked("")
		c.members[1].registry.subscribed(late, "presence-x")
		c.pass(soonEnough + placedWithin/10)
		if told := c.members[0].hooks(); !sameWords(told, "2 channel_occupied presence-x, 2 member_added presence-x u") {
			t.Errorf("the webhooks are told %q", told)
		}
	})
}
