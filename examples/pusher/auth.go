package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/swampline/live/presence"
	"github.com/swampline/live/transport/pusher"
)

// authority is what the endpoints need by which the application says who may subscribe to what, and who a user is. A library of Pusher's for whatever
// language makes the same answers; the server only checks them.
type authority struct{ apps []pusher.App }

// nameOf says who asks. Here that is who he says that he is: an application of yours looks at its own session instead.
func nameOf(r *http.Request) (string, error) {
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" || utf8.RuneCountInString(name) > 60 || !utf8.ValidString(name) {
		return "", errors.New("say who you are, in 60 characters at most")
	}
	return name, nil
}

// asker is the key of the context under which named puts who asks.
type asker struct{}

// named lets the hub know who comes to it, as an application of yours does in its own middleware: a client of live whose address says ?name=Ann.
func named(hub http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := strings.TrimSpace(r.URL.Query().Get("name")); name != "" && utf8.RuneCountInString(name) <= 60 && utf8.ValidString(name) {
			r = r.WithContext(context.WithValue(r.Context(), asker{}, name))
		}
		hub.ServeHTTP(w, r)
	})
}

// person is who a client of live is on a presence channel: the same as over Pusher, if he says the same name.
func person(ctx context.Context) (presence.Person, error) {
	name, _ := ctx.Value(asker{}).(string)
	return presence.Person{ID: name, Name: name}, nil
}

// app is the one that a request is about: ?app=ID, or the first.
func (a *authority) app(r *http.Request) (app pusher.App, ok bool) {
	id := r.URL.Query().Get("app")
	for _, app := range a.apps {
		if id == "" || app.ID == id {
			return app, true
		}
	}
	return app, false
}

var (
	socketID    = regexp.MustCompile(`^\d+\.\d+$`)
	channelName = regexp.MustCompile(`^(private|presence)-[A-Za-z0-9_\-=@,.;]+$`)
)

// answer is what pusher-js is told.
type answer struct {
	Auth         string `json:"auth"`
	ChannelData  string `json:"channel_data,omitempty"`
	SharedSecret string `json:"shared_secret,omitempty"`
	UserData     string `json:"user_data,omitempty"`
}

// user is one as the others see him.
type user struct {
	ID        string            `json:"user_id,omitempty"` // on a presence channel
	UserID    string            `json:"id,omitempty"`      // of a signin
	Info      map[string]string `json:"user_info"`
	Watchlist []string          `json:"watchlist,omitempty"`
}

// ask reads what both kinds of requests have; it reports false when it has refused.
func (a *authority) ask(w http.ResponseWriter, r *http.Request) (app pusher.App, socket, name string, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	app, ok = a.app(r)
	name, err := nameOf(r)
	switch socket = r.PostFormValue("socket_id"); {
	case !ok:
		http.Error(w, "There is no such app.", http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusForbidden)
	case !socketID.MatchString(socket):
		http.Error(w, "Want a socket_id.", http.StatusBadRequest)
	default:
		return app, socket, name, true
	}
	return app, "", "", false
}

// channel lets somebody who has a name into private and presence channels, but into the private-for- channel of himself alone.
func (a *authority) channel(w http.ResponseWriter, r *http.Request) {
	app, socket, name, ok := a.ask(w, r)
	if !ok {
		return
	}
	channel := r.PostFormValue("channel_name")
	switch whose, private := strings.CutPrefix(channel, "private-for-"); {
	case !channelName.MatchString(channel):
		http.Error(w, "Want a private or a presence channel.", http.StatusBadRequest)
		return
	case private && whose != name:
		http.Error(w, "This one is for somebody else.", http.StatusForbidden)
		return
	}
	var said answer
	text := socket + ":" + channel
	if strings.HasPrefix(channel, "presence-") {
		said.ChannelData = encode(user{ID: name, Info: map[string]string{"name": name}})
		text += ":" + said.ChannelData
	}
	if strings.HasPrefix(channel, "private-encrypted-") {
		said.SharedSecret = sharedSecret(app, channel)
	}
	said.Auth = sign(app, text)
	write(w, said)
}

// user says who somebody is. Whom he wants to watch he says himself.
func (a *authority) user(w http.ResponseWriter, r *http.Request) {
	app, socket, name, ok := a.ask(w, r)
	if !ok {
		return
	}
	u := user{UserID: name, Info: map[string]string{"name": name}}
	if watch := r.PostFormValue("watch"); watch != "" {
		u.Watchlist = strings.Split(watch, ",")
	}
	data := encode(u)
	write(w, answer{Auth: sign(app, socket+"::user::"+data), UserData: data})
}

// sign signs a text with an app's secret.
func sign(app pusher.App, text string) string {
	return app.Key + ":" + hex.EncodeToString(digest(app, text))
}

func digest(app pusher.App, text string) []byte {
	mac := hmac.New(sha256.New, []byte(app.Secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// sharedSecret is the key of an encrypted channel. The server never sees it, nor what is encrypted: here they happen to be one process. The master key is
// 32 bytes that only who encrypts knows.
func sharedSecret(app pusher.App, channel string) string {
	key := sha256.Sum256(append([]byte(channel), digest(app, "the master key")...))
	return base64.StdEncoding.EncodeToString(key[:])
}

func encode(v any) string {
	data, _ := json.Marshal(v) // of texts: it does not fail
	return string(data)
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write([]byte(encode(v)))
}
