package live

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where"
)

// asked is a broker that counts what it is asked.
type asked struct {
	broker.Broker
	calls atomic.Int64
	lost  chan struct{} // closed when the log is not to continue any more
}

func (a *asked) Append(ctx context.Context, data []byte) (broker.Position, error) {
	a.calls.Add(1)
	return a.Broker.Append(ctx, data)
}

func (a *asked) Head(ctx context.Context) (broker.Position, error) {
	a.calls.Add(1)
	return a.Broker.Head(ctx)
}

func (a *asked) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	a.calls.Add(1)
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := a.lost
	go func() {
		select {
		case <-lost:
			cancel()
		case <-following.Done():
		}
	}()
	err := a.Broker.Follow(following, after, deliver)
	if ctx.Err() == nil && following.Err() != nil {
		a.lost = make(chan struct{})
		return broker.ErrExpired
	}
	return err
}

// still is a hub whose rows do not change, on a log on which much else happens.
type still struct {
	hub    *Hub
	broker *asked
	reads  atomic.Int64 // of the database
	owner  int64        // whose rows the caller may see
	// changed says that a row is another's now.
	changed func(id, owner int64) error
}

func withStill(t *testing.T, test func(t *testing.T, s *still)) {
	synctest.Test(t, func(t *testing.T) {
		s := &still{broker: &asked{Broker: memory.New(memory.Options{}), lost: make(chan struct{})}}
		s.hub = New(Options{Broker: s.broker, HistoryEntries: 4, Logger: slog.New(slog.DiscardHandler)})
		type thing struct {
			ID    int64 `live:"id,key"`
			Owner int64 `live:"owner,scope"`
		}
		things := &Router[thing]{
			Name:  "things",
			Scope: func(context.Context) (where.Where, error) { return where.Eq("owner", s.owner), nil },
			List: func(context.Context, Query) ([]thing, error) {
				s.reads.Add(1)
				return []thing{{ID: 1}, {ID: 2}, {ID: 3}}, nil
			},
			Count: func(context.Context, Query) (int64, error) { s.reads.Add(1); return 3, nil },
		}
		s.hub.Register(things, &Channel{Name: "noise"})
		s.changed = func(id, owner int64) error { return things.Changed(t.Context(), thing{id, owner}) }
		synctest.Wait()
		test(t, s)
		if err := s.hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// happens puts more on the log than the hub holds of it in memory.
func (s *still) happens(t *testing.T) {
	t.Helper()
	for i := range 20 {
		if err := s.hub.Publish(t.Context(), "noise", i); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}

func (s *still) ask(method, url, body, seen string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(method, url, strings.NewReader(body)), httptest.NewRecorder()
	if r.Header.Set("If-None-Match", seen); method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	s.hub.ServeHTTP(w, r)
	return w
}

// An unchanged list or count is answered from memory, however much else has happened since it was read; so is a poll behind which nothing came.
func TestAnUnchangedPollAsksNeitherDatabaseNorBroker(t *testing.T) {
	withStill(t, func(t *testing.T, s *still) {
		urls := []string{"/live/things", "/live/things?id__in=1,2&order=-id", "/live/things?limit=1", "/live/things?count=true"}
		tags := make([]string, len(urls))
		for i, url := range urls {
			first := s.ask("GET", url, "", "")
			if tags[i] = first.Header().Get("ETag"); first.Code != http.StatusOK || tags[i] == "" {
				t.Fatalf("%s: %d %s", url, first.Code, first.Body)
			}
		}
		if n := s.reads.Load(); n != int64(len(urls)) {
			t.Fatalf("%d reads for %d lists", n, len(urls))
		}
		s.happens(t)
		at := s.hub.engine.Position().String()
		reads, calls := s.reads.Load(), s.broker.calls.Load()
		for range 10 {
			for i, url := range urls {
				if again := s.ask("GET", url, "", tags[i]); again.Code != http.StatusNotModified || again.Header().Get("ETag") != tags[i] || again.Body.Len() > 0 {
					t.Errorf("%s: %d %s, ETag %s, want %s", url, again.Code, again.Body, again.Header().Get("ETag"), tags[i])
				}
			}
			if poll := s.ask("GET", "/live/things?cursor="+at, "", ""); poll.Code != http.StatusOK || strings.TrimSpace(poll.Body.String()) != fmt.Sprintf(`{"type":"change","cursor":"%s","changes":[]}`, at) {
				t.Errorf("a poll: %d %s", poll.Code, poll.Body)
			}
			round := s.ask("POST", "/live/", fmt.Sprintf(`{"type":"subscribe","id":1,"router":"things","cursor":"%s"}`, at), "")
			if round.Code != http.StatusOK || strings.Count(round.Body.String(), `"type":`) != 2 || !strings.Contains(round.Body.String(), `"type":"resumed"`) {
				t.Errorf("a round: %d %s", round.Code, round.Body)
			}
		}
		if s.reads.Load() != reads || s.broker.calls.Load() != calls {
			t.Errorf("what is unchanged cost %d reads and %d calls of the broker", s.reads.Load()-reads, s.broker.calls.Load()-calls)
		}
	})
}

// Of rows that only a part of which was listed here a hub does not know what they were.
func TestAPartOfAListIsNoKnowledgeOfAll(t *testing.T) {
	for _, list := range []string{"/live/things", "/live/things?limit=1"} {
		withStill(t, func(t *testing.T, s *still) {
			s.ask("GET", list, "", "")
			time.Sleep(time.Minute) // all that the list had read is on the log
			s.happens(t)
			at := s.hub.engine.Position().String() // of who was given his rows elsewhere
			resume := fmt.Sprintf(`{"type":"subscribe","id":1,"router":"things","cursor":"%s"}`, at)
			s.ask("POST", "/live/", resume, "")
			if err := s.changed(3, 1); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			round := s.ask("POST", "/live/", resume, "")
			if body := round.Body.String(); !strings.Contains(body, `"op":"leave","key":"3"`) && !strings.Contains(body, `"type":"resync"`) {
				t.Errorf("after %s: %d %s, want that row 3 is another's", list, round.Code, body)
			}
		})
	}
}

// What a hub vouches for it vouches for as long as it follows one log, and to those who may see what they saw.
func TestAnETagOfAnotherLogOrCaller(t *testing.T) {
	withStill(t, func(t *testing.T, s *still) {
		tag := s.ask("GET", "/live/things", "", "").Header().Get("ETag")
		s.owner = 1
		if again := s.ask("GET", "/live/things", "", tag); again.Code != http.StatusOK {
			t.Errorf("with other rights: %d", again.Code)
		}
		s.owner = 0
		if again := s.ask("GET", "/live/things", "", tag); again.Code != http.StatusNotModified {
			t.Errorf("with the same rights again: %d", again.Code)
		}
		s.happens(t)
		close(s.broker.lost)
		synctest.Wait()
		anew := s.ask("GET", "/live/things", "", tag)
		if anew.Code != http.StatusOK {
			t.Errorf("since the log was lost: %d", anew.Code)
		}
		if again := s.ask("GET", "/live/things", "", anew.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("the ETag that came then: %d", again.Code)
		}
	})
}
