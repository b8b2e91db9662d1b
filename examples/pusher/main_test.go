package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
)

func TestFlags(t *testing.T) {
	s, err := parseFlags([]string{"-app", "1:key:secret:with:colons", "-app", "2:other:s", "-client-events=false", "-activity-timeout", "5", "-webhook", "http://localhost/hook"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.apps) != 2 || s.apps[0].Secret != "secret:with:colons" || s.apps[0].Prefix != "" || s.apps[1].Prefix != "2:" || s.apps[1].ClientEvents ||
		!s.apps[1].Watchlist || s.apps[1].Webhook != "http://localhost/hook" || s.activity != 5*time.Second || s.broker != "" {
		t.Errorf("%+v", s)
	}
	if s, err = parseFlags([]string{"-activity-timeout", "1m", "-broker", "redis://localhost"}, io.Discard); err != nil || s.activity != time.Minute || s.apps[0].Key != "demo-key" || s.broker != "redis://localhost" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = parseFlags([]string{"-relay", "https://key:secret@api.example.com:444/apps/7", "-tls-only", "-disable", "demo", "-max-connections", "3"}, io.Discard); err != nil ||
		*s.relay != (hosted{"https://api.example.com:444", "7", "key", "secret"}) || !s.apps[0].TLSOnly || !s.apps[0].Disabled || s.apps[0].MaxConnections != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, args := range [][]string{
		{"-relay", "https://api.example.com/apps/7"}, {"-relay", "https://key:secret@api.example.com"}, {"-relay", "ftp://key:secret@api.example.com/apps/7"},
		{"-relay", "https://key:secret@api.example.com/apps/a/b"}, {"-lease", "10ms"}, {"-max-connections", "-1"}, {"-app", "1:key"}, {"-app", "1:key:"}, {"-app", "a b:key:s"}, {"-app", "1:k:s", "-app", "1:l:s"}, {"-app", "1:k:s", "-app", "2:k:s"}, {"-webhook", "localhost/hook"},
		{"-activity-timeout", "0"}, {"-activity-timeout", "1.5s"}, {"-activity-timeout", "soon"}, {"more"},
	} {
		if _, err := parseFlags(args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

// testServer serves the example.
func testServer(t *testing.T, args ...string) *httptest.Server {
	t.Helper()
	s, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	store, err := openStore(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(store, s, live.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), DrainWindow: time.Millisecond})
	server := httptest.NewServer(app)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := app.hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		store.Close()
	})
	return server
}

func TestThePageLoadsPusherFromWhereItIsTold(t *testing.T) {
	read := func(url string) string {
		t.Helper()
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%s: %s, %v", url, r.Status, err)
		}
		return string(text)
	}
	if page := read(testServer(t).URL); !strings.Contains(page, `src="`+cdn+`" integrity="sha384-`) || !strings.Contains(page, `data-key="demo-key"`) {
		t.Errorf("the page is %s", page)
	}
	own := testServer(t, "-pusher-js", "static/page.css")
	if page := read(own.URL); !strings.Contains(page, `<script src="/pusher.js"></script>`) {
		t.Errorf("the page is %s", page)
	}
	if text := read(own.URL + "/pusher.js"); !strings.Contains(text, "color-scheme") {
		t.Errorf("the file is %s", text)
	}
}

func TestTheEndpointsSign(t *testing.T) {
	server := testServer(t, "-app", "1:278d425bdf160c739803:7ad3773142a6692b25b8", "-app", "2:other:s")
	ask := func(path string, want int, form ...string) (a answer) {
		t.Helper()
		values := url.Values{}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		r, err := http.PostForm(server.URL+path, values)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s %v: %s, want %d", path, form, r.Status, want)
		} else if want == 200 && json.NewDecoder(r.Body).Decode(&a) != nil {
			t.Errorf("%s %v: no JSON", path, form)
		}
		return a
	}
	for _, path := range []string{"/pusher/auth", "/broadcasting/auth"} {
		a := ask(path, 200, "name", "Ann", "socket_id", "1234.1234", "channel_name", "private-foobar")
		if want := "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"; a.Auth != want || a.ChannelData != "" || a.SharedSecret != "" {
			t.Errorf("%+v, want %s", a, want)
		}
	}
	if a := ask("/pusher/auth?app=2", 200, "name", "Ann", "socket_id", "1.1", "channel_name", "presence-x"); !strings.HasPrefix(a.Auth, "other:") || a.ChannelData != `{"user_id":"Ann","user_info":{"name":"Ann"}}` {
		t.Errorf("%+v", a)
	}
	if a := ask("/pusher/auth", 200, "name", "Ann", "socket_id", "1.1", "channel_name", "private-encrypted-x"); len(a.SharedSecret) != 44 {
		t.Errorf("%+v", a)
	}
	if a := ask("/pusher/user-auth", 200, "name", "Ann", "socket_id", "1.1", "watch", "Ben,Cyd"); a.UserData != `{"id":"Ann","user_info":{"name":"Ann"},"watchlist":["Ben","Cyd"]}` {
		t.Errorf("%+v", a)
	}
	ask("/pusher/auth", 200, "name", "Ann", "socket_id", "1.1", "channel_name", "private-for-Ann")
	ask("/pusher/auth", 403, "name", "Ben", "socket_id", "1.1", "channel_name", "private-for-Ann")
	ask("/pusher/auth", 403, "socket_id", "1.1", "channel_name", "private-x")
	ask("/pusher/auth", 400, "name", "Ann", "socket_id", "1.1", "channel_name", "news")
	ask("/pusher/auth", 400, "name", "Ann", "socket_id", "1.1::user::{}", "channel_name", "private-x")
	ask("/pusher/auth?app=3", 404, "name", "Ann", "socket_id", "1.1", "channel_name", "private-x")
	ask("/pusher/user-auth", 403, "socket_id", "1.1")
	ask("/say", 204, "name", "Ann", "text", "hello")
	ask("/say", 422, "name", "Ann", "text", " ")
	ask("/news", 403, "text", "hello")
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "localhost:0", "-db", filepath.Join(t.TempDir(), "test.db")}, in, t.Output())
	}()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "The chat is at http://localhost:") {
		t.Fatalf("%q, %v", line[:n], err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
