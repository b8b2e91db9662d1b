package session_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// shouting is a dialect: it says in capitals what is said on channels, and of answers only their types.
type shouting struct {
	*hub
	firm bool
	made int // deliveries that were made ready
	asks []string
}

func (sh *shouting) Subscribe(ctx context.Context, m wire.Message) (session.Source, error) {
	sh.asks = append(sh.asks, "subscribe "+m.Channel)
	return sh.hub.Subscribe(ctx, m)
}

func (sh *shouting) Call(_ context.Context, m wire.Message) (wire.Answer, broker.Position, error) {
	sh.asks = append(sh.asks, "call "+m.Channel)
	return wire.Answer{}, broker.Position{}, nil
}

// speak has a session of the hub speak the dialect.
func (sh *shouting) speak() *session.Session {
	s := sh.session(0)
	s.Stays = true
	s.Dialect = &session.Dialect{App: sh, MaxSubscriptions: 2, Answer: sh.answer, Deliver: sh.deliver}
	return s
}

func (sh *shouting) answer(f *transport.Frame) []*transport.Frame {
	if f.Type == "result" {
		return nil
	}
	return []*transport.Frame{{Data: []byte(f.Type)}, {Data: []byte("!")}}
}

func (sh *shouting) deliver(id int64, d *livequery.Delivery) ([]*transport.Frame, bool) {
	return d.Made("shout", func() any {
		sh.made++
		var frames []*transport.Frame
		for _, m := range d.Messages() {
			frames = append(frames, &transport.Frame{Data: []byte(strings.ToUpper(string(m.Data)) + strings.Repeat(" ", 100))})
		}
		return frames
	}).([]*transport.Frame), sh.firm
}

// said is what there is to fetch, while there is.
func said(t *testing.T, s *session.Session) (all []string) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 1) // the clock waits until nothing goes on
		frames, err := s.Next(ctx)
		cancel()
		if err != nil {
			return all
		}
		for _, f := range frames {
			all = append(all, strings.TrimSpace(string(f.Data)))
		}
	}
}

func TestADialectTranslates(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		sh := &shouting{hub: h}
		one, two := sh.speak(), sh.speak()
		ctx := context.Background()
		for _, s := range []*session.Session{one, two} {
			for id := range int64(3) { // one more than it may have
				if err := s.Handle(ctx, wire.Message{Type: wire.Subscribe, ID: id + 1, Channel: fmt.Sprintf("c%d", id)}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if got, want := said(t, s), []string{"snapshot", "!", "snapshot", "!", "error", "!"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if _, err := h.say(ctx, "c1", `"a"`); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		one.Say(&transport.Frame{Data: []byte("as it is")})
		if err := one.Handle(ctx, wire.Message{Type: wire.Publish, ID: 9, Channel: "c9"}); err != nil {
			t.Fatal(err)
		}
		if got, want := said(t, one), []string{`"A"`, "as it is"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := said(t, two), []string{`"A"`}; !slices.Equal(got, want) || sh.made != 1 {
			t.Errorf("got %q, want %q; made %d times", got, want, sh.made)
		}
		if got := sh.asks[len(sh.asks)-1]; got != "call c9" {
			t.Errorf("asked for %q", sh.asks)
		}
		two.CloseWith(&transport.ClosedError{Status: 4009, Code: "away"}, &transport.Frame{Data: []byte("bye")})
		frames, _ := two.Next(ctx)
		_, err := two.Next(ctx)
		if why, _ := err.(*transport.ClosedError); len(frames) != 1 || string(frames[0].Data) != "bye" || why == nil || why.Status != 4009 {
			t.Errorf("%d frames, and then %v", len(frames), err)
		}
	})
}

// TestADialectOfASlowClient: what is not firm is dropped and made anew of the log, what is firm stays.
func TestADialectOfASlowClient(t *testing.T) {
	for _, firm := range []bool{false, true} {
		t.Run(fmt.Sprintf("firm=%v", firm), func(t *testing.T) {
			inBubble(t, options{queue: 8 << 10}, func(t *testing.T, h *hub) {
				sh := &shouting{hub: h, firm: firm}
				s := sh.speak()
				ctx := context.Background()
				if err := s.Handle(ctx, wire.Message{Type: wire.Subscribe, ID: 1, Channel: "c"}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				said(t, s)
				const events = 200
				for i := range events {
					if _, err := h.say(ctx, "c", fmt.Sprintf(`"n%d"`, i)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if queued := h.env.Queued.Load(); (queued > 16<<10) != firm {
					t.Errorf("%d bytes are queued", queued)
				}
				got := said(t, s)
				for i := range events {
					if i >= len(got) || got[i] != fmt.Sprintf(`"N%d"`, i) {
						t.Fatalf("%d of %d events came, in order", i, events)
					}
				}
				if len(got) != events {
					t.Errorf("%d events came, want %d", len(got), events)
				}
			})
		})
	}
}
