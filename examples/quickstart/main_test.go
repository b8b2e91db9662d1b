package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The README's quick start is this program to the letter.
func TestREADMEHoldsThisProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := bytes.Cut(source, []byte("package main"))
	if block := "```go\npackage main" + string(program) + "```\n"; !strings.Contains(string(readme), block) {
		t.Error("the program in README.md differs from examples/quickstart/main.go")
	}
}

// start builds the program for a free port, runs it, and returns its URL.
func start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	l.Close()

	dir := t.TempDir()
	source, _ := os.ReadFile("main.go")
	here, _ := filepath.Abs("main.go")
	moved := filepath.Join(dir, "main.go")
	write(t, moved, bytes.ReplaceAll(source, []byte("localhost:8080"), []byte(addr)))
	overlay, _ := json.Marshal(map[string]any{"Replace": map[string]string{here: moved}})
	write(t, filepath.Join(dir, "overlay.json"), overlay)
	binary := filepath.Join(dir, "quickstart")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return "http://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheProgramRuns(t *testing.T) {
	url := start(t)
	if page := get(t, url+"/"); !strings.Contains(page, "Live.connect") {
		t.Errorf("page: %s", page)
	}
	if script := get(t, url+"/live/live.js"); len(script) < 1000 {
		t.Errorf("live.js: %d bytes", len(script))
	}

	// Somebody watches; somebody else adds a row.
	request, _ := http.NewRequest("GET", url+"/live/todos", nil)
	request.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	next := func(event string) string {
		t.Helper()
		for lines.Scan() {
			if lines.Text() != "event: "+event {
				continue
			}
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					return data
				}
			}
		}
		t.Fatalf("the stream ended before a %s: %v", event, lines.Err())
		return ""
	}
	if data := next("snapshot"); !strings.Contains(data, "buy milk") {
		t.Errorf("snapshot: %s", data)
	}
	response, err := http.Post(url+"/live/todos", "application/json", strings.NewReader(`{"title":"eggs"}`))
	if err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("create: %v %v", response, err)
	}
	response.Body.Close()
	if data := next("change"); !strings.Contains(data, `"op":"create"`) || !strings.Contains(data, "eggs") || strings.Contains(data, "ote") {
		t.Errorf("change: %s", data)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, response.StatusCode, err)
	}
	return string(body)
}
