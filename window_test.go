package live_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where"
)

// score is the model of the tests of windows: few ranks, so that ties are many.
type score struct {
	ID      int64  `live:"id,key"`
	Game    int64  `live:"game,filter"`
	Rank    *int64 `live:"rank,filter"`
	Name    string `live:"name,filter"`
	Version int64  `live:"version,version"`
}

// scores is a database of them, which counts what it is asked.
type scores struct {
	mu      sync.Mutex
	writing sync.RWMutex // held from before a commit until it was published
	rows    map[int64]score
	last    int64
	lists   atomic.Int64
	whole   atomic.Int64 // lists that were read from their first row
	counts  atomic.Int64
	broken  atomic.Bool
	hold    chan struct{} // nil, or what lists wait for
}

func (s *scores) router() *live.Router[score] {
	return &live.Router[score]{
		Name: "scores", Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) ([]score, error) {
			s.lists.Add(1)
			if !strings.Contains(q.Where.String(), "rank__gte") {
				s.whole.Add(1)
			}
			s.mu.Lock()
			hold := s.hold
			s.mu.Unlock()
			if hold != nil {
				select {
				case <-hold:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			if s.broken.Load() {
				return nil, errors.New("the database is down")
			}
			return s.find(q.Where, q.Order, q.Limit), nil
		},
		Count: func(_ context.Context, q live.Query) (int64, error) {
			s.counts.Add(1)
			return int64(len(s.find(q.Where, nil, 0))), nil
		},
	}
}

var scoreSchema, _ = where.NewSchema(
	where.Field{Name: "id", Type: where.Int, Filter: true}, where.Field{Name: "game", Type: where.Int, Filter: true},
	where.Field{Name: "rank", Type: where.Int, Nullable: true, Filter: true}, where.Field{Name: "name", Type: where.Text, Filter: true},
	where.Field{Name: "version", Type: where.Int, Filter: true},
)

func (r score) row() where.Row {
	values := make([]where.Value, 5)
	for i, v := range []any{r.ID, r.Game, r.Rank, r.Name, r.Version} {
		values[i], _ = scoreSchema.ValueGo(i, v)
	}
	return values
}

func (s *scores) find(p *where.Predicate, order []where.Order, limit int) []score {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []score
	for _, r := range s.rows {
		if p.Match(r.row()) {
			out = append(out, r)
		}
	}
	compare := scoreSchema.Comparer(order)
	slices.SortFunc(out, func(a, b score) int { return cmp.Or(compare(a.row(), b.row()), cmp.Compare(a.ID, b.ID)) })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out
}

// write changes a row at random, and says so: mostly with what it was. What was is not said only while nobody else is between a commit and
// its publishing: who came with a list that was ahead of the log could miss it, as docs/architecture.md says of Changed.
func (s *scores) write(ctx context.Context, rnd *rand.Rand, r *live.Router[score]) error {
	silent := rnd.IntN(6) == 0
	if silent {
		s.writing.Lock()
		defer s.writing.Unlock()
	} else {
		s.writing.RLock()
		defer s.writing.RUnlock()
	}
	s.mu.Lock()
	var was score
	for _, was = range s.rows {
		break
	}
	rank := func() *int64 {
		if rnd.IntN(9) == 0 {
			return nil
		}
		n := rnd.Int64N(12)
		return &n
	}
	switch n := rnd.IntN(10); {
	case n < 3 && len(s.rows) < 80 || len(s.rows) < 20:
		s.last++
		now := score{ID: s.last, Game: rnd.Int64N(2), Rank: rank(), Name: string(rune('a' + rnd.IntN(5))), Version: 1}
		s.rows[now.ID] = now
		s.mu.Unlock()
		return r.Created(ctx, now)
	case n < 6:
		delete(s.rows, was.ID)
		s.mu.Unlock()
		return r.Deleted(ctx, was)
	default:
		now := was
		now.Version++
		switch rnd.IntN(3) {
		case 0:
			now.Rank = rank()
		case 1:
			now.Name = string(rune('a' + rnd.IntN(5)))
		default:
			now.Game = 1 - now.Game
		}
		s.rows[now.ID] = now
		s.mu.Unlock()
		if silent {
			return r.Changed(ctx, now)
		}
		return r.Updated(ctx, was, now)
	}
}

// TestWindows lets a random writer change a table under windows, counts and lists that are followed over a WebSocket and polls,
// dropped at any moment and continued on another hub. Afterwards each shows what the database says.
func TestWindows(t *testing.T) {
	for _, o := range []live.Options{{}, {HistoryEntries: 100, MaxQueueBytes: 2 << 10}} {
		t.Run(fmt.Sprint(o.HistoryEntries), func(t *testing.T) { windows(t, o) })
	}
}

func windows(t *testing.T, o live.Options) {
	seed, _ := seed.First(t)
	o.Broker = memory.New(memory.Options{})
	o.Logger = slog.New(slog.DiscardHandler)
	db := &scores{rows: map[int64]score{}}
	var urls []string
	var routers []*live.Router[score]
	for range 2 {
		hub, r := live.New(o), db.router()
		hub.Register(r)
		server := httptest.NewServer(hub)
		t.Cleanup(func() { server.Close(); _ = hub.Shutdown(context.Background()) })
		urls, routers = append(urls, server.URL+"/live/"), append(routers, r)
	}
	steps := 3
	if os.Getenv("LIVE_TEST_LONG") != "" {
		steps = 200
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		rnd := rand.New(rand.NewPCG(seed, uint64(w)))
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(rnd.IntN(4)) * time.Millisecond): // a pace, not a wait
				}
				if err := db.write(t.Context(), rnd, routers[w]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	feeds := make([]*windowFeed, 24)
	for i := range feeds {
		feeds[i] = newWindowFeed(t, rand.New(rand.NewPCG(seed, uint64(100+i))), urls, i)
		readers.Go(func() {
			for range steps {
				feeds[i].step()
			}
		})
	}
	readers.Wait()
	close(done)
	writers.Wait()
	for i, f := range feeds {
		f.settle(db, i)
	}
}

// windowFeed is one client with one subscription.
type windowFeed struct {
	t      *testing.T
	rnd    *rand.Rand
	urls   []string
	name   string
	ask    map[string]any
	client *mirror.Client
	log    []string
	outrun int // how often the log moved on faster than a list was read
}

func newWindowFeed(t *testing.T, rnd *rand.Rand, urls []string, i int) *windowFeed {
	f := &windowFeed{t: t, rnd: rnd, urls: urls, ask: map[string]any{"type": "subscribe", "id": 1, "router": "scores"}}
	if i%3 != 0 {
		f.ask["where"] = map[string]any{"game": i % 2}
	}
	switch i % 4 {
	case 0:
		f.ask["order"] = "-rank,name"
	case 1:
		f.ask["order"] = "rank"
	case 2:
		f.ask["order"] = "name,-rank"
	}
	limits := []int{0, 1, 3, 10, 10, 60}
	switch limit := limits[i/4]; {
	case i%8 == 7:
		f.ask["count"] = true
	case limit > 0:
		f.ask["limit"] = limit
	default:
		f.ask["order"] = "id"
	}
	text, _ := json.Marshal(f.ask)
	f.name = string(text)
	f.restart()
	return f
}

func (f *windowFeed) restart() {
	f.client = mirror.New()
	feed := &mirror.Feed{}
	feed.Limit, _ = f.ask["limit"].(int)
	f.client.Feeds[1] = feed
}

func (f *windowFeed) feed() *mirror.Feed { return f.client.Feeds[1] }

// subscribe is the message that continues where the feed is.
func (f *windowFeed) subscribe() string {
	delete(f.ask, "cursor")
	delete(f.ask, "bound")
	delete(f.ask, "tag")
	feed := f.feed()
	feed.Answered = false
	if feed.Cursor != "" {
		f.ask["cursor"], f.ask["tag"] = feed.Cursor, feed.Tag
		if feed.Bound != nil {
			f.ask["bound"] = feed.Bound
		}
	}
	text, _ := json.Marshal(f.ask)
	return string(text)
}

// take takes a message, and reports whether the subscription goes on.
func (f *windowFeed) take(line []byte) bool {
	f.log = append(f.log, string(line))
	if err := f.client.Receive(line); err != nil {
		f.t.Errorf("%s: %v\n%s", f.name, err, strings.Join(f.log[max(0, len(f.log)-6):], "\n"))
	}
	if f.client.Feeds[1] != nil {
		return true
	}
	if !bytes.Contains(line, []byte(`"code":"unavailable"`)) || f.outrun >= 3 { // a short history may not last for as long as a list is read
		f.t.Errorf("%s: the subscription ended: %s", f.name, line)
	}
	f.outrun++
	f.restart()
	return false
}

// step follows for a while.
func (f *windowFeed) step() {
	if f.rnd.IntN(20) == 0 {
		f.restart()
	}
	if f.rnd.IntN(2) == 0 {
		for range 1 + f.rnd.IntN(4) {
			f.poll(f.rnd.IntN(2))
		}
		return
	}
	c, err := transporttest.Dial(limit(f.t), transporttest.WebSocket, f.urls[f.rnd.IntN(len(f.urls))], transporttest.ClientOptions{})
	if err != nil {
		f.t.Error(err)
		return
	}
	defer c.Drop()
	if more, _ := f.ask["limit"].(int); more > 0 && f.rnd.IntN(8) == 0 && more < 60 { // load more
		f.ask["limit"], f.feed().Limit = more+2, more+2
	}
	text := f.subscribe()
	f.log = append(f.log, "-> "+text)
	if err := c.Send(limit(f.t), text); err != nil {
		f.t.Error(err)
		return
	}
	for range 1 + f.rnd.IntN(30) {
		m, err := c.Next(limit(f.t))
		if err != nil {
			f.t.Error(err)
			return
		}
		if !f.take([]byte(m.Raw)) {
			return
		}
		if f.rnd.IntN(10) == 0 {
			time.Sleep(time.Duration(f.rnd.IntN(20)) * time.Millisecond) // a slow client
		}
	}
}

func (f *windowFeed) poll(wait int) {
	url := f.urls[f.rnd.IntN(len(f.urls))] + "?wait=" + strconv.Itoa(wait)
	text := f.subscribe()
	f.log = append(f.log, "-> "+text)
	response, err := http.Post(url, "application/x-ndjson", strings.NewReader(text))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Error(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !f.take(lines.Bytes()) {
			return
		}
	}
}

// settle polls until the feed shows what the database says.
func (f *windowFeed) settle(db *scores, i int) {
	var want, got string
	for idle := 0; idle < 500; idle++ {
		before := f.feed().Cursor
		f.poll(0)
		if want, got = f.truth(db), f.shown(); got == want {
			return
		}
		if f.feed().Cursor != before {
			idle = 0 // a long way behind, and a tiny queue: it comes nearer
		}
	}
	f.t.Errorf("%s: shows %s\nwant %s\n%s", f.name, got, want, strings.Join(f.log[max(0, len(f.log)-12):], "\n"))
	for row := range strings.FieldsSeq(got + " " + want) { // what was told of those that differ
		if key, _, _ := strings.Cut(row, "@"); strings.Contains(got+" ", " "+row+" ") != strings.Contains(want+" ", " "+row+" ") {
			for n, line := range f.log {
				if i := strings.Index(line, `"key":"`+key+`"`); i >= 0 {
					f.t.Logf("%d: %.120s … %s", n, line, line[max(0, i-40):min(len(line), i+140)])
				}
			}
		}
	}
}

func (f *windowFeed) truth(db *scores) string {
	w := where.Where{}
	if filter, ok := f.ask["where"].(map[string]any); ok {
		w = where.Eq("game", filter["game"])
	}
	p, err := scoreSchema.Bind(w)
	if err != nil {
		f.t.Fatal(err)
	}
	text, _ := f.ask["order"].(string)
	order, _ := where.ParseOrder(text)
	limit, _ := f.ask["limit"].(int)
	rows := db.find(p, order, limit)
	if f.ask["count"] != nil {
		return fmt.Sprint(len(rows))
	}
	out := ""
	for _, r := range rows {
		out += fmt.Sprintf(" %d@%d", r.ID, r.Version)
	}
	return out
}

func (f *windowFeed) shown() string {
	if f.ask["count"] != nil {
		if f.feed().Count == nil {
			return "none"
		}
		return fmt.Sprint(*f.feed().Count)
	}
	out := ""
	for _, r := range f.feed().Shown() {
		out += fmt.Sprintf(" %s@%s", r.Key, r.Version)
	}
	return out
}
