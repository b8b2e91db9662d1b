package live_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/swampline/live"
)

// nginx is the program, or the test is skipped: on the machine that checks every change it must be there.
func nginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("nginx is missing: scripts/install installs it")
	}
	t.Skip("nginx is not installed")
	return ""
}

// cacheOf is all that an administrator could do wrong: whatever may be kept is kept for everybody, of POSTs, too.
const cacheOf = `%s
daemon off; worker_processes 1; pid %[2]s/pid; error_log %[2]s/error.log;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
	proxy_cache_path %[2]s/cache keys_zone=all:1m;
	server {
		listen unix:%[2]s/socket;
		location / {
			proxy_pass %[3]s;
			proxy_http_version 1.1;
			proxy_set_header If-None-Match $http_if_none_match;
			proxy_cache all;
			proxy_cache_methods GET HEAD POST;
			proxy_cache_key $request_uri;
			proxy_cache_valid any 10m;
			add_header Seen-In-Cache $upstream_cache_status always;
		}
	}
}
`

// behindCache starts an nginx before a server and returns a client that reaches it.
func behindCache(t *testing.T, server string) *http.Client {
	t.Helper()
	program := nginx(t)
	dir, err := os.MkdirTemp("", "live") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, cacheOf, user, dir, server), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.Command(program, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "socket"))
	}
	for ctx := limit(t); ; {
		c, err := dial(ctx, "", "")
		if err == nil {
			c.Close()
			break
		}
		select {
		case <-ended:
			t.Fatalf("nginx ended: %s", &said)
		case <-ctx.Done():
			t.Fatal("nginx does not listen")
		case <-time.After(10 * time.Millisecond):
		}
	}
	way := &http.Transport{DialContext: dial}
	t.Cleanup(way.CloseIdleConnections)
	return &http.Client{Transport: way}
}

func TestASharedCacheShowsNobodySomebodyElsesRows(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{Identity: byVisitor}, m)
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/public", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, asked.Add(1)) })
	mux.HandleFunc("/live/", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("visitor"); err == nil {
			r.Header.Set("Visitor", c.Value)
		}
		b.serve.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := behindCache(t, server.URL)
	send := func(visitor string, r way) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(limit(t), r.method, "http://cache"+r.url, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Cookie", "visitor="+visitor)
		if r.body != "" {
			request.Header.Set("Content-Type", jsonType)
		}
		for i := 0; i < len(r.headers); i += 2 {
			request.Header.Set(r.headers[i], r.headers[i+1])
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	read := func(visitor string, r way) (status int, body string, headers http.Header) {
		t.Helper()
		answer := send(visitor, r)
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if hit := answer.Header.Get("Seen-In-Cache"); hit != "MISS" && strings.HasPrefix(r.url, "/live/") && !strings.HasSuffix(r.url, "js") {
			t.Errorf("%s %s by %s came from the cache: %q", r.method, r.url, visitor, hit)
		}
		return answer.StatusCode, string(data), answer.Header
	}

	// The cache is one: what may be kept is.
	for _, visitor := range []string{"1", "2"} {
		if _, body, _ := read(visitor, way{"GET", "/public", "", nil}); body != "1" {
			t.Fatalf("what is public was asked for again: %s", body)
		}
	}
	_, _, mine := read("1", way{"GET", "/live/memos", "", nil})
	_, _, row := read("1", way{"GET", "/live/memos/1", "", nil})
	subscription := `{"type":"subscribe","id":1,"router":"memos"}`
	for _, r := range []way{
		{"GET", "/live/memos", "", nil}, {"GET", "/live/memos?list_id=7", "", nil}, {"GET", "/live/memos?cursor=0", "", nil}, {"GET", "/live/memos?cursor=0&wait=1", "", nil},
		{"GET", "/live/memos", "", []string{"If-None-Match", mine.Get("ETag")}}, {"GET", "/live/memos?limit=5&order=id", "", nil},
		{"POST", "/live/", subscription, nil}, {"POST", "/live/?wait=1", subscription, nil}, {"POST", "/live/", `{"type":"call","id":1,"router":"memos","verb":"list"}`, nil},
	} {
		for range 2 {
			if status, body, _ := read("1", r); !strings.Contains(body, "milk") && status != 304 {
				t.Errorf("%s %s by 1: %d %s", r.method, r.url, status, body)
			}
			if status, body, _ := read("2", r); status != 200 || strings.Contains(body, "milk") || !strings.Contains(body, "theirs") {
				t.Errorf("%s %s by 2: %d %s", r.method, r.url, status, body)
			}
		}
	}
	for _, r := range []way{{"GET", "/live/memos/1", "", nil}, {"GET", "/live/memos/1", "", []string{"If-None-Match", row.Get("ETag")}}} {
		for range 2 {
			if status, _, _ := read("1", r); status != 200 && status != 304 {
				t.Errorf("the row by 1: %d", status)
			}
			if status, body, _ := read("2", r); status != 404 {
				t.Errorf("the row by 2: %d %s", status, body)
			}
		}
	}
	// A 304, too, is only said to whom it concerns, and a refusal is not kept for one who is let in.
	if status, _, _ := read("1", way{"GET", "/live/memos", "", []string{"If-None-Match", mine.Get("ETag")}}); status != 304 {
		t.Errorf("unchanged: %d", status)
	}
	for _, visitor := range []string{"2", "1"} {
		if status, _, _ := read(visitor, way{"GET", "/live/memos/1", "", nil}); (status == 200) != (visitor == "1") {
			t.Errorf("by %s: %d", visitor, status)
		}
	}

	// Events pass through as they come, although the proxy buffers what it may.
	for _, r := range []way{{"GET", "/live/memos", "", []string{"Accept", "text/event-stream"}}, {"POST", "/live/", subscription, []string{"Accept", "text/event-stream"}}} {
		answer := send("1", r)
		lines := bufio.NewScanner(answer.Body)
		until := func(text string) {
			for lines.Scan() {
				if strings.Contains(lines.Text(), text) {
					return
				}
			}
			t.Fatalf("%s %s: the stream ended before %q: %v", r.method, r.url, text, lines.Err())
		}
		until("milk")
		title := "changed by " + r.method
		m.retitle(t, 1, title)
		until(title)
		m.retitle(t, 1, "milk")
		answer.Body.Close()
	}
}
