package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

// TestShutdownWhileTheDatabaseIsDown ends a hub that is trying to refill a window.
func TestShutdownWhileTheDatabaseIsDown(t *testing.T) {
	db := &scores{rows: map[int64]score{}}
	for i := int64(1); i <= 40; i++ {
		db.put(i, ranked(i))
	}
	hub, r := live.New(live.Options{Logger: slog.New(slog.DiscardHandler)}), db.router()
	hub.Register(r)
	server := httptest.NewServer(hub)
	defer server.Close()
	f := follow(t, transporttest.WebSocket, server.URL+"/live/", `{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2}`)
	f.want("snapshot")
	f.want("change")
	db.broken.Store(true)
	for id := int64(1); id <= 8; id++ {
		if err := r.Deleted(t.Context(), db.remove(id)); err != nil {
			t.Fatal(err)
		}
		f.want("change")
	}
	if err := hub.Shutdown(limit(t)); err != nil {
		t.Fatal(err)
	}
}

// scoreboard is a hub with n scores of game 1, ranks 1 to n.
func scoreboard(t *testing.T, n int, o live.Options) (db *scores, r *live.Router[score], url string) {
	db = &scores{rows: map[int64]score{}}
	for i := int64(1); i <= int64(n); i++ {
		rank := i * 10
		db.rows[i] = score{ID: i, Game: 1, Rank: &rank, Name: fmt.Sprint("n", i), Version: 1}
		db.last = i
	}
	o.Logger = slog.New(slog.DiscardHandler)
	hub := live.New(o)
	r = db.router()
	r.MaxRows = 50
	hub.Register(r)
	server := httptest.NewServer(hub)
	t.Cleanup(func() { server.Close(); _ = hub.Shutdown(context.Background()) })
	return db, r, server.URL + "/live/"
}

// put stores a row and returns what it was.
func (s *scores) put(id int64, f func(*score)) (was, now score) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.rows[id]
	now = was
	if !ok {
		now = score{ID: id, Game: 1}
	}
	f(&now)
	now.Version++
	s.rows[id] = now
	return was, now
}

func (s *scores) remove(id int64) score {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.rows[id]
	delete(s.rows, id)
	return was
}

func ranked(n int64) func(*score) { return func(s *score) { s.Rank = &n } }

// brief is a change as "enter 4@2", "leave 7".
func brief(m transporttest.Message) string {
	var raw struct {
		More    *bool
		Changes []struct {
			Op, Key string
			At      *int
		}
	}
	_ = json.Unmarshal([]byte(m.Raw), &raw)
	var parts []string
	for _, c := range raw.Changes {
		text := c.Op + " " + c.Key
		if c.At != nil {
			text += fmt.Sprint("@", *c.At)
		}
		parts = append(parts, text)
	}
	if raw.More != nil {
		parts = append(parts, fmt.Sprint("more=", *raw.More))
	}
	return strings.Join(parts, " ")
}

// TestWindow follows the first three rows by rank.
func TestWindow(t *testing.T) {
	db, r, url := scoreboard(t, 6, live.Options{})
	f := follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":3}`)
	snapshot := f.want("snapshot")
	if !strings.Contains(snapshot.Raw, `"order":"rank,id","more":true`) || len(snapshot.Rows) != 3 {
		t.Fatal(snapshot.Raw)
	}
	if got := brief(f.want("change")); got != "more=true" {
		t.Fatalf("after the snapshot: %s", got)
	}
	lists := db.lists.Load()
	for _, step := range []struct {
		what string
		do   func() error
		want string
	}{
		{"a row leaves: the next one comes in", func() error { return r.Deleted(t.Context(), db.remove(2)) }, "delete 2 enter 4@2"},
		{"a new row on top pushes the last one out", func() error {
			_, now := db.put(7, ranked(5))
			return r.Created(t.Context(), now)
		}, "leave 4 create 7@0"},
		{"a row moves within", func() error {
			was, now := db.put(7, ranked(15))
			return r.Updated(t.Context(), was, now)
		}, "update 7@1"},
		{"a row moves out", func() error {
			was, now := db.put(7, ranked(1000))
			return r.Updated(t.Context(), was, now)
		}, "leave 7 enter 4@2"},
		{"a row changes where it is", func() error {
			was, now := db.put(3, func(s *score) { s.Name = "x" })
			return r.Updated(t.Context(), was, now)
		}, "update 3"},
		{"and again", func() error {
			was, now := db.put(3, func(s *score) { s.Name = "y" })
			return r.Updated(t.Context(), was, now)
		}, "update 3"},
		{"ties are ordered by the key", func() error {
			was, now := db.put(6, ranked(30))
			return r.Updated(t.Context(), was, now)
		}, "leave 4 enter 6@2"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := brief(f.want("change")); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
	// What is beyond the window does not concern it: what follows comes next.
	was, now := db.put(5, func(s *score) { s.Name = "far" })
	if err := r.Updated(t.Context(), was, now); err != nil {
		t.Fatal(err)
	}
	if err := r.Deleted(t.Context(), db.remove(1)); err != nil {
		t.Fatal(err)
	}
	if got := brief(f.want("change")); got != "delete 1 enter 4@2" {
		t.Errorf("got %s", got)
	}
	if n := db.lists.Load(); n != lists {
		t.Errorf("%d more lists were read, want none: the rows were at hand", n-lists)
	}
}

// TestWindowRefill empties a window until its spare rows are gone: one query reads the next, however many watch, and who reads on
// with a larger limit gets what he lacks.
func TestWindowRefill(t *testing.T) {
	db, r, url := scoreboard(t, 49, live.Options{})
	var all []*follower
	const ask = `{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":4}`
	for range 20 {
		f := follow(t, transporttest.WebSocket, url, ask)
		f.want("snapshot")
		f.want("change")
		all = append(all, f)
	}
	lists := db.lists.Load()
	for id := int64(1); id <= 30; id++ {
		if err := r.Deleted(t.Context(), db.remove(id)); err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			held := 3
			for m := f.want("change"); ; m = f.want("change") { // the next row comes along, or with a fill
				if held += strings.Count(brief(m), "enter"); held == 4 {
					break
				}
			}
		}
	}
	if n := db.lists.Load() - lists; n < 2 || n > 5 {
		t.Errorf("%d lists were read for 30 rows that left 20 windows of 4 with 10 spare, want 2 to 5", n)
	}
	f := all[0]
	cursor := ""
	f.say(`{"type":"call","id":5,"router":"scores","verb":"list","limit":4,"order":"rank"}`)
	m := f.want("result")
	if len(m.Rows) != 4 || m.Rows[0].Key != "31" || !strings.Contains(m.Raw, `"more":true`) {
		t.Fatal(m.Raw)
	}
	c := follow(t, transporttest.WebSocket, url, ask)
	cursor = c.want("snapshot").Cursor
	whole := db.whole.Load()
	more := follow(t, transporttest.WebSocket, url, fmt.Sprintf(
		`{"type":"subscribe","id":2,"router":"scores","order":"rank","limit":7,"cursor":%q,"bound":[340,34]}`, cursor))
	more.want("resumed")
	if got := brief(more.want("change")); got != "enter 35@4 enter 36@5 enter 37@6 more=true" {
		t.Errorf("load more: %s", got)
	}
	// Far more: what the smaller window has is not read again, the rest is, from there on.
	far := follow(t, transporttest.WebSocket, url, fmt.Sprintf(
		`{"type":"subscribe","id":2,"router":"scores","order":"rank","limit":17,"cursor":%q,"bound":[340,34]}`, cursor))
	far.want("resumed")
	held, said := 4, ""
	for held < 17 {
		m := brief(far.want("change"))
		held, said = held+strings.Count(m, "enter"), said+m+"; "
	}
	if !strings.Contains(said, "enter 35@4") || !strings.Contains(said, "enter 47@16") || held != 17 {
		t.Errorf("far more: %s", said)
	}
	if n := db.whole.Load() - whole; n != 0 {
		t.Errorf("%d lists were read from their first row", n)
	}
}

// TestListBounds refuses limits over the router's and makes a window of a list that is too long.
func TestListBounds(t *testing.T) {
	db, r, url := scoreboard(t, 52, live.Options{})
	f := follow(t, transporttest.WebSocket, url, "")
	for message, code := range map[string]string{
		`{"type":"subscribe","id":1,"router":"scores","limit":51}`:                                         "limit_too_large",
		`{"type":"subscribe","id":1,"router":"scores","limit":-1}`:                                         "malformed_message",
		`{"type":"subscribe","id":1,"router":"scores","limit":3,"bound":[1]}`:                              "malformed_message",
		`{"type":"subscribe","id":1,"router":"scores","limit":3,"order":"rank","bound":[1],"cursor":"0"}`:  "invalid_value",
		`{"type":"subscribe","id":1,"router":"scores","limit":3,"bound":["x"],"cursor":"0"}`:               "invalid_value",
		`{"type":"subscribe","id":1,"router":"scores","count":true,"limit":3}`:                             "malformed_message",
		`{"type":"call","id":1,"router":"scores","verb":"list","limit":51}`:                                "limit_too_large",
		`{"type":"subscribe","id":1,"channel":"x","limit":3}`:                                              "malformed_message",
		`{"type":"subscribe","id":1,"router":"scores","limit":"three"}`:                                    "malformed_message",
		`{"type":"subscribe","id":1,"router":"scores","limit":3,"order":"rank","bound":[{}],"cursor":"0"}`: "invalid_value",
	} {
		f.say(message)
		if m := f.want("error"); m.Problem.Code != code {
			t.Errorf("%s: %s, want %s", message, m.Raw, code)
		}
	}
	f.say(`{"type":"subscribe","id":1,"router":"scores"}`)
	m := f.want("snapshot")
	if len(m.Rows) != 50 || !strings.Contains(m.Raw, `"order":"id","limit":50,"more":true`) {
		t.Fatalf("%d rows: %.200s", len(m.Rows), m.Raw)
	}
	f.want("change")
	if err := r.Deleted(t.Context(), db.remove(7)); err != nil {
		t.Fatal(err)
	}
	if got := brief(f.want("change")); got != "delete 7 enter 51@49" {
		t.Errorf("got %s", got)
	}
	for path, want := range map[string]string{
		"scores?limit=2&order=-rank":     `"more":true,"rows":[{"key":"52"`,
		"scores?count=true":              `"count":51}`,
		"scores?count=true&rank__gt=500": `"count":2}`,
		"scores?limit=51":                "limit_too_large",
		"scores?limit=x":                 "malformed_message",
		"scores?count=1":                 "malformed_message",
	} {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("GET %s: %.300s, want %s", path, body, want)
		}
	}
}

// TestCount follows a number.
func TestCount(t *testing.T) {
	db, r, url := scoreboard(t, 5, live.Options{})
	var all []*follower
	for range 10 {
		f := follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"scores","where":{"rank__gt":20},"count":true}`)
		if m := f.want("snapshot"); *m.Count != 3 || strings.Contains(m.Raw, "rows") {
			t.Fatal(m.Raw)
		}
		all = append(all, f)
	}
	counts := db.counts.Load()
	was, now := db.put(1, ranked(99))
	if err := r.Updated(t.Context(), was, now); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if m := f.want("count"); *m.Count != 4 {
			t.Errorf("got %s", m.Raw)
		}
	}
	if n := db.counts.Load() - counts; n != 1 {
		t.Errorf("the rows were counted %d times for 10 who watch, want once", n)
	}
	was, now = db.put(1, func(s *score) { s.Name = "same" }) // neither comes nor goes
	if err := r.Updated(t.Context(), was, now); err != nil {
		t.Fatal(err)
	}
	if err := r.Deleted(t.Context(), db.remove(1)); err != nil {
		t.Fatal(err)
	}
	if m := all[0].want("count"); *m.Count != 3 {
		t.Errorf("got %s", m.Raw)
	}
	if n := db.counts.Load() - counts; n != 2 {
		t.Errorf("the rows were counted %d times, want twice: an update does not change their number", n)
	}
}

// A count follows a row of which nobody says what it was, and which no list here has shown.
func TestCountFollowsChanged(t *testing.T) {
	db, r, url := scoreboard(t, 5, live.Options{})
	f := follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"scores","where":{"rank__gt":20},"count":true}`)
	if m := f.want("snapshot"); *m.Count != 3 {
		t.Fatal(m.Raw)
	}
	for _, change := range []struct{ id, rank, want int64 }{{5, 1, 2}, {1, 99, 3}} {
		_, now := db.put(change.id, ranked(change.rank))
		if err := r.Changed(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if m := f.want("count"); *m.Count != change.want {
			t.Errorf("got %s, want %d", m.Raw, change.want)
		}
	}
}

// TestSharedLoad lets clients of one list come together: it is read for the first of them and once more for the others.
func TestSharedLoad(t *testing.T) {
	db, _, url := scoreboard(t, 5, live.Options{})
	hold := make(chan struct{})
	db.hold = hold
	var all []*follower
	for range 30 {
		all = append(all, follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"scores"}`))
		all[len(all)-1].say(`{"type":"ping","id":9}`)
		all[len(all)-1].want("pong") // the subscribe before it was accepted
	}
	all[0].Drop() // that he leaves harms nobody
	close(hold)
	for _, f := range all[1:] {
		if m := f.want("snapshot"); len(m.Rows) != 5 {
			t.Errorf("got %s", m.Raw)
		}
	}
	if n := db.lists.Load(); n > 3 {
		t.Errorf("the list was read %d times for 30 clients that came together", n)
	}
}

// TestWindowDatabaseDown lets the query fail that refills a window: it is tried again, and what was shown stays.
func TestWindowDatabaseDown(t *testing.T) {
	db, r, url := scoreboard(t, 40, live.Options{})
	f := follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2}`)
	f.want("snapshot")
	f.want("change")
	db.broken.Store(true)
	for id := int64(1); id <= 11; id++ {
		if err := r.Deleted(t.Context(), db.remove(id)); err != nil {
			t.Fatal(err)
		}
		f.want("change")
	}
	db.broken.Store(false)
	for rows := 0; rows < 2; { // 11 spare rows are gone; the others come when the database is back
		rows += strings.Count(brief(f.want("change")), "enter")
	}
}
