package presence_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/presence"
)

func TestTwoNodesSeeEachOther(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.stream(w.nodes[1], at(1, "1", as(2, "editing")))
		pass(soon)
		ann.sees(1, "ann viewing, ben editing")
		ben.sees(1, "ann viewing, ben editing")
		ann.call(w.nodes[1], set(1, `,"away":true`)) // to the node that does not speak for it
		pass(soon)
		ben.sees(1, "ann viewing away, ben editing")
		ann.call(w.nodes[0], set(1, `,"state":{"state":"idle"}`))
		pass(soon)
		ben.sees(1, "ann idle away, ben editing")
		pass(5 * time.Minute)
		ben.sees(1, "ann idle away, ben editing")
		ann.call(w.nodes[1], leave(1)) // a beacon, before the connection is gone
		pass(2 * time.Second)
		ben.sees(1, "ben editing")
		ann.hangUp()
		pass(soon)
		ben.sees(1, "ben editing")
		ben.hangUp()
	})
}

// A node that joins knows everybody at once, and so does a client that comes to it with a cursor.
func TestANodeThatJoinsKnowsEverybody(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.poll(w.nodes[1], 0, at(1, "1", as(2, "editing")))
		pass(soon)
		ben.poll(w.nodes[1], 0, at(1, "1", as(2, "editing")))
		ben.sees(1, "ann viewing, ben editing")
		ann.lines()
		third := w.start()
		pass(soon)
		if lines := ann.lines(); len(lines) > 0 {
			t.Errorf("who knew everybody is told %q", lines)
		}
		eve.stream(third, at(1, "1", `{}`))
		pass(soon)
		eve.sees(1, "ann viewing, ben editing")
		if lines := eve.lines(); len(lines) != 2 {
			t.Errorf("%q", lines)
		}
		ben.poll(third, 0, at(1, "1", as(2, "editing"))) // its cursor is of before the node began
		ben.sees(1, "ann viewing, ben editing")
		ann.hangUp()
		eve.hangUp()
	})
}

// A node that let go of somebody while it could not write to the log, and then finds that log to be another than it knew, has nothing left of him.
// The others tell it that it is said to have him, also while they hear of him, and while a third one asks, too.
func TestANodeIsToldWhomItIsSaidToHave(t *testing.T) {
	for _, later := range []time.Duration{10 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond} {
		t.Run(later.String(), func(t *testing.T) {
			inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
				ann, ben := w.client("ann"), w.client("ben")
				here, there := w.nodes[0], w.nodes[1]
				ann.stream(here, at(1, "1", as(1, "viewing")))
				ben.poll(here, 0, at(1, "1", as(2, "editing")))
				pass(20 * time.Second)
				here.broker.sever()
				var polls sync.WaitGroup
				stop := make(chan struct{})
				polls.Go(func() {
					for over := false; !over; {
						ben.poll(there, 7, at(1, "1", as(2, "editing")))
						select {
						case <-stop:
							over = true
						default:
						}
					}
				})
				pass(26 * time.Second) // his lease is over here, and the other does not take this node for dead yet
				there.change(article{ID: 1, Title: "other"})
				synctest.Wait()
				w.log.Trim(0)
				here.broker.silence(true)
				here.broker.mend()
				for here.broker.lost() == 0 {
					pass(time.Millisecond)
				}
				pass(5 * time.Second)
				here.broker.silence(false)
				for n := here.broker.written(); here.broker.written() == n; {
					pass(time.Millisecond)
				}
				pass(later)
				w.start()
				pass(8 * time.Second)
				for _, n := range w.nodes {
					if got := len(n.presence.At(presence.Place{Router: "articles", Key: "1"})); got != 2 {
						t.Errorf("node %d knows %d members, want 2", n.number, got)
					}
				}
				close(stop)
				polls.Wait()
				ann.hangUp()
			})
		})
	}
}

// A node that joins waits for the others, but not for long. Whoever it shows a list without those of whom it hears later is told of them
// wherever he is by then.
func TestANodeThatIsAnsweredLate(t *testing.T) {
	for _, speaker := range []string{"itself", "another"} { // who tells of them: their node, or one that saw that it does not
		t.Run(speaker, func(t *testing.T) {
			inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
				ann, eve := w.client("ann"), w.client("eve")
				ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
				pass(soon)
				here, there := w.nodes[0].broker.stop(), w.nodes[1].broker.stop()
				third := w.start()
				eve.stream(third, at(1, "1", `{}`))
				pass(700 * time.Millisecond)
				eve.sees(1, "")
				eve.hangUp()
				to := w.nodes[0]
				if there(); speaker == "itself" {
					here()
				} else {
					to = w.nodes[1]
				}
				synctest.Wait() // it has heard that the third is ready, and has told it nothing yet
				eve.stream(to, at(1, "1", `{}`))
				pass(2 * soon)
				eve.sees(1, "ann viewing")
				if speaker != "itself" {
					here()
				}
				pass(2 * soon)
				eve.sees(1, "ann viewing")
				eve.hangUp()
				ann.hangUp()
			})
		})
	}
}

// A node hears the question in time, and cannot answer for long: who was shown nobody by the one that asked, and comes to it, is told.
func TestANodeThatAnswersLate(t *testing.T) {
	for _, when := range []string{"it spoke for them", "it begins to", "what is published waits"} {
		t.Run(when, func(t *testing.T) {
			inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
				ann, eve := w.client("ann"), w.client("eve")
				if when == "what is published waits" {
					w.hub.MaxUnsentBytes = 1 << 20
				}
				mine := w.start()
				before := mine
				if when == "it begins to" {
					before = w.nodes[0]
				}
				ann.stream(before, at(1, "1", as(1, "viewing")))
				pass(soon)
				w.nodes[0].kill()
				mine.broker.silence(true)
				if before != mine {
					ann.leave()
					ann.stream(mine, at(1, "1", as(1, "viewing")))
				}
				third := w.start()
				eve.stream(third, at(1, "1", `{}`))
				pass(2 * time.Second)
				eve.sees(1, "")
				eve.leave()
				third.kill()
				mine.broker.silence(false)
				eve.stream(mine, at(1, "1", `{}`))
				pass(5 * time.Second)
				eve.sees(1, "ann viewing")
				eve.hangUp()
				ann.hangUp()
			})
		})
	}
}

// A node that follows the log late gives signs of life, and answers nobody yet: others tell a node that begins of its members.
func TestANodeThatIsHeardAndDoesNotAnswer(t *testing.T) {
	inWorld(t, 2, presence.Options{Lease: 60 * time.Millisecond}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		goOn := w.nodes[0].broker.stop()
		third := w.start()
		eve.stream(third, at(1, "1", `{}`))
		pass(250 * time.Millisecond)
		eve.sees(1, "ann viewing")
		if lines := eve.lines(); len(lines) != 2 {
			t.Errorf("it was told later: %q", lines)
		}
		goOn()
		eve.hangUp()
		ann.hangUp()
	})
}

// A node shows a list without somebody of whom it hears later, and then tells everybody that he comes. At that moment he goes over to another
// node, which tells that as of somebody whom all know.
func TestSomebodyMovesAsHeIsToldOf(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		here, there := w.nodes[0].broker.stop(), w.nodes[1].broker.stop()
		third := w.start()
		eve.stream(third, at(1, "1", `{}`))
		pass(500 * time.Millisecond)
		eve.sees(1, "")
		eve.hangUp()
		write := third.broker.slow()
		there()
		eve.stream(w.nodes[1], at(1, "1", `{}`))
		pass(250 * time.Millisecond) // the second has told the third, and that is about to tell everybody
		eve.sees(1, "")
		ann.stream(w.nodes[1], at(1, "1", as(1, "idle")))
		pass(100 * time.Millisecond)
		write()
		pass(2 * soon)
		eve.sees(1, "ann idle")
		here()
		eve.hangUp()
		ann.hangUp()
	})
}

// What a member says is part of what its node tells, late, of who comes: it is told whole.
func TestANodeThatIsLateTellsWhatIsNew(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		goOn := w.nodes[0].broker.stop()
		other := w.start()
		eve.stream(other, at(1, "1", `{}`))
		pass(1500 * time.Millisecond)
		eve.sees(1, "")
		eve.hangUp()
		other.kill()
		w.nodes[0].broker.silence(true)
		goOn()
		pass(100 * time.Millisecond) // it would answer, and cannot
		ann.call(w.nodes[0], set(1, `,"state":{"state":"editing"}`))
		w.nodes[0].broker.silence(false)
		eve.stream(w.nodes[0], at(1, "1", `{}`))
		pass(2 * time.Second)
		eve.sees(1, "ann editing")
		eve.hangUp()
		ann.hangUp()
	})
}

// The members of a node that was killed are gone within its lease.
func TestAKilledNode(t *testing.T) {
	inWorld(t, 3, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.poll(w.nodes[0], 0, at(1, "1", as(2, "editing")))
		eve.stream(w.nodes[1], at(1, "1", as(3, "viewing")))
		pass(soon)
		eve.sees(1, "ann viewing, ben editing, eve viewing")
		pass(20 * time.Second)
		ben.poll(w.nodes[2], 0, at(1, "1", as(2, "editing")))
		w.nodes[0].kill()
		pass(10 * time.Second)
		eve.sees(1, "ann viewing, ben editing, eve viewing")
		ben.poll(w.nodes[2], 0, at(1, "1", as(2, "editing")))
		pass(36 * time.Second)
		eve.sees(1, "ben editing, eve viewing") // who polls elsewhere stays
		pass(45 * time.Second)
		eve.sees(1, "eve viewing")
		eve.hangUp()
	})
}

// A node that stops says so: its clients come to the others without a flicker, and who does not is gone soon.
func TestANodeThatStops(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben, eve := w.client("ann"), w.client("ben"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.stream(w.nodes[0], at(1, "1", as(2, "editing")))
		eve.stream(w.nodes[1], at(1, "1", `{}`))
		pass(soon)
		eve.sees(1, "ann viewing, ben editing")
		if err := w.nodes[0].hub.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		ann.stream(w.nodes[1], at(1, "1", as(1, "viewing")))
		eve.lines()
		pass(4 * time.Second)
		eve.sees(1, "ann viewing, ben editing")
		pass(3 * time.Second)
		eve.sees(1, "ann viewing")
		ann.hangUp()
		eve.hangUp()
	})
}

// A node that stops when another one begins, and has not heard that one's question, does not answer it by saying good-bye: others do.
func TestANodeThatStopsWhenAnotherBegins(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		ann.hangUp() // and has five seconds to come back
		goOn := w.nodes[0].broker.stop()
		third := w.start()
		pass(10 * time.Millisecond)
		stopped := make(chan error)
		go func() { stopped <- w.nodes[0].hub.Shutdown(context.Background()) }()
		pass(soon)
		goOn()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		pass(time.Second)
		eve.stream(third, at(1, "1", `{}`))
		pass(soon)
		eve.sees(1, "ann viewing")
		pass(6 * time.Second)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// A node that is cut off from the log beyond its lease is taken for dead; when it comes back its members are.
func TestANodeComesBack(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		ben.stream(w.nodes[1], at(1, "1", as(2, "viewing")))
		pass(soon)
		w.nodes[0].broker.sever()
		pass(30 * time.Second)
		ben.sees(1, "ann viewing, ben viewing")
		pass(16 * time.Second)
		ben.sees(1, "ben viewing")
		ann.sees(1, "ann viewing, ben viewing") // it cannot know
		pass(10 * time.Minute)
		ann.sees(1, "ann viewing, ben viewing")
		w.nodes[0].broker.mend()
		pass(20 * time.Second)
		ann.sees(1, "ann viewing, ben viewing")
		ben.sees(1, "ann viewing, ben viewing")
		pass(10 * time.Minute)
		ben.sees(1, "ann viewing, ben viewing")
		ann.hangUp()
		ben.hangUp()
	})
}

// A tab that moves between nodes and transports stays one member.
func TestMoves(t *testing.T) {
	inWorld(t, 3, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[2], at(1, "1", `{}`))
		pass(soon)
		eve.lines()
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		for round := range 3 {
			ann.hangUp()
			ann.stream(w.nodes[(1+round)%2], at(1, "1", as(1, "viewing")))
			pass(8 * time.Second)
			eve.sees(1, "ann viewing")
		}
		ann.hangUp()
		for round := range 20 { // behind a round robin
			ann.poll(w.nodes[round%2], 0, at(1, "1", as(1, "viewing")))
			pass(10 * time.Second)
			eve.sees(1, "ann viewing")
		}
		for round := range 4 {
			ann.poll(w.nodes[round%2], 40, at(1, "1", as(1, "viewing")))
			eve.sees(1, "ann viewing")
		}
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(time.Minute)
		eve.sees(1, "ann viewing")
		for _, line := range eve.lines()[1:] {
			if !has(line, `"update"`) && !has(line, `"cursor"`) {
				t.Errorf("it flickers: %s", line)
			}
		}
		ann.hangUp()
		pass(5*time.Second + soon)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// Somebody went over to another node, which died, and a third, which knows neither, says what he said to it as of one who is where he was: so he is,
// and goes with his stream there.
func TestSomebodyIsTakenForWhereHeWas(t *testing.T) {
	inWorld(t, 3, presence.Options{}, func(t *testing.T, w *world) {
		before, now, eve := w.client("ann"), w.client("ann"), w.client("eve")
		before.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		eve.stream(w.nodes[0], at(1, "1", `{}`))
		pass(soon)
		goOn := w.nodes[2].broker.stop()
		now.stream(w.nodes[1], at(1, "1", as(1, "viewing")))
		pass(soon)
		now.leave()
		w.nodes[1].kill()
		now.call(w.nodes[2], set(1, `,"state":{"state":"editing"}`))
		pass(soon)
		goOn()
		pass(soon)
		eve.sees(1, "ann editing")
		before.hangUp()
		pass(10 * time.Minute)
		eve.sees(1, "")
		eve.hangUp()
	})
}

// A tab in the background gives signs of life once a minute at best.
func TestAwayStays(t *testing.T) {
	inWorld(t, 2, presence.Options{}, func(t *testing.T, w *world) {
		ann, eve := w.client("ann"), w.client("eve")
		eve.stream(w.nodes[1], at(1, "1", `{}`))
		ann.poll(w.nodes[0], 0, at(1, "1", as(1, "viewing")))
		ann.call(w.nodes[0], set(1, `,"away":true`))
		pass(4 * time.Minute)
		eve.sees(1, "ann viewing away")
		pass(time.Minute)
		eve.sees(1, "")
		eve.hangUp()
	})
}
