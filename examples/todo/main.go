// Todo is a shared to-do list: what one visitor does appears in front of everybody else at once, over whichever
// transport gets through. It is a plain net/http application with plain database/sql under it; live is the one handler
// at /live/ and two declarations, in lists.go and todos.go.
//
//	go run ./examples/todo
//
// With -broker several processes are one application: see package brokers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "todo:", err)
		}
		os.Exit(1)
	}
}

// run serves until ctx ends, then says goodbye to every browser and returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("todo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "the address to listen on; port 0 takes a free one")
	file := flags.String("db", "todo.db", "the SQLite file that keeps the lists; it is made when it is missing")
	address := flags.String("broker", "", "the log that several processes share, "+brokers.Forms+"; none is the memory of this one")
	if err := flags.Parse(args); err != nil {
		return err
	}

	store, err := openStore(ctx, *file)
	if err != nil {
		return err
	}
	defer store.Close()

	logger := slog.New(slog.NewTextHandler(stderr, nil))
	shared, err := brokers.Open(ctx, *address, "todo", store.db, logger)
	if err != nil {
		return err
	}
	defer shared.Close()
	app := newApp(store, live.Options{Logger: logger, Broker: shared.Broker, Outbox: shared.Outbox})

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
	fmt.Fprintf(stdout, "Your lists are at %s and in %s. Ctrl+C stops.\n", browserURL(*addr, listener), *file)

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
	hub *live.Hub
}

func newApp(store *store, options live.Options) *app {
	todos := todosRouter(store)
	lists := listsRouter(store, todos)

	hub := live.New(options)
	hub.Register(lists, todos)

	// Forms come from our own pages only. The hub checks the origin of its requests itself.
	forms := http.NewCrossOriginProtection()

	mux := http.NewServeMux()
	mux.Handle("/live/", withVisitor(hub))
	mux.Handle("GET /{$}", servePage(options.Logger))
	mux.Handle("GET /static/", serveStatic())
	mux.Handle("POST /visitor", forms.Handler(http.HandlerFunc(renameVisitor)))
	mux.Handle("POST /lists/{id}/clear", forms.Handler(withVisitor(clearDone(store, todos, options.Logger))))
	return &app{Handler: mux, hub: hub}
}
