// Package prometheus has the metrics of a hub for Prometheus: what happens, which the hub tells its Observer, and what it holds, which is
// asked for when Prometheus collects.
//
//	metrics := liveprometheus.New(liveprometheus.Options{}) // this package, imported by another name than Prometheus' own
//	hub := live.New(live.Options{Observer: metrics})
//	metrics.Watch(hub)
//	registry.MustRegister(metrics)
//	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// What happens:
//
//	live_publishes_total{name}             changes and messages put on the log, by router or declaration of a channel
//	live_deliveries_total{transport}       messages handed to transports
//	live_delivery_delay_seconds{transport} from following the log to a transport's taking it, a histogram
//	live_broker_lag_seconds                from the log's append to following it, a histogram; contains the clocks' difference
//	live_overflows_total{transport}        queues of slow clients dropped, to be read from the log again
//	live_resyncs_total{reason}             snapshots in place of what the log no longer tells
//	live_subscriptions_closed_total{code}  accepted subscriptions ended by the hub
//	live_sessions_closed_total{code}       sessions ended; "gone" when the client went or was answered, "reconnect" by a shutdown
//	live_refusals_total{code}              messages and requests answered with a problem
//	live_panics_total{where}               panics of the application's funcs
//	live_load_seconds{router}              reading or counting the rows of a list, a histogram
//	live_load_wait_seconds{router}         waiting until a list could be read, a histogram
//	live_unsent_total{fate}                changes and messages that the broker was not there for: queued, refused or lost
//
// What the hub holds:
//
//	live_sessions{transport}  connected clients; a poll is one while it is answered
//	live_parked_polls         long-polls that wait for something to tell
//	live_subscriptions        of all sessions
//	live_queries              different lists, windows, counts and channels that are followed
//	live_queue_bytes          messages that wait for clients to take them
//	live_broker_up            1, or 0 while the broker cannot be reached
//	live_history_entries      entries of the log in memory
//	live_history_bytes        their size
//	live_unsent_entries       entries that wait for the broker
//	live_unsent_bytes         their size
//
// Package live says of each in more detail what it means: see its constants Metric… and [live.Stats].
package prometheus

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/swampline/live"
)

// Options say how the metrics of a hub are named and bounded. The zero value is usable.
type Options struct {
	// Namespace is what the metrics' names begin with. Empty means "live".
	Namespace string
	// Labels are put on every metric: to tell the hubs of one process apart, for one. Nil means none.
	Labels prometheus.Labels
	// Buckets are the upper bounds of the histograms, in seconds. Nil means 16 of them from 500 µs to a minute.
	Buckets []float64
	// MaxValues bounds the values that a metric's label takes; what would be one more counts as "other". It is a last resort: the
	// labels of package live are few, as many as the application declares routers and channels. Zero means 200.
	MaxValues int
}

// buckets suit what is a millisecond on a good day and some seconds on a bad one.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Observer is the live.Observer of one hub and the prometheus.Collector of what it is told and of the hub's Stats. Make one with New.
// Its methods may be called by any goroutine.
type Observer struct {
	series []series // by live.Metric
	gauges gauges
	hub    atomic.Pointer[live.Hub]
}

var (
	_ live.Observer        = (*Observer)(nil)
	_ prometheus.Collector = (*Observer)(nil)
)

// New returns an observer for a hub's Options. It panics when Namespace, Labels or Buckets are not what Prometheus permits.
func New(o Options) *Observer {
	o.Namespace = cmp.Or(o.Namespace, "live")
	o.MaxValues = cmp.Or(o.MaxValues, 200)
	if o.Buckets == nil {
		o.Buckets = buckets
	}
	counter := func(name, label, help string) series { return newCounter(o, name, label, help) }
	histogram := func(name, label, help string) series { return newHistogram(o, name, label, help) }
	return &Observer{gauges: newGauges(o), series: []series{
		live.MetricPublishes:           counter("publishes_total", "name", "Changes and messages that this hub put on the log."),
		live.MetricDeliveries:          counter("deliveries_total", "transport", "Messages that were handed to transports."),
		live.MetricDeliveryDelay:       histogram("delivery_delay_seconds", "transport", "Time from when the hub followed an entry of the log to when a transport took it."),
		live.MetricBrokerLag:           histogram("broker_lag_seconds", "", "Time from when an entry was appended to the log to when this hub followed it, by two clocks."),
		live.MetricOverflows:           counter("overflows_total", "transport", "Queues of slow clients that were dropped, to be read from the log again."),
		live.MetricResyncs:             counter("resyncs_total", "reason", "Snapshots sent in place of what the log no longer tells."),
		live.MetricClosedSubscriptions: counter("subscriptions_closed_total", "code", "Accepted subscriptions that the hub ended."),
		live.MetricClosedSessions:      counter("sessions_closed_total", "code", "Sessions that ended."),
		live.MetricRefusals:            counter("refusals_total", "code", "Messages and requests that were answered with a problem."),
		live.MetricPanics:              counter("panics_total", "where", "Panics of the application's funcs."),
		live.MetricLoads:               histogram("load_seconds", "router", "Time that the application took to read or count the rows of a list."),
		live.MetricLoadWaits:           histogram("load_wait_seconds", "router", "Time that a list waited until it could be read."),
		live.MetricUnsent:              counter("unsent_total", "fate", "Changes and messages that the broker was not there for: queued, refused or lost."),
	}}
}

// Watch has the gauges tell of a hub: that which has the observer in its Options. Without it, they are not collected. The last call
// counts.
func (o *Observer) Watch(h *live.Hub) { o.hub.Store(h) }

// Count implements live.Observer.
func (o *Observer) Count(m live.Metric, label string, n int) {
	if int(m) < len(o.series) && o.series[m].add != nil {
		o.series[m].add(label, float64(n))
	}
}

// Measure implements live.Observer.
func (o *Observer) Measure(m live.Metric, label string, d time.Duration) {
	if int(m) < len(o.series) && o.series[m].observe != nil {
		o.series[m].observe(label, d.Seconds())
	}
}

// Describe implements prometheus.Collector.
func (o *Observer) Describe(to chan<- *prometheus.Desc) {
	for _, s := range o.series {
		s.Describe(to)
	}
	for _, d := range o.gauges.all() {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (o *Observer) Collect(to chan<- prometheus.Metric) {
	for _, s := range o.series {
		s.Collect(to)
	}
	if h := o.hub.Load(); h != nil {
		o.gauges.collect(to, h.Stats())
	}
}

// gauges describe what a hub holds.
type gauges struct {
	sessions, parked, subscriptions, queries, queued, up, entries, bytes, unsentEntries, unsentBytes *prometheus.Desc
}

func newGauges(o Options) gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(o.Namespace, "", name), help, labels, o.Labels)
	}
	return gauges{
		sessions:      desc("sessions", "Connected clients. A poll is one while it is answered.", "transport"),
		parked:        desc("parked_polls", "Long-polls that wait for something to tell."),
		subscriptions: desc("subscriptions", "Subscriptions of all sessions."),
		queries:       desc("queries", "Different lists, windows, counts and channels that are followed."),
		queued:        desc("queue_bytes", "Size of the messages that wait for clients to take them."),
		up:            desc("broker_up", "1, or 0 while the broker cannot be reached."),
		entries:       desc("history_entries", "Entries of the log that are held in memory."),
		bytes:         desc("history_bytes", "Size of the entries of the log that are held in memory."),
		unsentEntries: desc("unsent_entries", "Entries that wait for the broker."),
		unsentBytes:   desc("unsent_bytes", "Size of the entries that wait for the broker."),
	}
}

func (g *gauges) all() []*prometheus.Desc {
	return []*prometheus.Desc{g.sessions, g.parked, g.subscriptions, g.queries, g.queued, g.up, g.entries, g.bytes, g.unsentEntries, g.unsentBytes}
}

func (g *gauges) collect(to chan<- prometheus.Metric, s live.Stats) {
	tell := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	names := make([]string, 0, len(s.Sessions))
	for name := range s.Sessions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		tell(g.sessions, float64(s.Sessions[name]), name)
	}
	tell(g.parked, float64(s.ParkedPolls))
	tell(g.subscriptions, float64(s.Subscriptions))
	tell(g.queries, float64(s.LiveQueries))
	tell(g.queued, float64(s.QueuedBytes))
	up := 1.0
	if s.Degraded {
		up = 0
	}
	tell(g.up, up)
	tell(g.entries, float64(s.HistoryEntries))
	tell(g.bytes, float64(s.HistoryBytes))
	tell(g.unsentEntries, float64(s.UnsentEntries))
	tell(g.unsentBytes, float64(s.UnsentBytes))
}
