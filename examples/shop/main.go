// Shop is a small shop that shows what routers and serializers can do: views for guests and staff, relations between models,
// nested rows, windows that grow, counts, validation, verbs of the application's own and transactions. It runs on
// SQLite, or on PostgreSQL with -db postgres://…
//
//	go run ./examples/shop
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
	"github.com/swampline/live/pgsource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "shop:", err)
		}
		os.Exit(1)
	}
}

// run serves until ctx ends, then says goodbye to every browser and returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "the address to listen on; port 0 takes a free one")
	database := flags.String("db", "shop.db", "the SQLite file, which is made when it is missing, or the postgres:// URL of a database")
	capture := flags.Bool("capture", false, "with PostgreSQL: publish what anybody else writes to the table of products, too")
	statements := flags.Bool("sql", false, "log the statements that the database is asked")
	if err := flags.Parse(args); err != nil {
		return err
	}

	logger := slog.New(slog.NewTextHandler(stderr, nil))
	store, err := openStore(ctx, *database)
	if err != nil {
		return err
	}
	defer store.Close()
	if *statements {
		store.watch = func(statement string) { logger.Info("sql", "statement", statement) }
	}

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	app := newApp(store, logger)
	var source *pgsource.Source
	if *capture {
		if source, err = app.capture(ctx, logger); err != nil {
			return errors.Join(err, app.hub.Shutdown(ctx))
		}
	}
	// Streams stay open for hours, so there is a limit on reading a request's header and none on writing an answer.
	server := &http.Server{
		Handler:           app,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 2)
	go func() { served <- server.Serve(listener) }()
	if source != nil {
		go func() {
			if err := source.Run(ctx); err != nil {
				served <- err
			}
		}()
	}
	fmt.Fprintf(stdout, "Your shop is at %s (Ctrl+C closes it).\n", browserURL(*addr, listener))

	var failed error
	select {
	case failed = <-served:
	case <-ctx.Done():
	}
	goodbye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The hub goes first: it ends the streams, which Shutdown would otherwise wait for.
	return errors.Join(failed, app.hub.Shutdown(goodbye), server.Shutdown(goodbye))
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
	*shop
	hub *live.Hub
}

func newApp(store *store, logger *slog.Logger) *app {
	shop := newShop(store)
	hub := live.New(live.Options{Broker: store.log(logger), Logger: logger, Identity: identity, Refresh: shop.refresh})
	hub.Register(shop.endpoints()...)

	// Forms come from our own pages only. The hub checks the origin of its requests itself.
	forms := http.NewCrossOriginProtection()

	mux := http.NewServeMux()
	mux.Handle("/live/", shop.withVisitor(hub, logger))
	mux.Handle("GET /{$}", shop.withVisitor(shop.servePage(logger), logger))
	mux.Handle("GET /static/", serveStatic())
	mux.Handle("POST /role", forms.Handler(shop.withVisitor(shop.changeRole(hub, logger), logger)))
	return &app{Handler: mux, shop: shop, hub: hub}
}

// shop holds the routers. They are declared one model a file.
type shop struct {
	store       *store
	categories  *live.Router[Category]
	tags        *live.Router[Tag]
	productTags *live.Router[ProductTag]
	products    *live.Router[Product]
	orders      *live.Router[Order]
	lines       *live.Router[Line]
	customers   *live.Router[Customer]
}

func newShop(store *store) *shop {
	s := &shop{store: store}
	s.categories = s.categoriesRouter()
	s.tags = s.tagsRouter()
	s.productTags = s.productTagsRouter()
	s.products = s.productsRouter()
	s.orders = s.ordersRouter()
	s.lines = s.linesRouter()
	s.customers = s.customersRouter()
	return s
}

func (s *shop) endpoints() []live.Endpoint {
	return []live.Endpoint{s.categories, s.tags, s.productTags, s.products, s.orders, s.lines, s.customers}
}
