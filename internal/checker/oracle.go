package checker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// router is the name of the checker's router.
const router = "items"

// oracle reads the log, through a broker of its own. Its methods may be called by any goroutine; who asks it of a position waits until it
// has read so far.
type oracle struct {
	log   broker.Broker
	table *table
	tally *Tally
	ctx   context.Context // of the world

	mu     sync.RWMutex
	epochs map[uint64]*epoch
	head   broker.Position // up to which it has read
	told   map[string]*told
	states map[string][]stated // that members have had, by id
	moved  chan struct{}       // closed, and replaced, when it has read on
}

// newOracle returns an oracle that begins where the log ends. Read makes it read.
func newOracle(ctx context.Context, log broker.Broker, t *table, tally *Tally) *oracle {
	o := &oracle{log: log, table: t, tally: tally, ctx: ctx, epochs: map[uint64]*epoch{}, told: map[string]*told{}, states: map[string][]stated{}, moved: make(chan struct{})}
	o.begin(o.ask())
	return o
}

// again is the time until a broker that failed is asked again.
const again = 5 * time.Millisecond

// ask returns where the log ends, however long the broker cannot be reached.
func (o *oracle) ask() broker.Position {
	for o.ctx.Err() == nil {
		if head, err := o.log.Head(o.ctx); err == nil {
			return head
		}
		time.Sleep(again)
	}
	return broker.Position{}
}

// read follows the log until the world ends.
func (o *oracle) read() {
	after := o.known()
	for o.ctx.Err() == nil {
		err := o.log.Follow(o.ctx, after, func(batch []broker.Entry) error {
			for _, e := range batch {
				o.take(e)
			}
			after = batch[len(batch)-1].Position
			return nil
		})
		if errors.Is(err, broker.ErrExpired) {
			head := o.ask()
			if head.Epoch == after.Epoch && o.ctx.Err() == nil {
				o.tally.Find(Protocol, "the log, which ends at %v, has forgotten what follows %v: nobody made it", head, after)
			}
			o.begin(broker.Position{Epoch: head.Epoch})
			after = broker.Position{} // a new log, from its beginning
		}
		if err != nil {
			time.Sleep(again)
		}
	}
}

// begin notes a new epoch, unless it is known. What was on its way to the old log may be lost.
func (o *oracle) begin(at broker.Position) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.epochs[at.Epoch] == nil {
		o.epochs[at.Epoch] = newEpoch(at)
	}
	o.move(at)
}

// move notes how far it has read. The lock is held.
func (o *oracle) move(at broker.Position) {
	o.head = at
	close(o.moved)
	o.moved = make(chan struct{})
}

// take notes an entry.
func (o *oracle) take(raw broker.Entry) {
	entry, err := record.Decode(raw.Data)
	if err != nil {
		o.tally.Find(Protocol, "the entry %s cannot be read: %v", raw.Data, err)
	}
	o.tally.Writes.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	at := raw.Position
	e := o.epochs[at.Epoch]
	if e == nil { // of a log that is newer than that whose head was asked for
		e = newEpoch(broker.Position{Epoch: at.Epoch})
		o.epochs[at.Epoch] = e
	}
	e.entries = append(e.entries, at)
	if e.ids[entry.ID] {
		entry = record.Entry{} // a copy, of which no hub tells
	} else if entry.ID != "" {
		e.ids[entry.ID] = true
	}
	for _, c := range entry.Changes {
		if c.Router == present {
			o.attend(e, at, c)
		} else {
			o.note(e, at, c)
		}
	}
	for _, m := range entry.Messages {
		e.channels[m.Channel] = append(e.channels[m.Channel], said{at, string(m.Data)})
		e.fold.greet(at, m)
	}
	for _, who := range entry.Recheck {
		e.rechecks[who] = append(e.rechecks[who], at)
	}
	o.move(at)
}

// known is how far it has read.
func (o *oracle) known() broker.Position {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.head
}

// end is the position of the newest entry, which the oracle has read.
func (o *oracle) end() broker.Position {
	at := o.ask()
	o.await(at)
	return at
}

// patience is how long a broker may take to tell the oracle what it has told others.
const patience = 30 * time.Second

// await returns when the oracle has read up to a position, or knows that the log is another one.
func (o *oracle) await(at broker.Position) {
	var late <-chan time.Time
	for {
		o.mu.RLock()
		moved := o.moved
		reached := o.head.Epoch == at.Epoch && !at.After(o.head) || o.head.Epoch != at.Epoch && o.epochs[at.Epoch] != nil || at.IsZero()
		o.mu.RUnlock()
		if reached {
			return
		}
		if late == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-moved:
		case <-late:
			o.tally.Find(Protocol, "somebody was told of %v, and the log, which was read up to %v, does not come to it", at, o.known())
			return
		case <-o.ctx.Done():
			return
		}
	}
}

// trimmed notes that all but the newest entries are gone.
func (o *oracle) trimmed(keep int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.epochs[o.head.Epoch]; keep < len(e.entries) {
		if base := e.entries[len(e.entries)-keep-1]; base.After(e.base) {
			e.base = base
		}
	}
}

// renewed returns when the oracle reads a log that is not that of a position.
func (o *oracle) renewed(old broker.Position) {
	for o.known().Epoch == old.Epoch && o.ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}
