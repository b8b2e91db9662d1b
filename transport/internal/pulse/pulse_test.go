package pulse_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/transport/internal/pulse"
)

func every(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, beats := time.Now(), make(chan time.Duration, 10)
		p := pulse.Start(every(time.Second), func() bool { beats <- time.Since(start); return true })
		for i := range 3 {
			if got, want := <-beats, time.Duration(i+1)*time.Second; got != want {
				t.Errorf("beat after %v, want %v", got, want)
			}
		}
		p.Stop()
		<-time.After(time.Hour) // the bubble's time: it costs nothing
		if n := len(beats); n != 0 {
			t.Errorf("%d beats after Stop", n)
		}
	})
}

func TestStopWaitsForBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, release, over := make(chan bool), make(chan bool), false
		p := pulse.Start(every(time.Second), func() bool {
			close(running)
			<-release
			over = true
			return true
		})
		<-running
		time.AfterFunc(time.Minute, func() { close(release) })
		p.Stop()
		if !over {
			t.Error("Stop returned while a beat ran")
		}
	})
}

func TestEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := pulse.Start(every(time.Second), func() bool { n++; return n < 2 })
		<-time.After(time.Minute)
		p.Stop()
		p.Stop()
		if n != 2 {
			t.Errorf("%d beats, want 2", n)
		}
	})
}
