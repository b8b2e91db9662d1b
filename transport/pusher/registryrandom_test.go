package pusher

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/seed"
)

// chaos is a cluster in which anything can happen, and the truth of it.
type chaos struct {
	*cluster
	r     *rand.Rand
	alive []*member
	subs  map[*member]map[string]int
	users map[*member]map[string]extend.Kept // on presence-x
	calm  bool                               // nobody dies, and the log stays
	died  []time.Time                        // when those did of whose death not all can know, in their order
	born  map[*member]time.Time
	log   []string
}

// spare reports whether a node may go: somebody must be left who remembers what one that died may not have told.
func (x *chaos) spare(n *member) bool {
	x.died = slices.DeleteFunc(x.died, func(at time.Time) bool { return time.Since(at) > 2*time.Minute })
	return slices.ContainsFunc(x.alive, func(m *member) bool { return m != n && (len(x.died) == 0 || x.born[m].Before(x.died[0])) })
}

// Whatever happens to nodes and the log: when it is quiet again all know how many subscriptions there are, and who was told what happened by webhooks
// knows so, too. When nobody died, he was told each thing once, and in its order.
func TestRandomCounts(t *testing.T) {
	first, only := seed.First(t)
	rounds := 60
	if os.Getenv("LIVE_TEST_LONG") != "" {
		rounds = 3000
	}
	if only {
		rounds = 1
	}
	for round := range rounds {
		s := first + uint64(round)
		if !t.Run(fmt.Sprint("LIVE_TEST_SEED=", s), func(t *testing.T) { confusion(t, s) }) {
			return
		}
	}
}

func confusion(t *testing.T, seed uint64) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		x := &chaos{
			cluster: c, r: rand.New(rand.NewPCG(seed, 8)), alive: slices.Clone(c.members), calm: seed%2 == 0,
			subs: map[*member]map[string]int{}, users: map[*member]map[string]extend.Kept{}, born: map[*member]time.Time{},
		}
		for range 60 {
			x.step()
			if x.r.IntN(3) == 0 {
				c.pass([]time.Duration{time.Millisecond, 60 * time.Millisecond, time.Second, 4 * time.Second, 20 * time.Second}[x.r.IntN(5)])
			}
		}
		c.pass(3 * time.Minute)
		x.check()
		if t.Failed() {
			t.Log(strings.Join(x.log, "\n"))
			t.Log(strings.Join(c.all, "\n"))
		}
	})
}

func (x *chaos) say(format string, args ...any) {
	x.log = append(x.log, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

// step does something.
func (x *chaos) step() {
	n := x.alive[x.r.IntN(len(x.alive))]
	i, channel := slices.Index(x.members, n), []string{"orders", "stock", "presence-x"}[x.r.IntN(3)]
	if x.subs[n] == nil {
		x.subs[n], x.users[n] = map[string]int{}, map[string]extend.Kept{}
	}
	switch dice := x.r.IntN(20); {
	case dice < 6:
		x.say("subscribe %s at %d", channel, i)
		n.registry.subscribed(shop, channel)
		x.subs[n][channel]++
	case dice < 11:
		if lost := x.r.IntN(2) == 0; x.subs[n][channel] > 0 {
			x.say("unsubscribe %s at %d, lost %v", channel, i, lost)
			n.registry.unsubscribed(shop, channel, lost)
			x.subs[n][channel]--
		}
	case dice < 15:
		user := fmt.Sprint("u", x.r.IntN(2))
		if kept := x.users[n][user]; kept != nil {
			x.say("%s leaves at %d", user, i)
			kept.Leave()
			delete(x.users[n], user)
		} else {
			x.say("%s comes at %d", user, i)
			x.users[n][user] = n.person("shop:presence-x", user)
		}
	case dice == 15 && len(x.alive) < 4:
		x.say("node %d starts", len(x.members))
		m := x.start()
		x.alive = append(x.alive, m)
		x.pass(settled)
		x.born[m] = time.Now()
	case dice == 16 && x.spare(n):
		x.say("node %d stops", i)
		for channel, count := range x.subs[n] {
			for range count {
				n.registry.unsubscribed(shop, channel, true)
			}
		}
		n.stop()
		x.gone(n)
	case dice == 17 && !x.calm && x.spare(n):
		x.say("node %d dies", i)
		n.kill()
		x.gone(n)
		x.died = append(x.died, time.Now())
	case dice == 18 && !x.calm && x.r.IntN(3) == 0:
		x.say("the log is lost")
		x.cluster.log.Reset()
		x.pass(10 * time.Second)
	}
}

func (x *chaos) gone(n *member) {
	x.alive = slices.DeleteFunc(x.alive, func(m *member) bool { return m == n })
	delete(x.subs, n)
	delete(x.users, n)
}

// check compares what is known with the truth.
func (x *chaos) check() {
	subs, users, occupied := map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, n := range x.alive {
		for channel, count := range x.subs[n] {
			if subs[channel] += count; count > 0 {
				occupied["1 "+channel] = true
			}
		}
		for user := range x.users[n] {
			users[user] = true
			occupied["1 presence-x "+user] = true
		}
	}
	for channel, count := range subs {
		x.counted(shop, channel, count, x.alive...)
	}
	for _, n := range x.alive {
		if c := n.registry.crowds["shop:presence-x"]; len(users) > 0 && (c == nil || c.present != len(users) || len(c.users) != c.present) || len(users) == 0 && c != nil {
			x.t.Errorf("node %d knows %+v, want %v", slices.Index(x.members, n), c, users)
		}
		if first := n.registry.chiefs.first(); first != x.alive[0].registry.self.name {
			x.t.Errorf("node %d takes %s for the first", slices.Index(x.members, n), first)
		}
		if n := len(n.registry.chiefs.nodes); n != len(x.alive) {
			x.t.Errorf("%d nodes are said to live, want %d", n, len(x.alive))
		}
	}
	told := map[string]bool{}
	for _, line := range x.all {
		app, rest, _ := strings.Cut(line, " ")
		event, on, _ := strings.Cut(rest, " ")
		if event == "subscription_count" {
			continue
		}
		on = app + " " + on
		is := event == "channel_occupied" || event == "member_added"
		if x.calm && told[on] == is {
			x.t.Errorf("%s is told twice of %s, or too soon", event, on)
		}
		told[on] = is
	}
	maps.DeleteFunc(told, func(_ string, is bool) bool { return !is })
	if !maps.Equal(told, occupied) {
		x.t.Errorf("by the webhooks it is %v, want %v", told, occupied)
	}
}
