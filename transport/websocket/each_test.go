package websocket_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/websocket"
)

// TestEachFrameIsAMessage, whether they are fetched or offered, and however large.
func TestEachFrameIsAMessage(t *testing.T) {
	for _, parks := range []bool{false, true} {
		t.Run(fmt.Sprintf("parks=%v", parks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script.New()
				s.NeverParks = !parks
				srv := script.Serve(t, websocket.Transport{Each: true}, s, script.Options())
				c, _, err := ws.Dial(t.Context(), "ws://pipe/", &ws.DialOptions{HTTPClient: srv.Client})
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				c.SetReadLimit(-1)
				synctest.Wait()
				want := []string{"a", "b", "", strings.Repeat("c", 70_000), "d", strings.Repeat("e", 200), strings.Repeat("f", 20_000), strings.Repeat("g", 20_000)}
				for _, text := range want[:2] {
					s.Push(script.Frame("event", "", text), script.Frame("event", "", text+text))
					for _, text := range []string{text, text + text} {
						if got := read(t, c); got != text {
							t.Errorf("got %.20q, want %.20q", got, text)
						}
					}
				}
				for _, text := range want {
					s.Push(script.Frame("event", "", text))
				}
				for _, text := range want {
					if got := read(t, c); got != text {
						t.Errorf("got %.20q, want %.20q", got, text)
					}
				}
			})
		})
	}
}

// TestASilentClientIsToldWhy, if it should hear it after all.
func TestASilentClientIsToldWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.New()
		srv := script.Serve(t, websocket.Transport{Silent: 4201}, s, script.Options())
		c, _, err := ws.Dial(t.Context(), "ws://pipe/", &ws.DialOptions{HTTPClient: srv.Client, OnPingReceived: func(context.Context, []byte) bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for {
			if _, _, err := c.Read(t.Context()); err != nil {
				if ws.CloseStatus(err) != 4201 {
					t.Errorf("closed with %v", err)
				}
				break
			}
		}
	})
}
