// Package observe hands what happens in a hub to whoever the application lets watch it.
package observe

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Metric is what is counted or measured. Package live says what each means.
type Metric uint8

// The metrics.
const (
	Publishes Metric = iota
	Deliveries
	DeliveryDelay
	BrokerLag
	Overflows
	Resyncs
	ClosedSubscriptions
	ClosedSessions
	Refusals
	Panics
	Loads
	LoadWaits
	Unsent
)

var names = [...]string{
	Publishes: "publishes", Deliveries: "deliveries", DeliveryDelay: "delivery_delay", BrokerLag: "broker_lag",
	Overflows: "overflows", Resyncs: "resyncs", ClosedSubscriptions: "closed_subscriptions", ClosedSessions: "closed_sessions",
	Refusals: "refusals", Panics: "panics", Loads: "loads", LoadWaits: "load_waits",
	Unsent: "unsent",
}

// String returns the metric's name: lower case letters and underscores.
func (m Metric) String() string {
	if int(m) < len(names) {
		return names[m]
	}
	return "unknown"
}

// Observer is live.Observer.
type Observer interface {
	Count(m Metric, label string, n int)
	Measure(m Metric, label string, d time.Duration)
}

// silence is for how long panics of an observer are not logged again.
const silence = time.Minute

// Watch hands what happens to an observer, and survives its panics. A nil Watch does nothing, at the price of a comparison.
type Watch struct {
	observer Observer
	logger   *slog.Logger
	start    time.Time

	mu       sync.Mutex
	panicked time.Time // when a panic was logged last
	unlogged int       // panics since then
}

// New returns a Watch for an observer; nil for none.
func New(o Observer, logger *slog.Logger) *Watch {
	if o == nil {
		return nil
	}
	return &Watch{observer: o, logger: logger, start: time.Now()}
}

// Count says that something happened n times. Nothing is said of none.
func (w *Watch) Count(m Metric, label string, n int) {
	if w == nil || n == 0 {
		return
	}
	defer w.survive(m)
	w.observer.Count(m, label, n)
}

// Measure says that something took so long; less than nothing, which clocks of two machines can come to, counts as nothing.
func (w *Watch) Measure(m Metric, label string, d time.Duration) {
	if w == nil {
		return
	}
	defer w.survive(m)
	w.observer.Measure(m, label, max(d, 0))
}

// Now is a moment for Since; zero when nobody watches, and only then.
func (w *Watch) Now() Moment {
	if w == nil {
		return 0
	}
	return Moment(time.Since(w.start)) + 1
}

// Since measures the time that has passed since a moment. The zero moment is none.
func (w *Watch) Since(m Metric, label string, from Moment) {
	if w != nil && from != 0 {
		w.Measure(m, label, time.Duration(w.Now()-from))
	}
}

// Moment is a point of this process's time that costs eight bytes; the zero one is never.
type Moment int64

// survive keeps a panic of the observer from what it was told of: what happens in a hub does not depend on who watches. The first
// panic is logged, and one a minute of those that follow.
func (w *Watch) survive(m Metric) {
	p := recover()
	if p == nil {
		return
	}
	w.mu.Lock()
	w.unlogged++
	n := w.unlogged
	loud := w.panicked.IsZero() || time.Since(w.panicked) >= silence
	if loud {
		w.panicked, w.unlogged = time.Now(), 0
	}
	w.mu.Unlock()
	if loud {
		w.logger.Error("live: the Observer panicked; what it was told is lost to it alone", "metric", m.String(), "panic", p, "panics", n,
			"stack", string(debug.Stack()))
	}
}
