package live

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
)

// A hub is made, and answers, while its broker fails or hangs: who asks once is told to come again soon.
func TestAHubWithoutItsBroker(t *testing.T) {
	for _, how := range []string{"fails", "hangs"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newAbsent()
				b.be(how)
				began := time.Now()
				hub := New(Options{Broker: b})
				things := &Router[fine]{Name: "things", Scope: Everyone}
				things.List = func(context.Context, Query) ([]fine, error) { return []fine{{1}}, nil }
				hub.Register(things)
				if took := time.Since(began); took > 0 {
					t.Errorf("New took %v", took)
				}
				ask := func(url string) *httptest.ResponseRecorder {
					w := httptest.NewRecorder()
					hub.ServeHTTP(w, httptest.NewRequest("GET", url, nil))
					return w
				}
				synctest.Wait()
				for _, url := range []string{"/live/things", "/live/things?cursor=1.12&wait=20"} {
					began = time.Now()
					w := ask(url)
					if took := time.Since(began); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || took > 10*time.Second {
						t.Errorf("%s: %d, Retry-After %q after %v: %s", url, w.Code, w.Header().Get("Retry-After"), took, w.Body)
					}
				}
				if s := hub.Stats(); !s.Degraded {
					t.Error("nobody knows that the broker is away")
				}
				b.be("")
				time.Sleep(10 * time.Second)
				if w := ask("/live/things"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"key":"1"`) || hub.Stats().Degraded {
					t.Errorf("the broker is back: %d %s", w.Code, w.Body)
				}
				if err := hub.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A position of the log as it was before it went back to an earlier state lies between those that it has now. It is no ETag, and tells
// nothing of a write that was sent before.
func TestPositionsThatTheLogNeverGaveOut(t *testing.T) {
	withAbsent(t, Options{}, func(t *testing.T, w *wait) {
		for i := range 5 {
			w.say(t, i)
		}
		synctest.Wait()
		held := w.hub.engine.Position()
		never := held
		never.Major, never.Minor = held.Major-1, 5
		list := func(seen string) *httptest.ResponseRecorder {
			r, rec := httptest.NewRequest("GET", "/live/things", nil), httptest.NewRecorder()
			r.Header.Set("If-None-Match", seen)
			w.hub.ServeHTTP(rec, r)
			return rec
		}
		first := list("")
		tag := first.Header().Get("ETag")
		if again := list(tag); first.Code != http.StatusOK || again.Code != http.StatusNotModified {
			t.Errorf("%d, then %d for %s", first.Code, again.Code, tag)
		}
		w.say(t, 5) // so that it is not beyond the end
		w.say(t, 6)
		synctest.Wait()
		never.Major++
		elsewhere := func(at broker.Position) *httptest.ResponseRecorder { // an ETag that another hub gave
			return list(strings.NewReplacer(held.String(), at.String(), *w.hub.run.Load(), "elsewhere").Replace(tag))
		}
		if again := elsewhere(held); again.Code != http.StatusNotModified {
			t.Errorf("%d for a position that another hub knows, too", again.Code)
		}
		if again := elsewhere(never); again.Code != http.StatusOK {
			t.Errorf("%d for a position that was never given out", again.Code)
		}
		write := func(mutation, first string) error {
			_, _, err := app{w.hub}.Call(t.Context(), wire.Message{Type: wire.Call, Router: "things", Verb: "create", Data: json.RawMessage("{}"), Mutation: mutation, Retry: first})
			return err
		}
		var p *wire.Problem
		if err := write("0190a0b0-0000-7000-8000-00000000000a", never.String()); !errors.As(err, &p) || p.Code != "unknown_outcome" || w.ran != 0 {
			t.Errorf("a write that may have been done on a log that is gone: %v; it ran %d times", err, w.ran)
		}
		if err := write("0190a0b0-0000-7000-8000-00000000000b", held.String()); err != nil || w.ran != 1 {
			t.Errorf("a write that was not done since: %v; it ran %d times", err, w.ran)
		}
	})
}

// A poll ends for nothing that its client was told before, but each answer says that the broker is away.
func TestAnswerToARoundSaysThatTheBrokerIsAway(t *testing.T) {
	withAbsent(t, Options{}, func(t *testing.T, w *wait) {
		w.say(t, 1)
		synctest.Wait()
		cursor := w.hub.engine.Position().String()
		ask := func(url string) (took time.Duration, answer string) {
			began, rec := time.Now(), httptest.NewRecorder()
			r := httptest.NewRequest("POST", url, strings.NewReader(`{"type":"subscribe","id":1,"router":"things","cursor":"`+cursor+`"}`))
			r.Header.Set("Content-Type", "application/x-ndjson")
			w.hub.ServeHTTP(rec, r)
			return time.Since(began), rec.Body.String()
		}
		w.broker.be("fails")
		synctest.Wait()
		const away = `{"type":"status","degraded":true}`
		for url, want := range map[string]time.Duration{"/live/": 0, "/live/?wait=20": 20 * time.Second} {
			if took, answer := ask(url); took != want || !strings.Contains(answer, away) || !strings.Contains(answer, `"resumed"`) {
				t.Errorf("%s: after %v, %s", url, took, answer)
			}
		}
		w.broker.be("")
		time.Sleep(10 * time.Second)
		if _, answer := ask("/live/"); strings.Contains(answer, "status") {
			t.Errorf("it is back: %s", answer)
		}
	})
}
