package livetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
)

// Recorder is a [live.Publisher] that keeps what model code reports, for a test of that code without a hub. The zero value is
// ready. Its methods may be called by any goroutine.
type Recorder[T any] struct {
	// Err makes publishing fail with it; what failed is not recorded. Set it while no publishing is under way.
	Err error

	mu     sync.Mutex
	events []Recorded[T]
	taken  int
	news   chan struct{} // closed at the next event
}

// Recorded is one thing that model code reported.
type Recorded[T any] struct {
	// Event is Create, Update or Delete.
	Event live.Event
	// Was is the row before an Update or Delete, Now the row after a Create or Update; the other one is zero.
	Was, Now T
}

// String words it for a message.
func (r Recorded[T]) String() string {
	switch r.Event {
	case live.Create:
		return fmt.Sprintf("create %+v", r.Now)
	case live.Update:
		return fmt.Sprintf("update %+v (it was %+v)", r.Now, r.Was)
	}
	return fmt.Sprintf("%s %+v", r.Event, r.Was)
}

// Created records a new row.
func (r *Recorder[T]) Created(_ context.Context, now T) error {
	return r.record(Recorded[T]{Event: live.Create, Now: now})
}

// Updated records a change of a row.
func (r *Recorder[T]) Updated(_ context.Context, was, now T) error {
	return r.record(Recorded[T]{Event: live.Update, Was: was, Now: now})
}

// Deleted records that a row is gone.
func (r *Recorder[T]) Deleted(_ context.Context, was T) error {
	return r.record(Recorded[T]{Event: live.Delete, Was: was})
}

func (r *Recorder[T]) record(e Recorded[T]) error {
	if r.Err != nil {
		return r.Err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
	return nil
}

// Events returns everything that was reported, in order, also what Want has taken.
func (r *Recorder[T]) Events() []Recorded[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Want wants the next event that was not wanted yet to be of a kind and about a row: the row as it is, or, of a Delete, as it
// was. Rows are compared by reflect.DeepEqual. It waits up to 5 s, for code that reports from a goroutine of its own, and
// returns the event.
func (r *Recorder[T]) Want(t testing.TB, event live.Event, row T) Recorded[T] {
	t.Helper()
	want := Recorded[T]{Event: event, Now: row}
	if event == live.Delete {
		want = Recorded[T]{Event: event, Was: row}
	}
	patience := within(t, 5*time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, ok := r.next(ctx)
	if event == live.Update {
		want.Was = got.Was // any will do
	}
	switch {
	case !ok:
		t.Fatalf("livetest: want %s reported, got nothing within %v; before it came %s", kindAndRow(want), patience, r.history())
	case !reflect.DeepEqual(got, want):
		t.Fatalf("livetest: want %s reported, got %s", kindAndRow(want), got)
	}
	return got
}

// kindAndRow words what is wanted.
func kindAndRow[T any](r Recorded[T]) string {
	if r.Event == live.Delete {
		return fmt.Sprintf("%s %+v", r.Event, r.Was)
	}
	return fmt.Sprintf("%s %+v", r.Event, r.Now)
}

// next waits for an event that was not taken.
func (r *Recorder[T]) next(ctx context.Context) (Recorded[T], bool) {
	for {
		r.mu.Lock()
		if r.taken < len(r.events) {
			e := r.events[r.taken]
			r.taken++
			r.mu.Unlock()
			return e, true
		}
		if r.news == nil {
			r.news = make(chan struct{})
		}
		news := r.news
		r.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return Recorded[T]{}, false
		}
	}
}

// history words what was reported.
func (r *Recorder[T]) history() string {
	var all []string
	for _, e := range r.Events() {
		all = append(all, e.String())
	}
	if all == nil {
		return "nothing"
	}
	return clip(strings.Join(all, ", "))
}

// WantNone fails the test if something was reported that was not wanted yet. It does not wait.
func (r *Recorder[T]) WantNone(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken < len(r.events) {
		t.Fatalf("livetest: want nothing reported, got %s", r.events[r.taken])
	}
}
