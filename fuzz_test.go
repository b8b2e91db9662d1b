package live_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// target is a hub to fuzz: of desk, whose writes are forgotten, and a channel.
func target(f *testing.F) http.Handler {
	m := desk()
	m.Create = func(_ context.Context, in memo) (memo, error) {
		in.ID, in.OwnerID, in.Version = 77, 1, 1
		return in, nil
	}
	m.Update = func(_ context.Context, _, now memo) (memo, error) { now.Version++; return now, nil }
	m.Delete = func(context.Context, memo) error { return nil }
	hub := live.New(live.Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Debug: true,
		Limits: live.Limits{Messages: live.Rate{PerSecond: -1}, Subscribes: live.Rate{PerSecond: -1}},
	})
	hub.Register(m, &live.Channel{Name: "chat:*", Subscribe: anyone, Publish: func(_ context.Context, _ string, data json.RawMessage) (any, error) { return data, nil }})
	f.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	mux := http.NewServeMux()
	mux.Handle("/live/", hub)
	return withVisitor(mux)
}

// checkAnswer wants of an answer that it is JSON, a line a message, that the hub did not fail, and that nothing of visitor 2's is in it.
func checkAnswer(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code >= 500 && w.Code != http.StatusNotImplemented { // that is a socket, which a recorder cannot become
		t.Fatalf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Body)
	}
	body := strings.TrimSuffix(w.Body.String(), "\n")
	if strings.Contains(body, "theirs") || strings.Contains(body, "s-one") {
		t.Fatalf("%s %s: %s", r.Method, r.URL, body)
	}
	if body == "" || !strings.Contains(w.Header().Get("Content-Type"), "json") {
		return
	}
	for line := range strings.SplitSeq(body, "\n") {
		if !json.Valid([]byte(line)) {
			t.Fatalf("%s %s: %d %q", r.Method, r.URL, w.Code, line)
		}
	}
}

// FuzzBatch posts what may be messages.
func FuzzBatch(f *testing.F) {
	h := target(f)
	names, err := os.ReadDir("testdata/protocol")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		if data, err := os.ReadFile("testdata/protocol/" + name.Name()); err == nil && strings.HasPrefix(name.Name(), "client-") {
			f.Add(strings.ReplaceAll(string(data), "todos", "memos"))
		}
	}
	f.Add(strings.Join(everyMessage, "\n"))
	f.Add("{\n\n[\r\n\x00" + nested(40))
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/live/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-ndjson")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		checkAnswer(t, r, w)
		if w.Code != http.StatusOK && w.Code != http.StatusRequestEntityTooLarge {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzLastEventID resumes after whatever an EventSource might say, or a query string, or an If-None-Match.
func FuzzLastEventID(f *testing.F) {
	h := target(f)
	for _, id := range []string{"0", "0~", "~", "e.11~tag", "e.11~tag~tag", `"e.11~tag"`, `W/"0~x", "~"`, "e.11\x00", "4fk2m9qa.2sy~Jq3w-8Zx0aPk"} {
		f.Add(id, id, id)
	}
	f.Fuzz(func(t *testing.T, id, tag, match string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/live/memos", nil)
		r.Header["Last-Event-Id"], r.Header["If-None-Match"] = []string{id}, []string{match}
		query := r.URL.Query()
		query.Set("tag", tag)
		r.URL.RawQuery = query.Encode()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		checkAnswer(t, r, w)
	})
}
