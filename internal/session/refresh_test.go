package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/swampline/live/internal/wire"
)

type roleKey struct{}

func TestRefreshRenewsTheContext(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, h *hub) {
		var role atomic.Value
		role.Store("reader")
		slow := make(chan struct{})
		h.env.Refresh = func(ctx context.Context) (context.Context, error) {
			now := role.Load().(string)
			if now == "slow" {
				<-slow
			}
			if ctx.Value(roleKey{}) != nil {
				t.Error("it is given what it returned")
			}
			ended, cancel := context.WithCancel(ctx)
			cancel() // it may end as it likes
			return context.WithValue(ended, roleKey{}, now), nil
		}
		c := h.client()
		var asked sync.Mutex // the round that was overtaken asks beside the newer one
		var seen []string
		h.onContext = func(ctx context.Context) {
			asked.Lock()
			defer asked.Unlock()
			seen = append(seen, fmt.Sprint(ctx.Value(roleKey{}), " ", ctx.Err()))
		}
		c.subscribe(1, `{}`)
		c.drain()
		role.Store("writer")
		h.recheck()
		c.drain()
		role.Store("slow")
		h.recheck()
		synctest.Wait()
		role.Store("owner") // the newer one is over first, and counts
		h.recheck()
		c.drain()
		close(slow)
		c.drain()
		if got := strings.Join(seen, ", "); got != "<nil> <nil>, writer <nil>, owner <nil>, owner <nil>" {
			t.Errorf("the application saw %s", got)
		}
	})
}

func TestRefreshThatFailsEndsTheSession(t *testing.T) {
	for name, refresh := range map[string]func(context.Context) (context.Context, error){
		"expired":  func(context.Context) (context.Context, error) { return nil, wire.NewProblem(401, "expired", "") },
		"internal": func(context.Context) (context.Context, error) { return nil, errors.New("the database") },
		`internal"`: func(context.Context) (context.Context, error) {
			panic("the app")
		},
		`"internal"`: func(context.Context) (context.Context, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, h *hub) {
				c := h.client()
				all, chat := c.subscribe(1, `{}`), c.channel(2, "chat")
				c.drain()
				c.told()
				h.env.Refresh = refresh
				h.recheck()
				h.mustPut(1, 1)
				c.drain()
				if told := c.told(); told != "closed closed" || !strings.Contains(string(all.Ended), name) || !strings.Contains(string(chat.Ended), name) {
					t.Errorf("told %s: %s", told, all.Ended)
				}
				synctest.Wait() // the client may hear of it before the hub does
				if len(h.sessions()) != 0 {
					t.Error("the session goes on")
				}
			})
		})
	}
}
