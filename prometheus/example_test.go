package prometheus_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/swampline/live"
	liveprometheus "github.com/swampline/live/prometheus"
)

// An application serves the metrics of its hub beside its own.
func Example() {
	metrics := liveprometheus.New(liveprometheus.Options{})
	hub := live.New(live.Options{Observer: metrics})
	metrics.Watch(hub)
	hub.Register(&live.Channel{Name: "news"})

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	mux.Handle("/live/", hub)
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := httptest.NewServer(mux)
	defer server.Close()

	get := func(path string) string {
		res, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return string(body)
	}
	get("/live/nothing") // is refused
	for line := range strings.Lines(get("/metrics")) {
		if strings.HasPrefix(line, "live_refusals") || strings.HasPrefix(line, "live_sessions{") {
			fmt.Print(line)
		}
	}
	// Output:
	// live_refusals_total{code="unknown_router"} 1
	// live_sessions{transport="longpoll"} 0
	// live_sessions{transport="shortpoll"} 0
	// live_sessions{transport="sse"} 0
	// live_sessions{transport="websocket"} 0
}
