// Pusher is a small application for clients that run no code of ours: pusher-js, Laravel Echo and the server libraries of Pusher. It has a chat on a
// presence channel, to-do lists of a router that is offered as private channels, and the endpoints that say who may subscribe to what.
//
//	go run ./examples/pusher
//
// With its flags it is also what the tests of this repository, and any others, point the real libraries at: see README.md.
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
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/internal/brokers"
	"github.com/swampline/live/transport/pusher"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "pusher:", err)
		}
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	addr, file, broker, script, webhook string
	apps                                []pusher.App
	clientEvents, tlsOnly               bool
	disabled                            string
	connections                         int
	activity, lease                     time.Duration
	relay                               *hosted
}

func parseFlags(args []string, stderr io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("pusher", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "localhost:8080", "the address to listen on; port 0 takes a free one")
	flags.StringVar(&s.file, "db", "pusher.db", "the SQLite file that keeps the to-do lists; it is made when it is missing")
	flags.StringVar(&s.broker, "broker", "memory", "the log that several processes share, "+brokers.Forms+"; memory is that of this one")
	flags.StringVar(&s.script, "pusher-js", "", "a file to serve pusher-js from; without it the page loads it from a CDN")
	flags.BoolVar(&s.clientEvents, "client-events", true, "whether clients may send events to private and presence channels")
	flags.BoolVar(&s.tlsOnly, "tls-only", false, "send clients that come without TLS to wss")
	flags.IntVar(&s.connections, "max-connections", 0, "how many connections each app may have; 0 is no bound")
	flags.StringVar(&s.disabled, "disable", "", "the `id` of an app that is refused everything")
	flags.DurationVar(&s.lease, "lease", 45*time.Second, "after how long a server that was killed is taken for gone: a second or more")
	flags.Func("relay", "the `URL` https://KEY:SECRET@host/apps/ID of a service that is to tell its own clients of the lists and the news, too", func(text string) error {
		service, err := parseHosted(text)
		s.relay = &service
		return err
	})
	flags.Func("app", "an `id:key:secret`; repeat it for several apps (default demo:demo-key:demo-secret)", s.addApp)
	flags.Func("webhook", "the `URL` that is told what happens on all apps", func(text string) error {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return errors.New("want a whole URL, as http://localhost:9000/hook")
		}
		s.webhook = text
		return nil
	})
	flags.Func("activity-timeout", "after how many seconds of silence a connection is asked whether it is there: 30, or 30s (default 120)", func(text string) error {
		if n, err := strconv.Atoi(text); err == nil {
			text = strconv.Itoa(n) + "s"
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second || d%time.Second != 0 {
			return errors.New("want whole seconds, one at least")
		}
		s.activity = d
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("what is %q? There are flags only", flags.Arg(0))
	}
	switch {
	case s.lease < time.Second:
		return s, fmt.Errorf("-lease is %v: that is too short for two machines to agree on", s.lease)
	case s.connections < 0:
		return s, fmt.Errorf("-max-connections is %d: want a number, or 0 for no bound", s.connections)
	}
	if s.broker == "memory" {
		s.broker = ""
	}
	if len(s.apps) == 0 {
		s.apps = []pusher.App{{ID: "demo", Key: "demo-key", Secret: "demo-secret"}}
	}
	for i := range s.apps {
		a := &s.apps[i]
		a.ClientEvents, a.SubscriptionCount, a.Watchlist, a.Webhook = s.clientEvents, true, true, s.webhook
		a.TLSOnly, a.MaxConnections, a.Disabled = s.tlsOnly, s.connections, a.ID == s.disabled
		if i > 0 { // the channels of the first one are those of the hub
			a.Prefix = a.ID + ":"
		}
	}
	return s, nil
}

var appID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// addApp takes one -app.
func (s *settings) addApp(text string) error {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 || !appID.MatchString(parts[0]) || !appID.MatchString(parts[1]) || parts[2] == "" {
		return errors.New("want id:key:secret, with an id and a key of letters, digits, - and _")
	}
	for _, other := range s.apps {
		if other.ID == parts[0] || other.Key == parts[1] {
			return errors.New("another app has this id, or this key")
		}
	}
	s.apps = append(s.apps, pusher.App{ID: parts[0], Key: parts[1], Secret: parts[2]})
	return nil
}

// run serves until ctx ends, then sends every client away and returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, s.file)
	if err != nil {
		return err
	}
	defer store.Close()
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	shared, err := brokers.Open(ctx, s.broker, "pusher", store.db, logger)
	if err != nil {
		return err
	}
	defer shared.Close()
	app := newApp(store, s, live.Options{Logger: logger, Broker: shared.Broker, Outbox: shared.Outbox})

	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           app,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	relayed := app.startRelay(ctx, logger)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	host, _, _ := net.SplitHostPort(s.addr)
	if host == "" {
		host = "localhost"
	}
	port := listener.Addr().(*net.TCPAddr).Port
	fmt.Fprintf(stdout, "The chat is at http://%s for the app %s with the key %s. Ctrl+C stops.\n", net.JoinHostPort(host, strconv.Itoa(port)), s.apps[0].ID, s.apps[0].Key)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	relayed()
	goodbye, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// The hub goes first: it sends the clients away, one after the other.
	return errors.Join(app.hub.Shutdown(goodbye), server.Shutdown(goodbye))
}
