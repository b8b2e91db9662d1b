package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// told is a back end that notes whom it told of what, and when.
type told struct {
	mu    sync.Mutex
	began time.Time
	all   []string
	fail  int // so many tries fail
}

func (b *told) Deliver(_ context.Context, person string, notifications []Notification) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var titles []string
	for _, n := range notifications {
		titles = append(titles, n.Title)
	}
	line := fmt.Sprintf("%s %s: %s", time.Since(b.began), person, strings.Join(titles, ", "))
	if b.fail > 0 {
		b.fail--
		b.all = append(b.all, line+" (failed)")
		return errors.New("no way to there")
	}
	b.all = append(b.all, line)
	return nil
}

func (b *told) want(t *testing.T, lines ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.Join(b.all, "\n") != strings.Join(lines, "\n") {
		t.Errorf("told\n  %s\nwant\n  %s", strings.Join(b.all, "\n  "), strings.Join(lines, "\n  "))
	}
}

// away runs a test over a center whose clock is the bubble's: a notification is due after two minutes, and looked for every 15 s.
func away(t *testing.T, o Options, test func(t *testing.T, c *Center, b *told)) {
	synctest.Test(t, func(t *testing.T) {
		b := &told{began: time.Now()}
		o.Person, o.Away = person, b
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
		c := New(testDB(t), o)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		test(t, c, b)
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error("Run returned", err)
		}
		c.db.Close()
	})
}

// after lets so much time pass.
func after(d time.Duration) {
	time.Sleep(d) // the bubble's clock: nobody waits
	synctest.Wait()
}

func TestWhoIsAwayIsToldOnceAfterAWhile(t *testing.T) {
	away(t, Options{}, func(t *testing.T, c *Center, b *told) {
		after(time.Second)
		store(t, c, "ada", "one")
		store(t, c, "ada", "two")
		store(t, c, "ben", "three")
		after(119 * time.Second)
		b.want(t)
		after(15 * time.Second)
		b.want(t, "2m15s ada: one, two", "2m15s ben: three")
		after(time.Hour)
		b.want(t, "2m15s ada: one, two", "2m15s ben: three")
	})
}

func TestWhatWasReadInTimeIsNotSaidAgain(t *testing.T) {
	away(t, Options{}, func(t *testing.T, c *Center, b *told) {
		store(t, c, "ada", "one")
		store(t, c, "ada", "two")
		after(time.Minute)
		if _, err := c.db.Exec("UPDATE notifications SET read = 1, due_at = NULL WHERE title = 'one'"); err != nil {
			t.Fatal(err)
		}
		after(time.Hour)
		b.want(t, "2m0s ada: two")
	})
}

// Who is here is left in peace; who goes without having read it is told.
func TestWhoIsHereIsLeftInPeace(t *testing.T) {
	var mu sync.Mutex
	here := true
	o := Options{Here: func(person string) bool {
		mu.Lock()
		defer mu.Unlock()
		return here && person == "ada"
	}}
	away(t, o, func(t *testing.T, c *Center, b *told) {
		store(t, c, "ada", "one")
		after(time.Hour)
		b.want(t)
		mu.Lock()
		here = false
		mu.Unlock()
		after(2 * time.Minute)
		b.want(t, "1h2m0s ada: one")
	})
}

func TestAFailureIsTriedAgainWithLongerPauses(t *testing.T) {
	away(t, Options{}, func(t *testing.T, c *Center, b *told) {
		b.fail = 2
		store(t, c, "ada", "one")
		after(time.Hour)
		b.want(t, "2m0s ada: one (failed)", "2m15s ada: one (failed)", "2m45s ada: one")
	})
}

func TestItIsGivenUpAfterSomeTries(t *testing.T) {
	away(t, Options{Tries: 3}, func(t *testing.T, c *Center, b *told) {
		b.fail = 99
		store(t, c, "ada", "one")
		after(time.Hour)
		b.want(t, "2m0s ada: one (failed)", "2m15s ada: one (failed)", "2m45s ada: one (failed)")
	})
}

// A process that died while it told somebody: another one does it, when its time is over.
func TestWhatADeadProcessTookIsDueAgain(t *testing.T) {
	away(t, Options{}, func(t *testing.T, c *Center, b *told) {
		store(t, c, "ada", "one")
		after(119 * time.Second)
		// As tell leaves it before it delivers.
		if _, err := c.db.Exec("UPDATE notifications SET due_at = ?, tries = 1", time.Now().Add(lease).UnixMilli()); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		b.want(t)
		after(lease)
		b.want(t, "3m0s ada: one")
	})
}

func TestTwoProcessesTellOnce(t *testing.T) {
	away(t, Options{}, func(t *testing.T, c *Center, b *told) {
		second := New(c.db, c.options)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- second.Run(ctx) }()
		for n := range 5 {
			store(t, c, "ada", fmt.Sprint(n))
			store(t, c, fmt.Sprint("person ", n), "hello")
		}
		after(time.Hour)
		stop()
		<-done
		if b.mu.Lock(); len(b.all) != 6 {
			t.Errorf("told %q, want each person once", b.all)
		}
		b.mu.Unlock()
	})
}

// store does what Notify does, without a hub.
func store(t *testing.T, c *Center, to, title string) {
	t.Helper()
	_, err := c.db.Exec("INSERT INTO notifications (person, kind, topic, item, title, body, link, created_at, due_at) VALUES (?, '', '', 0, ?, '', '', '2026-11-22T10:00:00.000000Z', ?)",
		to, title, time.Now().Add(c.options.After).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
}
