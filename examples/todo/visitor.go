package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// A visitor is somebody with a name in a cookie. There is no login: whoever wants to be Ada is Ada. An application with
// accounts puts its own middleware in the place of withVisitor, and nothing else changes.

const (
	visitorCookie  = "visitor"
	maxVisitorName = 40
	nobody         = "somebody" // who has no cookie: curl, say
)

type visitorKey struct{}

// visitor returns the name of who sent the request that ctx belongs to.
func visitor(ctx context.Context) string {
	if name, ok := ctx.Value(visitorKey{}).(string); ok {
		return name
	}
	return nobody
}

// withVisitor tells next who is asking: it puts the visitor's name in the request's context, where the hub, and the
// functions of the routers, find it.
func withVisitor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := visitorName(r); name != "" {
			r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, name))
		}
		next.ServeHTTP(w, r)
	})
}

// visitorName returns the name in the request's cookie, or nothing.
func visitorName(r *http.Request) string {
	cookie, err := r.Cookie(visitorCookie)
	if err != nil {
		return ""
	}
	name, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return ""
	}
	return tidyName(name)
}

func setVisitorName(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name:     visitorCookie,
		Value:    url.QueryEscape(name),
		Path:     "/",
		MaxAge:   365 * 24 * 60 * 60,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

// renameVisitor takes the form in which visitors change their name and shows the page again. Loading the page anew also
// opens a new session of live: a session keeps the visitor who opened it.
func renameVisitor(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if name := tidyName(r.FormValue("name")); name != "" {
		setVisitorName(w, name)
	}
	back := "/"
	if transport := r.FormValue("transport"); transport != "" {
		back = "/?" + url.Values{"transport": {transport}}.Encode()
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// tidyName cuts what somebody typed down to a name of one line, or to nothing.
func tidyName(name string) string {
	name = strings.Join(strings.Fields(strings.ToValidUTF8(name, "")), " ")
	if utf8.RuneCountInString(name) > maxVisitorName {
		name = strings.TrimSpace(string([]rune(name)[:maxVisitorName]))
	}
	return name
}

// inventName greets those who come for the first time.
func inventName() string {
	return pick("Brave", "Bright", "Calm", "Cheerful", "Clever", "Curious", "Gentle", "Jolly", "Kind", "Lucky", "Merry",
		"Nimble", "Patient", "Quick", "Quiet", "Sunny", "Swift", "Witty") + " " +
		pick("Badger", "Beaver", "Bittern", "Crane", "Dragonfly", "Finch", "Fox", "Frog", "Hare", "Hedgehog", "Heron",
			"Kingfisher", "Lynx", "Newt", "Otter", "Robin", "Toad", "Wren")
}

func pick(words ...string) string { return words[rand.IntN(len(words))] }
