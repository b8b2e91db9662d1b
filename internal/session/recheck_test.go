package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// recheck evaluates everybody's rights anew and returns when all are suspended.
func (h *hub) recheck() {
	h.t.Helper()
	at, err := h.engine.Append(context.Background(), record.Entry{Recheck: []string{""}})
	if err != nil {
		h.t.Fatal(err)
	}
	var suspended sync.WaitGroup
	for s := range h.sessions() {
		suspended.Add(1)
		if !s.Shard().Do(func() { defer suspended.Done(); s.Recheck(at) }) {
			suspended.Done()
		}
	}
	suspended.Wait()
}

// tellOfRights has the log say that everybody's rights changed; who does not follow it does not learn of it.
func (h *hub) tellOfRights() {
	h.t.Helper()
	if _, err := h.engine.Append(context.Background(), record.Entry{Recheck: []string{""}}); err != nil {
		h.t.Fatal(err)
	}
}

// allow changes what everybody may see.
func (h *hub) allow(scope string) { h.scope.Store(&scope) }

func forbid(wire.Message) error { return wire.NewProblem(403, "forbidden", "no more") }

func TestRecheckThatChangesNothingIsNotNoticed(t *testing.T) {
	for name, o := range map[string]options{"in memory": {}, "from the broker": {window: 2}, "tiny queue": {queue: 1}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, o, func(t *testing.T, h *hub) {
				c := h.client()
				all, one, chat := c.subscribe(1, `{}`), c.subscribe(2, `{"box":1}`), c.channel(3, "chat")
				c.drain()
				c.told()
				for i := range int64(40) {
					h.mustPut(i%5, i%3)
					h.say(t.Context(), "chat", fmt.Sprint(i))
					switch i % 4 {
					case 0: // data waits in the queue
						synctest.Wait()
						h.recheck()
					case 1: // and is dropped before the change came by
						h.recheck()
						h.recheck()
					case 2:
						c.drain()
						h.recheck()
						c.session.Cursor()
					}
				}
				c.drain()
				h.agrees(t, all, `{}`)
				h.agrees(t, one, `{"box":1}`)
				if len(chat.Messages) != 40 {
					t.Errorf("%d messages: %v", len(chat.Messages), chat.Messages)
				}
				if all.Ignored+one.Ignored+chat.Ignored > 0 {
					t.Error("something came twice")
				}
				if told := c.told(); strings.Trim(strings.NewReplacer("change", "", "message", "", "cursor", "").Replace(told), " ") != "" {
					t.Errorf("told %s", told)
				}
			})
		})
	}
}

func TestRecheckGivesOtherRows(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		for i := range int64(6) {
			h.mustPut(i, i%2)
		}
		h.allow(`{"box":0}`)
		synctest.Wait()
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		h.agrees(t, all, `{"box":0}`)
		h.allow(`{"box":{"in":[1,2]}}`)
		h.mustPut(0, 0) // told by the old rights, queued, and never delivered
		synctest.Wait()
		h.recheck()
		c.told()
		c.drain()
		if told := c.told(); told != "resync" {
			t.Errorf("told %s", told)
		}
		resyncs(t, all, "rights")
		h.agrees(t, all, `{"box":{"in":[1,2]}}`)
		h.mustPut(0, 2)
		h.mustPut(1, 0)
		h.mustPut(2, 0)
		c.drain()
		h.agrees(t, all, `{"box":{"in":[1,2]}}`)
		if ops := strings.Join(all.Ops, ", "); ops != "enter 0, leave 1" {
			t.Errorf("ops %s", ops)
		}
	})
}

func TestRecheckThatIsRefusedCloses(t *testing.T) {
	for name, refuse := range map[string]func(wire.Message) error{
		"forbidden": forbid,
		"internal":  func(wire.Message) error { panic("the app") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				c, late := h.client(), h.client()
				all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
				c.drain()
				c.told()
				early := late.subscribe(1, `{}`) // its snapshot waits in the queue, too
				synctest.Wait()
				h.mustPut(1, 1)
				h.say(t.Context(), "chat", "1")
				synctest.Wait()
				h.onSubscribe = refuse
				h.recheck()
				h.mustPut(1, 2)
				c.drain()
				late.drain()
				if told := c.told(); told != "closed closed" {
					t.Errorf("told %s", told)
				}
				if told := late.told(); told != "error" {
					t.Errorf("who had no answer yet is told %s", told)
				}
				for _, feed := range []string{string(all.Ended), string(chat.Ended), string(early.Ended)} {
					if !strings.Contains(feed, `"`+name+`"`) {
						t.Errorf("ended with %s", feed)
					}
				}
				if stats := h.stream.Stats(); len(all.Ops)+len(chat.Messages) > 0 || stats.Queries != 1 {
					t.Errorf("delivered %v %v; %v", all.Ops, chat.Messages, stats)
				}
				h.onSubscribe = nil
				again := c.subscribe(1, `{}`) // the id is free
				c.drain()
				h.agrees(t, again, `{}`)
			})
		})
	}
}

func TestRecheckThatHangsHoldsUpNobodyElse(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		hanging, others := h.client(), h.client()
		others.session = h.session(0)
		hanging.session = h.session(0) // of one shard
		stuck, free := hanging.subscribe(1, `{"box":1}`), others.subscribe(1, `{}`)
		hanging.drain()
		others.drain()
		release := make(chan struct{})
		h.onSubscribe = func(m wire.Message) error {
			if string(m.Where) == `{"box":1}` {
				<-release
			}
			return nil
		}
		h.recheck()
		for i := range int64(10) {
			h.mustPut(i, 1)
			hanging.drain()
			others.drain()
		}
		h.recheck() // once more, while the first has no answer
		h.agrees(t, free, `{}`)
		if len(stuck.Ops) != 0 {
			t.Errorf("delivered %v while nobody knows whether he may see it", stuck.Ops)
		}
		close(release)
		hanging.drain()
		h.agrees(t, stuck, `{"box":1}`)
		resyncs(t, stuck)
		hanging.send(`{"type":"unsubscribe","id":1}`)
		hanging.drain()
	})
}

func TestRecheckWhileLoading(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		h.mustPut(1, 1)
		h.mustPut(2, 2)
		h.allow(`{"box":1}`)
		synctest.Wait()
		read, release := make(chan struct{}, 9), make(chan struct{})
		h.onLoad = func(wire.Message) error { read <- struct{}{}; <-release; return nil }
		c, polled := h.client(), h.client()
		all := c.subscribe(1, `{}`)
		other := polled.subscribe(1, `{}`)
		<-read
		<-read
		h.allow(`{"box":2}`)
		h.recheck()
		<-read
		<-read
		close(release)
		c.drain()
		polled.poll(0)
		if told := c.told(); told != "snapshot" {
			t.Errorf("told %s", told)
		}
		h.agrees(t, all, `{"box":2}`)
		h.agrees(t, other, `{"box":2}`)
	})
}

// What a client that resumes holds it may hold by other rights: polls, and clients that were away, learn of it by the entry of the log.
func TestResumeOverARecheckIsAResync(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		all := c.subscribe(1, `{}`)
		c.drain()
		c.session.Close()
		h.mustPut(1, 1)
		entered, release := make(chan struct{}, 9), make(chan struct{})
		h.onSubscribe = func(wire.Message) error { entered <- struct{}{}; <-release; return nil }
		c.reconnect()
		c.told()
		c.subscribe(1, `{}`)
		<-entered
		h.recheck()
		<-entered
		close(release)
		c.drain()
		if told := c.told(); told != "resync" && told != "resync change" { // the snapshot may have been ahead of the log
			t.Errorf("told %s", told)
		}
		resyncs(t, all, "rights")
		h.agrees(t, all, `{}`)
		h.recheck() // by now it has been told by these
		synctest.Wait()
		h.allow(`{"box":1}`)
		c.poll(0)
		c.told()
		h.recheck()
		synctest.Wait()
		c.session.Close()
		c.reconnect()
		c.subscribe(1, `{}`)
		c.poll(0)
		c.poll(0)
		resyncs(t, all, "rights")
		h.agrees(t, all, `{"box":1}`)
	})
}

// Who says by a tag which rows he was sent is resynced once: when they are others, and not again by the entry that is late.
func TestResumeWithATagOverARecheck(t *testing.T) {
	for name, changed := range map[string]bool{"other rights": true, "the same rights": false} {
		for _, when := range []string{"before", "meanwhile", "behind the answer"} {
			t.Run(name+" "+when, func(t *testing.T) {
				inBubble(t, options{}, func(t *testing.T, h *hub) {
					c := h.client()
					c.tagged = true
					all, scope := c.subscribe(1, `{}`), `{}`
					c.drain()
					c.session.Close()
					h.mustPut(1, 1)
					h.mustPut(2, 2)
					if changed {
						scope = `{"box":1}`
						h.allow(scope)
					}
					if when == "before" {
						h.recheck()
					}
					c.reconnect()
					if when == "meanwhile" {
						entered, release := make(chan struct{}, 9), make(chan struct{})
						h.onSubscribe = func(wire.Message) error { entered <- struct{}{}; <-release; return nil }
						c.subscribe(1, `{}`)
						<-entered
						h.recheck()
						close(release)
					} else {
						c.subscribe(1, `{}`)
					}
					if when == "behind the answer" {
						synctest.Wait()
						h.recheck()
					}
					c.drain()
					if changed {
						resyncs(t, all, "rights")
					} else {
						resyncs(t, all)
					}
					h.agrees(t, all, scope)
				})
			})
		}
	}
}

// A resync that was dropped, because rights were evaluated anew before it was taken, is made anew, whether the client had said a tag or not.
func TestRecheckBeforeAResyncIsTaken(t *testing.T) {
	for _, tagged := range []bool{false, true} {
		inBubble(t, options{}, func(t *testing.T, h *hub) {
			c := h.client()
			c.tagged = tagged
			all := c.subscribe(1, `{}`)
			h.mustPut(1, 1)
			h.mustPut(2, 2)
			c.drain()
			c.session.Close()
			c.reconnect()
			c.subscribe(1, `{}`)
			c.drain()
			h.allow(`{"box":1}`)
			h.recheck()
			synctest.Wait() // the resync is queued
			release := make(chan struct{})
			h.onLoad = func(wire.Message) error { <-release; return nil }
			before := all.Cursor
			h.recheck()
			c.session.Cursor()
			c.drain()
			if all.Cursor != before { // a client that breaks off now would resume behind what it was never told
				t.Errorf("tagged: %v, from %s to %s without data", tagged, before, all.Cursor)
			}
			close(release)
			c.drain()
			if len(all.Resyncs) != 1 {
				t.Errorf("tagged: %v, resyncs %v", tagged, all.Resyncs)
			}
			h.agrees(t, all, `{"box":1}`)
		})
	}
}

func TestRecheckOfAnEntryHappensOnce(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.subscribe(1, `{}`)
		c.drain()
		var asked atomic.Int64
		h.onSubscribe = func(wire.Message) error { asked.Add(1); return nil }
		at := h.mustPut(1, 1)
		for _, p := range []broker.Position{at, at, {Epoch: at.Epoch, Major: at.Major - 1}, {Epoch: at.Epoch, Major: at.Major + 1}, {Epoch: at.Epoch + 1, Major: 1}} {
			h.each(func(s *session.Session) { s.Recheck(p) })
		}
		synctest.Wait()
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestRecheckAmongEverythingElse(t *testing.T) {
	scopes := []string{`{}`, `{"box":{"lt":2}}`, `{"box":{"gt":0}}`}
	for _, o := range []options{{}, {window: 5}, {queue: 300}, {queue: 300, window: 5}} {
		inBubble(t, o, func(t *testing.T, h *hub) {
			h.allow(scopes[0])
			random := rand.New(rand.NewPCG(1, uint64(o.window+o.queue)))
			var clients []*client
			for range 4 {
				c := h.client()
				c.subscribe(1, `{}`)
				c.subscribe(2, `{"box":1}`)
				c.channel(3, "chat")
				c.drain() // a subscription without an answer has no position to go on from
				clients = append(clients, c)
			}
			for i := range int64(600) {
				switch c := clients[random.IntN(len(clients))]; random.IntN(12) {
				case 0:
					h.allow(scopes[random.IntN(len(scopes))])
					h.recheck()
				case 1:
					h.recheck()
				case 2:
					c.drain()
				case 3:
					c.drain()
					c.session.Close()
					c.reconnect()
					c.subscribe(1, `{}`)
					c.subscribe(2, `{"box":1}`)
					c.channel(3, "chat")
				case 4:
					synctest.Wait()
				case 5:
					c.session.Cursor()
				case 6:
					h.say(t.Context(), "chat", fmt.Sprint(i))
				case 7:
					c.poll(0)
				default:
					h.mustPut(random.Int64N(10), random.Int64N(3))
				}
			}
			scope := *h.scope.Load()
			var said string
			for i, c := range clients {
				time.Sleep(time.Minute)
				c.drain()
				for id, filter := range map[int64]string{1: `{}`, 2: `{"box":1}`} {
					h.agrees(t, c.Feeds[id], `[{"not":[{"not":`+filter+`},{"not":`+scope+`}]}]`)
				}
				if heard := strings.Join(c.Feeds[3].Messages, ","); i > 0 && heard != said {
					t.Errorf("client %d heard %s, the first %s", i, heard, said)
				} else {
					said = heard
				}
			}
		})
	}
}
