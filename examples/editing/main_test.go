package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestStaticFilesAreServed(t *testing.T) {
	server := testApp(t)
	for path, kind := range map[string]string{
		"/static/app.css":    "text/css",
		"/static/list.js":    "text/javascript",
		"/static/article.js": "text/javascript",
		"/static/icon.svg":   "image/svg+xml",
		"/live/live.js":      "text/javascript",
		"/live/presence.js":  "text/javascript",
	} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(got, kind) {
			t.Errorf("%s came as %s, %s; want %s", path, response.Status, got, kind)
		}
	}
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "localhost:0"}, in, t.Output())
	}()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Fields(strings.TrimPrefix(string(line[:n]), "The desk is at "))[0]

	// A stream is open while the server is told to stop.
	request, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/live/articles", nil)
	request.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()

	stop()
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Error("the stream did not end well:", err)
	}
	if err := <-done; err != nil {
		t.Error("run:", err)
	}
	if left, _ := os.ReadDir("."); len(left) != 1 || left[0].Name() != "editing.db" {
		t.Errorf("the database left %v behind, want editing.db alone", left)
	}
}

func TestWhatRunIsToldWrongIsAnError(t *testing.T) {
	for _, args := range [][]string{{"-nothing"}, {"-db", t.TempDir()}, {"-broker", "kafka://localhost", "-db", t.TempDir() + "/x.db"}, {"-addr", "nowhere:1:2", "-db", t.TempDir() + "/x.db"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("run %v ended without an error", args)
		}
	}
}
