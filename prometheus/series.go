package prometheus

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// series are a metric's: one for each value of its label. One of add and observe is nil.
type series struct {
	prometheus.Collector
	add     func(label string, n float64)
	observe func(label string, seconds float64)
}

func newCounter(o Options, name, label, help string) series {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: o.Namespace, Name: name, Help: help, ConstLabels: o.Labels}, names(label))
	v := newValues(o, label, func(values ...string) prometheus.Counter { return vec.WithLabelValues(values...) })
	return series{Collector: vec, add: func(label string, n float64) { v.of(label).Add(n) }}
}

func newHistogram(o Options, name, label, help string) series {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: o.Namespace, Name: name, Help: help, ConstLabels: o.Labels, Buckets: o.Buckets}, names(label))
	v := newValues(o, label, func(values ...string) prometheus.Observer { return vec.WithLabelValues(values...) })
	return series{Collector: vec, observe: func(label string, seconds float64) { v.of(label).Observe(seconds) }}
}

// names are the names of a metric's labels: one, or none.
func names(label string) []string {
	if label == "" {
		return nil
	}
	return []string{label}
}

// values finds the series of a label's value without a lock and without memory: the map is replaced when a value is new, which happens
// at most so many times.
type values[M any] struct {
	create   func(values ...string) M
	labelled bool
	max      int
	known    atomic.Pointer[map[string]M]

	mu sync.Mutex // held while known is replaced
}

func newValues[M any](o Options, label string, create func(...string) M) *values[M] {
	v := &values[M]{create: create, labelled: label != "", max: o.MaxValues}
	v.known.Store(&map[string]M{})
	return v
}

// rest is the value that stands for all that are too many.
const rest = "other"

func (v *values[M]) of(label string) M {
	if !v.labelled {
		label = ""
	}
	if m, ok := (*v.known.Load())[label]; ok {
		return m
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	known := *v.known.Load()
	if _, ok := known[label]; !ok && len(known) >= v.max {
		label = rest
	}
	if m, ok := known[label]; ok {
		return m
	}
	var m M
	if v.labelled {
		m = v.create(strings.ToValidUTF8(label, "\uFFFD"))
	} else {
		m = v.create()
	}
	more := maps.Clone(known)
	more[strings.Clone(label)] = m
	v.known.Store(&more)
	return m
}
