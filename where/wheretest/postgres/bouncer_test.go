package postgres

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program that ends by itself is started again, so often, and none is left when it has been stopped.
func TestKeeper(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	starts, wants := 0, []string{"0", "0", "1000"}
	k := &keeper{ended: make(chan struct{})}
	running := make(chan struct{})
	k.command = func() *exec.Cmd {
		cmd := exec.Command(sleep, wants[starts])
		if starts++; starts == len(wants) {
			close(running)
		}
		return cmd
	}
	started := make(chan error, 1)
	go k.keep(started)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	<-running
	k.stop()
	if got := strings.Count(k.log.String(), "it ends: <nil>"); got != 2 || !strings.Contains(k.log.String(), "killed") {
		t.Errorf("it was started %d times: %s", starts, k.log.String())
	}

	starts, wants = 0, make([]string, 2*mostStarts)
	for i := range wants {
		wants[i] = "0"
	}
	k = &keeper{ended: make(chan struct{}), command: k.command}
	go k.keep(started)
	<-started
	<-k.ended
	if starts != mostStarts {
		t.Errorf("a program that ends each time was started %d times", starts)
	}
	k = &keeper{ended: make(chan struct{}), command: func() *exec.Cmd { return exec.Command(filepath.Join(t.TempDir(), "none")) }}
	go k.keep(started)
	if err := <-started; err == nil {
		t.Error("a program that is not there was started")
	}
	<-k.ended
}
