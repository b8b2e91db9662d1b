package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

// script is a broker whose Head and Follow can be made to fail.
type script struct {
	*memory.Broker
	mu             sync.Mutex
	head, follow   error
	heads, follows int
	healed         chan struct{} // while it hangs: closed when it does not any more
}

// hang makes Append and Head wait until it is told to go on.
func (s *script) hang(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if yes {
		s.healed = make(chan struct{})
		return
	}
	close(s.healed)
	s.healed = nil
}

func (s *script) wait(ctx context.Context) error {
	s.mu.Lock()
	healed := s.healed
	s.mu.Unlock()
	if healed == nil {
		return nil
	}
	select {
	case <-healed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *script) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if err := s.wait(ctx); err != nil {
		return broker.Position{}, err
	}
	return s.Broker.Append(ctx, data)
}

func (s *script) set(head, follow error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head, s.follow = head, follow
}

func (s *script) Head(ctx context.Context) (broker.Position, error) {
	s.mu.Lock()
	err := s.head
	s.heads++
	s.mu.Unlock()
	if waited := s.wait(ctx); waited != nil {
		return broker.Position{}, waited
	}
	if err != nil {
		return broker.Position{}, err
	}
	return s.Broker.Head(ctx)
}

func (s *script) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	s.mu.Lock()
	err := s.follow
	s.follows++
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Broker.Follow(ctx, after, deliver)
}

// told is what an engine called back, in order.
type told struct {
	mu sync.Mutex
	is []string
}

func (t *told) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.is = append(t.is, what)
}

func (t *told) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := fmt.Sprint(t.is)
	t.is = nil
	return is
}

// inBubble runs a test with an engine; no goroutine may be left at its end.
func inBubble(t *testing.T, window int, f func(t *testing.T, e *Engine, b *script, what *told)) {
	t.Helper()
	inBubbleWithout(t, nil, window, f)
}

// inBubbleWithout does it on a broker that is away from the start, which the engine may have asked before the test begins.
func inBubbleWithout(t *testing.T, away error, window int, f func(t *testing.T, e *Engine, b *script, what *told)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, what := &script{Broker: memory.New(memory.Options{}), head: away}, &told{}
		e := New(Options{
			Broker: b, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), WindowEntries: window, WindowBytes: 1 << 20,
			Lost:     func(reason string) { what.add("lost " + reason) },
			Degraded: func(yes bool) { what.add(fmt.Sprint("degraded ", yes)) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			e.Run(ctx)
		}()
		f(t, e, b, what)
		cancel()
		<-ended
		if e.Shards()[0].Do(func() {}) {
			t.Error("a shard takes work after the end")
		}
	})
}

func say(t testing.TB, e *Engine, n int) broker.Position {
	t.Helper()
	at, err := e.Append(t.Context(), record.Entry{Messages: []record.Message{{Channel: "c", Data: fmt.Appendf(nil, "%d", n)}}})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestReadyAndWait(t *testing.T) {
	inBubbleWithout(t, errors.New("no"), 100, func(t *testing.T, e *Engine, b *script, what *told) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Ready(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ready without a broker: %v", err)
		}
		b.set(nil, nil)
		if err := e.Ready(t.Context()); err != nil || e.Position().Epoch == 0 {
			t.Errorf("%v at %v", err, e.Position())
		}
		if got := what.take(); got != "[degraded true degraded false]" {
			t.Errorf("told %s", got)
		}
		at := say(t, e, 1)
		if err := e.Wait(t.Context(), at); err != nil || e.Position() != at {
			t.Errorf("%v at %v, want %v", err, e.Position(), at)
		}
		next := at
		next.Major++
		waited := make(chan error)
		go func() { waited <- e.Wait(t.Context(), next) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("it waited for nothing: %v", err)
		default:
		}
		b.Reset()
		if err := <-waited; err != nil {
			t.Errorf("the log was lost: %v", err)
		}
		synctest.Wait()
		if got := what.take(); got != "[lost epoch]" {
			t.Errorf("told %s", got)
		}
	})
}

func TestDegraded(t *testing.T) {
	broken := errors.New("broken")
	inBubble(t, 100, func(t *testing.T, e *Engine, b *script, what *told) {
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.set(broken, broken)
		b.Reset() // ends the Follow that is under way
		time.Sleep(time.Minute)
		if got := what.take(); got != "[degraded true]" {
			t.Errorf("told %s", got)
		}
		b.mu.Lock()
		b.heads, b.follows = 0, 0
		b.mu.Unlock()
		time.Sleep(time.Minute)
		b.mu.Lock()
		if b.follows > 40 || b.follows < 5 {
			t.Errorf("tried %d times in a minute", b.follows)
		}
		b.mu.Unlock()
		b.set(nil, nil)
		time.Sleep(10 * time.Second)
		if got := what.take(); got != "[degraded false lost epoch]" {
			t.Errorf("the broker is back, and nothing came: told %s", got)
		}
		at := say(t, e, 1)
		if err := e.Wait(t.Context(), at); err != nil {
			t.Error(err)
		}
	})
}

func TestRead(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, e *Engine, b *script, _ *told) {
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin := e.Position()
		var last broker.Position
		for i := range 10 {
			last = say(t, e, i)
		}
		if err := e.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if _, ok := e.Window(begin, 100); ok {
			t.Error("the window reaches back too far")
		}
		for limit := 1; limit < 12; limit++ {
			got := 0
			for p := begin; ; {
				entries, err := e.Read(t.Context(), p, limit, nil)
				if err != nil || len(entries) > limit {
					t.Fatalf("%d entries, %v", len(entries), err)
				}
				if len(entries) == 0 {
					break
				}
				for _, entry := range entries {
					if string(entry.Messages[0].Data) != fmt.Sprint(got) {
						t.Fatalf("entry %s comes as number %d", entry.Messages[0].Data, got)
					}
					got++
				}
				p = entries[len(entries)-1].Position
			}
			if got != 10 {
				t.Errorf("limit %d: %d entries", limit, got)
			}
		}
		ahead := last
		ahead.Major += 5
		if entries, err := e.Read(t.Context(), ahead, 5, nil); err != nil || entries != nil {
			t.Errorf("ahead of the log: %v, %v", entries, err)
		}
		if beyond, err := e.Beyond(t.Context(), ahead); err != nil || !beyond {
			t.Errorf("%v %v", beyond, err)
		}
		if beyond, err := e.Beyond(t.Context(), last); err != nil || beyond {
			t.Errorf("%v %v", beyond, err)
		}
		b.Trim(5)
		if _, err := e.Read(t.Context(), begin, 5, nil); !errors.Is(err, broker.ErrExpired) {
			t.Errorf("trimmed: %v", err)
		}
		b.set(nil, errors.New("broken"))
		mid := begin
		mid.Major += 6
		if _, err := e.Read(t.Context(), mid, 5, nil); err == nil || errors.Is(err, broker.ErrExpired) {
			t.Errorf("broken: %v", err)
		}
		if _, err := e.Read(t.Context(), broker.Position{Epoch: 1, Major: 1}, 5, nil); !errors.Is(err, broker.ErrExpired) {
			t.Errorf("of another epoch: %v", err)
		}
	})
}

// While a hub finds its place on a new log, its position moves before its window does. Nothing is to be read there yet, and nobody may wait
// for the broker to have something.
func TestReadAtTheHeadOfANewLog(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, e *Engine, b *script, _ *told) {
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := 0
		e.options.Began = func(at broker.Position) {
			began++
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if entries, err := e.Read(ctx, at, 5, nil); err != nil || entries != nil {
				t.Errorf("%v, %v", entries, err)
			}
		}
		b.Reset()
		if err := e.Wait(t.Context(), say(t, e, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if began != 1 {
			t.Errorf("it began %d times", began)
		}
	})
}

func TestAppend(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, e *Engine, b *script, _ *told) {
		if _, err := e.Append(t.Context(), record.Entry{Messages: []record.Message{{Channel: "c", Data: []byte("{")}}}); err == nil {
			t.Error("what is no JSON is on the log")
		}
		_, err := e.Append(t.Context(), record.Entry{Messages: []record.Message{{Channel: "c", Data: fmt.Appendf(nil, "%02000000d", 1)}}})
		if err == nil {
			t.Error("a number with zeros in front is no JSON")
		}
		big := append(append([]byte{'"'}, make([]byte, 2<<20)...), '"')
		for i := range big[1 : len(big)-1] {
			big[i+1] = 'a'
		}
		if _, err = e.Append(t.Context(), record.Entry{Messages: []record.Message{{Channel: "c", Data: big}}}); !errors.Is(err, broker.ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = e.Append(ctx, record.Entry{}); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// An entry that was appended twice is told once, and both positions can be read on from.
func TestCopies(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, e *Engine, b *script, _ *told) {
		var seen []string
		e.options.Seen = func(_ broker.Position, entry *record.Entry) {
			if len(entry.Messages) > 0 {
				seen = append(seen, string(entry.Messages[0].Data))
			}
		}
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin := e.Position()
		append1 := func(id string, n int) broker.Position {
			at, err := e.Append(t.Context(), record.Entry{ID: id, Messages: []record.Message{{Channel: "c", Data: fmt.Appendf(nil, "%d", n)}}})
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		one, two := strings.Repeat("A", 26), strings.Repeat("B", 26)
		append1(one, 1)
		copied := append1(one, 1)
		append1(two, 2)
		say(t, e, 3)
		append1(one, 1)
		last := say(t, e, 3) // without an id: another one
		if err := e.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(seen); got != "[1 2 3 3]" {
			t.Errorf("seen %s", got)
		}
		read := func(from broker.Position) (got []string) {
			entries, err := e.Read(t.Context(), from, 100, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				for _, m := range entry.Messages {
					got = append(got, string(m.Data))
				}
			}
			return got
		}
		if got := fmt.Sprint(read(begin)); got != "[1 2 3 3]" { // from the broker
			t.Errorf("read %s", got)
		}
		if _, ok := e.Window(copied, 1); !ok {
			t.Error("the position of a copy cannot be read on from")
		}
		if got := fmt.Sprint(read(copied)); got != "[2 3 3]" {
			t.Errorf("read %s after the copy", got)
		}
		for range maxCopies { // until the first is forgotten
			append1(rand.Text(), 4)
		}
		synctest.Wait()
		seen = nil
		append1(one, 1)
		synctest.Wait()
		b.Reset()
		append1(one, 5) // on another log it is new
		time.Sleep(time.Second)
		append1(one, 6)
		synctest.Wait()
		if got := fmt.Sprint(seen); got != "[1 5]" && got != "[1 6]" {
			t.Errorf("seen %s", got)
		}
	})
}

// A broker that neither answers nor fails does not hold up who asks it.
func TestAHungBroker(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, e *Engine, b *script, what *told) {
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.hang(true)
		for deadline, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second, time.Minute: time.Minute} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, deadline)
			}
			began := time.Now()
			_, err := e.Append(ctx, record.Entry{})
			cancel()
			if !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != want {
				t.Errorf("with %v: %v after %v", deadline, err, time.Since(began))
			}
		}
		if err := e.CatchUp(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("catching up: %v", err)
		}
		if _, err := e.Beyond(t.Context(), e.Position()); err == nil {
			t.Error("nobody knows where the log ends")
		}
		if held, err := e.Holds(t.Context(), e.Position()); !held || err != nil {
			t.Errorf("memory knows: %v, %v", held, err)
		}
		b.hang(false)
		if err := e.Wait(t.Context(), say(t, e, 1)); err != nil {
			t.Error(err)
		}
		if got := what.take(); got != "[]" {
			t.Errorf("told %s", got)
		}
	})
}
