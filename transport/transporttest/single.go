package transporttest

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// testSingle follows one router by its URL.
func testSingle(t *testing.T, e *env) {
	e.start(t)
	first := e.createAll(t, 7, 0, 2)
	e.held = first
	e.create(t, 8, "of no concern")
	switch e.transport {
	case WebSocket:
		e.singleSocket(t, first)
	case SSE:
		e.singleStream(t, first)
	default:
		e.singlePoll(t, first)
	}
}

// get asks a single router over the transport under test.
func (e *env) get(t *testing.T, path string, header http.Header) *http.Response {
	t.Helper()
	address := e.url(path)
	if e.transport == LongPoll {
		address = withQuery(address, "wait=20")
	}
	r, err := http.NewRequestWithContext(e.ctx(t), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if e.transport == SSE {
		r.Header.Set("Accept", "text/event-stream")
	}
	answer, err := e.server.Client().Do(r)
	if err != nil {
		broken(t, oneURL, "GET /live/%s: %v", path, err)
	}
	return answer
}

// object asks a single router and returns the one object of the answer.
func (e *env) object(t *testing.T, path string) Message {
	t.Helper()
	answer := e.get(t, path, nil)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		broken(t, oneURL, "GET /live/%s: %d %.500s %v", path, answer.StatusCode, body, err)
	}
	if len(body) > 0 && body[len(body)-1] == '\n' {
		body = body[:len(body)-1]
	}
	m, err := decode(string(body))
	if err != nil {
		broken(t, oneObject, "GET /live/%s: %v", path, err)
	}
	return m
}

func (e *env) singlePoll(t *testing.T, first []string) {
	// Without a cursor there is nothing to wait for.
	snapshot := e.object(t, "items?list_id=7")
	e.checkSingleSnapshot(t, snapshot, first)

	more := e.createAll(t, 7, 2, 5)
	got, cursor := e.collect(t, snapshot.Cursor, len(more))
	if !slices.Equal(got, more) {
		broken(t, exact, "since %s got %q, want %q", snapshot.Cursor, got, more)
	}
	e.singleQuiet(t, cursor)

	if err := e.app.Expire(e.ctx(t)); err != nil {
		t.Fatal(err)
	}
	resync := e.since(t, snapshot.Cursor)
	for ctx := e.ctx(t); resync.Type == "change" && ctx.Err() == nil; { // the hub does not know yet, and has what follows
		resync = e.since(t, snapshot.Cursor)
	}
	if resync.Type != "resync" || resync.Cursor == "" || resync.Reason == "" || !slices.Equal(rows(resync), rows(e.object(t, "items?list_id=7"))) {
		broken(t, oneResync, "since %s got %.500s", snapshot.Cursor, resync.Raw)
	}
	e.held = rows(resync)
	last := e.createAll(t, 7, 9, 10)
	if got, _ := e.collect(t, resync.Cursor, len(last)); !slices.Equal(got, last) {
		broken(t, exact, "since the resync's cursor got %q, want %q", got, last)
	}
}

// collect asks what followed a cursor, and what followed that, until so many rows have changed.
func (e *env) collect(t *testing.T, cursor string, n int) (titles []string, end string) {
	t.Helper()
	ctx := e.ctx(t)
	for len(titles) < n && ctx.Err() == nil {
		change := e.since(t, cursor)
		if change.Type != "change" || change.Cursor == "" {
			broken(t, oneObject, "since %s got %.500s, want a change and a cursor", cursor, change.Raw)
		}
		if _, has := raw(t, change.Raw)["query"]; has {
			broken(t, oneObject, "the answer names a query that nobody knows: %.500s", change.Raw)
		}
		titles, cursor = append(titles, e.news(change)...), change.Cursor
	}
	return titles, cursor
}

// singleQuiet asks while there is nothing new: a short-poll has an empty list, a long-poll waits for something.
func (e *env) singleQuiet(t *testing.T, cursor string) {
	t.Helper()
	if e.transport != LongPoll {
		change := e.since(t, cursor)
		if change.Type != "change" || change.Cursor == "" || after(cursor, change.Cursor) || len(change.Changes) != 0 {
			broken(t, oneObject, "nothing happened since %s, got %.500s", cursor, change.Raw)
		}
		if list := string(raw(t, change.Raw)["changes"]); list != "[]" {
			broken(t, oneObject, "nothing happened since %s: changes is %q, want an empty list", cursor, list)
		}
		return
	}
	failed := make(chan error, 1)
	ctx := e.ctx(t)
	asked := e.calls.another()
	go func() {
		asked(ctx)
		_, err := e.app.Create(ctx, 7, "item 8")
		failed <- err
	}()
	if got, _ := e.collect(t, cursor, 1); !slices.Equal(got, []string{"item 8"}) {
		broken(t, oneObject, "the long-poll since %s was answered with %q", cursor, got)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

func (e *env) since(t *testing.T, cursor string) Message {
	t.Helper()
	return e.object(t, "items?list_id=7&cursor="+url.QueryEscape(cursor))
}

func (e *env) checkSingleSnapshot(t *testing.T, m Message, titles []string) {
	t.Helper()
	members := raw(t, m.Raw)
	_, id := members["id"]
	_, query := members["query"]
	if m.Type != "snapshot" || m.Cursor == "" || id || query {
		broken(t, snapshotShape, "got %.500s", m.Raw)
	}
	if got := rows(m); !slices.Equal(got, titles) {
		broken(t, snapshotShape, "the rows are %q, want %q", got, titles)
	}
}

func titlesOf(m Message) (titles []string) {
	for _, change := range m.Changes {
		title, _ := change.Fields["title"].(string)
		titles = append(titles, title)
	}
	return titles
}

func (e *env) singleSocket(t *testing.T, first []string) {
	c, err := Dial(e.ctx(t), WebSocket, e.url("items?list_id=7"), ClientOptions{HTTP: e.server.Client()})
	if err != nil {
		broken(t, oneURL, "%v", err)
	}
	defer c.Drop()
	m := e.next(t, c, oneURL, "snapshot")
	if got := rows(m); !slices.Equal(got, first) {
		broken(t, oneURL, "the rows are %q, want %q", got, first)
	}
	if m.ID != 1 {
		broken(t, oneURL, "got %.500s, want the id 1", m.Raw)
	}
	e.expect(t, c, e.createAll(t, 7, 2, 5))
	e.send(t, c, `{"type":"ping","id":9}`)
	e.next(t, c, answered, "pong")
}

func (e *env) singleStream(t *testing.T, first []string) {
	events, end := e.events(t, nil)
	snapshot := nextEvent(t, events, "snapshot")
	m, err := decode(snapshot.data)
	cursor, tag, _ := strings.Cut(snapshot.id, "~")
	rights, _, _ := strings.Cut(m.Tag, ".")
	if err != nil || cursor == "" || cursor != m.Cursor || tag != rights {
		broken(t, eventNames, "got %+v, %v", snapshot, err)
	}
	if got := rows(m); !slices.Equal(got, first) {
		broken(t, eventNames, "the rows are %q, want %q", got, first)
	}
	e.create(t, 7, "item 2")
	var change event
	for got := []string(nil); len(got) == 0; {
		change = nextEvent(t, events, "change")
		m, err := decode(change.data)
		if got = e.news(m); err != nil || strings.TrimSuffix(change.id, "~"+tag) != m.Cursor || len(got) > 0 && got[0] != "item 2" {
			broken(t, eventNames, "got %+v, %v", change, err)
		}
	}
	end()
	missed := e.createAll(t, 7, 3, 6)

	events, end = e.events(t, http.Header{"Last-Event-Id": {change.id}})
	defer end()
	missed = append(missed, e.createAll(t, 7, 6, 7)...)
	var got []string
	for len(got) < len(missed) {
		m, err := decode(nextEvent(t, events, "change").data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.news(m)...)
	}
	if !slices.Equal(got, missed) {
		broken(t, exact, "after Last-Event-ID %s got %q, want %q", change.id, got, missed)
	}
}

// events opens a stream of the single router, as curl would.
func (e *env) events(t *testing.T, header http.Header) (events <-chan event, end func()) {
	t.Helper()
	answer := e.get(t, "items?list_id=7", header)
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream; charset=utf-8" {
		broken(t, oneURL, "an event stream is answered with %d %s", answer.StatusCode, kind)
	}
	ch, done := make(chan event), make(chan struct{})
	go func() {
		defer close(ch)
		readEvents(answer.Body, func(e event) {
			select {
			case ch <- e:
			case <-done:
			}
		})
	}()
	return ch, func() {
		close(done)
		answer.Body.Close()
	}
}

// nextEvent returns the next event of this name. Signs of life and the answer to Last-Event-ID are skipped.
func nextEvent(t *testing.T, events <-chan event, name string) event {
	t.Helper()
	for e := range events {
		switch e.name {
		case name:
			return e
		case "hello", "cursor", "status", "resumed":
		default:
			broken(t, eventNames, "got the event %+v, want %s", e, name)
		}
	}
	broken(t, oneURL, "the stream ended, want the event %s", name)
	return event{}
}
