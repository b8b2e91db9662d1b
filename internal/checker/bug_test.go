package checker

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyRun are the bugs that are looked for in every run of the tests; the others take their turn with LIVE_TEST_LONG.
var everyRun = []string{"no-leave", "resume-loses-first"}

// TestBugsAreFound builds the checker with bugs in it that it must find.
func TestBugsAreFound(t *testing.T) {
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/bugs/*.patch")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d bugs: %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "client-") {
			continue // of the TypeScript client, whose tests find them
		}
		bug, err := ReadBug(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bug.overlay(module, t.TempDir()); err != nil {
			t.Error(err)
			continue
		}
		if len(bug.Expect) == 0 || os.Getenv("LIVE_TEST_LONG") == "" && !slices.Contains(everyRun, bug.Name) {
			continue
		}
		t.Run(bug.Name, func(t *testing.T) {
			begin := time.Now()
			found, said, err := bug.Hunt(context.Background(), module, t.TempDir(), "-seed", "1", "-rounds", "12")
			switch {
			case err != nil:
				t.Fatalf("%v: %s", err, said)
			case found == "":
				t.Errorf("none of %q was found broken, though %s\n%s", bug.Expect, bug.Why, said)
			default:
				t.Logf("%s, after %s", found, time.Since(begin).Round(time.Second))
			}
		})
	}
}
