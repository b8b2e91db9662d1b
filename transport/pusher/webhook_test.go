package pusher

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/seed"
)

func TestHookForms(t *testing.T) {
	for want, h := range map[string]hook{
		`{"name":"channel_occupied","channel":"c"}`:                                                                       {Name: "channel_occupied", Channel: "c"},
		`{"name":"member_added","channel":"presence-c","user_id":"7"}`:                                                    {Name: "member_added", Channel: "presence-c", UserID: "7"},
		`{"name":"subscription_count","channel":"c","subscription_count":0}`:                                              {Name: "subscription_count", Channel: "c"},
		`{"name":"subscription_count","channel":"c","subscription_count":3}`:                                              {Name: "subscription_count", Channel: "c", SubscriptionCount: 3},
		`{"name":"client_event","channel":"private-c","event":"client-x","socket_id":"1.2","data":""}`:                    {Name: "client_event", Channel: "private-c", Event: "client-x", SocketID: "1.2"},
		`{"name":"client_event","channel":"presence-c","event":"client-x","socket_id":"1.2","user_id":"7","data":"<&\""}`: {Name: "client_event", Channel: "presence-c", Event: "client-x", SocketID: "1.2", UserID: "7", Data: `<&"`},
	} {
		var got, wanted any
		body := encode([]letter{{json: mustMarshal(t, h)}}, time.UnixMilli(1327078148132))
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := json.Unmarshal([]byte(`{"time_ms":1327078148132,"events":[`+want+`]}`), &wanted); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("%+v is posted as %s, want %s", h, body, want)
		}
	}
}

func TestCheckWebhook(t *testing.T) {
	for url, want := range map[string]bool{
		"": true, "http://localhost:1/x": true, "https://example.com": true, "https://u:p@example.com/?x=1": true,
		"example.com/hook": false, "/hook": false, "ftp://example.com": false, "https://": false, "https://:80/": false, "http://%zz": false, "mailto:x@y": false,
	} {
		if err := checkWebhook(url); (err == nil) != want {
			t.Errorf("checkWebhook(%q) = %v", url, err)
		}
	}
}

// What comes over the wire is what Pusher's libraries check.
func TestWebhookSigned(t *testing.T) {
	type got struct {
		header http.Header
		body   []byte
	}
	came := make(chan got, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- got{r.Header, body}
	}))
	defer server.Close()
	w := newWebhooks(WebhookOptions{}, slog.Default())
	before := time.Now().UnixMilli()
	w.happened(&App{ID: "1", Key: "278d425bdf160c739803", Secret: "7ad3773142a6692b25b8", Webhook: server.URL}, occupied("c"))
	if err := w.shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := <-came
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Pusher-Key": "278d425bdf160c739803",
		"X-Pusher-Signature": hex.EncodeToString(signature("7ad3773142a6692b25b8", string(g.body))),
	} {
		if value := g.header.Values(name); len(value) != 1 || value[0] != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	var sent struct {
		Time   int64           `json:"time_ms"`
		Events json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(g.body, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.Time < before || sent.Time > time.Now().UnixMilli() || string(sent.Events) != `[{"name":"channel_occupied","channel":"c"}]` {
		t.Errorf("%s was posted", g.body)
	}
}

// The signature goes to the app's URL and nowhere else, also with a client that would follow.
func TestWebhookFollowsNoRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%d was followed", status) }))
		asked := 0 // the server has ended when it is read
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			http.Redirect(w, r, elsewhere.URL, status)
		}))
		var log bytes.Buffer
		w := newWebhooks(WebhookOptions{Client: &http.Client{}, Retry: -1}, slog.New(slog.NewTextHandler(&log, nil)))
		w.happened(&App{ID: "1", Webhook: server.URL}, occupied("c"))
		if err := w.shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Close()
		elsewhere.Close()
		if asked != 1 || !strings.Contains(log.String(), "given up") {
			t.Errorf("%d: asked %d times; %s", status, asked, &log)
		}
	}
}

func TestWebhookBatches(t *testing.T) {
	inBubble(t, WebhookOptions{}, func(t *testing.T, w *webhooks, e *endpoint) {
		w.happened(&App{ID: "none", Key: "k", Secret: "s"}, occupied("c")) // has no URL
		for i := range 120 {
			w.happened(hookApp, occupied(fmt.Sprint("c", i)))
		}
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		if got := e.taken(); got != nil {
			t.Fatalf("%d requests came, and nothing has waited for others yet", len(got))
		}
		for i := range 130 {
			w.happened(hookApp, occupied(fmt.Sprint("c", 120+i)))
		}
		time.Sleep(time.Minute)
		var all, sizes []string
		for _, p := range e.taken() {
			all = append(all, p.names()...)
			sizes = append(sizes, fmt.Sprint(len(p.events), " ", p.at))
		}
		if want := []string{"100 50ms", "100 50ms", "50 90ms"}; !slices.Equal(sizes, want) {
			t.Errorf("the requests were %q, want %q", sizes, want)
		}
		for i, name := range all {
			if name != fmt.Sprint("channel_occupied c", i) {
				t.Fatalf("event %d is %q", i, name)
			}
		}
		if len(all) != 250 {
			t.Errorf("%d events came", len(all))
		}
	})
}

// A request is no larger than servers read, whatever the events have.
func TestWebhookSize(t *testing.T) {
	inBubble(t, WebhookOptions{}, func(t *testing.T, w *webhooks, e *endpoint) {
		for i := range 20 {
			w.happened(hookApp, hook{Name: "client_event", Channel: "private-c", Event: fmt.Sprint("client-", i), Data: strings.Repeat("x", 10<<10)})
		}
		w.happened(hookApp, hook{Name: "client_event", Channel: "private-c", Event: "client-20", Data: strings.Repeat("x", 2*parcelBytes)})
		time.Sleep(time.Minute)
		n := 0
		for _, p := range e.taken() {
			if len(p.body) > parcelBytes+100 && len(p.events) > 1 {
				t.Errorf("a request of %d events has %d bytes", len(p.events), len(p.body))
			}
			for _, h := range p.events {
				if h.Event != fmt.Sprint("client-", n) {
					t.Fatalf("event %d is %q", n, h.Event)
				}
				n++
			}
		}
		if n != 21 {
			t.Errorf("%d events came", n)
		}
	})
}

// Several clients that miss the same event are told of once, as long as it was not posted.
func TestWebhookCacheMissOnce(t *testing.T) {
	inBubble(t, WebhookOptions{}, func(t *testing.T, w *webhooks, e *endpoint) {
		for range 2 {
			for range 3 {
				w.happened(hookApp, hook{Name: "cache_miss", Channel: "cache-a"})
				w.happened(hookApp, hook{Name: "cache_miss", Channel: "cache-b"})
			}
			time.Sleep(time.Second)
		}
		got := e.taken()
		if want := []string{"cache_miss cache-a", "cache_miss cache-b"}; len(got) != 2 || !slices.Equal(got[0].names(), want) || !slices.Equal(got[1].names(), want) {
			t.Errorf("%+v was posted", got)
		}
	})
}

// While a request is tried again its channels wait, and the others go on.
func TestWebhookRetry(t *testing.T) {
	inBubble(t, WebhookOptions{}, func(t *testing.T, w *webhooks, e *endpoint) {
		failures := 2
		e.answers(func(p post) (int, error) {
			if failures > 0 && p.names()[0] == "channel_occupied a" {
				failures--
				return 500, nil
			}
			return 204, nil
		})
		w.happened(hookApp, occupied("a"))
		w.happened(hookApp, occupied("b"))
		time.Sleep(500 * time.Millisecond)
		w.happened(hookApp, hook{Name: "channel_vacated", Channel: "a"})
		w.happened(hookApp, occupied("c"))
		w.happened(hookApp, hook{Name: "channel_vacated", Channel: "b"})
		time.Sleep(time.Minute)
		var got []string
		posts := e.taken()
		for _, p := range posts {
			got = append(got, fmt.Sprint(p.at, " ", p.names()))
		}
		if want := []string{
			"50ms [channel_occupied a channel_occupied b]",
			"550ms [channel_occupied c]",
			"1.05s [channel_occupied a channel_occupied b]",
			"3.05s [channel_occupied a channel_occupied b]",
			"3.05s [channel_vacated a channel_vacated b]",
		}; !slices.Equal(got, want) {
			t.Fatalf("posted were\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if posts[0].body != posts[3].body || posts[0].header.Get("X-Pusher-Signature") != posts[3].header.Get("X-Pusher-Signature") {
			t.Error("what is tried again is not what was tried first")
		}
	})
}

// After five minutes a request is given up, and the logger knows; what happens later on its channels is posted.
func TestWebhookGivesUp(t *testing.T) {
	for name, answer := range map[string]func(post) (int, error){
		"503":     func(post) (int, error) { return 503, nil },
		"refused": func(post) (int, error) { return 0, errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, WebhookOptions{Batch: -1}, func(t *testing.T, w *webhooks, e *endpoint) {
				e.answers(answer)
				w.happened(hookApp, occupied("a"))
				time.Sleep(299 * time.Second)
				w.happened(hookApp, hook{Name: "channel_vacated", Channel: "a"})
				time.Sleep(900 * time.Millisecond)
				synctest.Wait()
				if strings.Contains(e.logged(), "given up") {
					t.Errorf("it was given up within five minutes: %s", e.logged())
				}
				var at []string
				for _, p := range e.taken() {
					at = append(at, p.at.String())
				}
				if want := strings.Fields("0s 1s 3s 7s 15s 31s 1m3s 2m3s 3m3s 4m3s"); !slices.Equal(at, want) {
					t.Errorf("it was tried after %v, want %v", at, want)
				}
				time.Sleep(100 * time.Millisecond) // the last attempt is made when the time is over
				synctest.Wait()
				if got := e.taken(); len(got) == 0 || got[0].at != 5*time.Minute || got[0].names()[0] != "channel_occupied a" {
					t.Errorf("the last attempt: %+v", got)
				}
				if log := e.logged(); strings.Count(log, "given up") != 1 || !strings.Contains(log, "channel_occupied") {
					t.Errorf("the logger was told: %s", log)
				}
				e.answers(nil) // what waited is tried again a second later
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if got := e.taken(); len(got) != 1 || got[0].names()[0] != "channel_vacated a" {
					t.Errorf("then %+v came", got)
				}
			})
		})
	}
}

// An endpoint that does not answer has as much time as Options say.
func TestWebhookTimeout(t *testing.T) {
	inBubble(t, WebhookOptions{Timeout: 3 * time.Second, Retry: time.Second, Batch: -1}, func(t *testing.T, w *webhooks, e *endpoint) {
		e.answers(func(post) (int, error) { return 0, nil })
		w.happened(hookApp, occupied("a"))
		time.Sleep(time.Minute)
		if got := e.taken(); len(got) != 1 { // the time for attempts was over with the first
			t.Errorf("it was tried %d times", len(got))
		}
		if !strings.Contains(e.logged(), "after=3s") {
			t.Errorf("the logger was told: %s", e.logged())
		}
	})
}

// Whatever fails, each channel's events come in order, none is lost, and none that was taken comes again.
func TestWebhookRandom(t *testing.T) {
	first, _ := seed.First(t)
	random := rand.New(rand.NewPCG(first, 0))
	inBubble(t, WebhookOptions{BatchEvents: 5, Retry: time.Hour}, func(t *testing.T, w *webhooks, e *endpoint) {
		const apps, channels, events = 3, 6, 2000
		var mu sync.Mutex // of random, and what follows
		next := map[string]int{}
		e.answers(func(p post) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			if random.IntN(3) == 0 {
				return []int{302, 404, 500, 503}[random.IntN(4)], nil
			}
			if random.IntN(20) == 0 {
				return 0, errors.New("reset")
			}
			for _, h := range p.events {
				of := p.header.Get("X-Pusher-Key") + " " + h.Channel
				if h.SubscriptionCount != next[of] {
					t.Errorf("%s: %d came, want %d", of, h.SubscriptionCount, next[of])
				}
				next[of] = h.SubscriptionCount + 1
			}
			return 200, nil
		})
		sent := map[string]int{}
		for range events {
			mu.Lock()
			app, channel, pause := fmt.Sprint("app", random.IntN(apps)), fmt.Sprint("c", random.IntN(channels)), random.IntN(100)
			mu.Unlock()
			of := app + " " + channel
			w.happened(&App{ID: app, Key: app, Secret: "s", Webhook: "http://" + app}, hook{Name: "subscription_count", Channel: channel, SubscriptionCount: sent[of]})
			sent[of]++
			time.Sleep(time.Duration(pause) * time.Millisecond)
		}
		time.Sleep(10 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		for of, n := range sent {
			if next[of] != n {
				t.Errorf("%s: %d events came of %d", of, next[of], n)
			}
		}
	})
}
