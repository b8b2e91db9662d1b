package live

import (
	"time"

	"github.com/swampline/live/internal/observe"
)

// Observer is told what happens in a hub, as it happens. Package github.com/swampline/live/prometheus, a module of its own, has one for
// Prometheus; what can be read at any time instead is in [Hub.Stats].
//
// Its methods are called often and by many goroutines at once, some of which hold up a client, or everybody, until it returns: it must
// not wait, and must not call the hub. It ignores metrics that it does not know, for later versions add some. Labels are few: each
// Metric says what its label is, and nothing that a client sends becomes one.
//
// When it panics what it was told is lost to it and to nobody else; the panic is logged, at most once a minute.
type Observer interface {
	// Count says that something happened n times; n is positive.
	Count(m Metric, label string, n int)
	// Measure says that something took so long; d is never negative.
	Measure(m Metric, label string, d time.Duration)
}

// Metric is what an [Observer] is told of. Its String is a name such as "delivery_delay".
type Metric = observe.Metric

// What is counted, in events, and measured, as durations.
const (
	// MetricPublishes counts what this hub has put on the log: changes of rows and messages. The label is the router's Name or that of
	// the channel's declaration ("chat:*", not "chat:7"), and empty for a Recheck or Disconnect.
	MetricPublishes Metric = observe.Publishes

	// MetricDeliveries counts the frames that transports took to send them: snapshots, changes, messages, answers. The label is the
	// transport's Name.
	MetricDeliveries Metric = observe.Deliveries

	// MetricDeliveryDelay measures the time from when this hub followed a change or message on the log to when a transport took it.
	// It is told once for each time that a transport takes frames, of the one among them that waited longest. What a client missed
	// before it subscribed or resumed does not count. The label is the transport's Name.
	MetricDeliveryDelay Metric = observe.DeliveryDelay

	// MetricBrokerLag measures the time from when an entry was appended to the log to when this hub followed it, in milliseconds. Between
	// two machines it contains the difference of their clocks; what that makes negative is told as zero. The label is empty.
	MetricBrokerLag Metric = observe.BrokerLag

	// MetricOverflows counts how often what waited for a slow client was too much, was dropped, and is read from the log again. The
	// label is the transport's Name.
	MetricOverflows Metric = observe.Overflows

	// MetricResyncs counts the snapshots that were sent in place of what the log no longer tells. The label is the reason: history,
	// epoch, overflow, unknown, rights or bulk, as docs/protocol.md describes them.
	MetricResyncs Metric = observe.Resyncs

	// MetricClosedSubscriptions counts the subscriptions that were accepted and later ended by the hub. The label is the problem's code, as
	// for MetricRefusals.
	MetricClosedSubscriptions Metric = observe.ClosedSubscriptions

	// MetricClosedSessions counts the sessions that ended; each request of a poll is one. The label is the code of the problem for which
	// the hub ended it, "reconnect" when it asked the client to connect again, because it shuts down, and "gone" when the client
	// went or its request was answered.
	MetricClosedSessions Metric = observe.ClosedSessions

	// MetricRefusals counts the messages and requests that were answered with a problem. The label is the problem's code if it
	// is one of this package's, as docs/protocol.md lists them, or else "application".
	MetricRefusals Metric = observe.Refusals

	// MetricPanics counts the panics of the application's funcs. The label says where: identity, refresh, scope (also View and Permission),
	// list (also Count), verb (also hooks and what they call), channel, or other.
	MetricPanics Metric = observe.Panics

	// MetricLoads measures how long the application took to read or count the rows of a list. The label is the router's Name.
	MetricLoads Metric = observe.Loads

	// MetricLoadWaits measures how long a list waited until it could be read. The label is the router's Name.
	MetricLoadWaits Metric = observe.LoadWaits

	// MetricUnsent counts the changes and messages that the broker was not there for, with Options.MaxUnsentBytes. The label is "queued" when they began
	// to wait for it, "refused" when that would have been too much, and publishing failed, and "lost" when they waited and were not
	// sent: the hub stopped before, or the broker refuses them for ever.
	MetricUnsent Metric = observe.Unsent
)
