package pusher_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/relay/pusher"
)

const (
	appID  = "3"
	key    = "278d425bdf160c739803"
	secret = "7ad3773142a6692b25b8"
)

// todo is what the tests relay. Its owner is a matter of rights.
type todo struct {
	ID      int64  `live:"id,key"`
	ListID  int64  `live:"list_id,filter"`
	OwnerID string `live:"owner_id,scope"`
	Title   string `live:"title,write"`
	Price   int64  `live:"price"`
	Version int64  `live:"version,version"`
}

// got is an event as a subscriber of one channel has it.
type got struct{ channel, name, data string }

func (g got) String() string { return g.channel + " " + g.name + " " + g.data }

// service is a Pusher-compatible service that checks what it is asked as the documents say, with code of its own.
type service struct {
	t *testing.T

	mu       sync.Mutex
	events   []got
	requests []string // path and number of events
	occupied []string
	// answer, unless nil, is asked before a request is done; a status other than zero is the answer, a negative one a broken connection.
	answer func(path string, events []got) (status int, header http.Header)
	// after is the same, asked when a request was done.
	after func(path string, events []got) int
}

// RoundTrip serves a request without a network, so that time can stand still.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	broken := false
	func() {
		defer func() {
			if p := recover(); p == http.ErrAbortHandler {
				broken = true
			} else if p != nil {
				panic(p)
			}
		}()
		s.ServeHTTP(w, r)
	}()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if broken {
		return nil, errors.New("connection reset")
	}
	return w.Result(), nil
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if status, why := verify(r, body); status != 0 {
		s.t.Errorf("%s %s: %d %s", r.Method, r.URL.Path, status, why)
		http.Error(w, why, status)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/apps/"+appID)
	if r.Method == http.MethodGet {
		s.channels(w, path, r.URL.Query().Get("filter_by_prefix"))
		return
	}
	events, status, why := parse(path, body)
	if status != 0 {
		s.t.Errorf("%s: %d %s", path, status, why)
		http.Error(w, why, status)
		return
	}
	s.mu.Lock()
	answer, after := s.answer, s.after
	s.mu.Unlock()
	if answer != nil && !s.say(w, answer, path, events) {
		return
	}
	s.mu.Lock()
	s.events = append(s.events, events...)
	s.requests = append(s.requests, fmt.Sprintf("%s %d", path, len(events)))
	s.mu.Unlock()
	if after != nil && after(path, events) < 0 {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, "{}")
}

func (s *service) say(w http.ResponseWriter, answer func(string, []got) (int, http.Header), path string, events []got) bool {
	status, header := answer(path, events)
	switch {
	case status < 0:
		panic(http.ErrAbortHandler)
	case status == 0:
		return true
	}
	for k, v := range header {
		w.Header()[k] = v
	}
	http.Error(w, "no", status)
	return false
}

func (s *service) channels(w http.ResponseWriter, path, prefix string) {
	if path != "/channels" {
		http.NotFound(w, nil)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, path+" "+prefix)
	found := map[string]struct{}{}
	for _, name := range s.occupied {
		if strings.HasPrefix(name, prefix) {
			found[name] = struct{}{}
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"channels": found})
}

// verify checks a signature, with a status other than zero when it is none.
func verify(r *http.Request, body []byte) (status int, why string) {
	q := r.URL.Query()
	var lines []string
	for k, v := range q {
		if k != "auth_signature" {
			lines = append(lines, strings.ToLower(k)+"="+v[0])
		}
	}
	sort.Strings(lines)
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, r.Method+"\n"+r.URL.Path+"\n"+strings.Join(lines, "&"))
	sum := md5.Sum(body)
	stamp, _ := strconv.ParseInt(q.Get("auth_timestamp"), 10, 64)
	switch {
	case q.Get("auth_key") != key || q.Get("auth_version") != "1.0":
		return 401, "the key, or the version"
	case len(body) > 0 && q.Get("body_md5") != hex.EncodeToString(sum[:]):
		return 401, "the digest"
	case time.Since(time.Unix(stamp, 0)).Abs() > 600*time.Second:
		return 401, "the timestamp"
	case q.Get("auth_signature") != hex.EncodeToString(mac.Sum(nil)):
		return 401, "the signature"
	case len(body) > 0 && r.Header.Get("Content-Type") != "application/json":
		return 400, "the content type"
	}
	return 0, ""
}

// parse reads what is triggered, and checks the limits.
func parse(path string, body []byte) (events []got, status int, why string) {
	type item struct {
		Name     string
		Channel  string
		Channels []string
		Data     *string
	}
	var items []item
	switch path {
	case "/events":
		var one item
		if json.Unmarshal(body, &one) != nil || one.Data == nil || len(one.Channels) == 0 || len(one.Channels) > 100 {
			return nil, 400, "the event: " + string(body)
		}
		items = []item{one}
	case "/batch_events":
		var many struct{ Batch []item }
		if json.Unmarshal(body, &many) != nil || len(many.Batch) == 0 || len(many.Batch) > 10 {
			return nil, 400, "the batch: " + string(body)
		}
		items = many.Batch
	default:
		return nil, 404, path
	}
	for _, i := range items {
		names := i.Channels
		if path == "/batch_events" {
			names = []string{i.Channel}
		}
		for _, name := range names {
			if name == "" || len(name) > 164 || strings.ContainsAny(name, ":/*% ") {
				return nil, 400, "the channel " + name
			}
			if i.Name == "" || len(*i.Data) > 10<<10 {
				return nil, 413, "the name, or the data"
			}
			events = append(events, got{name, i.Name, *i.Data})
		}
	}
	return events, 0, ""
}

// of returns the events of a channel, in order.
func (s *service) of(channel string) (events []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.channel == channel {
			events = append(events, e.name+" "+e.data)
		}
	}
	return events
}

func (s *service) all() []got {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *service) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *service) set(answer func(path string, events []got) (int, http.Header)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// wantEvents compares what came on a channel.
func (s *service) wantEvents(channel string, want ...string) {
	s.t.Helper()
	if events := s.of(channel); !slices.Equal(events, want) {
		s.t.Errorf("%s got:\n\t%s\nwant:\n\t%s", channel, strings.Join(events, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// world is some nodes on one log and one service, in a bubble.
type world struct {
	t       *testing.T
	log     *memory.Broker
	service *service
	logged  *logged
}

// node is one hub with its relay.
type node struct {
	*world
	hub    *live.Hub
	todos  *live.Router[todo]
	relay  *pusher.Relay
	broker *cuttable
	end    func()
	ended  chan error
}

// logged is what the relays' logger is told.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// inBubble runs a test where time passes only when everybody waits.
func inBubble(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		f(&world{t: t, log: memory.New(memory.Options{}), service: &service{t: t}, logged: &logged{}})
	})
}

// options relay the todos of each list.
func (w *world) options(todos *live.Router[todo]) pusher.Options {
	return pusher.Options{
		URL: "https://service.example", AppID: appID, Key: key, Secret: secret, Client: &http.Client{Transport: w.service},
		Routers: []pusher.Source{pusher.Rows[todo]{Router: todos, Channel: "private-list-*", Of: ofList}},
		Logger:  slog.New(slog.NewTextHandler(w.logged, nil)),
	}
}

func ofList(td todo) []string {
	if td.ListID == 0 {
		return nil
	}
	return []string{strconv.FormatInt(td.ListID, 10)}
}

// start starts a node. Change may change its options. It relays when this returns, unless another one does.
func (w *world) start(change func(n *node, o *pusher.Options)) *node {
	w.t.Helper()
	n := &node{world: w, broker: &cuttable{Broker: w.log, cut: make(chan struct{})}, ended: make(chan error, 1)}
	n.hub = live.New(live.Options{Broker: n.broker, Logger: slog.New(slog.DiscardHandler)})
	n.todos = &live.Router[todo]{
		Name: "todos", Scope: live.Everyone,
		List:       func(context.Context, live.Query) ([]todo, error) { return nil, nil },
		Serializer: live.Serializer[todo]{Views: map[string]live.View{"guest": {Except: []string{"price", "version"}}}, View: func(context.Context) (string, error) { return "", nil }},
	}
	n.hub.Register(n.todos, &live.Channel{Name: "chat:*"}, &live.Channel{Name: "news"})
	o := w.options(n.todos)
	if change != nil {
		change(n, &o)
	}
	n.relay = pusher.New(n.hub, o)
	ctx, cancel := context.WithCancel(w.t.Context())
	go func() { n.ended <- n.relay.Run(ctx) }()
	n.end = sync.OnceFunc(func() {
		cancel()
		if err := <-n.ended; !errors.Is(err, context.Canceled) {
			w.t.Errorf("Run returned %v, want that its context has ended", err)
		}
		if err := n.hub.Shutdown(context.Background()); err != nil && !errors.Is(err, live.ErrShutdown) {
			w.t.Errorf("Shutdown: %v", err)
		}
	})
	w.t.Cleanup(n.end)
	if err := n.relay.Ready(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return n
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) created(td todo) { n.t.Helper(); n.must(n.todos.Created(n.t.Context(), td)) }

func (n *node) updated(was, now todo) { n.t.Helper(); n.must(n.todos.Updated(n.t.Context(), was, now)) }

func (n *node) deleted(was todo) { n.t.Helper(); n.must(n.todos.Deleted(n.t.Context(), was)) }

func (n *node) publish(channel string, v any) {
	n.t.Helper()
	n.must(n.hub.Publish(n.t.Context(), channel, v))
}

// occupy says to which channels somebody has subscribed.
func (s *service) occupy(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.occupied = names
}
