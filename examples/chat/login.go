package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/swampline/live"
)

// There is no password: whoever says that he is Ada is Ada, on as many devices as he likes, and nobody checks whose e-mail address it is that
// he tells. An application with accounts puts its own middleware in the place of withPerson, and nothing else changes.

const sessionCookie = "chat-session"

// hashed is what the database holds of a session's token: whoever reads it cannot use it.
func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// withPerson tells next who is asking, and answers whoever has no session with otherwise.
func (c *chat) withPerson(next, otherwise http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := c.sessionPerson(r)
		switch {
		case errors.Is(err, live.ErrNotFound):
			otherwise.ServeHTTP(w, r)
		case err != nil:
			c.logger.Error("the session could not be read", "error", err)
			http.Error(w, "The chat is closed for a moment.", http.StatusInternalServerError)
		default:
			cookie, _ := r.Cookie(sessionCookie)
			next.ServeHTTP(w, r.WithContext(context.WithValue(asPerson(r.Context(), p), tokenKey{}, hashed(cookie.Value))))
		}
	})
}

// sessionPerson returns whose session the request's cookie is of.
func (c *chat) sessionPerson(r *http.Request) (Person, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return Person{}, live.ErrNotFound
	}
	id, err := c.store.number(r.Context(), "SELECT coalesce(max(person_id), 0) FROM sessions WHERE token = ?", hashed(cookie.Value))
	if err != nil {
		return Person{}, err
	}
	return c.store.people().byID(r.Context(), id)
}

// tokenKey is where a request's context has what the database holds of its session's token.
type tokenKey struct{}

// refresh is asked by the hub whenever a person's rights are evaluated anew: a session that was ended ends here.
func (c *chat) refresh(ctx context.Context) (context.Context, error) {
	token, ok := ctx.Value(tokenKey{}).(string)
	if !ok {
		return ctx, nil
	}
	n, err := c.store.number(ctx, "SELECT count(*) FROM sessions WHERE token = ?", token)
	if err == nil && n == 0 {
		err = errSignedOut
	}
	return ctx, err
}

// refuse answers a program that has no session, in the form of the hub's own refusals.
func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(errSignedOut.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(errSignedOut.Status), "status": errSignedOut.Status, "code": errSignedOut.Code, "detail": errSignedOut.Detail})
}

// toLogin sends a browser to the login page, and says where it wanted to.
func toLogin(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/login"+transportQuery(r.URL.Query().Get("transport")), http.StatusSeeOther)
}

// transportQuery hands on which transport somebody wants to see at work.
func transportQuery(transport string) string {
	if transport == "" {
		return ""
	}
	return "?" + url.Values{"transport": {transport}}.Encode()
}

// login is the form of the login page.
type login struct {
	Name, Email, Transport string
	Hue                    int64
	Hues                   []int64
	MaxName                int
	Errors                 map[string]string
}

// serveLogin shows the login page.
func (c *chat) serveLogin(w http.ResponseWriter, r *http.Request) {
	c.render(w, "login.html", http.StatusOK, login{Transport: r.URL.Query().Get("transport"), Hue: hues[time.Now().UnixNano()%int64(len(hues))], Hues: hues, MaxName: maxName})
}

// signIn takes the form of the login page.
func (c *chat) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	form := login{
		Name:      strings.TrimSpace(r.FormValue("name")),
		Email:     strings.TrimSpace(r.FormValue("email")),
		Transport: r.FormValue("transport"),
		Hues:      hues,
		MaxName:   maxName,
	}
	form.Hue, _ = strconv.ParseInt(r.FormValue("hue"), 10, 64)
	if !slices.Contains(hues, form.Hue) {
		form.Hue = hues[0]
	}
	if form.Errors = form.wrong(); len(form.Errors) > 0 {
		c.render(w, "login.html", http.StatusUnprocessableEntity, form)
		return
	}
	token, err := c.welcome(r.Context(), form)
	if err != nil {
		c.logger.Error("somebody could not sign in", "error", err)
		http.Error(w, "That did not work. Try again in a moment.", http.StatusInternalServerError)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name:     sessionCookie,
		Value:    token,
		Path:     "/",
		MaxAge:   365 * 24 * 60 * 60,
		HttpOnly: true,
		Secure:   r.TLS != nil,
		SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, "/"+transportQuery(form.Transport), http.StatusSeeOther)
}

// wrong says what is wrong with the fields of the form.
func (f login) wrong() map[string]string {
	wrong := map[string]string{}
	switch n := utf8.RuneCountInString(f.Name); {
	case n == 0:
		wrong["name"] = "Please tell your name."
	case n > maxName:
		wrong["name"] = "At most " + strconv.Itoa(maxName) + " letters."
	case !names.MatchString(f.Name):
		wrong["name"] = "One word, of letters, digits, - and _."
	case strings.ToLower(f.Name) == host:
		wrong["name"] = "That is the name of the house."
	}
	if f.Email != "" {
		if address, err := mail.ParseAddress(f.Email); err != nil || address.Address != f.Email || len(f.Email) > 254 {
			wrong["email"] = "This is no e-mail address."
		}
	}
	return wrong
}

// welcome opens a session for the person of a name, who need not have been here before, and returns its token.
func (c *chat) welcome(ctx context.Context, form login) (token string, err error) {
	token = rand.Text()
	err = c.store.tx(ctx, func(ctx context.Context) error {
		p, err := c.store.called(ctx, form.Name)
		if errors.Is(err, live.ErrNotFound) {
			p, err = c.introduce(ctx, form)
		} else if err == nil {
			p, err = c.repaint(ctx, p, form)
		}
		if err != nil {
			return err
		}
		_, err = c.store.in(ctx).ExecContext(ctx, "INSERT INTO sessions (token, person_id) VALUES (?, ?)", hashed(token), p.ID)
		return err
	})
	return token, err
}

// introduce stores somebody new, to whom what was said before is nothing that he has missed.
func (c *chat) introduce(ctx context.Context, form login) (Person, error) {
	p, err := c.store.people().add(ctx, Person{Name: form.Name, Folded: strings.ToLower(form.Name), Hue: form.Hue, Email: form.Email})
	if err != nil {
		return p, err
	}
	_, err = c.store.in(ctx).ExecContext(ctx, "INSERT INTO marks (room_id, person_id, message_id) SELECT room_id, ?, max(id) FROM messages WHERE NOT private GROUP BY room_id", p.ID)
	if err != nil {
		return p, err
	}
	return p, c.people.Created(ctx, p)
}

// repaint gives somebody who comes again the colour that he chose, and the address if he told one.
func (c *chat) repaint(ctx context.Context, was Person, form login) (Person, error) {
	now := was
	now.Hue = form.Hue
	if form.Email != "" {
		now.Email = form.Email
	}
	if now == was {
		return was, nil
	}
	now, err := c.store.people().save(ctx, was, now)
	if err != nil {
		return now, err
	}
	return now, c.people.Updated(ctx, was, now)
}

// signOut ends the session of a cookie, in all windows of the browser. The person's other devices notice nothing.
func (c *chat) signOut(w http.ResponseWriter, r *http.Request) {
	p, err := me(r.Context())
	if err == nil {
		_, err = c.store.db.ExecContext(r.Context(), "DELETE FROM sessions WHERE token = ?", r.Context().Value(tokenKey{}))
	}
	if err != nil {
		c.logger.Error("somebody could not sign out", "error", err)
		http.Error(w, "That did not work. Try again in a moment.", http.StatusInternalServerError)
		return
	}
	c.recheck(r.Context(), p.ID)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
