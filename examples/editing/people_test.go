package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestGuestsAreSentToTheLoginPageAndBack(t *testing.T) {
	guest := open(t, testApp(t), "")
	guest.get("/articles/2?transport=sse")
	guest.want(200, "/login?next=%2Farticles%2F2%3Ftransport%3Dsse")
	guest.post("/login", url.Values{"name": {" \t"}, "next": {"/articles/2?transport=sse"}})
	guest.want(422, "/login")
	guest.post("/login", url.Values{"name": {"  Ada \n Lovelace "}, "color": {"mauve"}, "next": {"/articles/2?transport=sse"}})
	guest.want(200, "/articles/2?transport=sse")
	if !strings.Contains(guest.page, ">Ada Lovelace</span>") {
		t.Errorf("the page does not call her by her name:\n%s", guest.page)
	}
	guest.post("/logout", nil)
	guest.get("/")
	guest.want(200, "/login?next=%2F")
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	for path, want := range map[string]string{
		"/articles/1?x=y":     "/articles/1?x=y",
		"":                    "/",
		"articles":            "/",
		"//evil.example":      "/",
		`/\evil.example`:      "/",
		"https://evil.ex/":    "/",
		"javascript:alert(1)": "/",
		"/%zz":                "/",
	} {
		if got := localPath(path); got != want {
			t.Errorf("localPath(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestAGuestReadsAndDoesNotWrite(t *testing.T) {
	server := testApp(t)
	request, _ := http.NewRequestWithContext(t.Context(), "PATCH", server.URL+"/live/articles/1", strings.NewReader(`{"title":"x"}`))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("If-Match", `"1"`)
	guest := open(t, server, "")
	guest.do(request, nil)
	if guest.status != http.StatusUnauthorized {
		t.Errorf("a guest's write was answered %d, want 401", guest.status)
	}
	guest.get("/live/articles/1")
	if guest.status != http.StatusOK {
		t.Errorf("a guest's read was answered %d", guest.status)
	}
	for _, cookie := range []string{"person=99", "person=x", "person="} {
		request, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/", nil)
		request.Header.Set("Cookie", cookie)
		guest.do(request, nil)
		guest.want(200, "/login?next=%2F")
	}
}

func TestAFormOfAnotherSiteIsRefused(t *testing.T) {
	server := testApp(t)
	ada := open(t, server, "Ada")
	for _, path := range []string{"/articles/1", "/articles", "/articles/1/delete", "/logout", "/login"} {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, nil)
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		if ada.do(request, nil); ada.status != http.StatusForbidden {
			t.Errorf("%s answered %d, want 403", path, ada.status)
		}
	}
}
