package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/swampline/live"
)

// Person is somebody with a name and a color. There is no password: whoever says that they are Ada is Ada. An application with
// accounts puts its own middleware in the place of withPerson, and nothing else changes.
type Person struct {
	ID    int64
	Name  string
	Color string // one of colors
}

// guest says that nobody has signed in: a guest may read, and is not shown to others.
func (p Person) guest() bool { return p.ID == 0 }

const (
	personCookie  = "person"
	maxPersonName = 40
)

// colors are the names of those that static/app.css has, in light and in dark, with text on them that can be read.
var colors = []string{"teal", "orange", "violet", "pink", "blue", "green", "red", "gray"}

type personKey struct{}

// person returns who sent the request that ctx belongs to, the zero Person if they have not signed in.
func person(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}

// withPerson tells next who is asking: it puts them in the request's context, where the hub, and the funcs of the router, find
// them.
func withPerson(s *store, logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(personCookie)
		if err != nil {
			next.ServeHTTP(w, r)
			return
		}
		id, _ := strconv.ParseInt(cookie.Value, 10, 64)
		switch who, err := s.person(r.Context(), id); {
		case err == nil:
			r = r.WithContext(context.WithValue(r.Context(), personKey{}, who))
		case !errors.Is(err, live.ErrNotFound):
			logger.Error("who is asking could not be read", "error", err)
			http.Error(w, "The database does not answer.", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// signedIn sends guests to the login page, and from there back to where they wanted to go.
func signedIn(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if person(r.Context()).guest() {
			to := r.URL.RequestURI()
			if r.Method != http.MethodGet {
				to = r.URL.Path
			}
			http.Redirect(w, r, "/login?"+url.Values{"next": {to}}.Encode(), http.StatusSeeOther)
			return
		}
		next(w, r)
	})
}

// loginPage is what the template login.html knows.
type loginPage struct {
	People  []Person
	Colors  []string
	Next    string
	MaxName int
	Name    string
	Error   string
}

func (a *app) showLogin(w http.ResponseWriter, r *http.Request) {
	a.renderLogin(w, r, http.StatusOK, loginPage{Next: localPath(r.FormValue("next"))})
}

func (a *app) renderLogin(w http.ResponseWriter, r *http.Request, status int, page loginPage) {
	people, err := a.store.people(r.Context())
	if err != nil {
		a.failed(w, r, err)
		return
	}
	page.People, page.Colors, page.MaxName = people, colors, maxPersonName
	a.render(w, status, "login.html", page)
}

// login takes the form of the login page: one of the people that there are, or a name and a color.
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	next := localPath(r.FormValue("next"))
	name := tidyName(r.FormValue("name"))
	var who Person
	var err error
	if id, _ := strconv.ParseInt(r.FormValue("person"), 10, 64); id > 0 {
		who, err = a.store.person(r.Context(), id)
	} else if name != "" {
		color := r.FormValue("color")
		if !slices.Contains(colors, color) {
			color = colors[len(name)%len(colors)]
		}
		who, err = a.store.addPerson(r.Context(), name, color)
	} else {
		err = live.ErrNotFound
	}
	if errors.Is(err, live.ErrNotFound) {
		a.renderLogin(w, r, http.StatusUnprocessableEntity, loginPage{Next: next, Name: name, Error: "Say your name, or choose one."})
		return
	}
	if err != nil {
		a.failed(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name:     personCookie,
		Value:    strconv.FormatInt(who.ID, 10),
		Path:     "/",
		MaxAge:   365 * 24 * 60 * 60,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// logout forgets who this browser is. Pages that it has open in other tabs stay what they are until they are loaded anew: a session
// keeps who opened it.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: personCookie, Path: "/", MaxAge: -1})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// localPath returns a path of this application, or the start page: nobody is sent elsewhere by a link to the login page.
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, "\\") {
		return "/"
	}
	return path
}

// tidyName cuts what somebody typed down to a name of one line, or to nothing.
func tidyName(name string) string {
	name = oneLine(strings.ToValidUTF8(name, ""))
	if utf8.RuneCountInString(name) > maxPersonName {
		name = strings.TrimSpace(string([]rune(name)[:maxPersonName]))
	}
	return name
}
