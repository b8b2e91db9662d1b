package redisbroker_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/redisbroker/redistest"
)

// movingClient returns a client whose server can be another one from one moment to the next, as behind Sentinel, and what says which.
func movingClient(t testing.TB, to *redistest.Server) (*redis.Client, *atomic.Pointer[redistest.Server]) {
	var now atomic.Pointer[redistest.Server]
	now.Store(to)
	c := redis.NewClient(&redis.Options{
		Addr: to.Addr(), ReadTimeout: 30 * time.Second,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, now.Load().Addr())
		},
	})
	t.Cleanup(func() { c.Close() })
	return c, &now
}

// TestFailover lets a replica take over that had not got everything, while two processes know of what it lost: they begin one new
// epoch, not two, whether the replica's log is still shorter than theirs or somebody who knew nothing made it longer.
func TestFailover(t *testing.T) {
	for _, refill := range []int{0, 5, 20} {
		t.Run(fmt.Sprintf("%d written since", refill), func(t *testing.T) {
			t.Parallel()
			primary := redistest.Start(t)
			replica := primary.Replica()
			name := rand.Text()
			firstClient, firstAt := movingClient(t, primary)
			secondClient, secondAt := movingClient(t, primary)
			first, second := brokerNamed(t, firstClient, name), brokerNamed(t, secondClient, name)

			kept := fill(t, first, "kept", 10)
			if n := primary.Do("WAIT", 1, 0); n != int64(1) { // waits until the replica has them
				t.Fatalf("WAIT: %v", n)
			}
			replica.Cut()
			lost := fill(t, first, "lost", 5)
			waits := read(t, second, kept[0].Position)
			waits.gets(t, slices.Concat(kept[1:], lost))

			primary.Kill()
			replica.Promote()
			stranger := brokerNamed(t, replica.Client(), name)
			if got := head(t, stranger); got != kept[9].Position {
				t.Fatalf("the replica's head is %v, want %v", got, kept[9].Position)
			}
			other := fill(t, stranger, "other", refill)
			// Who knows nothing of what was lost serves what is there, and still takes no position for another.
			follows(t, stranger, kept[3].Position, slices.Concat(kept[4:], other))
			for _, e := range lost {
				if len(other) < 5 || e.Position.Major > other[0].Position.Major {
					expires(t, stranger, e.Position)
				}
			}

			firstAt.Store(replica)
			secondAt.Store(replica)
			var heads [2]broker.Position
			var asking sync.WaitGroup
			for i, b := range []broker.Broker{first, second} {
				asking.Go(func() { heads[i] = head(t, b) })
			}
			asking.Wait()
			if heads[0].Epoch == kept[0].Position.Epoch || heads[0] != heads[1] || heads[0] != head(t, stranger) {
				t.Fatalf("the heads are %v and %v, and were of the epoch %d", heads[0], heads[1], kept[0].Position.Epoch)
			}
			waits.expires(t)
			expires(t, first, kept[9].Position)
			follows(t, first, heads[0], fill(t, second, "new", 10))
			if got := head(t, stranger); got.Epoch != heads[0].Epoch {
				t.Errorf("there is one more epoch: %v after %v", got, heads[0])
			}
		})
	}
}

// TestFailoverIsNoticedByFollowing has a process that only follows: the entry that it is given next belongs to another one than it saw.
func TestFailoverIsNoticedByFollowing(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.Replica()
	client, at := movingClient(t, primary)
	name := rand.Text()
	b := brokerNamed(t, client, name)
	writer := brokerNamed(t, primary.Client(), name)
	kept := fill(t, writer, "kept", 3)
	primary.Do("WAIT", 1, 0)
	replica.Cut()
	lost := fill(t, writer, "lost", 1)
	r := read(t, b, broker.Position{})
	r.gets(t, slices.Concat(kept, lost))
	replica.Promote()
	at.Store(replica)
	fill(t, brokerNamed(t, replica.Client(), name), "other", 10)
	primary.Kill()
	r.expires(t)
}
