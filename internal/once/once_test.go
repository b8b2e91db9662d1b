package once

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
)

func at(n int) broker.Position { return broker.Position{Epoch: 7, Major: uint64(n)} }

func TestOneOfManyRuns(t *testing.T) {
	m := New[string](10, time.Minute)
	var ran atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			answer, state, err := m.Begin(t.Context(), ID{"a", "1"}, Print{1})
			if err != nil {
				t.Error(err)
			}
			if state == Fresh {
				switch ran.Add(1) {
				case 1:
					m.Forget(ID{"a", "1"}) // it failed: the next one runs it
				case 2:
					m.Suspend(ID{"a", "1"}, "half")
				default:
					t.Error("it ran again")
				}
				return
			}
			if state == Half {
				if answer != "half" || ran.Add(1) != 3 {
					t.Errorf("half done: %q", answer)
				}
				m.Finish(ID{"a", "1"}, "whole")
				return
			}
			if answer != "whole" {
				t.Errorf("answered %q", answer)
			}
		})
	}
	all.Wait()
	if ran.Load() != 3 {
		t.Errorf("ran %d times", ran.Load())
	}
}

func TestAnotherWriteAndAnotherCaller(t *testing.T) {
	m := New[string](10, time.Minute)
	begin := func(who string, print byte, want State, wantErr error) {
		t.Helper()
		if _, state, err := m.Begin(t.Context(), ID{who, "1"}, Print{print}); state != want || !errors.Is(err, wantErr) {
			t.Errorf("%s, %d: %v %v", who, print, state, err)
		}
	}
	begin("a", 1, Fresh, nil)
	begin("a", 2, Fresh, ErrReused) // while it runs, too
	m.Finish(ID{"a", "1"}, "x")
	begin("a", 1, Done, nil)
	begin("a", 2, Fresh, ErrReused)
	begin("b", 2, Fresh, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.Begin(ended, ID{"b", "1"}, Print{2}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestMemoryEndsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New[string](10, 10*time.Minute)
		m.Reset(at(5))
		m.Begin(t.Context(), ID{"a", "1"}, Print{})
		m.Note(at(6), "1", []Row{{"todos", "7"}})
		m.Finish(ID{"a", "1"}, "x")
		m.Note(at(7), "", nil)
		time.Sleep(10 * time.Minute)
		if _, ok := m.Seen("1"); !ok || !m.Covers(at(5)) || m.Covers(at(4)) || m.Covers(at(8)) || m.Covers(broker.Position{}) {
			t.Error("forgotten too early, or never known")
		}
		time.Sleep(time.Second)
		if _, ok := m.Seen("1"); ok || m.Covers(at(5)) || !m.Covers(at(6)) {
			t.Error("remembered too long")
		}
		if _, state, _ := m.Begin(t.Context(), ID{"a", "1"}, Print{}); state != Fresh {
			t.Error("answered from what is forgotten")
		}
		m.Reset(broker.Position{Epoch: 8, Major: 1})
		if m.Covers(at(6)) {
			t.Error("another log")
		}
	})
}

// Whatever happens: what is remembered is true, what is covered is remembered, and memory is bounded.
func TestMemoryIsRight(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		maximum := 1 + random.IntN(6)
		m := New[int](maximum, time.Hour)
		m.Reset(at(0))
		head := 0
		noted := map[string]int{}    // by the position of the newest entry
		finished := map[ID]int{}     // what was answered last
		half := map[ID]bool{}        // what has something left
		running := map[ID]struct{}{} // begun and not ended
		for step := range 200 {
			mutation := fmt.Sprint(random.IntN(12))
			id := ID{"a", mutation}
			_, busy := running[id]
			switch random.IntN(6) {
			case 0, 1:
				if busy {
					continue
				}
				answer, state, err := m.Begin(t.Context(), id, Print{})
				if err != nil {
					t.Fatal(err)
				}
				if state != Fresh && answer != finished[id] || (state == Half) != half[id] && state != Fresh {
					t.Fatalf("seed %d, step %d: %s is answered %v %d, want %d", seed, step, mutation, state, answer, finished[id])
				}
				if state != Done {
					running[id] = struct{}{}
				}
			case 2:
				if !busy {
					continue
				}
				delete(running, id)
				switch finished[id], half[id] = step, false; random.IntN(3) {
				case 0:
					m.Finish(id, step)
				case 1:
					half[id] = true
					m.Suspend(id, step)
				default:
					m.Forget(id)
				}
			case 3, 4:
				head++
				m.Note(at(head), mutation, []Row{{"todos", mutation}})
				noted[mutation] = head
			case 5:
				head++
				m.Note(at(head), "", nil)
			}
			for p := range head + 1 {
				if !m.Covers(at(p)) {
					continue
				}
				for mutation, n := range noted {
					if _, ok := m.Seen(mutation); n > p && !ok {
						t.Fatalf("seed %d, step %d: %s at %d is forgotten, and %d is covered", seed, step, mutation, n, p)
					}
				}
			}
			if len(m.notes) > maximum || len(m.writes) > maximum+len(running) || m.order[writes].Len() > maximum {
				t.Fatalf("seed %d: %d notes, %d writes", seed, len(m.notes), len(m.writes))
			}
		}
	}
}
