package pusher

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Who watches users is told who is online, on whatever node, when the first of their connections comes and the last one goes.
func TestWatchlist(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		a, b := c.members[0].registry, c.members[1].registry
		var seen []string
		look := func(want string) {
			t.Helper()
			c.pass(soonEnough)
			if got := strings.Join(seen, ", "); got != want {
				t.Errorf("he is told %q, want %q", got, want)
			}
			seen = nil
		}
		leave2 := b.signedIn(shop, "u2", nil, nil)
		c.pass(soonEnough)
		leave1 := a.signedIn(shop, "u1", []string{"u2", "u3", "u2"}, func(online, offline []string) { seen = append(seen, fmt.Sprint("+", online, " -", offline)) })
		look("+[u2] -[u3]")
		leave3, again3 := b.signedIn(shop, "u3", nil, nil), b.signedIn(shop, "u3", nil, nil)
		look("+[u3] -[]")
		third3 := a.signedIn(shop, "u3", nil, nil)
		b.signedIn(&App{ID: "2"}, "u2", nil, nil)
		leave3()
		leave3()
		look("")
		again3()
		look("")
		third3()
		look("+[] -[u3]")
		leave2()
		look("+[] -[u2]")
		b.signedIn(shop, "u2", nil, nil)
		look("+[u2] -[]")
		c.members[1].kill()
		c.pass(50 * time.Second)
		look("+[] -[u2]")
		leave1()
		leave1()
		a.signedIn(shop, "u3", nil, nil)
		look("")
		if len(a.viewers)+len(a.moved)+len(a.arrived) > 0 {
			t.Errorf("left: %v %v %v", a.viewers, a.moved, a.arrived)
		}
	})
}

// Nobody watches more than a hundred.
func TestALongWatchlist(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		var watch, offline []string
		for i := range 150 {
			watch = append(watch, fmt.Sprint("u", i))
		}
		r := c.members[0].registry
		r.signedIn(shop, "u", watch, func(_, off []string) { offline = off })
		r.signedIn(shop, "u120", nil, nil)
		c.pass(soonEnough)
		if len(offline) != maxWatched || offline[99] != "u99" {
			t.Errorf("he is told of %v", offline)
		}
	})
}
