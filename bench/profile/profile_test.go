//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAProfileOfEachLoad runs loads for a moment: the names of the files are what people and documents refer to.
func TestAProfileOfEachLoad(t *testing.T) {
	var out bytes.Buffer
	o := options{dir: t.TempDir(), only: "own|longpoll", clients: 20, lasts: 50 * time.Millisecond, top: 30, out: &out}
	if err := run(o); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, target := range []string{"websocket-own", "longpoll-shared"} {
		for _, name := range []string{"connect.cpu", "w1.cpu", "w32.cpu", "idle.heap", "w1.heap"} {
			file := target + "-" + name + ".prof"
			if is, err := os.Stat(filepath.Join(o.dir, file)); err != nil || is.Size() == 0 {
				t.Errorf("%s is missing or empty: %v", file, err)
			}
		}
		if said := out.String(); !strings.Contains(said, "\n"+target+"-idle: 20 clients, ") {
			t.Errorf("nothing is said of the idle clients of %s", target)
		}
	}
	if !strings.Contains(out.String(), "swampline/live/internal/record.") { // the heap's profile is exact enough for that
		t.Errorf("the library is not in what is printed:\n%s", &out)
	}
}

func TestALoadThatThereIsNot(t *testing.T) {
	for only, want := range map[string]string{"carrier pigeon": "websocket-shared", "(": "missing closing"} {
		if err := run(options{dir: t.TempDir(), only: only, out: &bytes.Buffer{}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("-only %q: the error is %v, which does not say %q", only, err, want)
		}
	}
}
