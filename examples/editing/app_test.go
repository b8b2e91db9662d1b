package main

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
)

func testStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "the desk?.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// testApp serves the application over a database of its own.
func testApp(t *testing.T) *httptest.Server {
	t.Helper()
	_, server := testAppWith(t, false)
	return server
}

// testAppWith serves it with locks, or without, and returns it, too.
func testAppWith(t *testing.T, lock bool) (*app, *httptest.Server) {
	t.Helper()
	app := newApp(testStore(t), live.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, presence.Options{}, lock)
	server := httptest.NewServer(app)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := app.hub.Shutdown(ctx); err != nil {
			t.Error("Shutdown:", err)
		}
		server.Close()
	})
	return app, server
}

// browser is a browser without JavaScript: it keeps cookies, follows redirects and sends the forms of the page that it shows.
type browser struct {
	t      *testing.T
	client *http.Client
	base   string
	status int
	at     *url.URL
	page   string
}

// open returns a browser in which somebody signed in.
func open(t *testing.T, server *httptest.Server, name string) *browser {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	b := &browser{t: t, client: &http.Client{Jar: jar}, base: server.URL}
	if name != "" {
		b.post("/login", url.Values{"name": {name}, "color": {"blue"}})
	}
	return b
}

func (b *browser) get(path string) {
	b.t.Helper()
	b.do(http.NewRequestWithContext(b.t.Context(), "GET", b.base+path, nil))
}

func (b *browser) post(path string, form url.Values) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), "POST", b.base+path, strings.NewReader(form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	b.do(request, err)
}

func (b *browser) do(request *http.Request, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.status, b.at, b.page = response.StatusCode, response.Request.URL, string(text)
}

var (
	inputTag    = regexp.MustCompile(`<input ([^>]*)>`)
	textareaTag = regexp.MustCompile(`(?s)<textarea ([^>]*)>\n(.*?)</textarea>`)
	selectTag   = regexp.MustCompile(`(?s)<select ([^>]*)>(.*?)</select>`)
	selectedTag = regexp.MustCompile(`<option selected>([^<]*)</option>`)
	attribute   = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
	anyTag      = regexp.MustCompile(`<[^>]*>`)
)

func attributes(text string) map[string]string {
	all := map[string]string{}
	for _, match := range attribute.FindAllStringSubmatch(text, -1) {
		all[match[1]] = html.UnescapeString(match[2])
	}
	return all
}

// form returns what the form of the article would send, with two characters for a line break, as browsers do.
func (b *browser) form() url.Values {
	b.t.Helper()
	_, text, found := strings.Cut(b.page, `id="article"`)
	if !found {
		b.t.Fatalf("no form in the page:\n%s", b.page)
	}
	text, _, _ = strings.Cut(text, "</form>")
	form := url.Values{}
	set := func(name, value string) {
		form.Set(name, strings.ReplaceAll(value, "\n", "\r\n"))
	}
	for _, match := range inputTag.FindAllStringSubmatch(text, -1) {
		a := attributes(match[1])
		if _, checked := a["checked"]; a["type"] != "checkbox" || checked {
			set(a["name"], a["value"])
		}
	}
	for _, match := range textareaTag.FindAllStringSubmatch(text, -1) {
		set(attributes(match[1])["name"], html.UnescapeString(match[2]))
	}
	for _, match := range selectTag.FindAllStringSubmatch(text, -1) {
		if one := selectedTag.FindStringSubmatch(match[2]); one != nil {
			set(attributes(match[1])["name"], html.UnescapeString(one[1]))
		}
	}
	return form
}

// save sends the form of the page with some fields changed; a checkbox that is set to nothing is not sent.
func (b *browser) save(changes map[string]string) {
	b.t.Helper()
	form := b.form()
	for name, value := range changes {
		form.Set(name, value)
		if value == "" && (name == "ready" || name == "private") {
			form.Del(name)
		}
	}
	b.post(b.at.Path, form)
}

// text returns what stands in the element with an id, which holds no other of its kind.
func (b *browser) text(id string) string {
	b.t.Helper()
	start := regexp.MustCompile(`<([a-z0-9]+) [^>]*id="` + id + `"[^>]*>`).FindStringSubmatchIndex(b.page)
	if start == nil {
		b.t.Fatalf("no %s in the page:\n%s", id, b.page)
	}
	content, _, _ := strings.Cut(b.page[start[1]:], "</"+b.page[start[2]:start[3]]+">")
	return strings.Join(strings.Fields(html.UnescapeString(anyTag.ReplaceAllString(content, " "))), " ")
}

func (b *browser) want(status int, path string) {
	b.t.Helper()
	if b.status != status || b.at.RequestURI() != path {
		b.t.Fatalf("answered %d at %s, want %d at %s:\n%s", b.status, b.at.RequestURI(), status, path, b.page)
	}
}
