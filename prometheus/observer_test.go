package prometheus_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/swampline/live"
	liveprometheus "github.com/swampline/live/prometheus"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

type note struct {
	ID      int64  `live:"id,key"`
	Text    string `live:"text,write,filter"`
	Version int64  `live:"version,version"`
}

// told waits for what the hub tells its observer behind the test's back.
type told struct {
	*liveprometheus.Observer
	mu      sync.Mutex
	changed chan struct{}
}

func (o *told) Count(m live.Metric, label string, n int) {
	o.Observer.Count(m, label, n)
	o.wake()
}

func (o *told) Measure(m live.Metric, label string, d time.Duration) {
	o.Observer.Measure(m, label, d)
	o.wake()
}

func (o *told) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
}

// values are all that is collected, by name and label; of histograms the number of observations.
func values(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			all[strings.TrimSpace(f.GetName()+" "+strings.Join(labels, ","))] = value(f.GetType(), m)
		}
	}
	return all
}

func value(of dto.MetricType, m *dto.Metric) float64 {
	switch of {
	case dto.MetricType_COUNTER:
		return m.Counter.GetValue()
	case dto.MetricType_GAUGE:
		return m.Gauge.GetValue()
	}
	return float64(m.Histogram.GetSampleCount())
}

// want waits until a value is collected. Nobody tells when one changes that is only read, such as the bytes in queues.
func (o *told) want(t *testing.T, name string, want float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		o.mu.Lock()
		changed := o.changed
		o.mu.Unlock()
		all := values(t, o)
		if got, ok := all[name]; ok && got == want {
			return
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s: %v, want %v; all: %v", name, all[name], want, all)
		}
	}
}

// A hub with a client on a WebSocket moves each metric.
func TestMetricsOfAHub(t *testing.T) {
	o := &told{Observer: liveprometheus.New(liveprometheus.Options{}), changed: make(chan struct{})}
	refuse := make(chan struct{})
	notes := &live.Router[note]{
		Name: "notes",
		Scope: func(context.Context) (where.Where, error) {
			select {
			case <-refuse:
				return where.Where{}, live.ErrForbidden
			default:
				return where.Where{}, nil
			}
		},
		List: func(context.Context, live.Query) ([]note, error) { return nil, nil },
		Get:  func(context.Context, live.Key) (note, error) { panic("oh") },
	}
	hub := live.New(live.Options{
		Observer: o, Identity: func(context.Context) string { return "ann" }, Logger: slog.New(slog.DiscardHandler),
	})
	o.Watch(hub)
	hub.Register(notes)
	server := httptest.NewServer(hub)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := transporttest.Dial(ctx, transporttest.WebSocket, server.URL+"/live/", transporttest.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Drop()
	say := func(message, answer string) {
		t.Helper()
		if message != "" {
			if err := c.Send(ctx, message); err != nil {
				t.Fatal(err)
			}
		}
		for {
			m, err := c.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if m.Type == answer {
				return
			}
		}
	}
	say(`{"type":"subscribe","id":1,"router":"notes"}`, "snapshot")
	o.want(t, "live_load_seconds router=notes", 1)
	o.want(t, "live_load_wait_seconds router=notes", 1)
	o.want(t, "live_sessions transport=websocket", 1)
	o.want(t, "live_subscriptions", 1)
	o.want(t, "live_queries", 1)
	o.want(t, "live_broker_up", 1)
	o.want(t, "live_queue_bytes", 0)
	o.want(t, "live_parked_polls", 0)

	if err := notes.Created(ctx, note{ID: 1, Text: "a", Version: 1}); err != nil {
		t.Fatal(err)
	}
	say("", "change")
	o.want(t, "live_publishes_total name=notes", 1)
	o.want(t, "live_deliveries_total transport=websocket", 3) // hello, snapshot, change
	o.want(t, "live_delivery_delay_seconds transport=websocket", 1)
	o.want(t, "live_broker_lag_seconds", 1)
	o.want(t, "live_history_entries", 1)
	if bytes := values(t, o)["live_history_bytes"]; bytes < 50 {
		t.Errorf("live_history_bytes: %v", bytes)
	}

	say(`{"type":"call","id":2,"router":"notes","verb":"get","key":"1"}`, "error")
	o.want(t, "live_panics_total where=verb", 1)
	o.want(t, "live_refusals_total code=internal", 1)
	if err := notes.ChangedWhere(ctx, where.Eq("text", "a")); err != nil {
		t.Fatal(err)
	}
	say("", "resync")
	o.want(t, "live_resyncs_total reason=bulk", 1)
	close(refuse)
	if err := hub.Recheck(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	say("", "closed")
	o.want(t, "live_subscriptions_closed_total code=forbidden", 1)
	if err := hub.Disconnect(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	o.want(t, "live_sessions_closed_total code=signed_out", 1)
	o.want(t, "live_sessions transport=websocket", 0)
	if err := hub.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}

	// This needs a client that does not read: it is told here as the hub would.
	o.Count(live.MetricOverflows, "websocket", 2)
	o.want(t, "live_overflows_total transport=websocket", 2)
	for m := live.Metric(0); m.String() != "unknown"; m++ { // those of a later version, too
		before := len(values(t, o))
		o.Count(m, "new", 1)
		o.Measure(m, "new", time.Second)
		if after := len(values(t, o)); after != before+1 && m != live.MetricBrokerLag {
			t.Errorf("%s has no series", m)
		}
	}
	o.Count(255, "x", 1)
	o.Measure(255, "x", 1)
}

func TestMetricsAreNamedAsTheyShouldBe(t *testing.T) {
	o := liveprometheus.New(liveprometheus.Options{Namespace: "shop", Labels: prometheus.Labels{"hub": "a"}, Buckets: []float64{1, 2}})
	for m := live.Metric(0); m.String() != "unknown"; m++ {
		o.Count(m, "x", 1)
		o.Measure(m, "x", 1500*time.Millisecond)
	}
	hub := live.New(live.Options{Observer: o})
	o.Watch(hub)
	defer hub.Shutdown(t.Context())
	problems, err := testutil.CollectAndLint(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	want := `
# HELP shop_broker_lag_seconds Time from when an entry was appended to the log to when this hub followed it, by two clocks.
# TYPE shop_broker_lag_seconds histogram
shop_broker_lag_seconds_bucket{hub="a",le="1"} 0
shop_broker_lag_seconds_bucket{hub="a",le="2"} 1
shop_broker_lag_seconds_bucket{hub="a",le="+Inf"} 1
shop_broker_lag_seconds_sum{hub="a"} 1.5
shop_broker_lag_seconds_count{hub="a"} 1
`
	if err := testutil.CollectAndCompare(o, strings.NewReader(want), "shop_broker_lag_seconds"); err != nil {
		t.Error(err)
	}
	// Two hubs of one process.
	registry := prometheus.NewPedanticRegistry()
	for _, name := range []string{"a", "b"} {
		if err := registry.Register(liveprometheus.New(liveprometheus.Options{Labels: prometheus.Labels{"hub": name}})); err != nil {
			t.Error(err)
		}
	}
}

// Whatever becomes a label by mistake, there is an end to the series, and none of it panics.
func TestLabelsAreBounded(t *testing.T) {
	o := liveprometheus.New(liveprometheus.Options{MaxValues: 20})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 1000 {
				for m := live.Metric(0); m.String() != "unknown"; m++ {
					garbage := fmt.Sprintf("%d-%d-\xff\n\"", g, i)
					o.Count(m, garbage, 1)
					o.Measure(m, garbage, time.Second)
				}
			}
		})
	}
	all.Wait()
	series := map[string]int{}
	sum := map[string]float64{}
	for name, n := range values(t, o) {
		family, _, _ := strings.Cut(name, " ")
		series[family]++
		sum[family] += n
	}
	if live.Metric(len(series)).String() != "unknown" || live.Metric(len(series)-1).String() == "unknown" {
		t.Errorf("%d metrics: %v", len(series), series)
	}
	for family, n := range series {
		want := 21
		if family == "live_broker_lag_seconds" {
			want = 1
		}
		if n != want || sum[family] != 4000 {
			t.Errorf("%s: %d series, want %d; %v told, want 4000", family, n, want, sum[family])
		}
	}
}

func TestTellingTakesNoMemory(t *testing.T) {
	o := liveprometheus.New(liveprometheus.Options{})
	tell := func() {
		o.Count(live.MetricDeliveries, "websocket", 3)
		o.Measure(live.MetricDeliveryDelay, "websocket", time.Millisecond)
	}
	if n := testing.AllocsPerRun(100, tell); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
