package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
)

// testApp serves the application over a database of its own.
func testApp(t *testing.T) (*chat, *httptest.Server) {
	t.Helper()
	return testAppOver(t, testStore(t), notify.Options{})
}

func testAppOver(t *testing.T, s *store, notes notify.Options) (*chat, *httptest.Server) {
	t.Helper()
	app := newApp(s, live.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, notes)
	server := httptest.NewServer(app)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := app.close(ctx); err != nil {
			t.Error("Shutdown:", err)
		}
		server.Close()
	})
	return app, server
}

// browser keeps cookies, and says where it was sent to.
func browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func text(t *testing.T, answer *http.Response, err error) (*http.Response, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func signIn(t *testing.T, client *http.Client, server *httptest.Server, form url.Values) (*http.Response, string) {
	t.Helper()
	answer, err := client.PostForm(server.URL+"/login", form)
	return text(t, answer, err)
}

func TestWhoHasNotSignedInSeesNothing(t *testing.T) {
	_, server := testApp(t)
	for _, cookie := range []string{"", "nonsense"} {
		client := browser()
		if cookie != "" {
			there, _ := url.Parse(server.URL)
			client.Jar.SetCookies(there, []*http.Cookie{{Name: sessionCookie, Value: cookie}})
		}
		answer, err := client.Get(server.URL + "/?transport=sse")
		if page, _ := text(t, answer, err); page.StatusCode != http.StatusSeeOther || page.Header.Get("Location") != "/login?transport=sse" {
			t.Errorf("the page is answered with %s to %q", page.Status, page.Header.Get("Location"))
		}
		for _, path := range []string{"rooms", "messages", "people", "members", "marks", "notifications", "messages/1", "messages?count=true"} {
			answer, err := client.Get(server.URL + "/live/" + path)
			got, body := text(t, answer, err)
			if got.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"code":"signed_out"`) || strings.Contains(body, "elcome") {
				t.Errorf("%s is answered with %s %s", path, got.Status, body)
			}
		}
	}
}

func TestSigningInAndOut(t *testing.T) {
	app, server := testApp(t)
	client := browser()
	answer, err := client.Get(server.URL + "/login")
	if page, html := text(t, answer, err); page.StatusCode != http.StatusOK || !strings.Contains(html, `name="name"`) {
		t.Fatalf("the login page is %s %s", page.Status, html)
	}
	form := url.Values{"name": {" Zoë_2 "}, "hue": {"205"}, "email": {"zoe@example.org"}, "transport": {"longpoll"}}
	page, _ := signIn(t, client, server, form)
	if page.StatusCode != http.StatusSeeOther || page.Header.Get("Location") != "/?transport=longpoll" {
		t.Errorf("signing in is answered with %s to %q", page.Status, page.Header.Get("Location"))
	}
	cookie := page.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %v, want HttpOnly and SameSite=Lax", cookie)
	}
	if n, err := app.store.number(t.Context(), "SELECT count(*) FROM sessions WHERE token = ?", cookie.Value); err != nil || n != 0 {
		t.Error("the database holds what the cookie holds:", n, err)
	}
	p, err := app.store.called(t.Context(), "ZOË_2")
	if err != nil || p.Name != "Zoë_2" || p.Hue != 205 || p.Email != "zoe@example.org" {
		t.Errorf("the person is %+v, %v", p, err)
	}
	answer, err = client.Get(server.URL + "/")
	if page, html := text(t, answer, err); page.StatusCode != http.StatusOK || !strings.Contains(html, "Zoë_2") || !strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("the page is %s", page.Status)
	}
	answer, err = client.Get(server.URL + "/live/people")
	if _, body := text(t, answer, err); !strings.Contains(body, "Zoë_2") || strings.Contains(body, "example.org") || strings.Contains(body, "paced") {
		t.Errorf("people are told as %s", body)
	}

	// On the phone, in another colour: the same person.
	phone := browser()
	signIn(t, phone, server, url.Values{"name": {"zoë_2"}, "hue": {"28"}})
	again, err := app.store.called(t.Context(), "zoë_2")
	if err != nil || again.ID != p.ID || again.Hue != 28 || again.Email != p.Email {
		t.Errorf("the person is now %+v, %v; want %d in another colour", again, err, p.ID)
	}

	answer, err = client.PostForm(server.URL+"/logout", nil)
	if page, _ := text(t, answer, err); page.StatusCode != http.StatusSeeOther {
		t.Errorf("signing out is answered with %s", page.Status)
	}
	for _, device := range []struct {
		*http.Client
		want int
	}{{client, http.StatusUnauthorized}, {phone, http.StatusOK}} {
		answer, err := device.Get(server.URL + "/live/rooms")
		if got, _ := text(t, answer, err); got.StatusCode != device.want {
			t.Errorf("after signing out on one device the rooms are answered with %s, want %d", got.Status, device.want)
		}
	}
}

func TestTheLoginFormSaysWhatIsWrong(t *testing.T) {
	app, server := testApp(t)
	for _, test := range []struct{ name, email, says string }{
		{"", "", "Please tell your name."},
		{"Ada Lovelace", "", "One word"},
		{"@ada", "", "One word"},
		{"<b>", "", "One word"},
		{"Live", "", "the name of the house"},
		{strings.Repeat("é", maxName+1), "", "At most"},
		{"Ada", "nonsense", "no e-mail address"},
		{"Ada", "Ada <ada@example.org>", "no e-mail address"},
		{"Ada", "ada@example.org\r\nBcc: all@example.org", "no e-mail address"},
	} {
		page, html := signIn(t, browser(), server, url.Values{"name": {test.name}, "email": {test.email}, "hue": {"7"}})
		if page.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(html, test.says) || strings.Contains(html, "<b>\"") {
			t.Errorf("%q, %q: %s", test.name, test.email, page.Status)
		}
	}
	if n, err := app.store.number(t.Context(), "SELECT count(*) FROM people"); err != nil || n != 1 {
		t.Errorf("there are %d people, %v; want the host alone", n, err)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	_, server := testApp(t)
	for _, path := range []string{"/login", "/logout"} {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, strings.NewReader("name=Ada"))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := browser().Do(request)
		if got, _ := text(t, answer, err); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s, want 403", path, got.Status)
		}
	}
}

func TestFilesAreServed(t *testing.T) {
	_, server := testApp(t)
	client := browser()
	signIn(t, client, server, url.Values{"name": {"Ada"}})
	for path, kind := range map[string]string{"/static/app.css": "text/css", "/static/app.js": "text/javascript", "/static/icon.svg": "image/svg+xml", "/live/live.js": "text/javascript"} {
		answer, err := client.Get(server.URL + path)
		if got, _ := text(t, answer, err); got.StatusCode != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), kind) {
			t.Errorf("%s came as %s, %s; want %s", path, got.Status, got.Header.Get("Content-Type"), kind)
		}
	}
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-addr", "localhost:0", "-mail-dir", "mails"}, in, t.Output()) }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{URL: strings.Fields(strings.TrimPrefix(string(line[:n]), "Your chat is at "))[0]}

	// A stream is open while the server is told to stop.
	client := browser()
	signIn(t, client, server, url.Values{"name": {"Ada"}})
	request, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/live/rooms", nil)
	request.Header.Set("Accept", "text/event-stream")
	stream, err := client.Do(request)
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
	if left, _ := os.ReadDir("."); len(left) != 1 || left[0].Name() != "chat.db" {
		t.Errorf("the database left %v behind, want chat.db alone", left)
	}
}

func TestWrongFlagsAreSaid(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct{ args, says string }{
		{"-smtp localhost:25 -mail-dir mails", "exclude each other"},
		{"-smtp localhost", "-smtp wants"},
		{"-smtp localhost:25 -mail-from nobody", "-mail-from"},
		{"-broker nonsense", "-broker"},
	} {
		if err := run(t.Context(), strings.Fields(test.args), io.Discard, t.Output()); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.args, err, test.says)
		}
	}
}

// A window that is open when its session ends is sent away; one of another session goes on, and notices nothing.
func TestAnOpenWindowIsSignedOutToo(t *testing.T) {
	_, server := testApp(t)
	form := url.Values{"name": {"Ada"}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	streams := make([]*http.Response, 2)
	clients := []*http.Client{browser(), browser()}
	for i, client := range clients {
		signIn(t, client, server, form)
		request, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/live/messages", nil)
		request.Header.Set("Accept", "text/event-stream")
		stream, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()
		streams[i] = stream
	}
	answer, err := clients[0].PostForm(server.URL+"/logout", nil)
	text(t, answer, err)
	if _, body := text(t, streams[0], nil); !strings.Contains(body, `"code":"signed_out"`) {
		t.Errorf("the window that signed out was told %s", body)
	}
	request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/live/messages", strings.NewReader(`{"room_id":1,"text":"still here"}`))
	request.Header.Set("Content-Type", "application/json")
	said, err := clients[1].Do(request)
	if got, body := text(t, said, err); got.StatusCode != http.StatusCreated {
		t.Fatalf("the other window says something: %s %s", got.Status, body)
	}
	lines := bufio.NewScanner(streams[1].Body)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.Contains(line, "signed_out"), strings.Contains(line, "event: resync"), strings.Contains(line, "event: closed"):
			t.Fatalf("the other window was told %s", line)
		case strings.Contains(line, "still here"):
			return
		}
	}
	t.Error("the other window's stream ended:", lines.Err())
}
