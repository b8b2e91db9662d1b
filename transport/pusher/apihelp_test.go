package pusher

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// apiBackend notes what the API asks of it.
type apiBackend struct {
	mu         sync.Mutex
	triggered  [][]outgoing
	terminated []string
	occupied   map[string]occupancy
	users      map[string][]string
	cache      map[string]string
	ttl        time.Duration
	err        error
}

func (b *apiBackend) trigger(_ context.Context, _ *App, events []outgoing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.triggered = append(b.triggered, events)
	}
	return b.err
}

func (b *apiBackend) channels(_ *App, prefix string) map[string]occupancy {
	some := map[string]occupancy{}
	for name, o := range b.occupied {
		if strings.HasPrefix(name, prefix) {
			some[name] = o
		}
	}
	return some
}

func (b *apiBackend) channel(_ *App, name string) occupancy { return b.occupied[name] }

func (b *apiBackend) members(_ *App, name string) []string { return b.users[name] }

func (b *apiBackend) cached(_ *App, name string) (outgoing, time.Duration, bool) {
	data, ok := b.cache[name]
	return outgoing{name: "e", data: data}, b.ttl, ok
}

func (b *apiBackend) terminate(_ context.Context, _ *App, user string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.terminated = append(b.terminated, user)
	}
	return b.err
}

// taken returns what was triggered since it was asked last.
func (b *apiBackend) taken() [][]outgoing {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.triggered
	b.triggered = nil
	return t
}

// apiWorld is an API that is served over HTTP, with the apps 3 and, disabled, 4.
type apiWorld struct {
	t       testing.TB
	url     string
	app     *App
	off     *App
	backend *apiBackend
	api     *api
	log     *strings.Builder
}

func newAPIWorld(t testing.TB) *apiWorld {
	w := &apiWorld{
		t: t, app: vectorApp, off: &App{ID: "4", Key: "off", Secret: "off-secret", Disabled: true}, log: &strings.Builder{},
		backend: &apiBackend{
			occupied: map[string]occupancy{"open": {3, 0}, "presence-room": {4, 2}, "presence-hall": {1, 1}, "private-x": {1, 0}, "#server-to-user-7": {1, 0}},
			users:    map[string][]string{"presence-room": {"ann", "bob"}},
			cache:    map[string]string{"cache-x": " {\"a\":\t1}"}, ttl: 59_001 * time.Millisecond,
		},
	}
	w.api = &api{backend: w.backend, logger: slog.New(slog.NewTextHandler(w.log, nil)), find: func(_ context.Context, id string) (*App, bool, error) {
		switch id {
		case w.app.ID:
			return w.app, true, nil
		case w.off.ID:
			return w.off, true, nil
		case "broken":
			return nil, false, errors.New("the database at 10.0.0.1 is away")
		case "open":
			return &App{ID: "open", Key: "k"}, true, nil
		}
		return nil, false, nil
	}}
	server := httptest.NewServer(w.api)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// do sends a request and returns the status and what was answered.
func (w *apiWorld) do(method, target, body string) (*http.Response, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); kind != "application/json" || !json.Valid(text) {
		w.t.Errorf("%s %s: the answer is %s: %s", method, target, kind, text)
	}
	return answer, string(text)
}

// send signs a request as the app, and sends it.
func (w *apiWorld) send(method, path, body string, parameters ...string) (status int, answer string) {
	w.t.Helper()
	r, text := w.do(method, path+"?"+signedQuery(w.app, method, path, body, time.Now(), parameters...), body)
	return r.StatusCode, text
}

func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}
