package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// unsent is what waits for a broker that cannot be reached, in the order in which it was published. One goroutine sends it. While
// something waits, whatever is published goes behind it. Its methods may be called by any goroutine; those of a nil one say that nothing
// waits and nothing is taken.
type unsent struct {
	hub *Hub
	max int // in bytes

	mu      sync.Mutex
	entries []waiting
	bytes   int
	closed  bool          // nothing more is taken
	retry   chan struct{} // something came, or the broker is back
	empty   chan struct{} // closed when nothing waits; nil until somebody wants to know
}

// waiting is an entry, and its size on the log.
type waiting struct {
	entry record.Entry
	size  int
}

func newUnsent(h *Hub, maximum int) *unsent {
	if maximum <= 0 {
		return nil
	}
	return &unsent{hub: h, max: maximum, retry: make(chan struct{}, 1)}
}

// What becomes of what could not be sent at once, as MetricUnsent counts it.
const (
	queued  = "queued"
	refused = "refused"
	lost    = "lost"
)

// name gives an entry an id: when the answer to its append is lost it is appended once more, and each hub takes the copies for one.
func (u *unsent) name(e record.Entry) record.Entry {
	if u != nil && e.ID == "" {
		e.ID = rand.Text()
	}
	return e
}

// any reports whether something waits.
func (u *unsent) any() bool {
	n, _ := u.size()
	return n > 0
}

// size is how many entries wait, and their bytes on the log.
func (u *unsent) size() (entries, bytes int) {
	if u == nil {
		return 0, 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.entries), u.bytes
}

// takes reports whether what failed with an error is to wait.
func (u *unsent) takes(err error) bool { return u != nil && errors.Is(err, session.ErrUnavailable) }

// take puts entries behind all that waits: all of them, or none when that would be too much. What no log takes for its size is treated as
// where the broker is there: it is split, and what is too large by itself is left out, which tooLarge tells.
func (u *unsent) take(entries []record.Entry) (tooLarge, err error) {
	var more []waiting
	bytes, n := 0, 0
	for queue := entries; len(queue) > 0; {
		e := u.name(queue[0])
		e.Sent = time.Now().UnixMilli() // as large as the time that it gets when it is sent
		data, err := record.Encode(e)
		switch {
		case err != nil:
			return nil, err
		case len(data) <= record.MaxBytes:
			more, queue = append(more, waiting{e, len(data)}), queue[1:]
			bytes, n = bytes+len(data), n+size(e)
		case size(e) > 1:
			first, second := halves(e)
			queue = append([]record.Entry{first, second}, queue[1:]...)
		default:
			tooLarge, queue = broker.ErrTooLarge, queue[1:]
		}
	}
	if err := u.add(more, bytes); err != nil {
		u.hub.watch.Count(MetricUnsent, refused, n)
		return nil, err
	}
	u.hub.watch.Count(MetricUnsent, queued, n)
	u.again()
	return tooLarge, nil
}

func (u *unsent) add(more []waiting, bytes int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		return fmt.Errorf("%w, and the hub is shut down", session.ErrUnavailable)
	case u.bytes+bytes > u.max:
		return fmt.Errorf("%w; %d bytes wait for it already, and with %d more it were over the %d of Options.MaxUnsentBytes",
			session.ErrUnavailable, u.bytes, bytes, u.max)
	}
	u.entries, u.bytes = append(u.entries, more...), u.bytes+bytes
	return nil
}

// again has the first be tried now.
func (u *unsent) again() {
	if u == nil {
		return
	}
	select {
	case u.retry <- struct{}{}:
	default:
	}
}

// run sends what waits until ctx ends.
func (u *unsent) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		first, ok := u.first()
		if !ok {
			failures = 0
			select {
			case <-u.retry:
			case <-ctx.Done():
			}
			continue
		}
		err := u.send(ctx, first)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 && ctx.Err() == nil {
			u.hub.options.Logger.WarnContext(ctx, "live: the broker cannot be reached; what is published waits for it", session.Cause(err))
		}
		longest := min(5*time.Second, 50*time.Millisecond<<min(failures, 10))
		select {
		case <-u.retry:
		case <-time.After(longest/2 + mathrand.N(longest/2)):
		case <-ctx.Done():
		}
	}
}

func (u *unsent) first() (waiting, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.entries) == 0 {
		return waiting{}, false
	}
	return u.entries[0], true
}

// send appends the first of what waits. What the broker does not take for its size becomes two halves, or is lost.
func (u *unsent) send(ctx context.Context, first waiting) error {
	_, err := u.hub.engine.Append(ctx, first.entry)
	switch {
	case err == nil:
		u.hub.published(first.entry)
		u.replace(first)
	case errors.Is(err, broker.ErrTooLarge) && size(first.entry) > 1:
		a, b := halves(first.entry)
		u.replace(first, waiting{u.name(a), first.size / 2}, waiting{u.name(b), first.size - first.size/2})
	case !u.takes(err) && ctx.Err() == nil: // it will never be taken
		u.hub.watch.Count(MetricUnsent, lost, size(first.entry))
		u.hub.options.Logger.ErrorContext(ctx, "live: what waited for the broker is refused by it, and lost", session.Cause(err))
		u.replace(first)
	default:
		return err
	}
	return nil
}

// replace puts others in the place of the first of what waits.
func (u *unsent) replace(first waiting, others ...waiting) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes -= first.size
	for _, w := range others {
		u.bytes += w.size
	}
	u.entries[0] = waiting{}
	if u.entries = u.entries[1:]; len(others) > 0 {
		u.entries = append(others, u.entries...)
	}
	if len(u.entries) == 0 {
		u.entries = nil
		if u.empty != nil {
			close(u.empty)
			u.empty = nil
		}
	}
}

// finish takes nothing more, and waits until what waits is sent, for so long at most and not beyond ctx.
func (u *unsent) finish(ctx context.Context, atMost time.Duration) {
	if u == nil {
		return
	}
	u.mu.Lock()
	u.closed = true
	empty := make(chan struct{})
	if len(u.entries) == 0 {
		close(empty)
	} else {
		u.empty = empty
	}
	u.mu.Unlock()
	u.again()
	late := time.NewTimer(atMost)
	defer late.Stop()
	select {
	case <-empty:
	case <-ctx.Done():
	case <-late.C:
	}
}

// abandon drops what waits, when nobody sends it any more, and logs how much it was.
func (u *unsent) abandon() {
	if u == nil {
		return
	}
	u.mu.Lock()
	entries, bytes := u.entries, u.bytes
	u.entries, u.bytes = nil, 0
	u.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	n := 0
	for _, w := range entries {
		n += size(w.entry)
	}
	u.hub.watch.Count(MetricUnsent, lost, n)
	u.hub.options.Logger.Error("live: the hub has stopped before the broker could be reached; what was published and waited for it is lost",
		"entries", len(entries), "bytes", bytes)
}

// regardless returns a context for publishing what has happened already: it does not end with the caller. His deadline counts, but leaves
// a second at least.
func regardless(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !ok {
		return ctx, func() {}
	}
	if least := time.Now().Add(time.Second); deadline.Before(least) {
		deadline = least
	}
	return context.WithDeadline(ctx, deadline)
}
