package session_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/record"
)

// thing is a row of the tests' model. Note cannot be filtered on.
type thing struct {
	id, box, version int64
	note             string
}

func (r thing) key() string { return strconv.FormatInt(r.id, 10) }

func (r thing) fields() record.Fields {
	return record.Fields{
		"id": json.RawMessage(r.key()), "box": fmt.Appendf(nil, "%d", r.box),
		"note": fmt.Appendf(nil, "%q", r.note), "version": fmt.Appendf(nil, "%d", r.version),
	}
}

// flaky is a broker that can be made to fail.
type flaky struct {
	*memory.Broker
	lines   *lines // the log in its place, unless nil
	mu      sync.Mutex
	broken  error
	mute    bool                             // nothing can be followed, though everything else works
	stumble int                              // so many readings of old history from now one fails
	under   map[*context.CancelFunc]struct{} // the calls of Follow that are under way
	reads   atomic.Int64
}

// fail makes every call fail, and cuts those that are under way; nil heals it.
func (b *flaky) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken = err; err == nil {
		return
	}
	for cut := range b.under {
		(*cut)()
	}
}

// pause makes a hub fall behind its log, or ends that.
func (b *flaky) pause(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mute = yes
	for cut := range b.under {
		(*cut)()
	}
}

func (b *flaky) state() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

func (b *flaky) log() broker.Broker {
	if b.lines != nil {
		return b.lines
	}
	return b.Broker
}

func (b *flaky) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if err := b.state(); err != nil {
		return broker.Position{}, err
	}
	return b.log().Append(ctx, data)
}

func (b *flaky) Head(ctx context.Context) (broker.Position, error) {
	if err := b.state(); err != nil {
		return broker.Position{}, err
	}
	return b.log().Head(ctx)
}

func (b *flaky) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	b.reads.Add(1)
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	b.mu.Lock()
	if b.broken != nil || b.mute {
		defer b.mu.Unlock()
		return cmp.Or(b.broken, errBroken)
	}
	if _, reads := ctx.Deadline(); reads && b.stumble > 0 { // what a hub follows has no deadline
		if b.stumble--; b.stumble == 0 {
			defer b.mu.Unlock()
			return errBroken
		}
	}
	if b.under == nil {
		b.under = map[*context.CancelFunc]struct{}{}
	}
	b.under[&cancel] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.under, &cancel)
	}()
	err := b.log().Follow(following, after, deliver)
	if ctx.Err() == nil && following.Err() != nil {
		return cmp.Or(b.state(), errBroken)
	}
	return err
}

var errBroken = errors.New("broken")

// options are those of a test's hub.
type options struct {
	batch                        int
	window, queue, subscriptions int
	broker                       memory.Options
	observer                     observe.Observer
}

// store is a database.
type store struct {
	mu   sync.Mutex
	rows map[int64]thing
	last int64 // version
}

// commit changes a row and returns the record that tells of it.
func (db *store) commit(id int64, change func(thing) *thing) *record.Change {
	db.mu.Lock()
	defer db.mu.Unlock()
	was, exists := db.rows[id]
	was.id = id
	now := change(was)
	c := &record.Change{Router: "things", Key: was.key(), Op: record.Create}
	if exists {
		c.Op, c.Was = record.Update, was.fields()
		delete(c.Was, "note")
	}
	if now == nil {
		if !exists {
			return nil
		}
		c.Op, c.Version = record.Delete, &was.version
		delete(db.rows, id)
		return c
	}
	db.last++
	now.version, now.note = db.last, fmt.Sprint("n", db.last)
	db.rows[id] = *now
	c.Now, c.Version = now.fields(), &now.version
	if exists {
		c.Changed = []string{}
		for name, value := range now.fields() {
			if string(was.fields()[name]) != string(value) {
				c.Changed = append(c.Changed, name)
			}
		}
	}
	return c
}
