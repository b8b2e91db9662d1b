package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// lists is how many lists items are in, bulletins how many public channels there are besides news.
const (
	lists     = 8
	bulletins = 4
)

// writer changes rows and publishes, through any of the hubs.
type writer struct {
	world *world
	rnd   *rand.Rand
}

// write does things until ctx ends. What was committed is published in any case.
func (w *writer) write(ctx context.Context) {
	done := ctx.Done()
	ctx = context.WithoutCancel(ctx)
	for range 40 {
		w.note(w.create(ctx))
	}
	for {
		select {
		case <-done:
			return
		default:
		}
		w.note(w.step(ctx))
		if pace := w.world.config.Pace; pace > 0 {
			select {
			case <-time.After(time.Duration(w.rnd.Int64N(int64(2 * pace)))):
			case <-done:
				return
			}
		}
	}
}

func (w *writer) note(err error) {
	if err != nil {
		w.world.tally.Find(Protocol, "a writer is told %v", err)
	}
}

// life is some hub.
func (w *writer) life() *life { return w.world.nodes[w.rnd.IntN(len(w.world.nodes))].present() }

// tell publishes what was committed, through some hub, and again as long as the log cannot be reached. So it may stand there twice.
func (w *writer) tell(publish func(l *life) error) error {
	l := w.life()
	for end := time.Now().Add(w.world.config.Settle); ; {
		err := publish(l)
		if err == nil || w.world.ctx.Err() != nil {
			return nil
		} else if time.Now().After(end) {
			return err
		}
		time.Sleep(again)
	}
}

func (w *writer) updated(ctx context.Context, was, now item) error {
	return w.tell(func(l *life) error { return l.items.Updated(ctx, was, now) })
}

// step does one thing.
func (w *writer) step(ctx context.Context) error {
	if w.world.table.size() > w.world.config.Rows {
		return w.remove(ctx)
	}
	switch n := w.rnd.IntN(100); {
	case n < 20:
		return w.create(ctx)
	case n < 32:
		return w.remove(ctx)
	case n < 55:
		return w.edit(ctx, func(i *item) { i.Title = "title " + strconv.Itoa(w.rnd.IntN(1000)) })
	case n < 63:
		return w.edit(ctx, func(i *item) { i.Rank = w.rnd.Int64N(20) })
	case n < 68:
		return w.edit(ctx, w.moves())
	case n < 71:
		return w.walk(ctx)
	case n < 75:
		return w.swap(ctx)
	case n < 80:
		return w.unsaid(ctx)
	case n < 84:
		return w.batch(ctx)
	case n < 85 && w.rnd.IntN(10) == 0:
		return w.bulk(ctx)
	}
	return w.say(ctx)
}

// moves takes a row to another list, or to another owner: into and out of filters and scopes.
func (w *writer) moves() func(*item) {
	list, owner := w.rnd.Int64N(lists), w.rnd.Int64N(owners)
	if w.rnd.IntN(2) == 0 {
		return func(i *item) { i.List = list }
	}
	return func(i *item) { i.Owner = owner }
}

func (w *writer) create(ctx context.Context) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	now := w.world.table.insert(item{List: w.rnd.Int64N(lists), Owner: w.rnd.Int64N(owners), Rank: w.rnd.Int64N(20), Title: "new"})
	first := true
	return w.tell(func(l *life) error {
		if !first { // nobody knows whether it was, and the row may be gone again
			return l.items.Changed(ctx, now)
		}
		first = false
		return l.items.Created(ctx, now)
	})
}

// furnish makes the rows at which members are.
func (w *world) furnish(ctx context.Context) {
	for owner := range int64(desks) {
		now := w.table.insert(item{List: owner % lists, Owner: owner, Title: "desk"})
		if err := w.nodes[0].present().items.Created(ctx, now); err != nil {
			w.tally.Find(Protocol, "Created: %v", err)
		}
	}
}

func (w *writer) remove(ctx context.Context) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	i, ok := w.world.table.pick(w.rnd)
	if !ok {
		return nil
	}
	if i.ID <= desks {
		return nil // somebody may be there
	}
	was, ok := w.world.table.remove(i.ID)
	if !ok {
		return nil
	}
	return w.tell(func(l *life) error { return l.items.Deleted(ctx, was) })
}

// edit changes a row and says what it was.
func (w *writer) edit(ctx context.Context, f func(*item)) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	i, _ := w.world.table.pick(w.rnd)
	was, now, ok := w.world.table.change(i.ID, f)
	if !ok {
		return nil
	}
	return w.updated(ctx, was, now)
}

// unsaid changes a row and does not say what it was.
func (w *writer) unsaid(ctx context.Context) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	i, _ := w.world.table.pick(w.rnd)
	_, now, ok := w.world.table.change(i.ID, w.moves())
	if !ok {
		return nil
	}
	if w.rnd.IntN(3) == 0 {
		return w.tell(func(l *life) error { return l.items.ChangedID(ctx, live.Key(strconv.FormatInt(i.ID, 10))) })
	}
	return w.tell(func(l *life) error { return l.items.Changed(ctx, now) })
}

// walk takes a row out of its list and back, several times.
func (w *writer) walk(ctx context.Context) error {
	w.world.tally.Fault(Walk)
	i, _ := w.world.table.pick(w.rnd)
	for step := range 2 + w.rnd.IntN(4) {
		w.world.order.RLock()
		was, now, ok := w.world.table.change(i.ID, func(now *item) {
			if now.List = i.List; step%2 == 0 {
				now.List = (i.List + 1) % lists
			}
		})
		var err error
		if ok {
			err = w.updated(ctx, was, now)
		}
		w.world.order.RUnlock()
		if err != nil || !ok {
			return err
		}
	}
	return nil
}

// swap commits two versions and publishes the newer one first.
func (w *writer) swap(ctx context.Context) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	i, _ := w.world.table.pick(w.rnd)
	was1, now1, ok := w.world.table.change(i.ID, w.moves())
	if !ok {
		return nil
	}
	was2, now2, ok := w.world.table.change(i.ID, w.moves())
	if !ok { // another writer has deleted it
		return w.updated(ctx, was1, now1)
	}
	w.world.tally.Fault(Late)
	if err := w.updated(ctx, was2, now2); err != nil {
		return err
	}
	if w.rnd.IntN(2) == 0 {
		w.note(w.tell(func(l *life) error { return w.words(ctx, l.hub) })) // something in between
	}
	return w.updated(ctx, was1, now1)
}

// batch puts several changes and messages on the log as one entry.
func (w *writer) batch(ctx context.Context) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	var changes [][2]item
	for range 1 + w.rnd.IntN(4) {
		i, _ := w.world.table.pick(w.rnd)
		if was, now, ok := w.world.table.change(i.ID, w.moves()); ok {
			changes = append(changes, [2]item{was, now})
		}
	}
	return w.tell(func(l *life) error {
		return l.hub.Batch(ctx, func(ctx context.Context) error {
			for _, c := range changes {
				if err := l.items.Updated(ctx, c[0], c[1]); err != nil {
					return err
				}
			}
			return w.words(ctx, l.hub)
		})
	})
}

// bulk changes many rows behind the router's back.
func (w *writer) bulk(ctx context.Context) error {
	w.world.order.Lock() // rows that are changed in bulk must not be in the middle of another change
	defer w.world.order.Unlock()
	list := w.rnd.Int64N(lists)
	w.world.table.changeWhere(func(i item) bool { return i.List == list }, func(i *item) { i.Rank = (i.Rank + 1) % 20 })
	defer w.world.oracle.end() // it notes of what is there that it may have changed
	return w.tell(func(l *life) error { return l.items.ChangedWhere(ctx, where.Eq("list", list)) })
}

// say publishes on channels.
func (w *writer) say(ctx context.Context) error {
	w.world.order.RLock()
	defer w.world.order.RUnlock()
	if w.rnd.IntN(3) == 0 {
		return w.tell(func(l *life) error { return w.words(ctx, l.hub) })
	}
	n := 1 + w.rnd.IntN(w.world.config.Burst)
	return w.tell(func(l *life) error {
		return l.hub.Batch(ctx, func(ctx context.Context) error {
			for range n {
				if err := w.words(ctx, l.hub); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// words publishes one message: on a channel for all, or on one for those who may see an owner's rows.
func (w *writer) words(ctx context.Context, hub *live.Hub) error {
	stamp := w.world.table.stamp()
	switch w.rnd.IntN(4) {
	case 0:
		owner := w.rnd.Int64N(owners)
		return hub.Publish(ctx, fmt.Sprintf("chat:%d", owner), json.RawMessage(fmt.Sprintf(`{"n":%d,"secret":"%s"}`, stamp, secret(owner, stamp))))
	case 1:
		return hub.Publish(ctx, fmt.Sprintf("bulletin:%d", w.rnd.IntN(bulletins)), stamp)
	}
	return hub.Publish(ctx, "news", stamp)
}
