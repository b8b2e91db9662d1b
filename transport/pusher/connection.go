package pusher

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/internal/rate"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// The codes of errors and of close frames. Up to 4099 a client does not come back as it is, from 4100 after a while, from 4200 at once; from
// 4300 they are told on a connection that stays open.
const (
	codeTLSOnly             = 4000
	codeNoSuchApp           = 4001
	codeAppDisabled         = 4003
	codeOverQuota           = 4004
	codeNoSuchPath          = 4005
	codeBadVersion          = 4006
	codeUnsupportedProtocol = 4007
	codeNoProtocol          = 4008
	codeUnauthorised        = 4009
	codeOverCapacity        = 4100
	codeReconnectNow        = 4200
	codeNoPong              = 4201
	codeClientEventRefused  = 4301
	codeWatchlistTooLong    = 4302
)

// connection is one client. It implements transport.Session, and session.App for the session that it is.
type connection struct {
	*session.Session
	server *Server
	app    *App
	socket string // its id
	born   time.Time
	heard  atomic.Int64 // when something was, since born
	alive  atomic.Bool  // something was since the last ping

	mu     sync.Mutex
	subs   subscriptions
	lastID int64
	timer  *time.Timer
	pinged bool
	closed bool
	// signedOut says that the hub has sent its caller away, leaving that it asked the client to go.
	signedOut, leaving bool
	user               *user        // who is signed in; nil for nobody
	events             *rate.Bucket // of client events; nil before the first
}

var _ transport.Session = (*connection)(nil)

// eventID is the id of the messages that publish client events; subscriptions have others.
const eventID = 1

func newConnection(s *Server, app *App) *connection {
	return &connection{server: s, app: app, socket: newSocketID(), lastID: eventID, born: time.Now()}
}

// newSocketID draws the id of a connection: two numbers that nobody can guess, for signatures hold it.
func newSocketID() string {
	var b [16]byte
	rand.Read(b[:]) // it does not fail
	const exact = 1<<53 - 1
	return fmt.Sprintf("%d.%d", binary.LittleEndian.Uint64(b[:8])&exact, binary.LittleEndian.Uint64(b[8:])&exact)
}

// open is called with the session before anything is said.
func (c *connection) open(s *session.Session, o *transport.Options) transport.Session {
	c.mu.Lock()
	c.Session = s
	c.mu.Unlock()
	timeout := c.server.options.ActivityTimeout
	o.PingInterval, o.PongTimeout = timeout, c.server.options.PongTimeout
	s.Say(sayJSON("pusher:connection_established", "", struct {
		SocketID        string `json:"socket_id"`
		ActivityTimeout int    `json:"activity_timeout"`
	}{c.socket, int(timeout / time.Second)}))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.timer = time.AfterFunc(timeout, c.beat)
	}
	return c
}

// hear notes that the client said something.
func (c *connection) hear() {
	c.heard.Store(int64(time.Since(c.born)))
	c.alive.Store(true)
}

// beat asks a client of which nothing was heard whether it is there, and closes the connection if it does not answer.
func (c *connection) beat() {
	timeout, pongTimeout := c.server.options.ActivityTimeout, c.server.options.PongTimeout
	c.mu.Lock()
	quiet := time.Since(c.born) - time.Duration(c.heard.Load())
	ask, over := false, false
	switch {
	case c.closed:
	case c.pinged && !c.alive.Load():
		over = true
	case quiet >= timeout && !c.pinged:
		ask, c.pinged = true, true
		c.alive.Store(false)
		c.timer.Reset(pongTimeout)
	default:
		c.pinged = false
		c.timer.Reset(max(timeout-quiet, time.Millisecond))
	}
	c.mu.Unlock()
	if ask {
		c.Say(ping)
	}
	if over {
		c.CloseWith(&transport.ClosedError{Status: codeNoPong, Code: "no pong in time"}, failure(codeNoPong, "no pong in time"))
	}
}

// end is called once the session is over.
func (c *connection) end() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	subs, u := c.subs, c.user
	c.subs, c.user = nil, nil
	for _, s := range subs {
		s.settle(errUnsubscribed)
	}
	opened := c.Session != nil
	c.mu.Unlock()
	c.server.leave(c, u)
	if !opened {
		return
	}
	c.later(func() {
		for _, s := range subs {
			c.left(s, true)
		}
		if u != nil && u.leave != nil {
			u.leave()
		}
	})
}

// take handles one frame.
func (c *connection) take(ctx context.Context, f *clientFrame) error {
	switch {
	case f.Event == "pusher:ping":
		c.Say(pong)
	case f.Event == "pusher:pong":
	case f.Event == "pusher:subscribe":
		return c.subscribe(ctx, f)
	case f.Event == "pusher:unsubscribe":
		c.unsubscribe(f)
	case f.Event == "pusher:signin":
		c.signin(f)
	case strings.HasPrefix(f.Event, "client-"):
		return c.clientEvent(ctx, f)
	default:
		c.Say(failure(0, "no client may send the event "+strconv.Quote(session.Clip(f.Event))))
	}
	return nil
}

// refusal is why a request is not let in: a code, and what it means.
type refusal struct {
	code    int
	message string
}

// admit finds the app that a request wants to connect to.
func (s *Server) admit(r *http.Request, path []string) (*App, *refusal) {
	if len(path) != 2 || path[1] == "" {
		return nil, &refusal{codeNoSuchPath, "want /app/ and the key of an app"}
	}
	app, err := s.app(r.Context(), Lookup{Key: path[1]})
	if err != nil {
		return nil, s.unknown(r, err)
	}
	switch {
	case app.Disabled:
		return nil, &refusal{codeAppDisabled, "the app is disabled"}
	case app.TLSOnly && r.TLS == nil:
		return nil, &refusal{codeTLSOnly, "the app wants TLS: connect to wss"}
	}
	query := r.URL.Query()
	protocol, version := query.Get("protocol"), query.Get("version")
	n, err := strconv.Atoi(protocol)
	switch {
	case protocol == "":
		return nil, &refusal{codeNoProtocol, "want the parameter protocol"}
	case err != nil || len(version) > 64 || version != "" && !strings.ContainsAny(version, "0123456789"):
		return nil, &refusal{codeBadVersion, "the version is no version"}
	case n < 5 || n > 7:
		return nil, &refusal{codeUnsupportedProtocol, "the protocols 5 to 7 are supported, not " + strconv.Itoa(n)}
	}
	return app, nil
}

// unknown is why an app was not found. What failed in the application the client is not told: it is to come again.
func (s *Server) unknown(r *http.Request, err error) *refusal {
	if isNoApp(err) {
		return &refusal{codeNoSuchApp, "no app has this key"}
	}
	session.Report(r.Context(), s.logger, err, "remote", r.RemoteAddr)
	return &refusal{codeOverCapacity, "the server cannot find the app at the moment"}
}

// connect serves a request for a connection.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, path []string) {
	if !socketTransport.Accepts(r) {
		w.Header().Set("Upgrade", "websocket")
		transport.WriteProblem(w, http.StatusUpgradeRequired, wire.NewProblem(http.StatusUpgradeRequired, "method_not_allowed",
			"this is where clients of Pusher's connect with a WebSocket").JSON())
		return
	}
	app, no := s.admit(r, path)
	if no == nil {
		no = s.open(w, r, app)
	}
	if no != nil {
		dismiss(w, r, no)
	}
}

// open opens a connection to an app, and reports why not before anything was answered.
func (s *Server) open(w http.ResponseWriter, r *http.Request, app *App) *refusal {
	c := newConnection(s, app)
	if !s.enter(c) {
		return &refusal{codeOverQuota, "the app has as many connections as it may"}
	}
	opened := false
	err := s.hub.Serve(w, r, foreign(c, &opened))
	if opened {
		return nil
	}
	s.leave(c, nil)
	if p, internal := session.Problem(err); !internal {
		return &refusal{codeOverCapacity, p.Detail}
	}
	session.Report(r.Context(), s.logger, err, "remote", r.RemoteAddr)
	return &refusal{codeOverCapacity, "the server cannot take a connection at the moment"}
}
