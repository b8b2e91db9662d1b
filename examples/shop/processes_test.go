package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live/examples/internal/spawn"
	"github.com/swampline/live/internal/mirror"
	"github.com/swampline/live/internal/seed"
	"github.com/swampline/live/transport/transporttest"
	"github.com/swampline/live/where/wheretest/postgres"
)

// Two shops on one database are one: what is ordered at one is shown by the other. When one is killed amid orders, whoever looks at the
// other has been told of exactly what is in the tables.
func TestTwoProcessesTellWhatIsStored(t *testing.T) {
	rounds := 2
	if os.Getenv("LIVE_TEST_LONG") != "" {
		rounds = 200
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds)*time.Minute) // nobody waits for its end
	defer cancel()
	database := postgres.Start(t)
	a, b, s := openShops(t, database)
	if _, err := s.db.ExecContext(ctx, "UPDATE products SET stock = 100000"); err != nil {
		t.Fatal(err)
	}
	ben, err := s.customers().add(ctx, Customer{Name: "Ben", Role: staff})
	if err != nil {
		t.Fatal(err)
	}
	products, err := s.products().where(ctx, "ORDER BY id LIMIT 5")
	if err != nil {
		t.Fatal(err)
	}
	rye, products := products[0], products[1:]
	buyers := make([]Customer, len(products)) // each of a product of his own, so that its versions are told one after the other
	for i := range buyers {
		if buyers[i], err = s.customers().add(ctx, Customer{Name: "Ada", Role: customer}); err != nil {
			t.Fatal(err)
		}
	}

	w := watch(t, ctx, b, ben)
	for i, who := range buyers {
		if err := post(ctx, a, who, products[i], "order"); err != nil {
			t.Fatal("the first order:", err)
		}
	}
	w.until("all have ordered", func() bool { return len(w.Feeds[ofLines].Rows) == len(buyers) })

	seed, _ := seed.First(t)
	random := rand.New(rand.NewPCG(seed, 1))
	for round := range rounds {
		answers := make(chan error)
		var writers sync.WaitGroup
		for i, who := range buyers {
			writers.Go(func() {
				for {
					err := post(ctx, a, who, products[i], "order")
					answers <- err
					if err != nil {
						return
					}
				}
			})
		}
		go func() { writers.Wait(); close(answers) }()
		for range 20 + random.IntN(40) {
			if err := <-answers; err != nil {
				t.Fatal("an order:", err)
			}
		}
		a.Kill()
		for err := range answers {
			var gone *url.Error
			if err != nil && !errors.As(err, &gone) {
				t.Error("an order:", err)
			}
		}
		// What b stores now comes behind all that the database has heard of a, and can still commit.
		if err := post(ctx, b, ben, rye, "restock"); err != nil {
			t.Fatal(err)
		}
		rye.Version++
		w.until("b has restocked", func() bool { return version(w.Feeds[ofProducts].Rows[fmt.Sprint(rye.ID)]) == rye.Version })
		toldOf(t, w, ofProducts, s.products(), func(p Product) (int64, int64) { return p.ID, p.Version })
		toldOf(t, w, ofOrders, s.orders(), func(o Order) (int64, int64) { return o.ID, o.Version })
		toldOf(t, w, ofLines, s.lines(), func(l Line) (int64, int64) { return l.ID, l.Version })
		if t.Failed() {
			t.Fatalf("seed %d, round %d\na: %s\nb: %s", seed, round, &a.Log, &b.Log)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// openShops starts two shops on an empty database, and opens it, all at once.
func openShops(t *testing.T, database string) (a, b *spawn.Node, s *store) {
	t.Helper()
	binary := spawn.Build(t, "shop")
	nodes := []*spawn.Node{{}, {}}
	var both sync.WaitGroup
	for _, n := range nodes {
		n.Binary, n.Args = binary, []string{"-addr", "127.0.0.1:0", "-db", database}
		t.Cleanup(n.Kill)
		both.Go(func() {
			if err := n.Start(); err != nil {
				t.Errorf("starting a shop: %v\n%s", err, &n.Log)
			}
		})
	}
	s, err := openStore(t.Context(), database)
	both.Wait()
	if err != nil || t.Failed() {
		t.Fatal("the database:", err)
	}
	t.Cleanup(func() { s.Close() })
	return nodes[0], nodes[1], s
}

// post calls a verb of a product for one piece. The error is a *url.Error if nobody answered.
func post(ctx context.Context, at *spawn.Node, who Customer, p Product, verb string) error {
	address := fmt.Sprintf("http://%s/live/products/%d/%s", at.Address(), p.ID, verb)
	request, err := http.NewRequestWithContext(ctx, "POST", address, strings.NewReader(`{"quantity":1}`))
	if err != nil {
		return err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Cookie": {cookieOf(who)}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return &url.Error{Op: "Post", URL: address, Err: err}
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}

func cookieOf(c Customer) string { return visitorCookie + "=" + strconv.FormatInt(c.ID, 10) }

// The subscriptions of a watcher.
const (
	ofProducts = iota + 1
	ofOrders
	ofLines
)

// watcher is a client in the test's process.
type watcher struct {
	*mirror.Client
	t     *testing.T
	ctx   context.Context
	conn  *transporttest.Client
	begun map[int64]map[string]int64 // the version of each row of a subscription when it began
}

// watch subscribes to all there is, at one shop.
func watch(t *testing.T, ctx context.Context, at *spawn.Node, who Customer) *watcher {
	t.Helper()
	conn, err := transporttest.Dial(ctx, transporttest.WebSocket, "http://"+at.Address()+"/live/", transporttest.ClientOptions{
		Header: http.Header{"Cookie": {cookieOf(who)}}, Verbatim: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	w := &watcher{mirror.New(), t, ctx, conn, map[int64]map[string]int64{}}
	for id, router := range map[int64]string{ofProducts: "products", ofOrders: "orders", ofLines: "lines"} {
		w.Feeds[id] = &mirror.Feed{}
		if err := conn.Send(ctx, fmt.Sprintf(`{"type":"subscribe","id":%d,"router":%q,"limit":100}`, id, router)); err != nil {
			t.Fatal(err)
		}
		w.until(router+" are shown", func() bool { return w.Feeds[id].Answered })
		w.begun[id] = map[string]int64{}
		for key, row := range w.Feeds[id].Rows {
			w.begun[id][key] = version(row)
		}
	}
	return w
}

// until takes what comes until something is so.
func (w *watcher) until(what string, so func() bool) {
	w.t.Helper()
	for !so() {
		m, err := w.conn.Next(w.ctx)
		if err == nil {
			err = w.Receive([]byte(m.Raw))
		}
		if err == nil && (m.Type == "resync" || m.Type == "error" || m.Type == "closed") {
			err = fmt.Errorf("got %s", m.Raw)
		}
		if err != nil {
			w.t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

func version(r mirror.Row) (v int64) {
	_ = json.Unmarshal(r.Version, &v) // a row that is not there has none
	return v
}

// toldOf wants a watcher to have been told of every version of every row that is in a table, once and in order, and of nothing else.
func toldOf[T any](t *testing.T, w *watcher, feed int64, rows table[T], identity func(T) (id, version int64)) {
	t.Helper()
	stored, err := rows.where(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string][]int64{}, map[string][]int64{}
	for _, row := range stored {
		id, last := identity(row)
		key := fmt.Sprint(id)
		for v := w.begun[feed][key] + 1; v <= last; v++ {
			want[key] = append(want[key], v)
		}
	}
	for _, change := range w.Feeds[feed].Changes {
		if change.Op == "leave" || change.Op == "delete" {
			t.Errorf("%s: told of %s %s", rows.name, change.Op, change.Key)
		}
		got[change.Key] = append(got[change.Key], version(change.Row))
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%s: told of the versions %v, want %v", rows.name, got, want)
	}
	t.Logf("%s: %d rows, %d changes told", rows.name, len(stored), len(w.Feeds[feed].Changes))
}
