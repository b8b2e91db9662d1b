//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// below is what pprof adds to whoever called it: the system calls and the runtime would else be all that one sees.
const below = `^(runtime|syscall|sync|context|time|io|bufio|net|math|slices|bytes|strings)\.|^internal/|^runtime/|^sync/`

// parameters are the types of a generic function, whole structs among them.
var parameters = regexp.MustCompile(`\[go\.shape\..*\]`)

// show prints the functions that have most of a profile.
func (o options) show(file string, flags ...string) error {
	top, err := pprof(append(flags, "-top", "-nodecount="+strconv.Itoa(o.top), "-hide="+below, file)...)
	if err != nil {
		return err
	}
	_, table, found := strings.Cut(top, "      flat ")
	if !found {
		return fmt.Errorf("the profile %s is empty", file)
	}
	fmt.Fprint(o.out, "      flat ", parameters.ReplaceAllString(table, "[…]"))
	return nil
}

// pprof runs Go's own program.
func pprof(args ...string) (string, error) {
	var said strings.Builder
	cmd := exec.Command("go", append([]string{"tool", "pprof"}, args...)...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, said.String())
	}
	return string(out), nil
}
