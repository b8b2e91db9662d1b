// Package turnstile lets so many in at once, the others in the order in which they came.
package turnstile

import (
	"container/list"
	"context"
	"sync"
)

// Turnstile bounds how many do something at once. Its methods may be called by any goroutine.
type Turnstile struct {
	mu      sync.Mutex
	free    int
	waiting list.List // of chan struct{}, closed when it is their turn
}

// New returns a turnstile for so many at once.
func New(n int) *Turnstile { return &Turnstile{free: n} }

// Enter waits for its turn; each Enter without an error is paid back by one Leave. The error is ctx's: who does not wait any more leaves
// the line.
func (t *Turnstile) Enter(ctx context.Context) error {
	t.mu.Lock()
	if err := ctx.Err(); err != nil {
		t.mu.Unlock()
		return err
	}
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	place := t.waiting.PushBack(turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-turn: // it was its turn just now
		t.leave()
	default:
		t.waiting.Remove(place)
	}
	return ctx.Err()
}

// Leave lets the next one in.
func (t *Turnstile) Leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave()
}

func (t *Turnstile) leave() {
	first := t.waiting.Front()
	if first == nil {
		t.free++
		return
	}
	close(t.waiting.Remove(first).(chan struct{}))
}

// Waiting is how many wait.
func (t *Turnstile) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting.Len()
}
