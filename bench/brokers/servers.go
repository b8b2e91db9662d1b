package main

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// servers starts servers by the helpers of the brokers' tests, which ask for a test: it is one, as far as they need it.
type servers struct {
	testing.TB // nil: a helper that needs more of a test than is here panics
	ctx        context.Context
	cleanups   []func()
}

func newServers(ctx context.Context) *servers { return &servers{ctx: ctx} }

// failure is what a helper ends its test with.
type failure string

// start runs do, and returns what it failed with.
func (s *servers) start(do func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case failure:
			err = fmt.Errorf("%s", string(v))
		default:
			panic(v)
		}
	}()
	do()
	return nil
}

// close ends the servers, the newest first.
func (s *servers) close() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

func (s *servers) Helper() {}

func (s *servers) Context() context.Context { return s.ctx }

func (s *servers) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *servers) TempDir() string {
	dir, err := os.MkdirTemp("", "live-bench-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is a temporary one
	return dir
}

func (s *servers) Fatal(args ...any) { panic(failure(fmt.Sprint(args...))) }

func (s *servers) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (s *servers) Skip(args ...any) { s.Fatal(args...) }

func (s *servers) Skipf(format string, args ...any) { s.Fatalf(format, args...) }

func (s *servers) Log(args ...any) { fmt.Fprintln(os.Stderr, args...) }

func (s *servers) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
