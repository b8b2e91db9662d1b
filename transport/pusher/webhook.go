package pusher

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/swampline/live/internal/wire"
)

// The pauses between the attempts at one request double from the first to the longest.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// webhooks posts what happens to the URLs of apps: signed, some events in one request, those of each channel in order. While there is nothing to
// post it has no goroutine.
type webhooks struct {
	o      WebhookOptions
	client *http.Client
	own    *http.Transport // the client's, if it is none of the application's
	logger *slog.Logger

	ctx      context.Context // of all requests
	cancel   context.CancelFunc
	stopping chan struct{} // closed when nothing may wait any more
	work     sync.WaitGroup

	mu      sync.Mutex
	boxes   map[string]*mailbox // by the app's id; none of those that are empty
	stopped bool
	late    bool // something happened after the stop, and the logger knows
}

var _ hooks = (*webhooks)(nil)

func newWebhooks(o WebhookOptions, logger *slog.Logger) *webhooks {
	o = o.withDefaults()
	w := &webhooks{o: o, logger: logger, stopping: make(chan struct{}), boxes: map[string]*mailbox{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	var client http.Client
	if o.Client != nil {
		client = *o.Client
	} else {
		w.own = newTransport(o.Timeout)
		client.Transport = w.own
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.client = &client
	return w
}

// newTransport returns one that waits for nothing for long, and keeps connections for a moment only.
func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    timeout,
		IdleConnTimeout:        5 * time.Second,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// happened has an app told, if it has a URL for that.
func (w *webhooks) happened(app *App, h hook) {
	if app.Webhook == "" {
		return
	}
	data, err := wire.Marshal(h)
	if err != nil { // of strings and a number: it cannot fail
		w.logger.Error("pusher: a webhook cannot be encoded", "app", app.ID, "event", h.Name, "error", err)
		return
	}
	w.mu.Lock()
	if w.stopped {
		late := w.late
		w.late = true
		w.mu.Unlock()
		if !late {
			w.logger.Warn("pusher: webhooks of what happens after the stop are lost", "app", app.ID, "event", h.Name, "channel", h.Channel)
		}
		return
	}
	b := w.boxes[app.ID]
	if b == nil {
		b = newMailbox()
		w.boxes[app.ID] = b
	}
	b.app = app
	b.put(letter{name: h.Name, channel: h.Channel, json: data, since: time.Now()}, w.o.Queue)
	if _, held := b.held[h.Channel]; !held {
		w.begin(b)
	}
	lost, last := b.loss(time.Now())
	w.mu.Unlock()
	w.tellLoss(app, lost, last)
}

// begin has a goroutine post what waits, unless one does or none may. The caller holds the lock.
func (w *webhooks) begin(b *mailbox) {
	if b.posting || b.retrying >= maxRetrying {
		return
	}
	b.posting = true
	w.work.Go(func() { w.postAll(b) })
}

// postAll posts what waits in a mailbox until nothing does that may be posted now.
func (w *webhooks) postAll(b *mailbox) {
	for {
		p, ok := w.gather(b)
		if !ok {
			return
		}
		if err := w.attempt(&p); err != nil {
			w.failed(b, p, err)
		}
	}
}

// gather waits until the oldest letter has waited for others to go with it, and takes what goes in one request. It is not ok when there is no letter.
func (w *webhooks) gather(b *mailbox) (p parcel, ok bool) {
	w.mu.Lock()
	oldest, ok := b.next()
	if ok {
		w.mu.Unlock()
		w.pause(w.o.Batch - time.Since(oldest.since))
		w.mu.Lock()
		_, ok = b.next() // what was the oldest one may be lost by now, and another is
	}
	if ok {
		p = b.take(w.o.BatchEvents)
		p.begun = time.Now()
		p.body = encode(p.letters, p.begun)
	} else {
		b.posting = false
		w.forget(b)
	}
	lost, last := b.loss(time.Now())
	app := b.app
	w.mu.Unlock()
	w.tellLoss(app, lost, last)
	return p, ok
}

// failed has a parcel tried again, or gives it up where nobody may wait.
func (w *webhooks) failed(b *mailbox, p parcel, err error) {
	w.mu.Lock()
	again := !w.stopped && w.o.Retry > 0
	if again {
		b.hold(p)
		w.work.Go(func() { w.retry(b, p, err) })
	}
	w.mu.Unlock()
	if !again {
		w.tellLost(p, err)
		return
	}
	w.logger.Warn("pusher: a webhook was not taken and is tried again", "app", p.app.ID, "events", len(p.letters), "error", err)
}

// retry tries a parcel again until it was taken or its time is over. The last attempt is made when it is.
func (w *webhooks) retry(b *mailbox, p parcel, err error) {
	stopping := false
	for wait := firstPause; err != nil && !stopping; wait = min(2*wait, longestPause) {
		left := w.o.Retry - time.Since(p.begun)
		if left <= 0 {
			break
		}
		stopping = w.pause(min(wait, left))
		err = w.attempt(&p)
	}
	if err != nil {
		w.tellLost(p, err)
	}
	w.mu.Lock()
	b.release(p)
	if _, more := b.next(); more {
		w.begin(b)
	}
	w.forget(b)
	lost, last := b.loss(time.Now())
	w.mu.Unlock()
	w.tellLoss(p.app, lost, last)
}

// pause waits for a time, and not at all when webhooks stop.
func (w *webhooks) pause(d time.Duration) (stopping bool) {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-w.stopping:
		}
	}
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

// forget forgets a mailbox in which nothing is. The caller holds the lock.
func (w *webhooks) forget(b *mailbox) {
	if b.empty() && w.boxes[b.app.ID] == b {
		delete(w.boxes, b.app.ID)
	}
}

// encode returns the body of a request.
func encode(letters []letter, at time.Time) []byte {
	body := append([]byte(`{"time_ms":`), strconv.FormatInt(at.UnixMilli(), 10)...)
	body = append(body, `,"events":[`...)
	for i, l := range letters {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, l.json...)
	}
	return append(body, "]}"...)
}

// attempt posts a parcel once. Its error says why it was not taken.
func (w *webhooks) attempt(p *parcel) error {
	ctx, cancel := context.WithTimeout(w.ctx, w.o.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.app.Webhook, bytes.NewReader(p.body))
	if err != nil {
		return withoutURL(err)
	}
	r.Header.Set("Content-Type", "application/json") // and no charset: libraries refuse one
	r.Header.Set("User-Agent", "live-pusher")
	r.Header.Set("X-Pusher-Key", p.app.Key)
	r.Header.Set("X-Pusher-Signature", hex.EncodeToString(signature(p.app.Secret, string(p.body))))
	answer, err := w.client.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again; what it says is nobody's business
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the answer was %s", answer.Status)
	}
	return nil
}

// withoutURL returns the cause of an error alone: the URL may have a secret of the application's.
func withoutURL(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// tellLost tells the logger of a parcel that was given up.
func (w *webhooks) tellLost(p parcel, err error) {
	w.logger.Error("pusher: a webhook was given up, its events are lost", "app", p.app.ID, "events", len(p.letters),
		"first", p.letters[0].name, "channel", p.letters[0].channel, "after", time.Since(p.begun).Round(time.Second), "error", err)
}

// tellLoss tells the logger how many letters were lost because too many waited.
func (w *webhooks) tellLoss(app *App, lost int, last letter) {
	if lost > 0 {
		w.logger.Error("pusher: more webhooks wait than WebhookOptions.Queue permits, the oldest are lost", "app", app.ID, "events", lost,
			"last", last.name, "channel", last.channel)
	}
}

// shutdown posts what waits, once, and ends. What could not be posted when ctx ends is lost, and the logger is told. Nothing is taken any more.
func (w *webhooks) shutdown(ctx context.Context) error {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		close(w.stopping)
	}
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.work.Wait()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		w.cancel() // what is under way ends, and what still waits fails at once
		<-done
	}
	w.cancel()
	if w.own != nil {
		w.own.CloseIdleConnections()
	}
	return err
}
