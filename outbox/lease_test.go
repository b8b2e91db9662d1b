//go:build unix

package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

func testLease(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	var boxes []*Outbox
	var stops []func()
	for range 3 {
		o.Lease = 3 * time.Second
		boxes = append(boxes, open(t, d.db, log, o))
		stops = append(stops, run(t, boxes[len(boxes)-1]))
	}
	for i := range 3 {
		write(t, boxes[0], fmt.Sprint(i))
		entries(t, log, i+1)
		idle(t, boxes[0])
		var relaying []int
		until(t, boxes[0], "one relays", func() bool {
			relaying = relaying[:0]
			for n, box := range boxes {
				if box.relaying.Load() > 0 {
					relaying = append(relaying, n)
				}
			}
			return len(relaying) == 1
		})
		stops[relaying[0]]()
	}
	write(t, boxes[0], "nobody is left")
	run(t, New(d.db, log, o))
	if got := entries(t, log, 4); !slices.Equal(got, []string{"0", "1", "2", "nobody is left"}) {
		t.Errorf("the log is %q", got)
	}
}

// testClockSetBack asks who may take the lease by what the row says.
func testClockSetBack(t *testing.T, d database) {
	box := open(t, d.db, newLog(), d.options(t))
	now := box.o.Dialect.now()
	for _, test := range []struct {
		lasts, expires string
		free           bool
	}{
		{"0", "0", true},
		{"60000", now + " + 30000", false},
		{"3600000", now + " + 3590000", false},
		{"60000", now + " - 1", true},
		{"60000", now + " + 600000", true}, // it was taken before the clock was set back
	} {
		execute(t, box, "_state", "UPDATE %s SET owner = 'another', lasts = "+test.lasts+", expires = "+test.expires)
		r := &relay{Outbox: box, lease: lease{owner: "me"}}
		if held, err := r.acquire(t.Context()); err != nil || held != test.free {
			t.Errorf("with a lease of %s until %s, acquire = %v, %v", test.lasts, test.expires, held, err)
		}
	}
	r := &relay{Outbox: box, lease: lease{owner: "me"}}
	if held, err := r.acquire(t.Context()); err != nil || !held {
		t.Errorf("what was ours is refused us: %v", err)
	}
	other := &relay{Outbox: box, lease: lease{owner: "other"}}
	if held, err := other.acquire(t.Context()); err != nil || held {
		t.Errorf("two have the lease: %v", err)
	}
	execute(t, box, "_state", "UPDATE %s SET expires = 0")
	if held, err := other.acquire(t.Context()); err != nil || !held {
		t.Errorf("what is free is refused: %v", err)
	}
	if err := r.renew(t.Context(), broker.Position{}); !errors.Is(err, errLost) {
		t.Errorf("who lost the lease renews it: %v", err)
	}
	r.release(t.Context())
	if err := other.renew(t.Context(), broker.Position{}); err != nil {
		t.Errorf("who lost the lease gives it back: %v", err)
	}
}

// testPausedRelay pauses a relay just before an entry reaches the log until another has taken over. It adds one copy, deletes nothing, and
// stops.
func testPausedRelay(t *testing.T, d database) {
	log := newLog()
	o := d.options(t)
	o.Lease = 600 * time.Millisecond
	slow := &pausing{Broker: log, at: "3", reached: make(chan struct{}), goOn: make(chan struct{})}
	first := open(t, d.db, slow, o)
	write(t, first, "1", "2", "3", "4", "5")
	run(t, first)
	<-slow.reached
	o.Lease = 10 * time.Second
	second := New(d.db, log, o)
	run(t, second)
	if got := entries(t, log, 5); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
		t.Errorf("the log is %q", got)
	}
	idle(t, first)
	close(slow.goOn)
	write(t, first, "6")
	for n := 7; ; n++ { // one after the other, until the first relay has done what it does
		got := entries(t, log, n)
		if slices.Contains(got[5:], "3") && first.relaying.Load() == 0 {
			break
		}
		write(t, first, fmt.Sprint(n))
	}
	idle(t, first)
	seen, copies := map[string]bool{}, 0
	var once []string
	for _, e := range entries(t, log, 7) {
		if seen[e] {
			copies++
			continue
		}
		seen[e] = true
		once = append(once, e)
	}
	for i, e := range once {
		if e != fmt.Sprint(i+1) {
			t.Errorf("but for copies the log is %q", once)
			break
		}
	}
	if copies != 1 {
		t.Errorf("the log has %d copies, and one was to be expected", copies)
	}
}

// pausing is a broker that keeps one entry back, whatever its caller's patience.
type pausing struct {
	broker.Broker
	at            string
	once          sync.Once
	reached, goOn chan struct{}
}

func (p *pausing) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if string(data) == p.at {
		p.once.Do(func() {
			close(p.reached)
			<-p.goOn
		})
		ctx = context.WithoutCancel(ctx)
	}
	return p.Broker.Append(ctx, data)
}

var _ broker.Execer = (*sql.Conn)(nil)
