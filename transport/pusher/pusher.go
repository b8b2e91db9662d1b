package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/presence"
	"github.com/swampline/live/transport"
)

// Options configure a Server. A zero duration or number means the default.
type Options struct {
	// Apps are the applications. Find is asked for others, by the key that a client gives or the id in a URL of the HTTP API: for applications that
	// are in a database. It returns ErrNoApp for one that does not exist; it is called for each connection and request, by many goroutines at once. One
	// of the two must be set.
	Apps []App
	Find func(ctx context.Context, by Lookup) (App, error)
	// Presence is that of the hub. Nil: New makes one, whose clients of this module's own protocol are all guests.
	Presence *presence.Presence
	// ActivityTimeout is how long nothing may be heard of a connection before it is asked whether it is there, in whole seconds; PongTimeout, how
	// long the answer may take. Default 120 s and 30 s.
	ActivityTimeout, PongTimeout time.Duration
	// MaxChannels bounds the subscriptions of a connection. Default 100.
	MaxChannels int
	// MaxMembers bounds the users on a presence channel; clients of this module's own protocol may be more. Default 100.
	MaxMembers int
	// Routers are offered as private channels.
	Routers []Offer
	// Webhooks say how what happens is posted to the URLs of apps.
	Webhooks WebhookOptions
}

func (o Options) withDefaults() Options {
	if o.ActivityTimeout <= 0 {
		o.ActivityTimeout = 120 * time.Second
	}
	if o.PongTimeout <= 0 {
		o.PongTimeout = 30 * time.Second
	}
	if o.MaxChannels <= 0 {
		o.MaxChannels = 100
	}
	if o.MaxMembers <= 0 {
		o.MaxMembers = 100
	}
	return o
}

// check refuses options that cannot be served.
func (o *Options) check(has func(router string) bool) error {
	if len(o.Apps) == 0 && o.Find == nil {
		return errors.New("there is no app: set Options.Apps, or Find")
	}
	if err := checkApps(o.Apps); err != nil {
		return err
	}
	if o.ActivityTimeout%time.Second != 0 {
		return fmt.Errorf("ActivityTimeout is %v: clients are told whole seconds: want one at least", o.ActivityTimeout)
	}
	for i := range o.Routers {
		if err := o.Routers[i].check(has); err != nil {
			return err
		}
	}
	return nil
}

// Server serves the Pusher Channels protocol on a hub. Make one with New; mount it at /app/ and /apps/, below whatever path. Its methods may
// be called by any goroutine. It ends with the hub.
type Server struct {
	options  Options
	hub      extend.Protocol
	presence *presence.Presence
	census   *registry
	hooks    hooks
	api      *api // of /apps/
	cache    *cache
	sharing  *sharing
	logger   *slog.Logger

	mu    sync.Mutex
	conns map[string]map[*connection]struct{} // by the app's id
	users map[string]map[*connection]struct{} // by the app's id and the user's
}

var _ backend = (*Server)(nil)

// New adds Pusher's protocol to a hub, before that serves clients. The routers that are offered must have been registered. It panics with a sentence
// that tells how to mend it when something is wrong with the options.
func New(hub *live.Hub, o Options) *Server { return newServer(hub, o, nil) }

// newServer is New with other hooks than webhooks, unless they are nil.
func newServer(hub *live.Hub, o Options, told hooks) *Server {
	o = o.withDefaults()
	protocol := hub.Protocol()
	if err := o.check(protocol.Has); err != nil {
		panic("pusher: " + err.Error())
	}
	s := &Server{
		options: o, hub: protocol, presence: o.Presence, hooks: told, cache: newCache(), logger: protocol.Logger(),
		conns: map[string]map[*connection]struct{}{}, users: map[string]map[*connection]struct{}{},
	}
	if s.presence == nil {
		s.presence = presence.New(hub, presence.Options{Person: func(context.Context) (presence.Person, error) { return presence.Person{}, nil }})
	}
	s.api = &api{find: s.byID, backend: s, logger: s.logger}
	var posted *webhooks
	if s.hooks == nil {
		posted = newWebhooks(o.Webhooks, s.logger)
		s.hooks = posted
	}
	s.census = newRegistry(s.presence, s.hooks, s.directory(), s.logger)
	if posted != nil {
		protocol.Go(func(ctx context.Context) { s.endHooks(ctx, posted) })
	}
	s.sharing = newSharing(s)
	protocol.Go(s.sharing.run)
	protocol.Listen(extend.Listener{Seen: s.seen, Began: s.sharing.began})
	return s
}

// ServeHTTP serves clients at /app/{key}, and the HTTP API below /apps/{id}/, whatever stands before that in the path. Pages of any origin may
// connect: nothing that a client may do goes by his cookies.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(r.URL.Path, "/")
	at := slices.Index(path, "app")
	if n := len(path) - 2; n >= 0 && path[n] == "app" { // it may be mounted below one, too
		at = n
	}
	if at >= 0 && (socketTransport.Accepts(r) || !slices.Contains(path, "apps")) {
		s.connect(w, r, path[at:])
		return
	}
	s.api.ServeHTTP(w, r)
}

// foreign is a connection as the hub serves it.
func foreign(c *connection, opened *bool) extend.Foreign {
	return extend.Foreign{
		Transport: socketTransport, Name: "pusher",
		Dialect: &session.Dialect{App: c, MaxSubscriptions: 2*c.server.options.MaxChannels + 1, Answer: c.answer, Deliver: c.deliver},
		Open: func(s *session.Session, o *transport.Options) transport.Session {
			*opened = true
			return c.open(s, o)
		},
		Closed: c.end,
	}
}

// enter counts a connection in, unless its app has as many as it may.
func (s *Server) enter(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.conns[c.app.ID]
	if most := c.app.MaxConnections; most > 0 && len(of) >= most {
		return false
	}
	into(s.conns, c.app.ID, c)
	return true
}

// leave counts it out, with the user who was signed in on it.
func (s *Server) leave(c *connection, u *user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from(s.conns, c.app.ID, c)
	if u != nil {
		from(s.users, spotOf(c.app.ID, u.id), c)
	}
}

// signedIn notes whose a connection is.
func (s *Server) signedIn(c *connection, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	into(s.users, spotOf(c.app.ID, user), c)
}

func spotOf(app, user string) string { return app + "/" + user }

func into(m map[string]map[*connection]struct{}, key string, c *connection) {
	if m[key] == nil {
		m[key] = map[*connection]struct{}{}
	}
	m[key][c] = struct{}{}
}

func from(m map[string]map[*connection]struct{}, key string, c *connection) {
	if delete(m[key], c); len(m[key]) == 0 {
		delete(m, key)
	}
}

// seen follows the log.
func (s *Server) seen(at broker.Position, e *record.Entry) {
	s.cache.seen(at, e)
	if e == nil {
		return
	}
	for i := range e.Messages {
		if e.Messages[i].Channel == orders {
			s.obey(e.Messages[i].Data)
		}
	}
}

// orders is where nodes tell each other what to do: no channel that a client could follow.
const orders = "#pusher"

// order is what a node is told to do.
type order struct {
	// Terminate closes the connections of a user of an app.
	App       string `json:"app,omitempty"`
	Terminate string `json:"terminate,omitempty"`
	// Asks is the node that wants to know what is kept of cache channels, Answers the one that is told it.
	Asks    string        `json:"asks,omitempty"`
	Answers string        `json:"answers,omitempty"`
	Cached  []sharedEvent `json:"cached,omitempty"`
}

// obey does what a node was told to do. It does not wait.
func (s *Server) obey(data []byte) {
	var o order
	if json.Unmarshal(data, &o) != nil {
		return
	}
	if o.Terminate == "" {
		s.sharing.heard(&o)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.users[spotOf(o.App, o.Terminate)] {
		c.later(c.terminate)
	}
}

// terminate closes a connection because its user is not to be here.
func (c *connection) terminate() {
	c.CloseWith(&transport.ClosedError{Status: codeUnauthorised, Code: "terminated"}, failure(codeUnauthorised, "the connections of this user were terminated"))
}

// publish puts one message on the log, also when whoever asked for it has gone.
func (s *Server) publish(ctx context.Context, channel string, data, note json.RawMessage) error {
	return s.hub.Publish(context.WithoutCancel(ctx), record.Message{Channel: channel, Data: data, Note: note})
}

// trigger implements backend.
func (s *Server) trigger(ctx context.Context, app *App, events []outgoing) error {
	var messages []record.Message
	for i := range events {
		for _, channel := range events[i].channels {
			messages = append(messages, messageOf(app, channel, &events[i]))
		}
	}
	return s.hub.Publish(ctx, messages...)
}

// terminate implements backend.
func (s *Server) terminate(ctx context.Context, app *App, user string) error {
	data, err := wire.Marshal(order{App: app.ID, Terminate: user})
	if err != nil {
		return err
	}
	return s.publish(ctx, orders, data, nil)
}

// channels implements backend.
func (s *Server) channels(app *App, prefix string) map[string]occupancy {
	return s.census.channels(app, prefix)
}

// channel implements backend.
func (s *Server) channel(app *App, name string) occupancy { return s.census.occupancy(app, name) }

// members implements backend.
func (s *Server) members(app *App, name string) []string {
	ids := []string{}
	for _, m := range s.presence.At(presence.Place{Channel: hubChannel(app, name)}) {
		ids = append(ids, m.Person)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// cached implements backend.
func (s *Server) cached(app *App, name string) (event outgoing, ttl time.Duration, ok bool) {
	k := s.cache.of(hubChannel(app, name))
	if k == nil {
		return event, 0, false
	}
	l, _ := readMessage(&record.Message{Data: k.data})
	if json.Unmarshal(l.event, &event.name) != nil || json.Unmarshal(l.data, &event.data) != nil {
		return event, 0, false
	}
	event.channels = []string{name}
	return event, time.Until(k.until), true
}

// problemOf is what a client is told of an application's error.
func problemOf(err error) error {
	var told *live.Error
	if errors.As(err, &told) {
		p := live.ProblemOf(err)
		return wire.NewProblem(p.Status, p.Code, p.Detail)
	}
	return err
}
