package main

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
	relay "github.com/swampline/live/relay/pusher"
	"github.com/swampline/live/transport/pusher"
	"github.com/swampline/live/where"
)

// app is the whole application.
type app struct {
	http.Handler
	hub   *live.Hub
	relay *relay.Relay // nil without -relay
}

// The channels that clients of both protocols know by name. Everything else that pusher-js subscribes to is a channel, too, undeclared.
const (
	chatChannel = "presence-chat"
	newsChannel = "news"
)

func newApp(store *store, s settings, options live.Options) *app {
	hub := live.New(options)
	everybody := func(context.Context, string) error { return nil }
	todos := todosRouter(store)
	hub.Register(
		todos,
		&live.Channel{Name: chatChannel, Subscribe: everybody},
		&live.Channel{Name: newsChannel, Subscribe: everybody},
	)
	channels := pusher.New(hub, pusher.Options{
		Apps:            s.apps,
		ActivityTimeout: s.activity,
		// Clients of live are on presence channels, too: connect("/live/?name=Ann").
		Presence: presence.New(hub, presence.Options{Person: person, Lease: s.lease}),
		// private-todos-home are the rows whose list is home. Who may subscribe is for the endpoint in auth.go to say, as for any private channel.
		Routers: []pusher.Offer{{Router: "todos", Channel: todoChannels + "*", Where: func(_ context.Context, name string) (where.Where, error) {
			return where.Eq("list", strings.TrimPrefix(name, todoChannels)), nil
		}}},
	})
	auth := &authority{apps: s.apps}

	mux := http.NewServeMux()
	mux.Handle("/app/", channels)    // pusher-js
	mux.Handle("/apps/", channels)   // server libraries
	mux.Handle("/live/", named(hub)) // our own protocol: curl -N -H 'Accept: text/event-stream' 'localhost:8080/live/?channel=news'
	mux.HandleFunc("POST /pusher/auth", auth.channel)
	mux.HandleFunc("POST /pusher/user-auth", auth.user)
	mux.HandleFunc("POST /broadcasting/auth", auth.channel) // where Laravel Echo asks
	mux.HandleFunc("POST /broadcasting/user-auth", auth.user)
	mux.Handle("POST /say", publish(hub, options.Logger, chatChannel, "said"))
	mux.Handle("POST /news", publish(hub, options.Logger, newsChannel, "published"))
	servePage(mux, s, options.Logger)
	a := &app{Handler: mux, hub: hub}
	if s.relay != nil {
		a.relay = relayTo(*s.relay, hub, todos, s)
	}
	return a
}

// publish has Go code tell everybody on a channel what a form says.
func publish(hub *live.Hub, logger *slog.Logger, channel, event string) http.Handler {
	type said struct {
		Name string `json:"name"`
		Text string `json:"text"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := nameOf(r)
		text := strings.TrimSpace(r.PostFormValue("text"))
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		case text == "" || len(text) > 1000:
			http.Error(w, "Please write something, and not more than 1000 bytes.", http.StatusUnprocessableEntity)
			return
		}
		if err := hub.Publish(r.Context(), channel, pusher.Event{Name: event, Data: said{name, text}}); err != nil {
			logger.Error("a message could not be published", "channel", channel, "error", err)
			http.Error(w, "It could not be published.", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

//go:embed static
var static embed.FS

// The file that the page loads without -pusher-js, as npm has it, and its digest: a CDN that serves another one is not believed.
const (
	cdn       = "https://cdn.jsdelivr.net/npm/pusher-js@8.6.0/dist/web/pusher.min.js"
	integrity = "sha384-yz6oLe92Sren05O3WPhu8DK05E9PEkh7kTQJ819acmwKwcCMwJXGu9Kta5wYhfaJ"
)

// servePage serves the page and what it loads.
func servePage(mux *http.ServeMux, s settings, logger *slog.Logger) {
	page := template.Must(template.ParseFS(static, "static/page.html"))
	script := struct{ Script, Integrity, Key string }{cdn, integrity, s.apps[0].Key}
	if s.script != "" {
		script.Script, script.Integrity = "/pusher.js", ""
		mux.HandleFunc("GET /pusher.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, s.script) })
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var html bytes.Buffer
		if err := page.Execute(&html, script); err != nil {
			logger.Error("the page could not be rendered", "error", err)
			http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' https://cdn.jsdelivr.net; connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; frame-ancestors 'none'")
		w.Write(html.Bytes())
	})
	mux.Handle("GET /static/", http.FileServerFS(static))
}
