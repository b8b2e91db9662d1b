//go:build linux

// Profile runs a standard load against live and leaves profiles of the server, so that whoever changes what is on the way of a message looks at
// them before and after:
//
//	make profile
//	go run ./profile -only websocket -clients 10000     (in bench)
//
// A load is the name of the files: what the clients speak, what they follow, and what they do.
//
//	websocket-shared-connect.cpu.prof    the clients connect, subscribe, leave and come again with their cursors
//	websocket-shared-w1.cpu.prof         one message after the other goes to all of them
//	websocket-shared-w32.cpu.prof        32 are on their way at once
//	websocket-shared-idle.heap.prof      what the clients hold when nothing happens
//	websocket-shared-w1.heap.prof        the same after messages; with -sample_index=alloc_space or alloc_objects and -base=…-idle.heap.prof what
//	                                     is allocated for them
//
// The programs that show them come with Go:
//
//	go tool pprof -http=: FILE
//	go tool pprof -top -cum FILE
//	go tool pprof -top -diff_base=BEFORE FILE
//	go tool pprof -tags FILE                              how the time is spread over the labels shard, transport and router
//	go tool pprof -top -tagfocus=router=rows FILE
//	go tool pprof -top -tagfocus='shard=^0$' FILE         a number alone is taken for a range
//
// A goroutine that has no label is net/http's, the runtime's or the application's, or follows the log.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// options are the flags.
type options struct {
	dir      string
	only     string
	clients  int
	lasts    time.Duration
	portable bool
	top      int
	out      io.Writer
}

// target is a server as it is started.
type target struct{ transport, source string }

func (t target) String() string { return t.transport + "-" + t.source }

var targets = []target{
	{"websocket", "shared"},
	{"websocket", "own"},
	{"sse", "shared"},
	{"longpoll", "shared"},
}

func main() {
	o := options{out: os.Stdout}
	flag.StringVar(&o.dir, "dir", "profiles", "the folder that the profiles are written to")
	flag.StringVar(&o.only, "only", "", "a regular expression of the loads that are run, such as sse or websocket-own; empty for all")
	flag.IntVar(&o.clients, "clients", 1000, "clients, each of which takes an open file here and one in the server")
	flag.DurationVar(&o.lasts, "for", 4*time.Second, "how long each load lasts")
	flag.BoolVar(&o.portable, "portable", false, "profile the path of TLS and other systems")
	flag.IntVar(&o.top, "top", 8, "functions that are printed of each profile")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	builds, err := os.MkdirTemp("", "profile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(builds)
	binary := filepath.Join(builds, "live")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/swampline/live/bench/servers/live").CombinedOutput(); err != nil {
		return fmt.Errorf("the server cannot be built: %w\n%s", err, out)
	}
	for _, t := range chosen {
		for _, part := range []func(options, string, target) error{times, memory} {
			if err := part(o, binary, t); err != nil {
				return fmt.Errorf("%v: %w", t, err)
			}
		}
	}
	fmt.Fprintf(o.out, "\nThe profiles are in %s. To look at one:\n\n\tgo tool pprof -http=: %s\n", o.dir, o.file(chosen[0], "w1", "cpu"))
	return nil
}

// choose returns the targets that a regular expression is about.
func choose(only string) (chosen []target, err error) {
	of, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if of.MatchString(t.String()) {
			chosen = append(chosen, t)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("no load is called %q: there are %v", only, targets)
	}
	return chosen, nil
}

// file is where the profile of a load goes.
func (o options) file(t target, name, kind string) string {
	return filepath.Join(o.dir, fmt.Sprintf("%v-%s.%s.prof", t, name, kind))
}
