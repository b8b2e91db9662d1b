package natstest

import (
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// processEnv holds the plan of the server that a process is to be.
const processEnv = "LIVE_NATSTEST_SERVER"

// plan is what a process must know to be a server.
type plan struct {
	Name              string
	Port, ClusterPort int
	Routes            []string
	StoreDir          string
}

// Main is for TestMain, in packages whose tests start servers that can be killed: it runs the tests or, in a process that
// StartProcess or ProcessCluster started from the same binary, a server. It does not return.
func Main(m *testing.M) {
	Serve()
	os.Exit(m.Run())
}

// Serve is Main for what is no test: it is called first of all in main. It returns at once, except in a process that
// StartProcess or ProcessCluster started from the same binary: there it is the server, and does not return.
func Serve() {
	given := os.Getenv(processEnv)
	if given == "" {
		return
	}
	var p plan
	if err := json.Unmarshal([]byte(given), &p); err != nil {
		panic(err)
	}
	o := server.Options{
		ServerName: p.Name, Host: "127.0.0.1", Port: p.Port, StoreDir: p.StoreDir, JetStream: true, NoSigs: true, NoLog: true,
	}
	if p.ClusterPort != 0 {
		o.Cluster = server.ClusterOpts{Name: "live", Host: "127.0.0.1", Port: p.ClusterPort}
	}
	for _, r := range p.Routes {
		u, err := url.Parse(r)
		if err != nil {
			panic(err)
		}
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(&o)
	if err != nil {
		panic(err)
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin) // the tests hold the other end: it ends with them, however they end
	os.Exit(0)
}

// StartProcess is Start with a server in a process of its own, so that Stop is a kill. It needs Main or Serve.
func StartProcess(t testing.TB) *Server {
	t.Helper()
	s := prepare(t, server.Options{Port: freePorts(t, 1)[0]})
	s.process = true
	s.Start(t)
	return s
}

// ProcessCluster is Cluster with servers in processes of their own, so that Stop is a kill. It needs Main or Serve.
func ProcessCluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := cluster(t, n)
	for i, port := range freePorts(t, n) {
		servers[i].process, servers[i].opts.Port = true, port
		servers[i].launch(t)
	}
	for _, s := range servers {
		s.ready(t)
	}
	awaitCluster(t, servers)
	return servers
}

// exec starts the process.
func (s *Server) exec(t testing.TB) {
	t.Helper()
	p := plan{Name: s.opts.ServerName, Port: s.opts.Port, ClusterPort: s.opts.Cluster.Port, StoreDir: s.opts.StoreDir}
	for _, r := range s.opts.Routes {
		p.Routes = append(p.Routes, r.String())
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processEnv+"="+string(data), "GOCOVERDIR=")
	cmd.Stderr = os.Stderr
	if s.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	s.cmd = cmd
}

// kill kills the process and waits until it is gone.
func (s *Server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
	_ = s.stdin.Close()
	s.cmd = nil
}

// listening waits until the process takes connections.
func (s *Server) listening(t testing.TB) {
	t.Helper()
	until(t, "the process does not listen; does TestMain call natstest.Main, or main natstest.Serve?", func() bool {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(s.opts.Port), time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}
