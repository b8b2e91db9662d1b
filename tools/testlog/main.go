// Testlog reads the output of go test -json and prints what go test prints
// without -v: a line for each package, and everything about a test that
// failed. It also prints the tests that were skipped, which go test keeps to
// itself; where CI=true, a skipped test is a failure.
//
// It exists because a suite that skips what its machine lacks looks like one
// that passes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	ok, err := run(os.Stdin, os.Stdout, os.Getenv("CI") == "true")
	if err != nil {
		fmt.Fprintln(os.Stderr, "testlog:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// An event is a line of go test -json, see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// A log collects the events of one package until it ends.
type log struct {
	lines  []event           // of Action output
	result map[string]string // of each test that ended: pass, fail or skip
}

// run copies the readable part of in to out and reports whether all tests
// passed. In strict mode a skipped test counts as failed.
func run(in io.Reader, out io.Writer, strict bool) (ok bool, err error) {
	var passed, failed, skipped int
	var skips strings.Builder
	ok = true
	logs := map[string]*log{}
	input := bufio.NewReader(in)
	for {
		line, err := input.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(out, line) // the go command's own words
				continue
			}
			if e.Action == "build-output" {
				fmt.Fprint(out, e.Output)
				continue
			}
			l := logs[e.Package]
			if l == nil {
				l = &log{result: map[string]string{}}
				logs[e.Package] = l
			}
			switch e.Action {
			case "output":
				l.lines = append(l.lines, e)
			case "build-fail":
				ok = false
			case "pass", "fail", "skip":
				if e.Test == "" {
					// "skip" is how a package without test files ends.
					ok = ok && e.Action != "fail"
					l.print(out, e.Action == "fail")
					delete(logs, e.Package)
					continue
				}
				l.result[e.Test] = e.Action
				switch e.Action {
				case "pass":
					passed++
				case "fail":
					failed++
				case "skip":
					skipped++
					l.printSkip(&skips, e)
				}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
	}
	for name, l := range logs { // cut off in the middle
		if name != "" {
			ok = false
			l.print(out, true)
		}
	}
	fmt.Fprintf(out, "%d tests passed, %d failed, %d skipped\n", passed, failed, skipped)
	if skipped > 0 {
		fmt.Fprint(out, skips.String())
		if strict {
			fmt.Fprintln(out, "A test skipped in CI is a failure: install what it lacks, or let it run a short form.")
			ok = false
		}
	}
	return ok, nil
}

// print writes the package's closing line and, if it failed, all that its
// failed and unfinished tests said.
func (l *log) print(out io.Writer, failed bool) {
	for _, e := range l.lines {
		switch {
		case failed && l.result[e.Test] != "pass" && l.result[e.Test] != "skip" && !marker(e.Output):
			fmt.Fprint(out, e.Output)
		case !failed && e.Test == "" && closing(e.Output):
			fmt.Fprint(out, e.Output)
		}
	}
}

func (l *log) printSkip(out io.Writer, skip event) {
	fmt.Fprintf(out, "skipped: %s %s\n", skip.Package, skip.Test)
	for _, e := range l.lines {
		if e.Test == skip.Test && !marker(e.Output) && !strings.HasPrefix(strings.TrimSpace(e.Output), "--- ") {
			fmt.Fprint(out, e.Output)
		}
	}
}

// marker reports whether s only tells that a test starts, waits or goes on.
func marker(s string) bool {
	return strings.HasPrefix(s, "=== ")
}

// closing reports whether s is a line that go test prints for a package that
// passed.
func closing(s string) bool {
	return strings.HasPrefix(s, "ok  \t") || strings.HasPrefix(s, "?   \t") || strings.HasPrefix(s, "\t")
}
