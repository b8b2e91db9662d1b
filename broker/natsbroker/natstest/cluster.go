package natstest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster starts n servers, 3 or 5, that are one cluster, and waits until it has a leader.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := cluster(t, n)
	for _, s := range servers {
		s.launch(t)
	}
	for _, s := range servers {
		s.ready(t)
	}
	awaitCluster(t, servers)
	return servers
}

// cluster returns servers that know each other's addresses. None is started.
func cluster(t testing.TB, n int) (servers []*Server) {
	t.Helper()
	ports := freePorts(t, n)
	var routes []*url.URL
	for _, p := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: "127.0.0.1:" + strconv.Itoa(p)})
	}
	for i, p := range ports {
		servers = append(servers, prepare(t, server.Options{
			ServerName: fmt.Sprintf("n%d", i+1),
			Cluster:    server.ClusterOpts{Name: "live", Host: "127.0.0.1", Port: p},
			Routes:     routes,
		}))
	}
	return servers
}

// awaitCluster waits until the cluster makes streams with a replica on each server: it has a leader, which knows all of them.
func awaitCluster(t testing.TB, servers []*Server) {
	t.Helper()
	js := Connect(t, URLs(servers)...)
	const probe = "NATSTEST_PROBE"
	until(t, "the cluster cannot make a stream on all servers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: probe, Replicas: len(servers), Storage: jetstream.MemoryStorage})
		return err == nil && js.DeleteStream(ctx, probe) == nil
	})
}

// URLs returns where the servers are reached.
func URLs(servers []*Server) (urls []string) {
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	return urls
}

// Leader returns the number of the server that leads a stream, by what the cluster says; it waits until one does that runs.
func Leader(t testing.TB, servers []*Server, stream string) (leader int) {
	t.Helper()
	await(t, servers, stream, "the stream has no leader", func(c *jetstream.ClusterInfo) bool {
		leader = slices.IndexFunc(servers, func(s *Server) bool { return s.opts.ServerName == c.Leader && s.runs() })
		return leader >= 0
	})
	return leader
}

// Whole waits until every server holds all of a stream.
func Whole(t testing.TB, servers []*Server, stream string) {
	t.Helper()
	await(t, servers, stream, "a server does not catch up", func(c *jetstream.ClusterInfo) bool {
		for _, r := range c.Replicas {
			if !r.Current || r.Offline {
				return false
			}
		}
		return c.Leader != "" && len(c.Replicas) == len(servers)-1
	})
}

// await asks the cluster about a stream until something is so.
func await(t testing.TB, servers []*Server, stream, not string, so func(c *jetstream.ClusterInfo) bool) {
	t.Helper()
	js := Connect(t, URLs(servers)...)
	defer js.Conn().Close()
	until(t, not, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		return err == nil && s.CachedInfo().Cluster != nil && so(s.CachedInfo().Cluster)
	})
}

func (s *Server) runs() bool { return s.s != nil || s.cmd != nil }

// until asks until something is so: the servers tell nobody.
func until(t testing.TB, not string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("natstest: after %v %s", patience, not)
		}
	}
}

// freePorts returns ports at which nobody listens: servers of a cluster must know each other's before they start.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // not before all are chosen
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
