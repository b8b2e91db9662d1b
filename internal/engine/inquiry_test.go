package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/swampline/live/broker"
)

func TestInquiriesOfOnePositionShareAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i inquiries
		var asked atomic.Int64
		answer := make(chan struct{})
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				at := broker.Position{Epoch: 1, Major: uint64(n % 2)}
				held, err := i.ask(t.Context(), at, func() (bool, error) {
					asked.Add(1)
					<-answer
					return at.Major == 1, nil
				})
				if err != nil || held != (at.Major == 1) {
					t.Errorf("%v: %v, %v", at, held, err)
				}
			})
		}
		synctest.Wait()
		close(answer)
		all.Wait()
		if got := asked.Load(); got != 2 {
			t.Errorf("the broker was asked %d times about two positions", got)
		}
		if len(i.asked) != 0 {
			t.Errorf("%d are kept", len(i.asked))
		}
	})
}

func TestAnInquiryThatIsGivenUpIsAskedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i inquiries
		at := broker.Position{Epoch: 1}
		first, giveUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := i.ask(first, at, func() (bool, error) { <-first.Done(); return false, first.Err() }); !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up got %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if held, err := i.ask(t.Context(), at, func() (bool, error) { return true, nil }); err != nil || !held {
				t.Errorf("%v, %v", held, err)
			}
		})
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := i.ask(gone, at, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("who did not wait got %v", err)
		}
		synctest.Wait()
		giveUp()
		all.Wait()
	})
}

// A broker that hangs is waited for once, and not once by each who wants to know.
func TestInquiriesShareAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i inquiries
		var asked atomic.Int64
		broken, answer := errors.New("broken"), make(chan struct{})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := i.ask(t.Context(), broker.Position{Epoch: 1}, func() (bool, error) {
					asked.Add(1)
					<-answer
					return false, broken
				})
				if !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		close(answer)
		all.Wait()
		if got := asked.Load(); got != 1 {
			t.Errorf("the broker was asked %d times", got)
		}
	})
}
