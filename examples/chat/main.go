// Chat is a chat: rooms that are public or private, history, what is unread, mentions, who is here and who is typing, and notifications
// that follow people to all their devices, and by e-mail when they are away.
//
//	go run ./examples/chat
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
	"sync"
	"syscall"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
	"github.com/swampline/live/examples/internal/brokers"
	"github.com/swampline/live/presence"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "chat:", err)
		}
		os.Exit(1)
	}
}

// run serves until ctx ends, then says goodbye to every browser and returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "the address to listen on; port 0 takes a free one")
	file := flags.String("db", "chat.db", "the SQLite file that keeps everything; it is made when it is missing")
	address := flags.String("broker", "", "the log that several processes share, "+brokers.Forms+"; none is the memory of this one")
	mails := mailing{username: os.Getenv("SMTP_USERNAME"), password: os.Getenv("SMTP_PASSWORD")}
	flags.StringVar(&mails.server, "smtp", "", "the mail server, with its port, for mails to who is away; SMTP_USERNAME and SMTP_PASSWORD are for it")
	flags.StringVar(&mails.folder, "mail-dir", "", "a directory that mails are written into instead")
	flags.StringVar(&mails.from, "mail-from", "chat@localhost", "the sender of mails")
	flags.StringVar(&mails.url, "url", "", "where the chat is, for the links in mails, such as https://chat.example.com")
	after := flags.Duration("mail-after", 2*time.Minute, "how long who is away has time before a mail is sent")
	if err := flags.Parse(args); err != nil {
		return err
	}

	store, err := openStore(ctx, *file)
	if err != nil {
		return err
	}
	defer store.Close()
	away, err := mails.backend(store)
	if err != nil {
		return err
	}

	logger := slog.New(slog.NewTextHandler(stderr, nil))
	shared, err := brokers.Open(ctx, *address, "chat", store.db, logger)
	if err != nil {
		return err
	}
	defer shared.Close()
	app := newApp(store, live.Options{Logger: logger, Broker: shared.Broker, Outbox: shared.Outbox}, notify.Options{Away: away, After: *after})

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return errors.Join(err, app.close(ctx))
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
	fmt.Fprintf(stdout, "Your chat is at %s and in %s. Ctrl+C stops.\n", browserURL(*addr, listener), *file)

	var failed error
	select {
	case failed = <-served:
	case <-ctx.Done():
	}
	goodbye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The hub goes first: it ends the streams, which Shutdown would otherwise wait for.
	return errors.Join(failed, app.close(goodbye), server.Shutdown(goodbye))
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

// chat is the whole application: an http.Handler over a store. The routers are declared one model a file.
type chat struct {
	http.Handler
	store     *store
	hub       *live.Hub
	logger    *slog.Logger
	templates *template.Template

	people   *live.Router[Person]
	rooms    *live.Router[Room]
	members  *live.Router[Member]
	messages *live.Router[Message]
	marks    *live.Router[Mark]
	notes    *notify.Center
	presence *presence.Presence

	ended chan struct{}  // closed at the end
	later sync.WaitGroup // what goes on until then
}

// newChat declares the routers.
func newChat(store *store, logger *slog.Logger, notes notify.Options) *chat {
	c := &chat{store: store, logger: logger, templates: parseTemplates(), ended: make(chan struct{})}
	c.people = c.peopleRouter()
	c.rooms = c.roomsRouter()
	c.members = c.membersRouter()
	c.messages = c.messagesRouter()
	c.marks = c.marksRouter()
	notes.Logger = logger
	notes.Person = func(ctx context.Context) (string, error) {
		p, err := me(ctx)
		return idText(p.ID), err
	}
	notes.Here = c.looking
	c.notes = notify.New(store.db, notes)
	return c
}

func (c *chat) endpoints() []live.Endpoint {
	return []live.Endpoint{c.people, c.rooms, c.members, c.messages, c.marks, c.notes.Router(), &live.Channel{Name: online, Subscribe: signedIn}}
}

// register adds all that there is to a hub.
func (c *chat) register(hub *live.Hub) {
	c.hub = hub
	hub.Register(c.endpoints()...)
	c.presence = presence.New(hub, presence.Options{Person: present})
}

// newApp serves the chat, until close.
func newApp(store *store, options live.Options, notes notify.Options) *chat {
	c := newChat(store, options.Logger, notes)
	options.Identity, options.Refresh = identity, c.refresh
	options.MaxSubscriptions = maxRooms + 20 // a window counts what is unread in each room
	c.register(live.New(options))

	ctx, stop := context.WithCancel(context.Background())
	c.later.Go(func() { _ = c.notes.Run(ctx) }) // its error is that of the context
	c.later.Go(func() {
		<-c.ended
		stop()
	})

	// Forms come from our own pages only. The hub checks the origin of its requests itself.
	forms := http.NewCrossOriginProtection()

	mux := http.NewServeMux()
	mux.Handle("/live/", c.withPerson(c.hub, http.HandlerFunc(refuse)))
	mux.Handle("GET /{$}", c.withPerson(http.HandlerFunc(c.servePage), http.HandlerFunc(toLogin)))
	mux.Handle("GET /static/", serveStatic())
	mux.HandleFunc("GET /login", c.serveLogin)
	mux.Handle("POST /login", forms.Handler(http.HandlerFunc(c.signIn)))
	mux.Handle("POST /logout", forms.Handler(c.withPerson(http.HandlerFunc(c.signOut), http.HandlerFunc(toLogin))))
	c.Handler = mux
	return c
}

// close says goodbye to every browser, and ends what the application does by itself.
func (c *chat) close(ctx context.Context) error {
	err := c.hub.Shutdown(ctx)
	close(c.ended)
	c.later.Wait()
	return err
}
