package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
)

// testApp serves the application over a database of its own.
func testApp(t *testing.T) *httptest.Server {
	t.Helper()
	app := newApp(testStore(t), live.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	server := httptest.NewServer(app)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := app.hub.Shutdown(ctx); err != nil {
			t.Error("Shutdown:", err)
		}
		server.Close()
	})
	return server
}

// ask sends a request with a JSON body, when there is one, and decodes the answer into answer, when there is one.
func ask(t *testing.T, client *http.Client, method, url, body string, header http.Header, answer any) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatalf("%s %s answered %s %q: %v", method, url, response.Status, text, err)
		}
	}
	return response
}

// row is a row as the hub answers it.
type row struct {
	Key     string
	Version int64
	Fields  struct {
		ID        int64
		ListID    int64 `json:"list_id"`
		Title     string
		Done      bool
		Changed   string
		ChangedBy string `json:"changed_by"`
	}
}

// snapshot is the answer to a GET of a router.
type snapshot struct {
	Type, Cursor string
	Rows         []row
}

func TestThePageNamesAVisitorOnceAndForAll(t *testing.T) {
	server := testApp(t)
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	name := func() string {
		response, err := browser.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		html, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			t.Fatalf("the page came as %s, %s", response.Status, response.Header.Get("Content-Type"))
		}
		_, rest, found := strings.Cut(string(html), `data-visitor="`)
		if !found {
			t.Fatalf("no visitor in the page:\n%s", html)
		}
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	first := name()
	if second := name(); first == "" || second != first {
		t.Errorf("the visitor was called %q and then %q", first, second)
	}

	response := ask(t, browser, "POST", server.URL+"/visitor", "", http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"cross-site"}}, nil)
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site was answered with %s, want 403", response.Status)
	}
}

func TestStaticFilesAreServed(t *testing.T) {
	server := testApp(t)
	for path, kind := range map[string]string{
		"/static/app.css":  "text/css",
		"/static/app.js":   "text/javascript",
		"/static/icon.svg": "image/svg+xml",
		"/live/live.js":    "text/javascript",
	} {
		response := ask(t, server.Client(), "GET", server.URL+path, "", nil, nil)
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(got, kind) {
			t.Errorf("%s came as %s, %s; want %s", path, response.Status, got, kind)
		}
	}
	if response := ask(t, server.Client(), "GET", server.URL+"/nothing", "", nil, nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("/nothing was answered with %s, want 404", response.Status)
	}
}

// What `curl localhost:8080/live/todos` says.
func TestCurlReadsTheTodos(t *testing.T) {
	server := testApp(t)
	var all, open snapshot
	ask(t, server.Client(), "GET", server.URL+"/live/todos", "", nil, &all)
	ask(t, server.Client(), "GET", server.URL+"/live/todos?done=false&order=title", "", nil, &open)
	if all.Type != "snapshot" || all.Cursor == "" || len(all.Rows) != 4 {
		t.Errorf("all = %+v, want a snapshot of 4", all)
	}
	if len(open.Rows) != 3 || open.Rows[0].Fields.Title != "Click a title to change it" {
		t.Errorf("open = %+v, want 3 by title", open)
	}
}

func TestARowIsWrittenOverHTTP(t *testing.T) {
	server := testApp(t)
	ada := http.Header{"Cookie": {"visitor=Ada+L"}}
	var made row
	response := ask(t, server.Client(), "POST", server.URL+"/live/todos", `{"list_id":1,"title":"  milk "}`, ada, &made)
	if response.StatusCode != http.StatusCreated || made.Fields.Title != "milk" || made.Fields.ChangedBy != "Ada L" || made.Fields.Changed != "added" {
		t.Fatalf("created %s %+v", response.Status, made)
	}
	location, err := response.Location()
	if err != nil {
		t.Fatal(err)
	}
	url := location.String()

	var ticked row
	response = ask(t, server.Client(), "PATCH", url, `{"done":true}`, http.Header{"If-Match": {`"1"`}}, &ticked)
	if response.StatusCode != http.StatusOK || !ticked.Fields.Done || ticked.Fields.ChangedBy != nobody || ticked.Fields.Changed != "ticked" || ticked.Version != 2 {
		t.Errorf("updated %s %+v", response.Status, ticked)
	}

	var problem struct {
		Code    string
		Current row
	}
	response = ask(t, server.Client(), "PATCH", url, `{"title":"oat milk"}`, http.Header{"If-Match": {`"1"`}}, &problem)
	if response.StatusCode != http.StatusConflict || problem.Code != "conflict" || problem.Current.Version != 2 {
		t.Errorf("who saw the old version got %s %+v, want 409 and the row", response.Status, problem)
	}

	response = ask(t, server.Client(), "DELETE", url, "", http.Header{"If-Match": {`"2"`}}, nil)
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("deleted: %s", response.Status)
	}
	if response = ask(t, server.Client(), "GET", url, "", nil, nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("the deleted row: %s, want 404", response.Status)
	}
}

func TestWhatIsWrongIsSaidAtTheField(t *testing.T) {
	server := testApp(t)
	for _, test := range []struct{ path, body, field, message string }{
		{"/live/todos", `{"list_id":1,"title":"  "}`, "title", "Please write something."},
		{"/live/todos", `{"list_id":1,"title":"` + strings.Repeat("é", 201) + `"}`, "title", "That is 201 characters; 200 is the most."},
		{"/live/todos", `{"list_id":99,"title":"milk"}`, "list_id", "This list does not exist (any more)."},
		{"/live/lists", `{"name":""}`, "name", "Please write something."},
	} {
		var problem struct {
			Status int
			Code   string
			Errors map[string][]string
		}
		response := ask(t, server.Client(), "POST", server.URL+test.path, test.body, nil, &problem)
		if response.StatusCode != http.StatusUnprocessableEntity || response.Header.Get("Content-Type") != "application/problem+json" ||
			problem.Code != "invalid" || len(problem.Errors[test.field]) != 1 || problem.Errors[test.field][0] != test.message {
			t.Errorf("%.60s was answered with %s %+v", test.body, response.Status, problem)
		}
	}
}

// Whoever follows todos and lists is told of everything that a deleted list takes along, and of what the ordinary
// handler of "Clear done" removes.
func TestChangesOutsideOfTheRouterAreToldToo(t *testing.T) {
	server := testApp(t)
	follow := func(path string) (changes func() []string) {
		var start snapshot
		ask(t, server.Client(), "GET", server.URL+path, "", nil, &start)
		return func() (ops []string) {
			var news struct {
				Changes []struct{ Op, Key string }
			}
			ask(t, server.Client(), "GET", server.URL+path+"?wait=5&cursor="+start.Cursor, "", nil, &news)
			for _, change := range news.Changes {
				ops = append(ops, change.Op)
			}
			return ops
		}
	}

	todos := follow("/live/todos")
	response := ask(t, server.Client(), "POST", server.URL+"/lists/1/clear", "", nil, nil)
	if ops := todos(); response.StatusCode != http.StatusNoContent || strings.Join(ops, " ") != "delete" {
		t.Errorf("clearing was answered with %s and told as %v, want one delete", response.Status, ops)
	}

	todos, lists := follow("/live/todos"), follow("/live/lists")
	ask(t, server.Client(), "DELETE", server.URL+"/live/lists/1", "", http.Header{"If-Match": {`"1"`}}, nil)
	if ops := todos(); strings.Join(ops, " ") != "delete delete delete" {
		t.Errorf("the todos of the deleted list were told as %v, want three deletes", ops)
	}
	if ops := lists(); strings.Join(ops, " ") != "delete" {
		t.Errorf("the deleted list was told as %v, want one delete", ops)
	}
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "localhost:0"}, in, t.Output())
	}()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Fields(strings.TrimPrefix(string(line[:n]), "Your lists are at "))[0]

	// A stream is open while the server is told to stop.
	request, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/live/todos", nil)
	request.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()

	stop()
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Error("the stream did not end well:", err)
	}
	if err := <-done; err != nil {
		t.Error("run:", err)
	}
	if left, _ := os.ReadDir("."); len(left) != 1 || left[0].Name() != "todo.db" {
		t.Errorf("the database left %v behind, want todo.db alone", left)
	}
}
