package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/where"
)

// memo is the model of the tests of verbs and of HTTP: each visitor sees his own, and each kind of field is there.
type memo struct {
	ID      int64  `live:"id,key"`
	OwnerID int64  `live:"owner_id,scope"`
	ListID  int64  `live:"list_id,write,filter"`
	Title   string `live:"title,write,filter"`
	Note    string `live:"note,write"`
	Stars   int    `live:"stars"`
	Secret  string
	Version int64 `live:"version,version"`
}

// memos is a database of memos. Its router's funcs can be replaced by a test.
type memos struct {
	live.Router[memo]
	mu   sync.Mutex
	rows map[int64]memo
	last int64
}

type visitorKey struct{}

// visitor is who asks: a number in the header Visitor, 1 without.
func visitor(ctx context.Context) int64 {
	id, _ := ctx.Value(visitorKey{}).(int64)
	return id
}

func withVisitor(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.Header.Get("Visitor"), 10, 64)
		if err != nil {
			id = 1
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, id)))
	})
}

func newMemos(rows ...memo) *memos {
	m := &memos{rows: map[int64]memo{}}
	for _, row := range rows {
		m.rows[row.ID] = row
		m.last = max(m.last, row.ID)
	}
	m.Router = live.Router[memo]{
		Name: "memos",
		Serializer: live.Serializer[memo]{Computed: map[string]live.Computed[memo]{
			"loud": {Of: func(row memo) any { return strings.ToUpper(row.Title) }},
		}},
		Scope: func(ctx context.Context) (where.Where, error) { return where.Eq("owner_id", visitor(ctx)), nil },
		List: func(context.Context, live.Query) ([]memo, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			var all []memo
			for _, row := range m.rows {
				all = append(all, row)
			}
			return all, nil
		},
		Get: func(_ context.Context, key live.Key) (memo, error) { return m.get(key.Int64()) },
		Create: func(ctx context.Context, in memo) (memo, error) {
			in.OwnerID, in.Secret = visitor(ctx), "new secret"
			return m.put(in), nil
		},
		Update: func(_ context.Context, was, now memo) (memo, error) {
			if present, err := m.get(was.ID); err != nil || present.Version != was.Version {
				return memo{}, errors.Join(err, live.ErrConflict)
			}
			now.Version++
			return m.put(now), nil
		},
		Delete: func(_ context.Context, was memo) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.rows, was.ID)
			return nil
		},
	}
	return m
}

func (m *memos) get(id int64) (memo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[id]
	if !ok {
		return memo{}, fmt.Errorf("memo %d: %w", id, live.ErrNotFound)
	}
	return row, nil
}

// put stores a row; one without an id is new.
func (m *memos) put(row memo) memo {
	m.mu.Lock()
	defer m.mu.Unlock()
	if row.ID == 0 {
		m.last++
		row.ID, row.Version = m.last, 1
	}
	m.rows[row.ID] = row
	return row
}

// snapshot is the table as it is, to compare.
func (m *memos) snapshot() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, _ := json.Marshal(m.rows)
	return string(text)
}

// desk is two visitors' memos, as most tests want them.
func desk() *memos {
	return newMemos(
		memo{ID: 1, OwnerID: 1, ListID: 7, Title: "milk", Note: "two", Stars: 3, Secret: "s-one", Version: 4},
		memo{ID: 2, OwnerID: 2, ListID: 7, Title: "theirs", Secret: "s-two", Version: 9},
	)
}

const (
	milk     = `{"key":"1","version":4,"fields":{"id":1,"list_id":7,"title":"milk","note":"two","stars":3,"version":4,"loud":"MILK"}}`
	jsonType = "application/json"
)

// notes is a log that a test can read.
type notes struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

// spy is a broker that keeps what was appended.
type spy struct {
	broker.Broker
	mu      sync.Mutex
	entries []string
}

func newSpy() *spy { return &spy{Broker: memory.New(memory.Options{})} }

func (s *spy) Append(ctx context.Context, data []byte) (broker.Position, error) {
	s.mu.Lock()
	s.entries = append(s.entries, string(data))
	s.mu.Unlock()
	return s.Broker.Append(ctx, data)
}

// changes are the changes on the log: op, key and mutation of each.
func (s *spy) changes(t *testing.T) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []string{}
	for _, data := range s.entries {
		var entry struct {
			Changes []struct{ Op, Key, Mutation string }
		}
		if err := json.Unmarshal([]byte(data), &entry); err != nil {
			t.Fatal(err)
		}
		for _, c := range entry.Changes {
			all = append(all, strings.TrimSpace(c.Op+" "+c.Key+" "+c.Mutation))
		}
	}
	return all
}

// bench is a hub with what a test looks at.
type bench struct {
	*testing.T
	hub   *live.Hub
	serve http.Handler
	log   *notes
	spy   *spy
}

func newBench(t *testing.T, o live.Options, endpoints ...live.Endpoint) *bench {
	b := &bench{T: t, log: &notes{}, spy: newSpy()}
	o.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	if o.Broker == nil {
		o.Broker = b.spy
	}
	b.hub = live.New(o)
	b.hub.Register(endpoints...)
	t.Cleanup(func() { _ = b.hub.Shutdown(context.Background()) })
	mux := http.NewServeMux()
	mux.Handle("/live/", b.hub)
	b.serve = withVisitor(mux)
	return b
}

// limit is a context that ends a test that hangs.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ask makes a request. Headers are name, value, name, value.
func ask(t *testing.T, h http.Handler, method, url, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(limit(t), method, url, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", jsonType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (b *bench) ask(method, url, body string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	return ask(b.T, b.serve, method, url, body, headers...)
}

// want makes a request and compares its answer.
func (b *bench) want(status int, body, method, url, sent string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	w := b.ask(method, url, sent, headers...)
	if got := strings.TrimSuffix(w.Body.String(), "\n"); w.Code != status || body != "…" && got != body {
		b.Errorf("%s %s %s\ngot  %d %s\nwant %d %s\n%s", method, url, sent, w.Code, got, status, body, b.log)
	}
	if problem := w.Code >= 400; problem != (w.Header().Get("Content-Type") == "application/problem+json") {
		b.Errorf("%s %s: %d with Content-Type %q", method, url, w.Code, w.Header().Get("Content-Type"))
	}
	return w
}

// refused makes a request that is refused with a code.
func (b *bench) refused(status int, code, method, url, sent string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	w := b.want(status, "…", method, url, sent, headers...)
	if !strings.Contains(w.Body.String(), `"code":"`+code+`"`) {
		b.Errorf("%s %s %s\ngot %s\nwant the code %s", method, url, sent, w.Body, code)
	}
	return w
}

// equal compares two texts.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\ngot  %s\nwant %s", what, got, want)
	}
}
