// Package pulse calls a function again and again without a goroutine that waits in between: an idle stream costs a timer.
package pulse

import (
	"sync"
	"time"
)

// Pulse is a running pulse.
type Pulse struct {
	next func() time.Duration
	beat func() bool

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	pending sync.WaitGroup // a beat that is to come or runs
}

// Start calls beat after next(), and again next() after it returned true.
func Start(next func() time.Duration, beat func() bool) *Pulse {
	p := &Pulse{next: next, beat: beat}
	p.arm()
	return p
}

func (p *Pulse) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.pending.Add(1)
	p.timer = time.AfterFunc(p.next(), p.fire)
}

func (p *Pulse) fire() {
	defer p.pending.Done()
	if p.beat() {
		p.arm()
	}
}

// Stop ends the pulse and waits for a beat that runs.
func (p *Pulse) Stop() {
	p.mu.Lock()
	p.stopped = true
	if p.timer.Stop() {
		p.pending.Done()
	}
	p.mu.Unlock()
	p.pending.Wait()
}
