package rival_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/swampline/live/bench/internal/server"
	"github.com/swampline/live/bench/rivals/internal/rival"
)

// asRival has the process be a rival in place of tests.
const asRival = "BENCH_AS_RIVAL"

func TestMain(m *testing.M) {
	if os.Getenv(asRival) != "" {
		rival.Main(loud{http.NotFoundHandler()}, "websocket", rival.Followed("/ws"))
	}
	os.Exit(m.Run())
}

// loud is a hub without clients that says aloud what is broadcast.
type loud struct{ http.Handler }

func (loud) Broadcast(message []byte) { os.Stderr.Write(append(message, '\n')) }

func start(t *testing.T, input string, flags ...string) (said, wrong string, err error) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], flags...)
	cmd.Env = append(os.Environ(), asRival+"=1")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func TestARivalDoesWhatItIsTold(t *testing.T) {
	said, wrong, err := start(t, "publish 7 3\nstats\n", "-transport", "websocket", "-size", "64")
	if err != nil {
		t.Fatalf("it ends with %v: %s", err, wrong)
	}
	want := string(server.Message(7, 64)) + "\n" + string(server.Message(8, 64)) + "\n" + string(server.Message(9, 64)) + "\n"
	if wrong != want {
		t.Errorf("it broadcasts\n%sand not\n%s", wrong, want)
	}
	lines := bufio.NewScanner(strings.NewReader(said))
	var ready server.Ready
	var stats server.Stats
	for _, into := range []any{&ready, &stats} {
		lines.Scan()
		if err := json.Unmarshal(lines.Bytes(), into); err != nil {
			t.Fatalf("it says %q: %v", lines.Text(), err)
		}
	}
	if !strings.HasPrefix(ready.Address, "127.0.0.1:") || ready.First != rival.Followed("/ws") || stats.Memory == 0 {
		t.Errorf("it says %s", said)
	}
}

func TestWhatARivalCannotDo(t *testing.T) {
	for _, c := range []struct{ input, flag, want string }{
		{"", "-transport=sse", "does not have the transport sse"},
		{"publish 1 1 100\n", "-size=64", "it has no keys"},
	} {
		if _, wrong, err := start(t, c.input, c.flag); err == nil || !strings.Contains(wrong, c.want) {
			t.Errorf("with %s and %q it ends with %v and says %q, which should say that %s", c.flag, c.input, err, wrong, c.want)
		}
	}
}
