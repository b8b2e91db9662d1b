package pusher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// sharing has a node that begins to follow the log told what the others keep of cache channels, which was said before. It asks on the log, and one of the
// others answers there: the first whose time comes, in a moment that each draws.
type sharing struct {
	server *Server
	node   string
	wake   chan struct{}

	mu    sync.Mutex
	ask   bool                 // it is to be asked
	since time.Time            // when this node asked last
	whole bool                 // it was answered
	due   map[string]time.Time // when to answer, by who asks
}

const (
	// wholeAfter is when a node that nobody has answered takes it that nobody can: from then on it answers others.
	wholeAfter = time.Second
	// answerWithin is the time in which those who may answer draw their moment.
	answerWithin = 100 * time.Millisecond
	// shareBytes is about how much one entry of the log tells.
	shareBytes = 256 << 10
)

// sharedEvent is an event of a cache channel, as one node tells it another.
type sharedEvent struct {
	Channel string          `json:"channel"` // the hub's name
	Data    json.RawMessage `json:"data"`
	Until   int64           `json:"until"` // in milliseconds since 1970
}

func newSharing(s *Server) *sharing {
	return &sharing{server: s, node: rand.Text()[:12], wake: make(chan struct{}, 1), due: map[string]time.Time{}}
}

// began takes that the hub begins to follow the log. It does not wait.
func (sh *sharing) began(broker.Position) {
	sh.server.cache.reset()
	sh.mu.Lock()
	sh.ask, sh.whole, sh.since = true, false, time.Now()
	clear(sh.due)
	sh.mu.Unlock()
	sh.wakeUp()
}

func (sh *sharing) wakeUp() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// heard takes what a node says of it. It does not wait.
func (sh *sharing) heard(o *order) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case o.Asks != "" && o.Asks != sh.node && (sh.whole || time.Since(sh.since) >= wholeAfter):
		sh.due[o.Asks] = time.Now().Add(mathrand.N(answerWithin))
		sh.wakeUp()
	case o.Answers == sh.node:
		sh.whole = true
		for _, e := range o.Cached {
			sh.server.cache.fill(&kept{channel: e.Channel, data: e.Data, until: time.UnixMilli(e.Until)})
		}
	case o.Answers != "":
		delete(sh.due, o.Answers) // somebody else was faster
	}
}

// run asks and answers until ctx ends.
func (sh *sharing) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-sh.wake:
		}
		orders, next := sh.todo(time.Now())
		for _, o := range orders {
			if err := sh.say(ctx, o); err != nil && ctx.Err() == nil {
				sh.server.logger.WarnContext(ctx, "pusher: nodes cannot tell each other of cache channels", session.Cause(err))
				if o.Asks != "" {
					sh.again()
					next = time.Second
				}
			}
		}
		timer.Reset(next)
	}
}

// again has it asked anew what could not be.
func (sh *sharing) again() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.ask = true
}

// todo returns what is to be said now, and when there may be more.
func (sh *sharing) todo(now time.Time) (orders []order, next time.Duration) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.ask {
		sh.ask = false
		orders = append(orders, order{Asks: sh.node})
	}
	next = time.Hour
	for who, at := range sh.due {
		if wait := at.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		delete(sh.due, who)
		orders = append(orders, sh.answers(who)...)
	}
	return orders, next
}

// answers is all that is kept, in parts; nothing when nothing is, for others may keep something.
func (sh *sharing) answers(who string) (orders []order) {
	size := shareBytes
	for _, k := range sh.server.cache.all() {
		if size >= shareBytes {
			orders = append(orders, order{Answers: who})
			size = 0
		}
		last := &orders[len(orders)-1]
		last.Cached = append(last.Cached, sharedEvent{k.channel, k.data, k.until.UnixMilli()})
		size += len(k.data) + len(k.channel)
	}
	return orders
}

func (sh *sharing) say(ctx context.Context, o order) error {
	data, err := wire.Marshal(o)
	if err != nil {
		return err
	}
	return sh.server.hub.Publish(ctx, record.Message{Channel: orders, Data: data})
}
