package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// teamKey is where the application's middleware puts the caller's team into the request's context.
type teamKey struct{}

// A router with all five verbs. The caller's team sees its own tasks and no others: the scope is put on the list, on each verb and
// on every change.
func ExampleRouter() {
	type Task struct {
		ID      int64  `live:"id,key"`
		Team    string `live:"team,scope"`
		Title   string `live:"title,write,filter"`
		Done    bool   `live:"done,write,filter"`
		Version int64  `live:"version,version"`
		Draft   string // without a tag: never sent
	}
	tasks := map[int64]Task{
		1: {1, "red", "paint", false, 1, "secret"},
		2: {2, "blue", "sing", false, 1, "secret"},
	}
	router := &live.Router[Task]{
		Name: "tasks",
		Serializer: live.Serializer[Task]{Computed: map[string]live.Computed[Task]{
			"urgent": {
				From: []string{"done", "title"},
				Of:   func(t Task) any { return !t.Done && strings.HasSuffix(t.Title, "!") },
			},
		}},
		Scope: func(ctx context.Context) (where.Where, error) {
			team, ok := ctx.Value(teamKey{}).(string)
			if !ok {
				return where.Nothing(), live.ErrForbidden
			}
			return where.Eq("team", team), nil
		},
		List: func(_ context.Context, q live.Query) ([]Task, error) {
			clause, args := q.SQL(where.SQLite) // for SELECT … FROM tasks
			fmt.Println(clause, args)
			var all []Task
			for _, t := range tasks {
				all = append(all, t)
			}
			return all, nil
		},
		Get: func(_ context.Context, key live.Key) (Task, error) {
			t, ok := tasks[key.Int64()]
			if !ok {
				return t, live.ErrNotFound
			}
			return t, nil
		},
		Create: func(ctx context.Context, in Task) (Task, error) {
			in.ID, in.Version, in.Team = int64(len(tasks)+1), 1, ctx.Value(teamKey{}).(string)
			tasks[in.ID] = in
			return in, nil
		},
		Update: func(_ context.Context, was, now Task) (Task, error) {
			if tasks[was.ID].Version != was.Version { // in SQL: UPDATE … WHERE id = ? AND version = ?
				return now, live.ErrConflict
			}
			now.Version++
			tasks[was.ID] = now
			return now, nil
		},
		Delete: func(_ context.Context, was Task) error {
			delete(tasks, was.ID)
			return nil
		},
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(router)

	ask := func(team, method, url, body string) {
		r := httptest.NewRequest(method, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", `"1"`)
		w := httptest.NewRecorder()
		hub.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), teamKey{}, team)))
		var row struct{ Fields json.RawMessage }
		_ = json.Unmarshal(w.Body.Bytes(), &row)
		fmt.Println(strings.TrimSpace(fmt.Sprint(method, " ", url, " ", w.Code, " ", string(row.Fields))))
	}
	ask("red", "GET", "/tasks?done=false&order=title", "")
	ask("red", "PATCH", "/tasks/1", `{"title":"paint!"}`)
	ask("red", "PATCH", "/tasks/1", `{"title":"draw"}`) // somebody else was faster
	ask("red", "DELETE", "/tasks/2", "")                // not theirs: as if it did not exist
	ask("blue", "DELETE", "/tasks/2", "")
	// Output:
	// WHERE "done" = ? AND "team" COLLATE BINARY = ? ORDER BY "title" COLLATE BINARY, "id" LIMIT 1001 [false red]
	// GET /tasks?done=false&order=title 200
	// PATCH /tasks/1 200 {"id":1,"title":"paint!","done":false,"version":2,"urgent":true}
	// PATCH /tasks/1 409
	// DELETE /tasks/2 404
	// DELETE /tasks/2 204
}

// A guest sees less of a product than its seller does, and of what he does not see he can neither filter by it nor find out that
// it exists.
func ExampleView() {
	type Product struct {
		ID    int64  `live:"id,key"`
		Name  string `live:"name,write,filter"`
		Price int64  `live:"price,write,filter"`
	}
	products := &live.Router[Product]{
		Name:  "products",
		Scope: live.Everyone,
		Serializer: live.Serializer[Product]{
			Views: map[string]live.View{
				"guest": {Except: []string{"price"}, Write: []string{}},
			},
			View: func(ctx context.Context) (string, error) {
				if _, seller := ctx.Value(teamKey{}).(string); seller {
					return "", nil // all fields
				}
				return "guest", nil
			},
		},
		List: func(context.Context, live.Query) ([]Product, error) { return []Product{{1, "tea", 250}}, nil },
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(products)

	ask := func(ctx context.Context, url string) {
		w := httptest.NewRecorder()
		hub.ServeHTTP(w, httptest.NewRequest("GET", url, nil).WithContext(ctx))
		var answer struct {
			Rows   []struct{ Fields json.RawMessage }
			Detail string
		}
		_ = json.Unmarshal(w.Body.Bytes(), &answer)
		for _, row := range answer.Rows {
			fmt.Println(string(row.Fields))
		}
		fmt.Print(answer.Detail)
	}
	ask(context.WithValue(context.Background(), teamKey{}, "sellers"), "/products?price__lt=300")
	ask(context.Background(), "/products")
	ask(context.Background(), "/products?price__lt=300")
	// Output:
	// {"id":1,"name":"tea","price":250}
	// {"id":1,"name":"tea"}
	// unknown field "price"
}

// An order comes with its customer and its lines, which are loaded in one call for all orders of a list.
func ExampleMany() {
	type Customer struct {
		ID   int64  `live:"id,key"`
		Name string `live:"name"`
	}
	type Line struct {
		ID      int64  `live:"id,key"`
		OrderID int64  // without a tag: only the load needs it
		Text    string `live:"text"`
	}
	type Order struct {
		ID         int64 `live:"id,key"`
		CustomerID int64
	}
	var customers live.Serializer[Customer]
	var lines live.Serializer[Line]
	orders := &live.Router[Order]{
		Name:  "orders",
		Scope: live.Everyone,
		Serializer: live.Serializer[Order]{Nested: map[string]live.Nested[Order]{
			"customer": live.One(&customers, func(o Order) int64 { return o.CustomerID },
				func(_ context.Context, ids []int64) (map[int64]Customer, error) { // SELECT … WHERE id IN (…)
					fmt.Println("customers", ids)
					return map[int64]Customer{7: {7, "Ann"}}, nil
				}),
			"lines": live.Many(&lines, func(o Order) int64 { return o.ID },
				func(_ context.Context, orders []int64) (map[int64][]Line, error) { // SELECT … WHERE order_id IN (…)
					fmt.Println("lines of", orders)
					return map[int64][]Line{1: {{10, 1, "tea"}, {11, 1, "milk"}}}, nil
				}),
		}},
		List: func(context.Context, live.Query) ([]Order, error) { return []Order{{1, 7}, {2, 7}}, nil },
	}
	// When a line is published, its order is sent anew, in the same entry of the log.
	ordersLines := &live.Router[Line]{
		Name:  "lines",
		Scope: live.Everyone,
		List:  func(context.Context, live.Query) ([]Line, error) { return nil, nil },
		Touches: []live.Toucher[Line]{live.Parent(orders, func(l Line) live.Key {
			return live.Key(strconv.FormatInt(l.OrderID, 10))
		})},
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(orders, ordersLines)

	w := httptest.NewRecorder()
	hub.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	var list struct {
		Rows []struct{ Fields json.RawMessage }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		log.Fatal(err)
	}
	for _, row := range list.Rows {
		fmt.Println(string(row.Fields))
	}
	// Output:
	// customers [7]
	// lines of [1 2]
	// {"id":1,"customer":{"id":7,"name":"Ann"},"lines":[{"id":10,"text":"tea"},{"id":11,"text":"milk"}]}
	// {"id":2,"customer":{"id":7,"name":"Ann"},"lines":[]}
}

// A router with rules of its own: what may be stored, what happens with it, and a verb that is none of the five. What one call
// publishes reaches subscribers as one message, even of several rows.
func ExampleRowVerb() {
	type Task struct {
		ID    int64  `live:"id,key"`
		Title string `live:"title,write,filter"`
		Done  bool   `live:"done,filter"`
		After int64  `live:"after"` // the task that comes before this one
	}
	type Finished struct {
		Next int64 `json:"next"`
	}
	tasks := map[int64]Task{1: {ID: 1, Title: "buy paint"}, 2: {ID: 2, Title: "paint", After: 1}}
	var router *live.Router[Task]
	finish := func(ctx context.Context, task Task, _ struct{}) (out Finished, err error) {
		was := task
		task.Done = true
		tasks[task.ID] = task
		for _, next := range tasks {
			if next.After == task.ID {
				before := next
				next.After, out.Next = 0, next.ID
				tasks[next.ID] = next
				err = router.Updated(ctx, before, next)
			}
		}
		return out, errors.Join(err, router.Updated(ctx, was, task))
	}
	router = &live.Router[Task]{
		Name:  "tasks",
		Scope: live.Everyone,
		Get: func(_ context.Context, key live.Key) (Task, error) {
			task, ok := tasks[key.Int64()]
			if !ok {
				return task, live.ErrNotFound
			}
			return task, nil
		},
		Create: func(_ context.Context, in Task) (Task, error) {
			in.ID = int64(len(tasks) + 1)
			tasks[in.ID] = in
			return in, nil
		},
		Validate: func(_ context.Context, _ *Task, now Task) error {
			if now.Title == "" {
				return live.Invalid{"title": {"must not be empty"}}
			}
			return nil
		},
		Verbs: map[string]live.CustomVerb{"finish": live.RowVerb[Task, struct{}, Finished](finish)},
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(router)

	post := func(url, body string) {
		r := httptest.NewRequest("POST", url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		hub.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	post("/live/tasks", `{"title":""}`)
	post("/live/tasks/1/finish", "")
	// Output:
	// 422 {"title":"Unprocessable Content","status":422,"code":"invalid","detail":"field \"title\": must not be empty","errors":{"title":["must not be empty"]}}
	// 200 {"next":2}
}

// A form that works with JavaScript off: two people have it open, and nobody overwrites what the other one wrote.
func ExampleRouter_UpdateForm() {
	type Article struct {
		ID      int64  `live:"id,key"`
		Title   string `live:"title,write"`
		Text    string `live:"text,write"`
		Version int64  `live:"version,version"`
	}
	var mu sync.Mutex
	stored := Article{ID: 7, Title: "Tea", Text: "Hot.", Version: 1}
	articles := &live.Router[Article]{
		Name: "articles", Scope: live.Everyone,
		Get: func(context.Context, live.Key) (Article, error) {
			mu.Lock()
			defer mu.Unlock()
			return stored, nil
		},
		Update: func(_ context.Context, was, now Article) (Article, error) { // UPDATE … WHERE id = ? AND version = ?
			mu.Lock()
			defer mu.Unlock()
			if stored.Version != was.Version {
				return was, live.ErrConflict
			}
			now.Version++
			stored = now
			return stored, nil
		},
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(articles)

	save := func(w http.ResponseWriter, r *http.Request) {
		article, err := articles.UpdateForm(r, r.PathValue("id"))
		if err != nil {
			p := live.ProblemOf(err)
			w.WriteHeader(p.Status)
			fmt.Fprintln(w, p.Detail, p.Conflicts)
			return
		}
		fmt.Fprintln(w, article.Title, article.Text)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /articles/{id}", save)
	server := httptest.NewServer(http.NewCrossOriginProtection().Handler(mux))
	defer server.Close()

	open := func(a Article) url.Values { // what the page shows, and hides
		form := url.Values{"title": {a.Title}, "text": {a.Text}}
		hidden, _ := articles.FormValues(context.Background(), a)
		for _, h := range hidden {
			form.Set(h.Name, h.Value)
		}
		return form
	}
	ada, ben, cleo := open(stored), open(stored), open(stored)
	ada.Set("title", "Coffee")
	ben.Set("text", "Black.")
	cleo.Set("title", "Milk")
	for _, form := range []url.Values{ada, ben, cleo} {
		r, err := http.PostForm(server.URL+"/articles/7", form)
		if err != nil {
			log.Fatal(err)
		}
		said, _ := io.ReadAll(r.Body)
		r.Body.Close()
		fmt.Print(r.StatusCode, " ", string(said))
	}
	// Output:
	// 200 Coffee Hot.
	// 200 Coffee Black.
	// 409 the row was changed by somebody else [title]
}
