// Editing is a desk at which several people write articles: who is here, who is editing what, and nobody overwrites a colleague.
// It is a plain net/http application with plain database/sql under it, whose forms work without a script; live is the one handler at /live/,
// the declaration in articles.go, and presence.
//
//	go run ./examples/editing
//
// With -broker several processes are one application: see package brokers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/internal/brokers"
	"github.com/swampline/live/presence"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "editing:", err)
		}
		os.Exit(1)
	}
}

// run serves until ctx ends, then says goodbye to every browser and returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("editing", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "the address to listen on; port 0 takes a free one")
	file := flags.String("db", "editing.db", "the SQLite file that keeps the articles; it is made when it is missing")
	address := flags.String("broker", "", "the log that several processes share, "+brokers.Forms+"; none is the memory of this one")
	lease := flags.Duration("lease", 0, "how long somebody is still shown whose browser crashed, or polls no more; 0 is 45 s")
	lock := flags.Bool("lock", false, "let only one at a time write in an article: who begins has its lock, and the others read")
	if err := flags.Parse(args); err != nil {
		return err
	}

	store, err := openStore(ctx, *file)
	if err != nil {
		return err
	}
	defer store.Close()

	logger := slog.New(slog.NewTextHandler(stderr, nil))
	shared, err := brokers.Open(ctx, *address, "editing", store.db, logger)
	if err != nil {
		return err
	}
	defer shared.Close()
	app := newApp(store, live.Options{Logger: logger, Broker: shared.Broker, Outbox: shared.Outbox}, presence.Options{Lease: *lease}, *lock)

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	// Streams stay open for hours, so there is a limit on reading a request's header and none on writing an answer.
	server := &http.Server{
		Handler:           app,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "The desk is at %s and in %s. Ctrl+C stops.\n", browserURL(*addr, listener), *file)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	goodbye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The hub goes first: it ends the streams, which Shutdown would otherwise wait for.
	return errors.Join(app.hub.Shutdown(goodbye), server.Shutdown(goodbye))
}

// browserURL returns what to open in a browser on this machine: the host as it was asked for, and the port that it became.
func browserURL(addr string, listener net.Listener) string {
	host, _, _ := net.SplitHostPort(addr)
	if host == "" {
		host = "localhost"
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// app is the whole application: an http.Handler over a store.
type app struct {
	http.Handler
	store     *store
	logger    *slog.Logger
	templates *template.Template
	hub       *live.Hub
	articles  *live.Router[Article]
	presence  *presence.Presence
	lock      bool // only who has an article's lock can save it
}

func newApp(store *store, options live.Options, here presence.Options, lock bool) *app {
	a := &app{store: store, logger: options.Logger, templates: parseTemplates(), articles: articlesRouter(store), lock: lock}
	options.Author = author
	a.hub = live.New(options)
	here.Person, here.MayTakeOver = whoIs, a.mayTakeOver
	a.presence = presence.New(a.hub, here)
	if lock {
		a.articles.Before = presence.RequireLock(a.presence, lockOf, keepToken)
	}
	a.hub.Register(a.articles)

	// Forms come from our own pages only. The hub checks the origin of its requests itself.
	forms := http.NewCrossOriginProtection()

	pages := http.NewServeMux()
	pages.Handle("GET /login", http.HandlerFunc(a.showLogin))
	pages.Handle("POST /login", http.HandlerFunc(a.login))
	pages.Handle("POST /logout", http.HandlerFunc(a.logout))
	pages.Handle("GET /{$}", signedIn(a.showList))
	pages.Handle("POST /articles", signedIn(a.createArticle))
	pages.Handle("GET /articles/{id}", signedIn(a.showArticle))
	pages.Handle("POST /articles/{id}", signedIn(a.saveArticle))
	pages.Handle("POST /articles/{id}/delete", signedIn(a.deleteArticle))

	mux := http.NewServeMux()
	mux.Handle("/live/", withPerson(store, a.logger, a.hub))
	mux.Handle("GET /static/", serveStatic())
	mux.Handle("/", forms.Handler(withPerson(store, a.logger, pages)))
	a.Handler = mux
	return a
}
