package checker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Bug is a change to the sources of live that breaks the contract, so that it can be seen that the checker notices. It is a file in
// testdata/bugs: a sentence, the invariants of which one must be found broken, and a diff.
type Bug struct {
	Name, Why string
	// Expect are the invariants of which one must be found broken; empty for a bug that the checker is known not to notice.
	Expect []Invariant
	files  map[string][]hunk
}

// hunk is a place of a file: what stands there, and what is to.
type hunk struct{ old, new string }

// ReadBug reads a bug.
func ReadBug(file string) (Bug, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Bug{}, err
	}
	b := Bug{Name: strings.TrimSuffix(filepath.Base(file), ".patch"), files: map[string][]hunk{}}
	head, diff, _ := strings.Cut(string(data), "\n--- ")
	why, expect, ok := strings.Cut(head, "\nExpect: ")
	if !ok || diff == "" {
		return b, fmt.Errorf("%s: want a sentence, a line that begins with Expect, and a diff", file)
	}
	b.Why = strings.TrimSpace(why)
	for name := range strings.SplitSeq(strings.TrimSpace(expect), ", ") {
		if name != "-" {
			b.Expect = append(b.Expect, Invariant(name))
		}
	}
	name := ""
	for line := range strings.Lines("--- " + diff) {
		hunks := b.files[name]
		switch {
		case strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+++ "):
			name = strings.TrimSpace(strings.TrimPrefix(line, "+++ "))
		case strings.HasPrefix(line, "@@"):
			b.files[name] = append(hunks, hunk{})
		case len(hunks) == 0:
			return b, fmt.Errorf("%s: %q stands before a hunk", file, line)
		default:
			h := &hunks[len(hunks)-1]
			if text := line[1:]; line[0] != '+' {
				h.old += text
			}
			if text := line[1:]; line[0] != '-' {
				h.new += text
			}
		}
	}
	return b, nil
}

// overlay writes the changed sources into a directory, and the file that has the go command take them in place of those of a module.
// Each hunk's old lines must stand in the source once, wherever that is.
func (b Bug) overlay(module, dir string) (string, error) {
	replace := map[string]string{}
	for name, hunks := range b.files {
		source, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		for _, h := range hunks {
			if n := bytes.Count(source, []byte(h.old)); n != 1 {
				return "", fmt.Errorf("%s: what is to be changed in %s stands there %d times: write the patch anew", b.Name, name, n)
			}
			source = bytes.Replace(source, []byte(h.old), []byte(h.new), 1)
		}
		changed := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(changed, source, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(module, name)] = changed
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}

// Hunt builds the checker with the bug in it and runs it until one of the expected invariants is found broken. It returns which, and what
// the run said; nothing when nothing was found.
func (b Bug) Hunt(ctx context.Context, module, dir string, arguments ...string) (found Invariant, said string, err error) {
	overlay, err := b.overlay(module, dir)
	if err != nil {
		return "", "", err
	}
	program := filepath.Join(dir, "checker")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./internal/checker/cmd/checker")
	build.Dir, build.Env = module, append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", string(out), fmt.Errorf("%s: it cannot be built: %w", b.Name, err)
	}
	var names []string
	for _, i := range b.Expect {
		names = append(names, string(i))
	}
	run := exec.CommandContext(ctx, program, append([]string{"-short", "-typescript", "0", "-until", strings.Join(names, ",")}, arguments...)...)
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", string(out), err
	}
	for _, i := range b.Expect {
		if strings.Contains(string(out), "\n"+string(i)+": ") {
			return i, string(out), nil
		}
	}
	return "", string(out), nil
}
