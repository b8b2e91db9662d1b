package transporttest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
	"github.com/swampline/live/transport/longpoll"
	"github.com/swampline/live/transport/shortpoll"
	"github.com/swampline/live/transport/sse"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/transport/websocket"
)

// fake is the smallest application and hub that pass: a log in a slice, rows that are found by list_id.
type fake struct {
	mu       sync.Mutex
	log      []entry
	first    int // cursors before it are expired
	rows     map[int]row
	sessions map[*session]bool
	closed   bool
	serving  sync.WaitGroup
}

type row struct {
	id, version int
	list        int64
	title       string
}

type entry struct {
	op       string
	row      row
	mutation string
}

func (r row) fields() string {
	return fmt.Sprintf(`{"id":%d,"list_id":%d,"title":%q,"version":%d}`, r.id, r.list, r.title, r.version)
}

func (r row) json() string {
	return fmt.Sprintf(`{"key":"%d","version":%d,"fields":%s}`, r.id, r.version, r.fields())
}

func (e entry) item() string {
	fields := ""
	switch e.op {
	case "create":
		fields = `,"fields":` + e.row.fields()
	case "update":
		fields = fmt.Sprintf(`,"fields":{"title":%q}`, e.row.title)
	}
	if e.mutation != "" {
		fields += fmt.Sprintf(`,"mutation":%q`, e.mutation)
	}
	return fmt.Sprintf(`{"op":%q,"key":"%d","version":%d%s}`, e.op, e.row.id, e.row.version, fields)
}

func cursor(n int) string { return fmt.Sprintf("e.%06d", n) }

func open(*testing.T) *transporttest.App { return newApp() }

func newApp() *transporttest.App {
	f := &fake{rows: map[int]row{}, sessions: map[*session]bool{}}
	return &transporttest.App{
		Handler:         f,
		MaxMessageBytes: maxBytes,
		Create: func(_ context.Context, list int64, title string) (string, error) {
			return strconv.Itoa(f.write("create", row{list: list, title: title}, "").id), nil
		},
		Update: func(_ context.Context, key, title string) error {
			f.write("update", row{id: number(key), title: title}, "")
			return nil
		},
		Delete: func(_ context.Context, key string) error {
			f.write("delete", row{id: number(key)}, "")
			return nil
		},
		Expire: func(context.Context) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.first = len(f.log)
			return nil
		},
		Shutdown: f.shutdown,
	}
}

func number(key string) int {
	n, _ := strconv.Atoi(key)
	return n
}

// write changes a row and tells the sessions.
func (f *fake) write(op string, r row, mutation string) row {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op == "create" {
		r.id = len(f.log) + 1
	} else {
		r.list = f.rows[r.id].list
		r.title = cmp.Or(r.title, f.rows[r.id].title)
	}
	r.version = f.rows[r.id].version + 1
	f.rows[r.id] = r
	if op == "delete" {
		delete(f.rows, r.id)
	}
	f.log = append(f.log, entry{op, r, mutation})
	for s := range f.sessions {
		s.tell(len(f.log))
	}
	return r
}

func (f *fake) shutdown(context.Context) error {
	f.mu.Lock()
	f.closed = true
	for s := range f.sessions {
		s.Push(script.Frame("reconnect", "", `{"type":"reconnect","after":5}`))
		s.Session.Close()
	}
	f.mu.Unlock()
	f.serving.Wait()
	return nil
}

const maxBytes = 4096

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, ok := f.session(r)
	if !ok {
		transport.Unavailable(w, http.StatusServiceUnavailable, "the hub is shutting down")
		return
	}
	defer f.serving.Done()
	o := transport.Options{
		Single: s.single, MaxMessageBytes: maxBytes,
		PingInterval: time.Minute, PongTimeout: time.Minute, WriteTimeout: time.Minute,
	}
	wait, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	o.Wait = time.Duration(wait) * time.Second
	if s.single {
		o.Body = subscribeTo(r)
	} else {
		o.Body, _ = io.ReadAll(r.Body)
	}
	if len(o.Body) > maxBytes {
		p := script.Problem("error", http.StatusRequestEntityTooLarge, "message_too_large")
		transport.WriteProblem(w, p.Status, p.Problem)
		s.Close()
		return
	}
	for _, t := range []transport.Transport{websocket.Transport{}, sse.Transport{}, longpoll.Transport{}, shortpoll.Transport{}} {
		if !t.Accepts(r) {
			continue
		}
		if t.Name() == "websocket" || t.Name() == "sse" {
			s.Push(script.Quiet("hello", "", `{"type":"hello","protocol":1,"session":"fake"}`))
		}
		t.Serve(w, r, s, o)
		return
	}
}

// subscribeTo makes the message of a single router's URL.
func subscribeTo(r *http.Request) []byte {
	message := map[string]any{"type": "subscribe", "id": 1, "router": strings.TrimPrefix(r.URL.Path, "/live/")}
	where := map[string]any{}
	for name, values := range r.URL.Query() {
		switch name {
		case "cursor":
			message[name] = values[0]
		case "wait":
		default:
			where[name] = json.RawMessage(strconv.Quote(values[0]))
			if n, err := strconv.Atoi(values[0]); err == nil {
				where[name] = n
			}
		}
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		message["cursor"] = id
	}
	message["where"] = where
	body, _ := json.Marshal(message)
	return body
}

// session is a scripted session that answers.
type session struct {
	*script.Session
	f      *fake
	single bool
	socket bool
	subs   map[int64]int64 // id → list
}

func (f *fake) session(r *http.Request) (*session, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false
	}
	s := &session{Session: script.New(), f: f, subs: map[int64]int64{}}
	s.single, s.socket = r.URL.Path != "/live/", r.Header.Get("Upgrade") != ""
	s.OnReceive = func(_ context.Context, data string) error {
		for raw := range strings.SplitSeq(data, "\n") {
			s.receive(raw)
		}
		return nil
	}
	s.OnCursor = func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.Push(script.Cursor(cursor(len(f.log))))
	}
	f.sessions[s] = true
	f.serving.Add(1)
	return s, true
}

func (s *session) Close() {
	s.f.mu.Lock()
	delete(s.f.sessions, s)
	s.f.mu.Unlock()
	s.Session.Close()
}

// tell pushes entry n, if a subscription is concerned. The lock is held.
func (s *session) tell(n int) {
	e := s.f.log[n-1]
	for _, list := range s.subs {
		if list == e.row.list {
			s.Push(changeFrame(n, e))
			return
		}
	}
}

func changeFrame(n int, e entry) *transport.Frame {
	f := script.Frame("change", cursor(n), fmt.Sprintf(`{"type":"change","query":"q%d","cursor":%q,"changes":[%s]}`, e.row.list, cursor(n), e.item()))
	f.Items = []byte(e.item())
	return f
}

type request struct {
	Type, Router, Verb, Key, Mutation string
	ID                                int64
	Where                             map[string]any
	Cursor                            *string
	Data                              struct{ Title string }
}

func (s *session) receive(raw string) {
	var m request
	if err := json.Unmarshal([]byte(raw), &m); err != nil || m.ID <= 0 {
		s.refuse(0, 400, "malformed_message")
		return
	}
	switch m.Type {
	case "ping":
		s.Push(script.Frame("pong", "", fmt.Sprintf(`{"type":"pong","id":%d}`, m.ID)))
	case "subscribe":
		s.subscribe(m)
	case "unsubscribe":
		s.f.mu.Lock()
		delete(s.subs, m.ID)
		s.f.mu.Unlock()
		s.Push(script.Frame("result", "", fmt.Sprintf(`{"type":"result","id":%d}`, m.ID)))
	case "call":
		s.call(m)
	default:
		s.refuse(m.ID, 400, "unknown_type")
	}
}

func (s *session) refuse(id int64, status int, code string) {
	f := script.Problem("error", status, code)
	data := strings.Replace(string(f.Data), `"id":1,`, fmt.Sprintf(`"id":%d,`, id), 1)
	f.Data = []byte(strings.Replace(data, `"id":0,`, "", 1))
	s.Push(f)
}

func (s *session) call(m request) {
	switch {
	case m.Verb == "create" || m.Verb == "update":
		r := s.f.write(m.Verb, row{id: number(m.Key), title: m.Data.Title}, m.Mutation)
		s.f.mu.Lock()
		defer s.f.mu.Unlock()
		s.Push(script.Frame("result", "", fmt.Sprintf(`{"type":"result","id":%d,"cursor":%q,"row":%s}`, m.ID, cursor(len(s.f.log)), r.json())))
	case m.Verb == "get":
		s.refuse(m.ID, 404, "not_found")
	default:
		s.refuse(m.ID, 405, "unknown_verb")
	}
}

func (s *session) subscribe(m request) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	list, known := m.Where["list_id"]
	n, number := list.(float64)
	since, valid := 0, true
	if m.Cursor != nil {
		_, err := fmt.Sscanf(*m.Cursor, "e.%d", &since)
		valid = err == nil
	}
	switch {
	case m.Router != "items":
		s.refuse(m.ID, 404, "unknown_router")
	case len(m.Where) > 0 && !known:
		s.refuse(m.ID, 400, "unknown_field")
	case known && !number:
		s.refuse(m.ID, 400, "invalid_value")
	case !valid:
		s.refuse(m.ID, 400, "malformed_cursor")
	case m.Cursor == nil || since < s.f.first:
		s.subs[m.ID] = int64(n)
		s.snapshot(m.ID, int64(n), m.Cursor != nil)
	default:
		s.subs[m.ID] = int64(n)
		s.Push(script.Quiet("resumed", *m.Cursor, fmt.Sprintf(`{"type":"resumed","id":%d,"query":"q%d","cursor":%q}`, m.ID, int64(n), *m.Cursor)))
		for i := since; i < len(s.f.log); i++ {
			if s.f.log[i].row.list == int64(n) {
				s.Push(changeFrame(i+1, s.f.log[i]))
			}
		}
	}
}

func (s *session) snapshot(id, list int64, again bool) {
	var rows []string
	for _, r := range s.f.rows {
		if r.list == list {
			rows = append(rows, r.json())
		}
	}
	slices.Sort(rows)
	kind, names := "snapshot", fmt.Sprintf(`"id":%d,"query":"q%d",`, id, list)
	if again {
		kind, names = "resync", names+`"reason":"history",`
	}
	if s.single && !s.socket && !again {
		names = ""
	}
	at := cursor(len(s.f.log))
	s.Push(script.Frame(kind, at, fmt.Sprintf(`{"type":%q,%s"cursor":%q,"rows":[%s]}`, kind, names, at, strings.Join(rows, ","))))
}
