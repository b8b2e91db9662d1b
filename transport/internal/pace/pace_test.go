package pace_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/transport/internal/pace"
)

const timeout = 10 * time.Second

// write writes so much to a client that takes a thousand bytes and then waits, as often as said, and then takes nothing.
func write(t *testing.T, size, takes int, wait time.Duration, other func(*pace.Writer)) (n int, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		var all sync.WaitGroup
		defer all.Wait()
		defer client.Close()
		defer server.Close()
		all.Go(func() {
			for range takes {
				if _, err := io.ReadFull(client, make([]byte, 1000)); err != nil {
					return
				}
				time.Sleep(wait)
			}
		})
		w := pace.New(server.Write, server.SetWriteDeadline, timeout)
		if other != nil {
			all.Go(func() { other(w) })
		}
		start := time.Now()
		n, err = w.Write(make([]byte, size))
		took = time.Since(start)
	})
	return n, took, err
}

func TestASlowClientGetsEverything(t *testing.T) {
	n, took, err := write(t, 100_000, 100, time.Second, nil)
	if err != nil || n != 100_000 || took < 9*timeout {
		t.Errorf("%d bytes in %v, %v", n, took, err)
	}
}

func TestAClientThatTakesNothing(t *testing.T) {
	for _, takes := range []int{0, 1, 50} {
		n, took, err := write(t, 100_000, takes, time.Second, nil)
		if err != pace.ErrTooSlow || n != takes*1000 {
			t.Errorf("after %d: %d bytes, %v", takes, n, err)
		}
		if idle := took - time.Duration(takes)*time.Second; idle > timeout {
			t.Errorf("after %d: it was waited for for %v", takes, idle)
		}
	}
	if _, _, err := write(t, 100_000, 100, 3*time.Second, nil); err != pace.ErrTooSlow {
		t.Errorf("one that would take hours: %v", err)
	}
}

func TestCut(t *testing.T) {
	n, took, err := write(t, 100_000, 0, 0, func(w *pace.Writer) { time.Sleep(time.Second); w.Cut() })
	if !errors.Is(err, os.ErrDeadlineExceeded) || n != 0 || took != time.Second {
		t.Errorf("%d bytes in %v, %v", n, took, err)
	}
	n, took, err = write(t, 100_000, 100, time.Second, func(w *pace.Writer) { time.Sleep(4500 * time.Millisecond); w.Cut() })
	if err == nil || n > 6000 || took != 4500*time.Millisecond {
		t.Errorf("in the middle: %d bytes in %v, %v", n, took, err)
	}
}
