package session_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/rate"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/transport"
)

func TestASessionWaitsForItsFirstMessageAndNoLonger(t *testing.T) {
	for says, ends := range map[string]bool{"": true, `{"type":"ping","id":1}`: false, "{": false, " \n": false} {
		inBubble(t, options{}, func(t *testing.T, h *hub) {
			s := h.session(0)
			s.Expect(time.Minute)
			<-time.After(59 * time.Second)
			if says != "" {
				if err := s.Receive(t.Context(), []byte(says)); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Hour)
			synctest.Wait()
			closed := len(h.sessions()) == 0
			if closed != ends {
				t.Errorf("%q: ended: %v, want %v", says, closed, ends)
			}
			if !ends {
				return
			}
			frames, _ := s.Next(t.Context())
			_, err := s.Next(t.Context())
			var sent *transport.ClosedError
			if len(frames) != 1 || !strings.Contains(string(frames[0].Data), `"no_message"`) || !errors.As(err, &sent) || sent.Code != "no_message" || sent.Status != 1008 {
				t.Errorf("got %v, %v", frames, err)
			}
		})
	}
}

func TestASessionThatEndsWaitsForNothing(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		s := h.session(0)
		s.Expect(time.Hour)
		s.Close()
		s.Expect(time.Hour)
	}) // a timer that is left would be seen by its Expel of a closed session, which does nothing; the bubble ends with none
}

// Tokens that come back let a client go on; unsubscribing is never refused.
func TestMessagesAreRefusedUntilTokensComeBack(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.session.Messages = rate.NewBucket(rate.PerSecond(1, 2)).Take
		c.subscribe(1, `{}`)
		c.send("{\"type\":\"ping\",\"id\":2}\n{\"type\":\"ping\",\"id\":3}\n{\"type\":\"unsubscribe\",\"id\":1}\n{\"type\":\"ping\",\"id\":4}\n{")
		<-time.After(time.Second)
		c.send(`{"type":"ping","id":5}`)
		c.drain()
		answers := map[int64]string{}
		for _, m := range c.Answers {
			answers[m.ID] += m.Type + string(m.Problem)
		}
		const wait = `"retry_after":1}`
		if answers[2] != "pong" || !strings.HasSuffix(answers[3], wait) || answers[1] != "result" || !strings.HasSuffix(answers[4], wait) ||
			!strings.Contains(answers[0], "malformed_message") || answers[5] != "pong" {
			t.Errorf("got %q", answers)
		}
	})
}

// A subscription that the hub itself sends back to the beginning costs its client nothing.
func TestWhatTheHubDoesOfItselfIsNotCharged(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.session.Subscribes = rate.NewBucket(rate.PerSecond(1e-9, 1)).Take
		c.subscribe(1, `{}`)
		c.drain()
		for range 5 {
			h.each(func(s *session.Session) { s.Resync("epoch") })
			c.drain()
		}
		for _, m := range c.Answers {
			t.Errorf("got %s %s", m.Type, m.Problem)
		}
		c.subscribe(2, `{}`)
		c.drain()
		if len(c.Answers) != 1 || !strings.Contains(string(c.Answers[0].Problem), "rate_limited") {
			t.Errorf("got %v", c.Answers)
		}
	})
}

// A panic while messages are read does not end the process, nor the session.
func TestAPanicWhileMessagesAreReadIsAnswered(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		c := h.client()
		c.session.Messages = func(int) (time.Duration, bool) { panic("a bug") }
		c.send(`{"type":"ping","id":2}`)
		c.session.Messages = nil
		c.send(`{"type":"ping","id":3}`)
		c.drain()
		if len(c.Answers) != 2 || !strings.Contains(string(c.Answers[0].Problem), `"internal"`) || c.Answers[1].Type != "pong" {
			t.Errorf("got %v", c.Answers)
		}
	})
}

func TestABatchIsReadAsFarAsItMayGo(t *testing.T) {
	inBubble(t, options{batch: 3, subscriptions: 2}, func(t *testing.T, h *hub) {
		for _, test := range []struct {
			subscribes, others int
			ok                 bool
		}{{2, 3, true}, {5, 0, true}, {6, 0, false}, {0, 4, false}, {1, 4, false}, {3, 3, false}, {4, 1, true}} {
			c := h.client()
			c.send("%s", strings.Repeat(`{"type":"subscribe","id":1,"router":"things"}`+"\n", test.subscribes)+strings.Repeat(`{"type":"ping","id":2}`+"\n\r\n", test.others))
			c.drain()
			refused := len(c.Answers) == 1 && c.Answers[0].ID == 0 && strings.Contains(string(c.Answers[0].Problem), "batch_too_large")
			if refused == test.ok {
				t.Errorf("%+v: refused: %v, %v", test, refused, c.Answers)
			}
			c.session.Close()
		}
	})
}
