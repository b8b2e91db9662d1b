package pusher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// post is one request that came to an endpoint.
type post struct {
	at     time.Duration // since the endpoint is there
	body   string
	events []hook
	header http.Header
	url    string
}

// names are its events', with their channels.
func (p post) names() (all []string) {
	for _, e := range p.events {
		all = append(all, e.Name+" "+e.Channel)
	}
	return all
}

// endpoint is where webhooks are posted to, within the bubble of a test. It takes what answer answers with 2xx, all when there is no answer.
type endpoint struct {
	t     testing.TB
	since time.Time

	mu     sync.Mutex
	answer func(post) (int, error)
	posts  []post
	log    bytes.Buffer
}

// RoundTrip takes a request.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var sent struct {
		Events []hook `json:"events"`
	}
	if err := json.Unmarshal(body, &sent); err != nil || len(sent.Events) == 0 {
		e.t.Errorf("a request cannot be read: %v: %s", err, body)
	}
	p := post{time.Since(e.since), string(body), sent.Events, r.Header, r.URL.String()}
	e.mu.Lock()
	e.posts = append(e.posts, p)
	answer := e.answer
	e.mu.Unlock()
	status := 200
	if answer != nil {
		if status, err = answer(p); err != nil {
			return nil, err
		}
	}
	if status == 0 { // never
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// answers says what it answers from now on; nil: 200.
func (e *endpoint) answers(f func(post) (int, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = f
}

// Write takes what is logged.
func (e *endpoint) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.Write(line)
}

// taken returns what came since it was asked last.
func (e *endpoint) taken() []post {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.posts
	e.posts = nil
	return p
}

func (e *endpoint) logged() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

var hookApp = &App{ID: "1", Key: "key", Secret: "secret", Webhook: "https://example.com/hook?token=hidden"}

// inBubble runs a test on webhooks that post to an endpoint. It ends when no goroutine is left; that fails unless all end by themselves.
func inBubble(t *testing.T, o WebhookOptions, test func(t *testing.T, w *webhooks, e *endpoint)) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{t: t, since: time.Now()}
		o.Client = &http.Client{Transport: e}
		w := newWebhooks(o, slog.New(slog.NewTextHandler(e, nil)))
		test(t, w, e)
		time.Sleep(20 * time.Minute) // of the bubble's: whatever is tried again is over
		synctest.Wait()
		w.mu.Lock()
		if len(w.boxes) != 0 {
			t.Errorf("%d mailboxes are left when there is nothing to post", len(w.boxes))
		}
		w.mu.Unlock()
		if strings.Contains(e.logged(), "hidden") {
			t.Errorf("what was logged has the URL's secret: %s", e.logged())
		}
	})
}

func occupied(channel string) hook { return hook{Name: "channel_occupied", Channel: channel} }

func mustMarshal(t *testing.T, h hook) []byte {
	t.Helper()
	data, err := h.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
