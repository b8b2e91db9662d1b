package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where"
)

// logLine is a line of the hub's log.
type logLine struct {
	Level, Msg, Error, Stack string
	all                      string
}

// logged is a hub's log at every level.
func logged(n *notes) *slog.Logger {
	return slog.New(slog.NewJSONHandler(n, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (n *notes) lines(t *testing.T) (all []logLine) {
	t.Helper()
	for text := range strings.Lines(n.String()) {
		l := logLine{all: text}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !strings.HasPrefix(l.Msg, "live: ") || strings.ContainsAny(l.Msg, "\"\n=") {
			t.Errorf("a message that is not always the same: %s", text)
		}
		all = append(all, l)
	}
	return all
}

// The log has the application's own words and no payload: no row, no value of a filter or of a scope, no message, and no row that somebody
// panics with.
func TestLogHasNoPayload(t *testing.T) {
	const secret = "tOpSeCrEt"
	row := memo{ID: 1, OwnerID: 1, ListID: 7, Title: secret, Note: secret, Secret: secret, Version: 4}
	for name, set := range map[string]func(m *memos){
		"a panic with a row": func(m *memos) { m.Get = func(context.Context, live.Key) (memo, error) { panic(row) } },
		"a panic with text":  func(m *memos) { m.Get = func(context.Context, live.Key) (memo, error) { panic("own text") } },
		"a panic with an error": func(m *memos) {
			m.Get = func(context.Context, live.Key) (memo, error) { panic(errors.New("own text")) }
		},
		"a panic of List":   func(m *memos) { m.List = func(context.Context, live.Query) ([]memo, error) { panic(&row) } },
		"a panic of a hook": func(m *memos) { m.Before = func(context.Context, *live.Write[memo]) error { panic(row) } },
		"a panic of After":  func(m *memos) { m.After = func(_ context.Context, w *live.Write[memo]) { panic(w) } },
		"a scope of the wrong type": func(m *memos) {
			m.Scope = func(context.Context) (where.Where, error) { return where.Eq("owner_id", secret), nil }
		},
		"a scope of an unknown field": func(m *memos) {
			m.Scope = func(context.Context) (where.Where, error) { return where.Eq("note", secret), nil }
		},
		"a failing scope": func(m *memos) {
			m.Scope = func(context.Context) (where.Where, error) { return where.Where{}, errors.New("own text") }
		},
		"a failing list": func(m *memos) {
			m.List = func(context.Context, live.Query) ([]memo, error) { return []memo{row}, errors.New("own text") }
		},
		"failing verbs": func(m *memos) {
			m.Create = func(context.Context, memo) (memo, error) { return row, errors.New("own text") }
			m.Update = func(context.Context, memo, memo) (memo, error) { return row, errors.New("own text") }
			m.Delete = func(context.Context, memo) error { return errors.New("own text") }
		},
		"nothing": func(*memos) {},
	} {
		t.Run(name, func(t *testing.T) {
			m, n, log := newMemos(row), &notes{}, memory.New(memory.Options{})
			set(m)
			hub := live.New(live.Options{Broker: log, Logger: logged(n), Identity: byVisitor})
			hub.Register(m, &live.Channel{
				Name: "chat", Subscribe: func(context.Context, string) error { return errors.New("own text") },
				Publish: func(context.Context, string, json.RawMessage) (any, error) { panic("own text") },
			})
			h := withVisitor(hub)
			for _, r := range [][]string{
				{"GET", "/live/memos", ""}, {"GET", "/live/memos/1", ""}, {"GET", "/live/memos?title=" + secret, ""},
				{"GET", "/live/memos?cursor=0." + secret, ""}, {"GET", "/live/memos?stars=" + secret, ""},
				{"POST", "/live/memos", `{"title":"` + secret + `"}`}, {"POST", "/live/memos", `{"note":"` + secret},
				{"PATCH", "/live/memos/1", `{"title":"` + secret + `"}`, "If-Match", "4"}, {"DELETE", "/live/memos/1", "", "If-Match", "4"},
			} {
				ask(t, h, r[0], r[1], r[2], r[3:]...)
			}
			for _, message := range []string{
				`{"type":"subscribe","id":1,"router":"memos","where":{"title":"` + secret + `"}}`,
				`{"type":"subscribe","id":1,"router":"memos","where":{"list_id":"` + secret + `"}}`,
				`{"type":"call","id":1,"router":"memos","verb":"create","data":{"title":"` + secret + `"}}`,
				`{"type":"publish","id":1,"channel":"chat","data":"` + secret + `"}`,
				`{"type":"subscribe","id":1,"channel":"chat"}`,
				`{"type":"` + secret + `","id":1}`, `{"type":"call","` + secret + `":1,"id":1}`,
			} {
				ask(t, h, "POST", "/live/", message, "Content-Type", "application/x-ndjson")
			}
			// What another version of the application, or somebody else, has put on the log.
			for _, entry := range []string{
				`{"v":1,"changes":[{"router":"memos","key":"1","op":"update","version":5,"now":{"id":1,"list_id":"` + secret + `"}}]}`,
				`{"v":1,"changes":[{"router":"memos","key":"1","op":"put","version":5,"now":{"id":1},"was":{"version":"` + secret + `"}}]}`,
				`{"v":1,"changes":[{"router":"memos","op":"where","where":{"list_id":"` + secret + `"}}]}`,
				`{"v":1,"changes":[{"router":"memos","op":"where","where":{"title":{"like":"` + secret + `"}}}]}`,
				`{"v":1,"changes":[{"router":"memos","key":"1","op":"put","version":"` + secret + `"}]}`,
				`{"v":1,"messages":[{"channel":"chat","data":"` + secret + `"]}`,
			} {
				if _, err := log.Append(t.Context(), []byte(entry)); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Created(limit(t), memo{ID: 5, Title: secret}); err != nil { // behind these: the hub has followed them
				t.Fatal(err)
			}
			if err := hub.Recheck(limit(t), "nobody"); err != nil {
				t.Fatal(err)
			}
			if w := ask(t, h, "GET", "/live/live.js", ""); w.Code != http.StatusOK {
				t.Fatal(w.Code)
			}
			await(t, hub, log)
			if err := hub.Shutdown(limit(t)); err != nil {
				t.Fatal(err)
			}
			unreadable := 0
			for _, l := range n.lines(t) {
				if strings.Contains(l.all, secret) {
					t.Errorf("the log tells the secret: %s", l.all)
				}
				if strings.Contains(l.Msg, "cannot be read") {
					unreadable++
				}
				if panicked := strings.Contains(l.Msg, "panicked"); panicked != strings.Contains(l.Stack, "log_test.go") || panicked && strings.Contains(l.Error, "goroutine") {
					t.Errorf("a panic without its stack, or a stack in the wrong place: %s", l.all)
				}
			}
			if unreadable < 6 {
				t.Errorf("%d of 6 entries were unreadable: %s", unreadable, n)
			}
			if !strings.Contains(n.String(), "own text") {
				t.Errorf("the application's own words are missing: %s", n)
			}
		})
	}
}

// A client's mistakes, and his going away, are no errors of the server's.
func TestGoingAwayIsNoError(t *testing.T) {
	for name, ask := range map[string]struct{ method, url, accept, body string }{
		"a list":              {"GET", "memos", "", ""},
		"a count":             {"GET", "memos?count=true", "", ""},
		"a stream of a list":  {"GET", "memos", "text/event-stream", ""},
		"a poll of a window":  {"POST", "?wait=30", "", `{"type":"subscribe","id":1,"router":"memos","limit":1}`},
		"a short-poll":        {"POST", "", "", `{"type":"subscribe","id":1,"router":"memos"}`},
		"a stream of several": {"POST", "", "text/event-stream", `{"type":"subscribe","id":1,"router":"memos"}`},
		"a call":              {"POST", "", "", `{"type":"call","id":1,"router":"memos","verb":"list"}`},
		"a write":             {"POST", "memos", "", `{"title":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			m, n := desk(), &notes{}
			entered := make(chan struct{}, 10)
			hang := func(ctx context.Context) error {
				entered <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			m.List = func(ctx context.Context, _ live.Query) ([]memo, error) { return nil, hang(ctx) }
			m.Count = func(ctx context.Context, _ live.Query) (int64, error) { return 0, hang(ctx) }
			m.Create = func(ctx context.Context, _ memo) (memo, error) { return memo{}, hang(ctx) }
			hub := live.New(live.Options{Logger: logged(n), Identity: byVisitor})
			hub.Register(m)
			server := httptest.NewServer(withVisitor(hub))
			defer server.Close()
			ctx, cancel := context.WithCancel(limit(t))
			r, err := http.NewRequestWithContext(ctx, ask.method, server.URL+"/live/"+ask.url, strings.NewReader(ask.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", ask.accept)
			if ask.body != "" {
				r.Header.Set("Content-Type", jsonType)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if res, err := server.Client().Do(r); err == nil {
					_, _ = io.Copy(io.Discard, res.Body) // a stream begins before its lists are read: who closes it then asks for none
					res.Body.Close()
				}
			}()
			<-entered
			cancel()
			<-done
			if err := hub.Shutdown(limit(t)); err != nil {
				t.Fatal(err)
			}
			lines := n.lines(t)
			for _, l := range lines {
				if l.Level != "DEBUG" {
					t.Errorf("logged %s", l.all)
				}
			}
			if len(lines) != 1 || lines[0].Msg != "live: a client went before it was answered" || !strings.Contains(lines[0].all, `"remote":"127.0.0.1:`) {
				t.Errorf("logged %s", n)
			}
		})
	}
}

func TestLogSaysWhoseErrorItIs(t *testing.T) {
	m, n := desk(), &notes{}
	m.Scope = func(context.Context) (where.Where, error) { return where.Where{}, errors.New("own text") }
	hub := live.New(live.Options{Logger: logged(n), Identity: byVisitor})
	hub.Register(m)
	h := withVisitor(hub)
	ask(t, h, "POST", "/live/", `{"type":"subscribe","id":1,"router":"memos"}`, "Visitor", "7")
	ask(t, h, "POST", "/live/memos", `{"title":"x"}`)
	ask(t, h, "POST", "/live/", `{"type":"subscribe","id":1,"router":"nothing"}`+"\n"+`{"type":"nonsense"}`+"\n"+`{`) // the client's mistakes
	if err := hub.Shutdown(limit(t)); err != nil {
		t.Fatal(err)
	}
	lines := n.lines(t)
	if len(lines) != 2 {
		t.Fatalf("logged %s", n)
	}
	for i, want := range [][]string{
		{`"level":"ERROR"`, `"error":"own text"`, `"session":"`, `"who":"7"`, `"transport":"shortpoll"`, `"remote":"192.0.2.1:`, `"router":"memos"`, `"type":"subscribe"`},
		{`"level":"ERROR"`, `"error":"own text"`, `"method":"POST"`, `"path":"/live/memos"`, `"remote":"192.0.2.1:`, `"router":"memos"`},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i].all, part) {
				t.Errorf("%s is missing in %s", part, lines[i].all)
			}
		}
	}
}

// await waits until a hub has followed its log to the end.
func await(t *testing.T, hub *live.Hub, log *memory.Broker) {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for ctx := limit(t); hub.Stats().Position != head.String(); runtime.Gosched() {
		if ctx.Err() != nil {
			t.Fatal("the hub does not follow its log")
		}
	}
}
