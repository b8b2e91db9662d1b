package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

// lab is what one case works in: a fresh broker, and the followers and writers that the case started.
type lab struct {
	t   testing.TB
	h   Harness
	b   broker.Broker
	ctx context.Context // of everything the case does; it ends with the case

	cancel    context.CancelFunc
	filled    int             // the number in the entry that fill wrote last
	newest    broker.Position // the greatest position of this epoch that an Append returned
	followers []*follower
	writers   sync.WaitGroup
	beside    []*lab // of other brokers on the same log
}

func newLab(t testing.TB, h Harness) *lab {
	l := &lab{t: t, h: h, b: h.New(t)}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	return l
}

// second returns a lab of another broker on the same log, which is closed with this one.
func (l *lab) second() *lab {
	s := &lab{t: l.t, h: l.h, b: l.h.Second(l.t, l.b), ctx: l.ctx, cancel: l.cancel}
	l.beside = append(l.beside, s)
	return s
}

// close ends what still runs, and says so when it does not end.
func (l *lab) close() error {
	l.cancel()
	for _, s := range l.beside {
		if err := s.close(); err != nil {
			return err
		}
	}
	for _, f := range l.followers {
		if err := f.wait(followCancelled); err != nil {
			return err
		}
		if err := f.misuse(); err != nil {
			return err
		}
	}
	gone := make(chan struct{})
	go func() { l.writers.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-time.After(l.h.Patience):
		return fmt.Errorf("an Append did not return %v after its context ended", l.h.Patience)
	}
}

// append appends data.
func (l *lab) append(data []byte) (broker.Entry, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.h.Patience)
	defer cancel()
	return l.appendCtx(ctx, data)
}

// appendCtx is append with a context of the caller's own.
func (l *lab) appendCtx(ctx context.Context, data []byte) (broker.Entry, error) {
	p, err := l.b.Append(ctx, data)
	if err != nil {
		return broker.Entry{}, fmt.Errorf("appending %d bytes failed: %w", len(data), err)
	}
	return broker.Entry{Position: p, Data: data}, nil
}

// fill appends n small entries that differ, and checks that their positions lie after all that came before.
func (l *lab) fill(n int) ([]broker.Entry, error) {
	entries := make([]broker.Entry, 0, n)
	for range n {
		l.filled++
		e, err := l.append(fmt.Appendf(nil, "entry %d", l.filled))
		if err != nil {
			return nil, err
		}
		if !l.newest.IsZero() && !e.Position.After(l.newest) {
			return nil, broken(appendIncreases, "after %v it returned %v", l.newest, e.Position)
		}
		l.newest = e.Position
		entries = append(entries, e)
	}
	return entries, nil
}

// head returns the head of the log.
func (l *lab) head() (broker.Position, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.h.Patience)
	defer cancel()
	p, err := l.b.Head(ctx)
	if err != nil {
		return p, fmt.Errorf("asking for the head failed: %w", err)
	}
	return p, nil
}

// trim makes the log forget all but the newest keep entries.
func (l *lab) trim(keep int) { l.h.Trim(l.t, l.b, keep) }

// newEpoch makes the log lose its history.
func (l *lab) newEpoch() {
	l.h.NewEpoch(l.t, l.b)
	l.newest = broker.Position{}
}

// team is a number of writers that append at the same time.
type team struct {
	l       *lab
	ctx     context.Context
	watch   *time.Timer   // ends ctx when no entry was appended for long
	done    chan struct{} // closed when all have ended
	mu      sync.Mutex
	entries []broker.Entry
	newest  broker.Position // the greatest position that an Append returned
	err     error
}

// write starts writers that append n entries each, and calls each, when it is not nil, after every entry with the
// number of the writer and of its entry. Writers that meet an error stop.
func (l *lab) write(writers, n int, each func(writer, i int)) *team {
	ctx, cancel := context.WithCancel(l.ctx)
	t := &team{
		l: l, ctx: ctx, watch: time.AfterFunc(l.stuck(), cancel), done: make(chan struct{}), newest: l.newest,
	}
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range n {
				if err := t.append(fmt.Appendf(nil, "writer %d entry %d", w, i)); err != nil {
					return
				}
				if each != nil {
					each(w, i)
				}
			}
		})
	}
	l.writers.Go(func() {
		running.Wait()
		t.watch.Stop()
		cancel()
		close(t.done)
	})
	return t
}

// stuck is how long writers may stand still. It is longer than what is waited for in vain: on a busy machine a writer that
// is only slow must not hide what the readers have to say.
func (l *lab) stuck() time.Duration { return 10 * l.h.Patience }

// append appends one entry. Its position must lie after all that were returned before it was begun: that covers the
// writer's own order and that between writers.
func (t *team) append(data []byte) error {
	t.mu.Lock()
	floor, err := t.newest, t.err
	t.mu.Unlock()
	if err != nil {
		return err
	}
	e, err := t.l.appendCtx(t.ctx, data)
	t.watch.Reset(t.l.stuck())
	if err == nil && !floor.IsZero() && !e.Position.After(floor) {
		err = broken(appendIncreases, "after %v was returned it returned %v", floor, e.Position)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.err = err
		return err
	}
	t.entries = append(t.entries, e)
	if t.newest.IsZero() || e.Position.After(t.newest) {
		t.newest = e.Position
	}
	return nil
}

// wait waits for all writers and returns what they appended, in the order of positions.
func (t *team) wait() ([]broker.Entry, error) {
	<-t.done
	t.l.newest = t.newest
	slices.SortFunc(t.entries, func(a, b broker.Entry) int { return a.Position.Compare(b.Position) })
	for i := 1; i < len(t.entries) && t.err == nil; i++ {
		if a, b := t.entries[i-1], t.entries[i]; a.Position == b.Position {
			t.err = broken(appendIncreases, "it returned %v for both %q and %q", a.Position, a.Data, b.Data)
		}
	}
	return t.entries, t.err
}

// after returns those of sorted entries that follow a position.
func after(entries []broker.Entry, p broker.Position) []broker.Entry {
	i, found := slices.BinarySearchFunc(entries, p, func(e broker.Entry, p broker.Position) int {
		return e.Position.Compare(p)
	})
	if found {
		i++
	}
	return entries[i:]
}
