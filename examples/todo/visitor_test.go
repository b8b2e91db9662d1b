package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNamesAreTidied(t *testing.T) {
	for typed, want := range map[string]string{
		"Ada":                    "Ada",
		"  Ada \n Lovelace ":     "Ada Lovelace",
		" \t ":                   "",
		"\xffAda":                "Ada",
		strings.Repeat("é", 99):  strings.Repeat("é", maxVisitorName),
		strings.Repeat("x ", 99): strings.TrimSpace(strings.Repeat("x ", maxVisitorName/2)),
	} {
		if got := tidyName(typed); got != want {
			t.Errorf("tidyName(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestAnInventedNameIsOneThatCouldBeTyped(t *testing.T) {
	for range 100 {
		name := inventName()
		if tidyName(name) != name || utf8.RuneCountInString(name) < 5 {
			t.Errorf("the name %q was invented", name)
		}
	}
}

func TestTheNameTravelsInACookie(t *testing.T) {
	answer := httptest.NewRecorder()
	setVisitorName(answer, "Zoë; & co, 😀")
	cookie := answer.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %v, want HttpOnly and SameSite=Lax", cookie)
	}
	request := httptest.NewRequest("GET", "/live/todos", nil)
	request.AddCookie(cookie)
	var got string
	withVisitor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = visitor(r.Context())
	})).ServeHTTP(httptest.NewRecorder(), request)
	if got != "Zoë; & co, 😀" {
		t.Errorf("the visitor is %q", got)
	}
}

func TestWhoHasNoCookieIsSomebody(t *testing.T) {
	for _, cookie := range []string{"", "visitor=", "visitor=%zz", "visitor=+++"} {
		request := httptest.NewRequest("GET", "/live/todos", nil)
		request.Header.Set("Cookie", cookie)
		withVisitor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := visitor(r.Context()); got != nobody {
				t.Errorf("with the cookie %q the visitor is %q, want %q", cookie, got, nobody)
			}
		})).ServeHTTP(httptest.NewRecorder(), request)
	}
}

func TestAVisitorChangesTheirName(t *testing.T) {
	form := url.Values{"name": {" Ada  Lovelace "}, "transport": {"sse"}}
	request := httptest.NewRequest("POST", "/visitor", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	renameVisitor(answer, request)
	if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/?transport=sse" {
		t.Errorf("answered %d to %q, want 303 to /?transport=sse", answer.Code, answer.Header().Get("Location"))
	}
	request = httptest.NewRequest("GET", "/", nil)
	request.AddCookie(answer.Result().Cookies()[0])
	if got := visitorName(request); got != "Ada Lovelace" {
		t.Errorf("the name is now %q", got)
	}
}
