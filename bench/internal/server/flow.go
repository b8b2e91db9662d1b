package server

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Flow lets a server publish by itself, so that it does not wait for its clients' process: the next message goes when the last was written to everybody. Who
// writes calls Wrote.
type Flow struct {
	written, due atomic.Int64
	wake         chan struct{}
}

// Flowed is what a Flow did.
type Flowed struct {
	Messages   int     `json:"messages"`
	Deliveries int64   `json:"deliveries"`
	Seconds    float64 `json:"seconds"`
	Error      string  `json:"error,omitempty"`
}

// NewFlow returns a Flow that has counted nothing.
func NewFlow() *Flow { return &Flow{wake: make(chan struct{}, 1)} }

// Wrote counts deliveries. It is called by any goroutine, and wakes nobody but for the delivery that is waited for.
func (f *Flow) Wrote(deliveries int) {
	n, due := f.written.Add(int64(deliveries)), f.due.Load()
	if n >= due && n-int64(deliveries) < due {
		select {
		case f.wake <- struct{}{}:
		default: // it is known
		}
	}
}

// stuck is how long a Flow waits for a message to be written.
const stuck = 20 * time.Second

// run publishes messages to so many clients, from the first on, for so long, each when the one before is written.
func (f *Flow) run(first, clients int, lasts time.Duration, publish func(n int)) (found Flowed) {
	began, before := time.Now(), f.written.Load()
	for time.Since(began) < lasts && found.Error == "" {
		publish(first + found.Messages)
		found.Messages++
		if !f.wait(before + int64(found.Messages)*int64(clients)) {
			found.Error = fmt.Sprintf("message %d was not written to %d clients in %v", found.Messages, clients, stuck)
		}
	}
	found.Seconds, found.Deliveries = time.Since(began).Seconds(), f.written.Load()-before
	return found
}

// wait waits until so many deliveries were written.
func (f *Flow) wait(due int64) bool {
	f.due.Store(due)
	if f.written.Load() >= due {
		return true
	}
	late := time.NewTimer(stuck)
	defer late.Stop()
	for f.written.Load() < due {
		select {
		case <-f.wake:
		case <-late.C:
			return false
		}
	}
	return true
}
