package livetest

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/longpoll"
	"github.com/swampline/live/transport/shortpoll"
	"github.com/swampline/live/transport/sse"
	"github.com/swampline/live/transport/websocket"
)

// To see that nothing more comes, a test waits until the subscription's cursor has reached the end of the log: the protocol says that
// nothing that concerns it stands before that was not sent. Cursors come with every ping and at the end of every poll, which
// is too late for a test. So the test's server watches the sessions being drained, and asks them for a cursor at once.

// observe returns transports whose sessions can be hurried.
func observe(transports []transport.Transport) []transport.Transport {
	if transports == nil {
		transports = []transport.Transport{websocket.Transport{}, sse.Transport{}, longpoll.Transport{}, shortpoll.Transport{}}
	}
	observed := make([]transport.Transport, len(transports))
	for i, t := range transports {
		observed[i] = observedTransport{t}
	}
	return observed
}

type observedTransport struct{ transport.Transport }

func (o observedTransport) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, options transport.Options) {
	if c, ok := r.Context().Value(clientKey{}).(*Client); ok {
		d := &drain{Session: s, of: &c.drains}
		c.drains.add(d)
		stays := false
		defer func() {
			if !stays {
				c.drains.remove(d)
			}
		}()
		s = d
		if hold := options.Hold; hold != nil {
			options.Hold = func() func(failure error) {
				release := hold()
				stays = true
				return func(failure error) { c.drains.remove(d); release(failure) }
			}
		}
	}
	o.Transport.Serve(w, r, s, options)
}

// drains are the sessions of a client that are being drained.
type drains struct {
	mu      sync.Mutex
	all     map[*drain]struct{}
	hurried int // how many want an answer now
}

// drain is a session, being drained.
type drain struct {
	transport.Session
	of   *drains
	wake context.CancelFunc // ends the wait of a poll; nil while none waits
}

func (ds *drains) add(d *drain) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.all == nil {
		ds.all = map[*drain]struct{}{}
	}
	ds.all[d] = struct{}{}
}

func (ds *drains) remove(d *drain) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	delete(ds.all, d)
}

// hurry makes polls answer at once, those that wait already included, until calm is called.
func (ds *drains) hurry() (calm func()) {
	ds.mu.Lock()
	ds.hurried++
	for d := range ds.all {
		if d.wake != nil {
			d.wake()
		}
	}
	ds.mu.Unlock()
	return func() {
		ds.mu.Lock()
		ds.hurried--
		ds.mu.Unlock()
	}
}

// ask asks each stream for a cursor. Polls bring one with every round.
func (ds *drains) ask() {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for d := range ds.all {
		if d.wake == nil {
			d.Cursor()
		}
	}
}

// Poll is one round, which ends early when a cursor is wanted.
func (d *drain) Poll(ctx context.Context, wait time.Duration) ([]*transport.Frame, error) {
	waiting, wake := context.WithCancel(ctx)
	defer wake()
	d.of.mu.Lock()
	d.wake = wake
	if d.of.hurried > 0 {
		wait = 0
	}
	d.of.mu.Unlock()
	frames, err := d.Session.Poll(waiting, wait)
	d.of.mu.Lock()
	d.wake = nil
	d.of.mu.Unlock()
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return d.Session.Poll(ctx, 0) // what was queued is there still
	}
	return frames, err
}
