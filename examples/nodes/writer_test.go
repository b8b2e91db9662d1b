package nodes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// ledger is what writers were told that was done.
type ledger struct {
	mu      sync.Mutex
	done    []done
	unknown int            // writes of which nobody told whether they were done
	refused map[string]int // by the reason
	moved   chan struct{}  // closed, and another one, when a write was answered
}

// done is a write that was acknowledged. A delete has no version.
type done struct {
	router, key string
	version     int64
}

func newLedger() *ledger { return &ledger{refused: map[string]int{}, moved: make(chan struct{})} }

// add notes the outcome of a write: empty when it was done.
func (l *ledger) add(outcome string, what done) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch outcome {
	case "":
		l.done = append(l.done, what)
	case "unknown":
		l.unknown++
	default:
		l.refused[outcome]++
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

// more waits until so many writes more were done, and reports whether they were before ctx ended.
func (l *ledger) more(ctx context.Context, n int) bool {
	l.mu.Lock()
	goal := len(l.done) + n
	l.mu.Unlock()
	for {
		l.mu.Lock()
		reached, moved := len(l.done) >= goal, l.moved
		l.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// rows are those that a writer works on: their versions as he knows them.
type rows struct {
	of     string // the writer
	random *rand.Rand
	known  []row
	titles int
}

// title returns one that nothing had before.
func (r *rows) title() string {
	r.titles++
	return fmt.Sprintf("%02d, %s %d", r.random.IntN(100), r.of, r.titles)
}

// next returns one to change or delete, with what to do to it, and takes it out when it is to be deleted; or says to create one.
func (r *rows) next() (verb string, of row) {
	if len(r.known) < 3 || len(r.known) < 12 && r.random.IntN(3) == 0 {
		return "create", row{Title: r.title()}
	}
	i := r.random.IntN(len(r.known))
	of = r.known[i]
	r.known = append(r.known[:i], r.known[i+1:]...)
	if r.random.IntN(3) == 0 {
		return "delete", of
	}
	if of.Done = !of.Done; r.random.IntN(2) == 0 {
		of.Title = r.title()
	}
	return "update", of
}

// program writes over HTTP as any program may, through the proxy. It says nothing twice: what it has no answer to it forgets.
type program struct {
	url    string
	client *http.Client
	ledger *ledger
	rows   rows
}

// run writes until stop is closed.
func (p *program) run(ctx context.Context, stop <-chan struct{}) {
	for turn := 1; ; turn++ {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		switch {
		case turn%20 == 0:
			p.wholeList(ctx)
		case turn%33 == 0: // an ordinary handler that changes rows behind the router's back; which, the log tells
			p.send(ctx, http.MethodPost, "/lists/1/clear", nil, 0, nil)
		default:
			p.oneTodo(ctx)
		}
	}
}

// oneTodo creates, updates or deletes one.
func (p *program) oneTodo(ctx context.Context) {
	verb, of := p.rows.next()
	key := strconv.FormatInt(of.ID, 10)
	path := "/live/todos/" + key
	var now row
	switch verb {
	case "create":
		p.add("todos", p.send(ctx, http.MethodPost, "/live/todos", map[string]any{"list_id": 1, "title": of.Title}, 0, &now), now)
	case "update":
		p.add("todos", p.send(ctx, http.MethodPatch, path, map[string]any{"title": of.Title, "done": of.Done}, of.Version, &now), now)
	case "delete":
		p.ledger.add(p.send(ctx, http.MethodDelete, path, nil, of.Version, nil), done{"todos", key, 0})
	}
}

// wholeList makes a list with a todo in it, and deletes it with that.
func (p *program) wholeList(ctx context.Context) {
	var list, todo row
	outcome := p.send(ctx, http.MethodPost, "/live/lists", map[string]any{"name": "a list"}, 0, &list)
	key := strconv.FormatInt(list.ID, 10)
	p.ledger.add(outcome, done{"lists", key, list.Version})
	if outcome != "" {
		return
	}
	outcome = p.send(ctx, http.MethodPost, "/live/todos", map[string]any{"list_id": list.ID, "title": "in a list"}, 0, &todo)
	p.ledger.add(outcome, done{"todos", strconv.FormatInt(todo.ID, 10), todo.Version})
	outcome = p.send(ctx, http.MethodDelete, "/live/lists/"+key, nil, list.Version, nil)
	p.ledger.add(outcome, done{"lists", key, 0})
	if outcome == "" && todo.ID != 0 {
		p.ledger.add("", done{"todos", strconv.FormatInt(todo.ID, 10), 0})
	}
}

// add notes that a row was written.
func (p *program) add(router, outcome string, now row) {
	p.ledger.add(outcome, done{router, strconv.FormatInt(now.ID, 10), now.Version})
	if outcome == "" {
		p.rows.known = append(p.rows.known, now)
	}
}

// send sends a request, and returns nothing when it was done, "unknown" when nobody answered that, and else the code of the refusal.
func (p *program) send(ctx context.Context, method, path string, body any, version int64, now *row) string {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body) // of strings and numbers
	}
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	if version != 0 {
		request.Header.Set("If-Match", fmt.Sprintf(`"%d"`, version))
	}
	response, err := p.client.Do(request)
	if err != nil {
		return "unknown"
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil, response.StatusCode == http.StatusBadGateway:
		return "unknown"
	case response.StatusCode >= 300:
		var problem struct{ Code string }
		_ = json.Unmarshal(answer, &problem) // what has no code is told by its status
		return cmp.Or(problem.Code, fmt.Sprintf("%s %.100s", response.Status, answer))
	case now != nil:
		var fields struct{ Fields row }
		if err := json.Unmarshal(answer, &fields); err != nil {
			return fmt.Sprintf("%v: %.100s", err, answer)
		}
		*now = fields.Fields
	}
	return ""
}

// page writes with a TypeScript client, which by itself sees to it that a write whose answer was lost is done once.
type page struct {
	agent  *agent
	client string
	ledger *ledger
	rows   rows
}

// run writes with the client's first subscription until stop is closed.
func (p *page) run(ctx context.Context, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		verb, of := p.rows.next()
		key := strconv.FormatInt(of.ID, 10)
		command := map[string]any{"verb": verb}
		switch verb {
		case "create":
			command["data"] = map[string]any{"list_id": 1, "title": of.Title}
		case "update":
			command["key"], command["version"], command["data"] = key, of.Version, map[string]any{"title": of.Title, "done": of.Done}
		case "delete":
			command["key"], command["version"] = key, of.Version
		}
		got := p.agent.write(ctx, p.client, 1, command)
		switch {
		case slices.Contains([]string{"unknown_outcome", "connection_lost", "unavailable", ""}, got.Outcome): // after an answer was lost
			p.ledger.add("unknown", done{})
		case got.Outcome != "ok":
			p.ledger.add(got.Outcome, done{})
		case verb == "delete":
			p.ledger.add("", done{"todos", key, 0})
		case got.Key == "": // it was said again, and somebody had cleared the row meanwhile
			p.ledger.add("unknown", done{})
		default:
			p.ledger.add("", done{"todos", got.Key, got.Row.Version})
			p.rows.known = append(p.rows.known, got.Row)
		}
	}
}
