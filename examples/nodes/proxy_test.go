package nodes

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/swampline/live/examples/internal/spawn"
)

// roundRobin serves a proxy that sends each request to the next node, whoever asks, and past a node that takes no connection. A
// WebSocket or a stream stays where its request went. What a node that dies owes it answers with 502, as proxies do.
func roundRobin(t *testing.T, nodes []*spawn.Node) string {
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "nodes"})
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0), // it tells of each node that was killed
		Transport: &http.Transport{
			DisableKeepAlives:  true, // so each request dials, and that is its turn
			DisableCompression: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				first := turn.Add(1)
				var failures []error
				for i := range nodes {
					to := nodes[(int(first)+i)%len(nodes)]
					c, err := new(net.Dialer).DialContext(ctx, network, to.Address())
					if err == nil {
						return c, nil
					}
					failures = append(failures, err)
				}
				return nil, errors.Join(failures...)
			},
		},
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL
}
