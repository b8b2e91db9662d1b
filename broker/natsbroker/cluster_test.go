package natsbroker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker/natstest"
)

// long reports whether the long forms of tests are asked for.
func long() bool { return os.Getenv("LIVE_TEST_LONG") != "" }

// TestClusterWithoutItsLeader kills the server that leads the stream, under a writer and two readers, one of which is connected
// to whichever server is killed. Nothing may be lost, doubled or out of order, and nobody may be told that it was.
func TestClusterWithoutItsLeader(t *testing.T) {
	t.Parallel() // it waits more than it works
	servers := natstest.ProcessCluster(t, 3)
	n := newBench(natstest.URLs(servers)...)
	n.replicas = 3
	writer := n.New(t)
	stream := n.stream(writer)
	head, err := writer.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := startWriting(t, writer)
	readers := []*reading{startReading(t, n.Second(t, writer), head), startReading(t, writer, head)}

	rounds := 1
	if long() {
		rounds = 10
	}
	for round := range rounds {
		w.until(t, 50)
		leader := natstest.Leader(t, servers, stream)
		t.Logf("round %d: server %d leads and is killed", round, leader+1)
		servers[leader].Stop()
		gone := time.Now()
		w.until(t, 50) // without it
		t.Logf("after %v 50 more entries are acknowledged", time.Since(gone).Round(time.Millisecond))
		servers[leader].Start(t)
		natstest.Whole(t, servers, stream)
	}
	acked := w.stop(t)
	for i, r := range readers {
		if err := r.gets(t, acked); err != nil {
			t.Errorf("reader %d: %v", i, err)
		}
	}
	if t.Failed() {
		return
	}
	if now, err := writer.Head(t.Context()); err != nil || now != acked[len(acked)-1].Position {
		t.Errorf("the head is %+v, %v; want %+v: an Append whose acknowledgement was lost may have been doubled",
			now, err, acked[len(acked)-1].Position)
	}
}

// TestKilled kills the one server there is, again and again.
func TestKilled(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := natstest.StartProcess(t)
	n := newBench(s.URL())
	b := n.New(t)
	head, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, r := startWriting(t, b), startReading(t, n.Second(t, b), head)
	rounds := 3
	if long() {
		rounds = 50
	}
	for range rounds {
		w.until(t, 50)
		s.Stop()
		s.Start(t)
	}
	w.until(t, 50)
	if err := r.gets(t, w.stop(t)); err != nil {
		t.Error(err)
	}
}

// writing is a writer that never tries again: what the broker does by itself must do.
type writing struct {
	mu    sync.Mutex
	acked []broker.Entry
	err   error
	news  chan struct{}
	end   chan struct{}
	done  chan struct{}
}

func startWriting(t *testing.T, b broker.Broker) *writing {
	w := &writing{news: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for i := 0; ; i++ {
			select {
			case <-w.end:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
			data := fmt.Appendf(nil, "entry %d", i)
			p, err := b.Append(ctx, data)
			cancel()
			w.mu.Lock()
			if w.err = err; err == nil {
				w.acked = append(w.acked, broker.Entry{Position: p, Data: data})
			}
			w.mu.Unlock()
			select {
			case w.news <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return w
}

// until waits for so many more entries.
func (w *writing) until(t *testing.T, more int) {
	t.Helper()
	want := -1
	for {
		w.mu.Lock()
		n, err := len(w.acked), w.err
		w.mu.Unlock()
		if err != nil {
			t.Fatalf("the writer failed after %d entries: %v", n, err)
		}
		if want < 0 {
			want = n + more
		}
		if n >= want {
			return
		}
		select {
		case <-w.news:
		case <-w.done:
		}
	}
}

// stop ends the writer and returns what was acknowledged.
func (w *writing) stop(t *testing.T) []broker.Entry {
	t.Helper()
	close(w.end)
	<-w.done
	if w.err != nil {
		t.Fatalf("the writer failed after %d entries: %v", len(w.acked), w.err)
	}
	return w.acked
}

// reading is a reader that follows again from its last entry, as a hub does.
type reading struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	got    []broker.Entry
	err    error
	news   chan struct{}
	done   chan struct{}
}

func startReading(t *testing.T, b broker.Broker, after broker.Position) *reading {
	r := &reading{news: make(chan struct{}, 1), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		for ctx.Err() == nil && !errors.Is(r.err, broker.ErrExpired) {
			r.err = b.Follow(ctx, after, func(batch []broker.Entry) error {
				r.mu.Lock()
				r.got = append(r.got, batch...)
				r.mu.Unlock()
				after = batch[len(batch)-1].Position
				select {
				case r.news <- struct{}{}:
				default:
				}
				return nil
			})
		}
	}()
	return r
}

// gets waits until as much came as was appended, and compares.
func (r *reading) gets(t *testing.T, want []broker.Entry) error {
	t.Helper()
	defer r.cancel()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for {
		r.mu.Lock()
		got := slices.Clone(r.got)
		r.mu.Unlock()
		for i := range min(len(got), len(want)) {
			if got[i].Position != want[i].Position || string(got[i].Data) != string(want[i].Data) {
				return fmt.Errorf("entry %d is %+v %q, want %+v %q", i,
					got[i].Position, got[i].Data, want[i].Position, want[i].Data)
			}
		}
		if len(got) > len(want) {
			return fmt.Errorf("%d entries, want %d", len(got), len(want))
		}
		if len(got) == len(want) {
			return nil
		}
		select {
		case <-r.news:
		case <-r.done:
			return fmt.Errorf("after %d of %d entries it was told: %v", len(got), len(want), r.err)
		case <-timer.C:
			return fmt.Errorf("%d of %d entries came in time", len(got), len(want))
		}
	}
}
