package pusher_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/relay/pusher"
)

// numbers are the messages from one to another, as a subscriber has them.
func numbers(from, to int) (want []string) {
	for i := from; i <= to; i++ {
		want = append(want, fmt.Sprintf("message %d", i))
	}
	return want
}

// store is where an application keeps a position.
type store struct {
	mu       sync.Mutex
	position string
	saves    int
	err      error
}

func (s *store) load(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position, s.err
}

func (s *store) save(_ context.Context, position string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.position, s.saves = position, s.saves+1
	}
	return s.err
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// What was published while nobody relayed is relayed by who comes next, once; with the position on the log, and with one that the application keeps.
func TestRestart(t *testing.T) {
	for _, own := range []bool{false, true} {
		inBubble(t, func(w *world) {
			kept := new(store)
			options := func(n *node, o *pusher.Options) {
				relayChat(n, o)
				if own {
					o.Load, o.Save = kept.load, kept.save
				}
			}
			other := w.start(func(_ *node, o *pusher.Options) {
				o.Name = "other"
				o.URL = "http://192.0.2.1"
				o.Client = &http.Client{Transport: nowhere{}}
			})
			other.publish("chat:1", 0) // before anybody relays it
			first := w.start(options)
			for i := 1; i <= 5; i++ {
				first.publish("chat:1", i)
			}
			synctest.Wait()
			first.end()
			for i := 6; i <= 300; i++ {
				other.publish("chat:1", i)
			}
			second := w.start(options)
			second.publish("chat:1", 301)
			synctest.Wait()
			w.service.wantEvents("private-chat-1", numbers(1, 301)...)
			if own && kept.saves == 0 {
				t.Error("the position was never saved")
			}
		})
	}
}

// nowhere is a service that cannot be reached.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// A relay that ends while a request is being made waits for it, and for the rest of what it has read; so nothing comes twice.
func TestStopInTheMiddle(t *testing.T) {
	inBubble(t, func(w *world) {
		asked, goOn := make(chan struct{}, 100), make(chan struct{})
		w.service.set(func(string, []got) (int, http.Header) {
			asked <- struct{}{}
			<-goOn
			return 0, nil
		})
		first := w.start(relayChat)
		first.publish("chat:1", 1)
		<-asked // the first, alone
		for i := 2; i <= 600; i++ {
			first.publish("chat:1", i)
		}
		goOn <- struct{}{}
		<-asked // one of the batches behind it
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			first.end()
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("Run has returned while a request was being made")
		default:
		}
		close(goOn)
		<-ended
		if n := len(w.service.all()); n >= 600 {
			t.Errorf("%d events were sent before Run returned, want those only that had been read", n)
		}
		w.start(relayChat)
		synctest.Wait()
		w.service.wantEvents("private-chat-1", numbers(1, 600)...)
	})
}

// When a service that answers nothing keeps a relay from ending, it ends when its patience with requests does.
func TestStopWhileTheServiceHangs(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			relayChat(n, o)
			o.Client = &http.Client{Transport: hanging{}}
		})
		n.publish("chat:1", 1)
		synctest.Wait()
		began := time.Now()
		n.end()
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("Run returned after %v, want the Timeout of 10 s", took)
		}
	})
}

type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Of several nodes one relays; when it ends another goes on at once, and nothing is missing or comes twice.
func TestNodesRelayOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		nodes := []*node{w.start(relayChat), w.start(relayChat), w.start(relayChat)}
		sent := 0
		for len(nodes) > 0 {
			for range 50 {
				sent++
				nodes[sent%len(nodes)].publish("chat:1", sent)
			}
			synctest.Wait()
			var leading []*node
			for _, n := range nodes {
				if n.relay.Stats().Leading {
					leading = append(leading, n)
				}
			}
			if len(leading) != 1 {
				t.Fatalf("%d of %d nodes relay, want one", len(leading), len(nodes))
			}
			w.service.wantEvents("private-chat-1", numbers(1, sent)...)
			leading[0].end()
			nodes = slices.DeleteFunc(nodes, func(n *node) bool { return n == leading[0] })
		}
	})
}

// A node that dies is followed by another when its lease is over. One that only lost the log has stopped by then.
func TestNodeDies(t *testing.T) {
	inBubble(t, func(w *world) {
		first := w.start(relayChat)
		second := w.start(relayChat)
		first.publish("chat:1", 1)
		time.Sleep(3 * time.Second) // it has told by now how far it came
		synctest.Wait()
		first.broker.sever()
		synctest.Wait()
		began := time.Now()
		stopped := time.Time{}
		second.publish("chat:1", 2)
		w.until(func() bool {
			if stopped.IsZero() && !first.relay.Stats().Leading {
				stopped = time.Now()
			}
			if first.relay.Stats().Leading && second.relay.Stats().Leading {
				t.Fatal("both nodes relay")
			}
			return second.relay.Stats().Leading
		})
		if took := time.Since(began); took > 16*time.Second || stopped.IsZero() {
			t.Errorf("the other took over after %v, and the first stopped at %v; want the Lease of 15 s, and before", took, stopped)
		}
		w.until(func() bool { return len(w.service.all()) == 2 })
		second.publish("chat:1", 3)
		synctest.Wait()
		w.service.wantEvents("private-chat-1", numbers(1, 3)...)
		first.broker.mend()
		time.Sleep(time.Minute)
		synctest.Wait()
		second.publish("chat:1", 4)
		synctest.Wait()
		w.service.wantEvents("private-chat-1", numbers(1, 4)...)
		if a, b := first.relay.Stats().Leading, second.relay.Stats().Leading; a || !b {
			t.Errorf("the first relays: %v, the second: %v; want the second alone to go on", a, b)
		}
	})
}

// A crash is a relay of which nothing is heard any more, not even how far it came in the end: from there on things come twice, in order, and none is missing.
func TestCrash(t *testing.T) {
	inBubble(t, func(w *world) {
		kept := new(store)
		crashed := w.start(func(n *node, o *pusher.Options) {
			relayChat(n, o)
			o.Load, o.Save = kept.load, kept.save
		})
		for i := 1; i <= 5; i++ {
			crashed.publish("chat:1", i)
		}
		synctest.Wait()
		kept.fail(errors.New("no database"))
		for i := 6; i <= 9; i++ {
			crashed.publish("chat:1", i)
		}
		synctest.Wait()
		crashed.broker.sever()
		synctest.Wait()
		kept.fail(nil)
		next := w.start(func(n *node, o *pusher.Options) {
			relayChat(n, o)
			o.Load, o.Save = kept.load, kept.save
		})
		w.until(func() bool { return next.relay.Stats().Leading })
		next.publish("chat:1", 10)
		synctest.Wait()
		w.service.wantEvents("private-chat-1", slices.Concat(numbers(1, 9), numbers(6, 10))...)
		if lines := w.logged.String(); !strings.Contains(lines, "cannot be saved") {
			t.Errorf("the logger was told:\n%s\nwant that the position cannot be saved", lines)
		}
	})
}

// While the application cannot say where it was, nothing is relayed from a place that may be wrong.
func TestLoadFails(t *testing.T) {
	inBubble(t, func(w *world) {
		kept := &store{err: errors.New("no database")}
		n := w.start(func(n *node, o *pusher.Options) {
			relayChat(n, o)
			o.Load, o.Save = kept.load, kept.save
		})
		n.publish("chat:1", 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		w.service.wantEvents("private-chat-1")
		kept.fail(nil)
		w.until(func() bool { return len(w.service.all()) > 0 })
		w.service.wantEvents("private-chat-1", "message 1")
	})
}

// What the log has forgotten before it was relayed is not passed over in silence.
func TestHistoryIsLost(t *testing.T) {
	inBubble(t, func(w *world) {
		w.log = memory.New(memory.Options{MaxEntries: 20})
		options := func(n *node, o *pusher.Options) { o.Channels = []pusher.Messages{{Name: "news", Public: true}} }
		kept := new(store)
		first := w.start(func(n *node, o *pusher.Options) {
			options(n, o)
			o.Load, o.Save = kept.load, kept.save
		})
		first.publish("news", 1)
		synctest.Wait()
		first.end()
		quiet := w.start(func(n *node, o *pusher.Options) {
			relayChat(n, o)
			o.Name = "quiet"
		})
		for i := 2; i <= 100; i++ {
			quiet.publish("news", i)
		}
		w.service.occupy("private-list-7")
		w.start(func(n *node, o *pusher.Options) {
			options(n, o)
			o.Load, o.Save = kept.load, kept.save
		})
		synctest.Wait()
		w.service.wantEvents("private-list-7", `resync {"reason":"history"}`)
		events := w.service.of("news")
		if len(events) < 10 || events[0] != "message 1" || events[1] != `resync {"reason":"history"}` || events[len(events)-1] != "message 100" {
			t.Errorf("news got %v, want the first, resync, and what the log still has up to 100", events)
		}
		for i, e := range events[2:] {
			if want := fmt.Sprintf("message %d", 100-len(events[2:])+1+i); e != want {
				t.Errorf("event %d is %s, want %s", i+2, e, want)
			}
		}
	})
}

// A second Run is refused, and a relay can run again.
func TestRunAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(relayChat)
		if err := n.relay.Run(n.t.Context()); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("a second Run returned %v", err)
		}
		other := w.start(relayChat)
		other.end()
		n.publish("chat:1", 1)
		synctest.Wait()
		w.service.wantEvents("private-chat-1", "message 1")
	})
}

// A hub that stops ends its relay.
func TestHubStops(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(relayChat)
		n.must(n.hub.Shutdown(n.t.Context()))
		if err := <-n.ended; err == nil || !strings.Contains(err.Error(), "the hub has stopped") {
			t.Errorf("Run returned %v, want that the hub has stopped", err)
		}
		n.ended <- context.Canceled // for the cleanup
	})
}

// Nobody hears on the log what nodes say to each other, and no browser says it.
func TestWordsAreNotRelayed(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.start(func(n *node, o *pusher.Options) {
			o.Channels = []pusher.Messages{{Name: "r*", Channel: "private-r-*"}}
		})
		time.Sleep(time.Minute)
		n.created(milk)
		synctest.Wait()
		if events := w.service.all(); len(events) != 1 {
			t.Errorf("events are %v, want the row alone", events)
		}
	})
}
