package turnstile_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/turnstile"
)

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := turnstile.New(1)
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		for i := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 1 { // it will not wait to the end
				time.AfterFunc(time.Second, cancel)
			}
			go func() {
				defer cancel()
				if err := g.Enter(ctx); err != nil {
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				g.Leave()
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if n := g.Waiting(); n != 13 {
			t.Errorf("%d wait", n)
		}
		g.Leave()
		synctest.Wait()
		if len(order) != 13 || !slices.IsSorted(order) {
			t.Errorf("the order was %v", order)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if g.Enter(ended) == nil {
			t.Error("who is gone was let in")
		}
	})
}

// Many come, some of them give up at the moment of their turn: never are too many inside, and in the end all places are free.
func TestNoPlaceIsLostOrMade(t *testing.T) {
	const places = 3
	g := turnstile.New(places)
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if r.IntN(2) == 0 {
					time.AfterFunc(time.Duration(r.IntN(50))*time.Microsecond, cancel)
				}
				if g.Enter(ctx) == nil {
					n := inside.Add(1)
					for {
						m := most.Load()
						if n <= m || most.CompareAndSwap(m, n) {
							break
						}
					}
					inside.Add(-1)
					g.Leave()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if most.Load() > places || g.Waiting() > 0 {
		t.Errorf("%d were inside, %d wait", most.Load(), g.Waiting())
	}
	for range places {
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	full, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if g.Enter(full) == nil {
		t.Error("there are more places than at the beginning")
	}
}
