package pusher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/presence"
)

// cluster is some hubs on one log, inside of a bubble, each with a registry.
type cluster struct {
	t       *testing.T
	log     *memory.Broker
	members []*member
	apps    map[string]*App
	mu      sync.Mutex
	missing map[string]bool // apps that cannot be found
	all     []string        // what the webhooks were told
}

// member is one hub.
type member struct {
	*cluster
	hub      *live.Hub
	presence *presence.Presence
	registry *registry
	link     *link
	mu       sync.Mutex
	told     []string
}

// link is a broker that can be cut off from one node.
type link struct {
	broker.Broker
	mu  sync.Mutex
	cut chan struct{} // closed when it is
	// halt is nil, or what its node waits for before it is shown more of the log.
	halt chan struct{}
}

// stop keeps the node from seeing more of the log, though it can write to it, until what it returns is called.
func (l *link) stop() (goOn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	halt := make(chan struct{})
	l.halt = halt
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.halt = nil
		close(halt)
	}
}

func (l *link) wait() {
	l.mu.Lock()
	halt := l.halt
	l.mu.Unlock()
	if halt != nil {
		<-halt
	}
}

var errSevered = errors.New("severed")

func (l *link) state() (cut chan struct{}, severed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.cut:
		return l.cut, true
	default:
		return l.cut, false
	}
}

func (l *link) sever() { l.mu.Lock(); defer l.mu.Unlock(); close(l.cut) }
func (l *link) mend()  { l.mu.Lock(); defer l.mu.Unlock(); l.cut = make(chan struct{}) }

func (l *link) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if _, severed := l.state(); severed {
		return broker.Position{}, errSevered
	}
	return l.Broker.Append(ctx, data)
}

func (l *link) Head(ctx context.Context) (broker.Position, error) {
	if _, severed := l.state(); severed {
		return broker.Position{}, errSevered
	}
	return l.Broker.Head(ctx)
}

func (l *link) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	cut, _ := l.state()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-cut:
			cancel()
		case <-over:
		}
	}()
	err := l.Broker.Follow(ctx, after, func(entries []broker.Entry) error {
		l.wait()
		if _, severed := l.state(); severed {
			return errSevered
		}
		return deliver(entries)
	})
	if _, severed := l.state(); severed {
		return errSevered
	}
	return err
}

var shop = &App{ID: "1", Key: "k", Secret: "s", Prefix: "shop:", SubscriptionCount: true, Webhook: "http://shop.test/hook"}

// inCluster runs a test in a bubble, with some nodes.
func inCluster(t *testing.T, nodes int, test func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, log: memory.New(memory.Options{}), apps: map[string]*App{shop.ID: shop}, missing: map[string]bool{}}
		for range nodes {
			c.start()
			c.pass(settled)
		}
		defer func() { // also of a test that gives up
			for _, n := range c.members {
				n.kill()
			}
		}()
		test(t, c)
	})
}

const (
	// settled is when a node that began knows everybody, and is known to the others.
	settled = 600 * time.Millisecond
	// soonEnough is when all know what happened.
	soonEnough = 150 * time.Millisecond
)

// start starts one more node.
func (c *cluster) start() *member {
	n := &member{cluster: c, link: &link{Broker: c.log, cut: make(chan struct{})}}
	n.hub = live.New(live.Options{
		Broker: n.link, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), DrainWindow: time.Second, PingInterval: 24 * time.Hour,
	})
	n.presence = presence.New(n.hub, presence.Options{Person: func(context.Context) (presence.Person, error) { return presence.Person{}, nil }})
	n.registry = newRegistry(n.presence, n, directory{
		ids: []string{shop.ID},
		app: func(_ context.Context, id string) (*App, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if app := c.apps[id]; app != nil && !c.missing[id] {
				return app, nil
			}
			return nil, fmt.Errorf("no app %s", id)
		},
		hubChannel:    func(app *App, name string) string { return app.Prefix + name },
		pusherChannel: func(app *App, hub string) (string, bool) { return strings.CutPrefix(hub, app.Prefix) },
	}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	c.members = append(c.members, n)
	return n
}

// happened takes what the webhooks are told by a node.
func (n *member) happened(app *App, h hook) {
	text := app.ID + " " + h.Name + " " + h.Channel
	if h.UserID != "" {
		text += " " + h.UserID
	}
	if h.SubscriptionCount > 0 {
		text += fmt.Sprint(" ", h.SubscriptionCount)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, text)
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.all = append(n.all, text)
}

// hooks are what a node has told the webhooks since it was asked last.
func (n *member) hooks() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	told := n.told
	n.told = nil
	return strings.Join(told, ", ")
}

// hooked checks what all nodes together have told the webhooks since they were asked last.
func (c *cluster) hooked(want string) {
	c.t.Helper()
	var all []string
	for _, n := range c.members {
		if told := n.hooks(); told != "" {
			all = append(all, told)
		}
	}
	if got := strings.Join(all, " | "); got != want {
		c.t.Errorf("the webhooks are told %q, want %q", got, want)
	}
}

// counted checks how many subscriptions a channel has, as each of some nodes knows.
func (c *cluster) counted(app *App, channel string, want int, nodes ...*member) {
	c.t.Helper()
	for _, n := range nodes {
		if got := n.registry.occupancy(app, channel).subscriptions; got != want {
			c.t.Errorf("node %d counts %d in %s, want %d", slices.Index(c.members, n), got, channel, want)
		}
	}
}

// kill ends a node as a crash does: nothing reaches the log any more.
func (n *member) kill() {
	if _, severed := n.link.state(); !severed {
		n.link.sever()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.hub.Shutdown(ctx)
	synctest.Wait()
}

// stop ends a node as it should.
func (n *member) stop() {
	n.t.Helper()
	if err := n.hub.Shutdown(context.Background()); err != nil {
		n.t.Error(err)
	}
	synctest.Wait()
}

// pass lets time pass.
func (c *cluster) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// person is somebody on a channel of the hub, as presence tells.
func (n *member) person(hub, id string) extend.Kept {
	return n.presence.Keep(extend.Member{Place: extend.Place{Channel: hub}, Person: id, State: []byte(`{}`)})
}

// logged counts the entries of the log, and those that have a text.
func (c *cluster) logged(text string) (n int) {
	c.t.Helper()
	done := errors.New("that is all")
	head, err := c.log.Head(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	err = c.log.Follow(c.t.Context(), broker.Position{}, func(entries []broker.Entry) error {
		for _, e := range entries {
			if bytes.Contains(e.Data, []byte(text)) {
				n++
			}
			if e.Position == head {
				return done
			}
		}
		return nil
	})
	if !errors.Is(err, done) {
		c.t.Fatal(err)
	}
	return n
}
