// Quickstart is the program of the README: open it in two windows.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"sync"

	"github.com/swampline/live"
)

type Todo struct {
	ID    int64  `live:"id,key"`
	Title string `live:"title,write,filter"`
	Done  bool   `live:"done,write,filter"`
	Note  string // no tag: never sent
}

// store stands for your database.
type store struct {
	mu   sync.Mutex
	rows []Todo
}

func (s *store) list(context.Context, live.Query) ([]Todo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Todo(nil), s.rows...), nil
}

func (s *store) get(_ context.Context, key live.Key) (Todo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := key.Int64(); i >= 1 && i <= int64(len(s.rows)) {
		return s.rows[i-1], nil
	}
	return Todo{}, live.ErrNotFound
}

func (s *store) create(_ context.Context, in Todo) (Todo, error) {
	if in.Title == "" {
		return in, &live.Error{Code: "invalid_value", Errors: map[string][]string{"title": {"say what is to be done"}}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in.ID = int64(len(s.rows)) + 1
	s.rows = append(s.rows, in)
	return in, nil
}

func (s *store) update(_ context.Context, was, now Todo) (Todo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[was.ID-1] = now
	return now, nil
}

func main() {
	db := &store{rows: []Todo{{ID: 1, Title: "buy milk"}}}
	hub := live.New(live.Options{})
	hub.Register(&live.Router[Todo]{
		Name:   "todos",
		Scope:  live.Everyone, // who may see which rows
		List:   db.list,
		Get:    db.get,
		Create: db.create,
		Update: db.update, // there is no Delete, so nobody can delete
	})
	http.Handle("/live/", hub)
	http.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, page) })
	log.Println("open http://localhost:8080/ in two windows")
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

const page = `<!doctype html><title>todos</title>
<form><input name=title autofocus><button>add</button></form><ul></ul>
<script src="/live/live.js"></script>
<script>
const todos = Live.connect("/live/").list("todos", {order: "id"})
const ul = document.querySelector("ul"), form = document.querySelector("form")
todos.subscribe(rows => ul.replaceChildren(...rows.map(row => {
	const li = document.createElement("li"), box = document.createElement("input")
	box.type = "checkbox"; box.checked = row.done
	box.onchange = () => todos.update(row.id, {done: box.checked})
	li.append(box, " " + row.title)
	return li
})))
form.onsubmit = e => {
	e.preventDefault()
	todos.create({title: form.title.value}).catch(err => alert(err.detail || err.message))
	form.reset()
}
</script>`
