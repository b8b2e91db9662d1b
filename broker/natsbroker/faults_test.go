package natsbroker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker"
	"github.com/swampline/live/broker/natsbroker/natstest"
)

// must calls something that may not fail.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fill appends n entries.
func fill(t testing.TB, b broker.Broker, n int, what string) (all []broker.Entry) {
	t.Helper()
	for i := range n {
		data := fmt.Appendf(nil, "%s %d", what, i)
		all = append(all, broker.Entry{Position: must[broker.Position](t)(b.Append(t.Context(), data)), Data: data})
	}
	return all
}

// after asserts that exactly these entries follow a position.
func after(t testing.TB, b broker.Broker, p broker.Position, want []broker.Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := 0
	err := b.Follow(ctx, p, func(batch []broker.Entry) error {
		for _, e := range batch {
			if n == len(want) || e.Position != want[n].Position || string(e.Data) != string(want[n].Data) {
				return fmt.Errorf("entry %d is %+v %q", n, e.Position, e.Data)
			}
			n++
		}
		if n == len(want) {
			return errStop
		}
		return nil
	})
	if !errors.Is(err, errStop) {
		t.Fatalf("after %+v came %d of %d entries, and then %v", p, n, len(want), err)
	}
}

var errStop = errors.New("enough")

// expired asserts that a position is refused.
func expired(t testing.TB, b broker.Broker, p broker.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := b.Follow(ctx, p, func(batch []broker.Entry) error {
		return fmt.Errorf("came %+v %q", batch[0].Position, batch[0].Data)
	})
	if !errors.Is(err, broker.ErrExpired) {
		t.Fatalf("after %+v: %v; want ErrExpired", p, err)
	}
}

// TestServerComesLater makes a broker before its server, which goes and comes again.
func TestServerComesLater(t *testing.T) {
	s := natstest.Start(t)
	s.Stop()
	b := newBench(s.URL()).New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Append(ctx, []byte("early")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append without a server: %v, want the deadline", err)
	}
	if _, err := b.Head(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Head without a server: %v, want the deadline", err)
	}
	s.Start(t)
	answers(t, b)
	all := fill(t, b, 3, "entry")
	after(t, b, all[0].Position, all[1:])
}

// TestTimeout: without a deadline Options.Timeout is one.
func TestTimeout(t *testing.T) {
	s := natstest.Start(t)
	s.Stop()
	o := unbounded(newStream())
	o.Timeout = 20 * time.Millisecond
	b := natsbroker.New(natstest.Connect(t, s.URL()), o)
	if _, err := b.Append(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append: %v", err)
	}
	if _, err := b.Head(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Head: %v", err)
	}
	err := b.Follow(t.Context(), broker.Position{}, func([]broker.Entry) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Follow: %v", err)
	}
}

// TestAcknowledgementsAreLost throws away what the server says, breaks the connection, and looks whether entries came twice.
func TestAcknowledgementsAreLost(t *testing.T) {
	s := natstest.Start(t)
	p := natstest.NewProxy(t, s.URL())
	n, through := newBench(s.URL()), newBench(p.URL())
	direct := n.New(t)
	first := fill(t, direct, 1, "before")
	b := through.open(t, n.stream(direct))
	answers(t, b)

	p.Deafen()
	const writers = 10
	acked := make([]broker.Entry, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			data := fmt.Appendf(nil, "entry %d", i)
			at, err := b.Append(t.Context(), data)
			if err != nil {
				t.Error(err)
			}
			acked[i] = broker.Entry{Position: at, Data: data}
		})
	}
	for must[broker.Position](t)(direct.Head(t.Context())).Major < 1+writers { // the server has them all, and nobody knows
	}
	p.Cut()
	wg.Wait()

	at := make(map[broker.Position]string)
	for _, e := range acked {
		at[e.Position] = string(e.Data)
	}
	end := fill(t, direct, 1, "end")[0]
	if end.Position.Major != 2+writers {
		t.Errorf("%d entries were appended, and the last is the %dth", 2+writers, end.Position.Major)
	}
	err := direct.Follow(t.Context(), first[0].Position, func(batch []broker.Entry) error {
		for _, e := range batch {
			if e.Position == end.Position {
				return errStop
			}
			if want, ok := at[e.Position]; !ok || string(e.Data) != want {
				return fmt.Errorf("at %+v is %q, and Append said %q", e.Position, e.Data, want)
			}
		}
		return nil
	})
	if !errors.Is(err, errStop) {
		t.Error(err)
	}
}

// TestFrozen lets the network stand still under a writer and a reader for longer than a consumer may be silent.
func TestFrozen(t *testing.T) {
	s := natstest.Start(t)
	p := natstest.NewProxy(t, s.URL())
	n, through := newBench(s.URL()), newBench(p.URL())
	direct := n.New(t)
	want := fill(t, direct, 1, "before")
	head := must[broker.Position](t)(direct.Head(t.Context()))
	b := through.open(t, n.stream(direct))
	answers(t, b)
	r := startReading(t, b, head)

	p.Freeze()
	want = append(want, fill(t, direct, 100, "meanwhile")...)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := b.Append(ctx, []byte("late")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append while nothing passes: %v", err)
	}
	if long() {
		select { // it is about time: the server stands still for 5 s
		case <-time.After(5 * time.Second):
		case <-t.Context().Done():
		}
	}
	p.Thaw()
	// What failed may have come: once.
	for must[broker.Position](t)(b.Head(t.Context())).Major < 102 {
	}
	end := must[broker.Position](t)(b.Append(t.Context(), []byte("end")))
	if end.Major > 103 {
		t.Errorf("the last entry is the %dth", end.Major)
	}
	var late broker.Entry
	err := direct.Follow(t.Context(), want[100].Position, func(batch []broker.Entry) error {
		late = batch[0]
		return errStop
	})
	if !errors.Is(err, errStop) || string(late.Data) != "late" {
		t.Fatalf("%q, %v", late.Data, err)
	}
	want = append(want, late, broker.Entry{Position: end, Data: []byte("end")})
	if err := r.gets(t, want[1:]); err != nil {
		t.Error(err)
	}
}

// TestAppendWaitsForAServer leaves the repeating to Append.
func TestAppendWaitsForAServer(t *testing.T) {
	s := natstest.Start(t)
	b := newBench(s.URL()).New(t)
	first := fill(t, b, 1, "before")
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type result struct {
		p   broker.Position
		err error
	}
	done := make(chan result)
	go func() {
		p, err := b.Append(ctx, []byte("while it is away"))
		done <- result{p, err}
	}()
	s.Start(t)
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	after(t, b, first[0].Position, []broker.Entry{{Position: r.p, Data: []byte("while it is away")}})
}
