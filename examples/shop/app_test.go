package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
)

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, s *store)) {
	for name, open := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "shop?.db") },
		"PostgreSQL": func(t *testing.T) string { return postgres.Start(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openStore(t.Context(), open(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			test(t, s)
		})
	}
}

func lite(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// bench is a shop on a server of livetest.
type bench struct {
	*shop
	*livetest.Server
}

func newBench(t *testing.T, s *store) bench {
	shop := newShop(s)
	options := live.Options{Broker: s.log(slog.New(slog.NewTextHandler(t.Output(), nil))), Identity: identity, Refresh: shop.refresh}
	return bench{shop, livetest.Config{Options: options, Patience: time.Minute}.New(t, shop.endpoints()...)}
}

// connect connects a new customer of a role.
func (b bench) connect(t *testing.T, role string, options ...livetest.ConnectOption) (Customer, *livetest.Client) {
	t.Helper()
	c, err := b.store.customers().add(t.Context(), Customer{Name: "Ada", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return c, b.Connect(t, append(options, livetest.As(visitorKey{}, c))...)
}

// product returns a product by its name.
func (s *store) product(t *testing.T, name string) Product {
	t.Helper()
	p, err := s.products().where(t.Context(), "WHERE name = $1", name)
	if err != nil || len(p) != 1 {
		t.Fatalf("%s: %v, %v", name, p, err)
	}
	return p[0]
}

// call calls a verb of a product.
func call(t *testing.T, c *livetest.Client, verb string, p Product, n int) (livetest.Answer, error) {
	t.Helper()
	return c.Do(t, livetest.Call{Router: "products", Verb: verb, Key: p.ID, Data: map[string]int{"quantity": n}})
}

func wantCode(t *testing.T, what, code string, err error) *live.Error {
	t.Helper()
	var problem *live.Error
	if !errors.As(err, &problem) || problem.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
		return &live.Error{}
	}
	return problem
}

func TestAnEmptyDatabaseIsSeededOnce(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		if err := s.seed(t.Context()); err != nil {
			t.Fatal(err)
		}
		products, err := s.products().where(t.Context(), "")
		if err != nil || len(products) != 37 {
			t.Errorf("there are %d products (%v), want 37", len(products), err)
		}
	})
}

func TestGuestsSeeNoSecretInAnyFrame(t *testing.T) {
	s := lite(t)
	secret := Product{Name: "Truffles", CategoryID: 1, Price: 987600, Cost: 765432, Stock: 54321, Note: "only for good customers"}
	b := newBench(t, s)
	_, staffClient := b.connect(t, staff)
	for _, over := range []string{livetest.WebSocket, livetest.SSE, livetest.LongPoll, livetest.ShortPoll} {
		t.Run(over, func(t *testing.T) {
			_, someone := b.connect(t, customer, livetest.Over(over))
			seen := someone.Subscribe(t, "products", livetest.Order("name"), livetest.Limit(5))
			made, err := staffClient.Create(t, "products", map[string]any{
				"name": "A " + over + " truffle", "category_id": secret.CategoryID, "price": secret.Price, "cost": secret.Cost, "stock": secret.Stock, "note": secret.Note,
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = staffClient.Update(t, "products", made, map[string]any{"cost": 765433, "stock": 54322, "note": "hidden"}); err != nil {
				t.Fatal(err)
			}
			seen.Sync(t)
			seen.Row(t, made.Key).WantFields(t, map[string]any{
				"id": json.Number(made.Key), "name": "A " + over + " truffle", "category_id": 1, "price": 987600, "in_stock": true, "version": 2,
			})
		})
	}
	// The frames themselves, as curl has them.
	for _, path := range []string{"products", "products?order=-price&limit=3", "products/1", "products?count=true"} {
		body := get(t, b.URL+path)
		for _, word := range []string{"cost", "margin", `"stock"`, "note", "7654", "5432", "good customers", "hidden"} {
			if strings.Contains(body, word) {
				t.Errorf("%s says %q:\n%s", path, word, body)
			}
		}
	}
	for _, path := range []string{"products?cost__lt=500", "products?order=cost", "products?stock=0", "products?order=-stock&limit=3"} {
		if body := get(t, b.URL+path); !strings.Contains(body, `"code":"unknown_field"`) {
			t.Errorf("%s was answered with %s, want unknown_field", path, body)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestOnlyStaffWrites(t *testing.T) {
	s := lite(t)
	b := newBench(t, s)
	_, ada := b.connect(t, customer)
	_, visitor := b.connect(t, guest)
	rye := s.product(t, "Rye loaf")
	for name, c := range map[string]*livetest.Client{"customer": ada, "guest": visitor} {
		_, err := c.Create(t, "products", map[string]any{"name": "x", "category_id": 1, "price": 3})
		wantCode(t, name+" creates a product", "forbidden", err)
		_, err = c.Create(t, "categories", map[string]any{"name": "x"})
		wantCode(t, name+" creates a category", "forbidden", err)
		_, err = call(t, c, "restock", rye, 1)
		wantCode(t, name+" restocks", "forbidden", err)
	}
	_, err := call(t, visitor, "order", rye, 1)
	wantCode(t, "a guest orders", "forbidden", err)
	if now := s.product(t, "Rye loaf"); now != rye {
		t.Errorf("it is %+v, was %+v", now, rye)
	}
}

func TestWhatIsWrongIsSaidAtTheFields(t *testing.T) {
	b := newBench(t, lite(t))
	_, c := b.connect(t, staff)
	for _, test := range []struct {
		router string
		data   map[string]any
		want   map[string][]string
	}{
		{"products", map[string]any{"name": " ", "category_id": 1, "price": 100}, map[string][]string{"name": {"Please fill this in."}}},
		{"products", map[string]any{"name": strings.Repeat("é", 61), "category_id": 1, "price": 100, "stock": -1}, map[string][]string{
			"name": {"At most 60 characters."}, "stock": {"Must be 0 or more."}}},
		{"products", map[string]any{"name": "x", "category_id": 1, "price": 100, "cost": 100}, map[string][]string{"price": {"Must be more than the cost."}}},
		{"products", map[string]any{"name": "x", "category_id": 1, "price": 0}, map[string][]string{"price": {"Must be more than 0."}}},
		{"products", map[string]any{"name": "x", "category_id": 99, "price": 100}, map[string][]string{"category_id": {"This category does not exist (any more)."}}},
		{"categories", map[string]any{"name": "Bread"}, map[string][]string{"name": {"There is one of this name already."}}},
		{"product_tags", map[string]any{"product_id": 1, "tag_id": 1}, map[string][]string{"tag_id": {"The product has this tag already."}}},
	} {
		_, err := c.Create(t, test.router, test.data)
		problem := wantCode(t, fmt.Sprint(test.data), "invalid", err)
		if got, want := fmt.Sprint(problem.Errors), fmt.Sprint(test.want); got != want {
			t.Errorf("%v: %s, want %s", test.data, got, want)
		}
	}
	_, err := call(t, c, "order", Product{ID: 1}, 0)
	if problem := wantCode(t, "an order of nothing", "invalid", err); !slices.Equal(problem.Errors["quantity"], []string{"Must be 1 or more."}) {
		t.Errorf("an order of nothing: %v", problem.Errors)
	}
	made, err := c.Create(t, "products", map[string]any{"name": "  New   one ", "category_id": 1, "price": 100})
	if err != nil {
		t.Fatal(err)
	}
	var p Product
	if made.Decode(t, &p); p.Name != "New one" || p.Cost != 60 {
		t.Errorf("created %+v, want it tidied, at a cost of 60", p)
	}
}

func TestAnOrderIsOneStepForEverybody(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		b := newBench(t, s)
		_, ada := b.connect(t, customer)
		_, other := b.connect(t, customer)
		_, ben := b.connect(t, staff)
		figs := s.product(t, "Figs") // there are 3
		mine, others := ada.Subscribe(t, "orders"), other.Subscribe(t, "orders")
		all, shelf := ben.Subscribe(t, "orders"), ben.Subscribe(t, "products", livetest.Limit(100))

		for range 2 {
			if _, err := call(t, ada, "order", figs, 1); err != nil {
				t.Fatal(err)
			}
		}
		_, err := call(t, other, "order", figs, 2)
		wantCode(t, "an order of more than there is", "sold_out", err)
		others.WantNone(t)

		mine.Sync(t)
		all.Sync(t)
		shelf.Sync(t)
		if stock := string(shelf.Row(t, figs.ID).Fields["stock"]); stock != "1" {
			t.Errorf("the stock is told as %s, want 1", stock)
		}
		line := `"order_id":1,"product_id":23,"name":"Figs","price":590,`
		wantLines(t, mine, strings.Replace(line, "23", fmt.Sprint(figs.ID), 1)+`"quantity":2,"version":2}]`)
		wantLines(t, all, strings.Replace(line, "23", fmt.Sprint(figs.ID), 1)+`"cost":354,"quantity":2,"version":2}]`)

		// It is cancelled by its owner, and the figs are back.
		if _, err := ada.Update(t, "orders", mine.Rows()[0], map[string]any{"state": "cancelled"}); err != nil {
			t.Fatal(err)
		}
		shelf.Sync(t)
		if stock := string(shelf.Row(t, figs.ID).Fields["stock"]); stock != "3" {
			t.Errorf("the stock is told as %s, want 3", stock)
		}
		mine.Sync(t)
		_, err = ada.Update(t, "orders", mine.Rows()[0], map[string]any{"note": "late"})
		wantCode(t, "a change of a cancelled order", "forbidden", err)
		others.WantNone(t)
	})
}

// wantLines wants one order, whose lines end so.
func wantLines(t *testing.T, orders *livetest.Subscription, want string) {
	t.Helper()
	rows := orders.Rows()
	if len(rows) != 1 || !strings.HasSuffix(string(rows[0].Fields["lines"]), want) {
		t.Errorf("the orders are %v, want one with lines …%s", rows, want)
	}
}

func TestALineThatIsTakenOutIsPutBack(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		b := newBench(t, s)
		_, ada := b.connect(t, customer)
		orders, lines := ada.Subscribe(t, "orders"), ada.Subscribe(t, "lines")
		figs := s.product(t, "Figs")
		if _, err := call(t, ada, "order", figs, 3); err != nil {
			t.Fatal(err)
		}
		lines.Sync(t)
		if err := ada.Delete(t, "lines", lines.Rows()[0]); err != nil {
			t.Fatal(err)
		}
		lines.Sync(t)
		orders.Sync(t)
		if got := string(orders.Rows()[0].Fields["lines"]); got != "[]" || len(lines.Rows()) != 0 {
			t.Errorf("the order says %s, and there are %v", got, lines.Rows())
		}
		if now := s.product(t, "Figs"); now.Stock != 3 {
			t.Errorf("there are %d figs, want 3", now.Stock)
		}
	})
}

func TestManyPricesChangeInOneStep(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		b := newBench(t, s)
		_, c := b.connect(t, staff)
		_, ada := b.connect(t, customer)
		rye, seeded := s.product(t, "Rye loaf"), s.product(t, "Seeded loaf")
		seen := ada.Subscribe(t, "products", livetest.Order("id"))
		change := func(to1, to2 int) error {
			_, err := c.Do(t, livetest.Call{Router: "products", Verb: "update", Data: []map[string]any{
				{"key": fmt.Sprint(rye.ID), "version": rye.Version, "data": map[string]any{"price": to1}},
				{"key": fmt.Sprint(seeded.ID), "version": seeded.Version, "data": map[string]any{"price": to2}},
			}})
			return err
		}
		problem := wantCode(t, "a price under the cost", "invalid", change(500, 1))
		if got := fmt.Sprint(problem.Errors); got != "map[1.price:[Must be more than the cost.]]" {
			t.Errorf("the errors are %s", got)
		}
		seen.WantNone(t)
		if err := change(500, 600); err != nil {
			t.Fatal(err)
		}
		seen.Want(t, live.Update, rye.ID).WantFields(t, map[string]any{"price": 500, "version": 2})
		seen.Want(t, live.Update, seeded.ID).WantFields(t, map[string]any{"price": 600, "version": 2})
		seen.WantNone(t)
	})
}

func TestARoleThatChangesIsFeltAtOnce(t *testing.T) {
	b := newBench(t, lite(t))
	who, c := b.connect(t, customer)
	rye := b.store.product(t, "Rye loaf")
	seen := c.Subscribe(t, "products")
	me := c.Subscribe(t, "customers", livetest.Where(where.Eq("id", who.ID)))
	if err := b.setRole(asVisitor(t.Context(), who), b.Hub, who, staff); err != nil {
		t.Fatal(err)
	}
	seen.WantResync(t, "rights")
	if _, told := seen.Row(t, rye.ID).Fields["cost"]; !told {
		t.Errorf("staff sees %v", seen.Row(t, rye.ID).Fields)
	}
	me.Sync(t)
	if role := string(me.Row(t, who.ID).Fields["role"]); role != `"staff"` {
		t.Errorf("the role is told as %s", role)
	}
	if _, err := call(t, c, "restock", rye, 1); err != nil {
		t.Error("staff restocks:", err)
	}
	seen.Sync(t)
	by, err := c.TrySubscribe(t, "products", livetest.Order("stock"), livetest.Limit(3))
	if err != nil {
		t.Fatal("staff sorts by stock:", err)
	}
	who.Version++
	if err := b.setRole(asVisitor(t.Context(), who), b.Hub, who, guest); err != nil {
		t.Fatal(err)
	}
	by.WantClosed(t, "unknown_field")
	seen.WantResync(t, "rights")
	if _, told := seen.Row(t, rye.ID).Fields["cost"]; told {
		t.Errorf("a guest sees %v", seen.Row(t, rye.ID).Fields)
	}
	_, err = call(t, c, "restock", rye, 1)
	wantCode(t, "a guest restocks", "forbidden", err)
}

// A page of products, and one of orders, costs as many statements as there are models in it.
func TestAPageCostsAFixedNumberOfStatements(t *testing.T) {
	s := lite(t)
	b := newBench(t, s)
	_, ada := b.connect(t, customer)
	products, err := s.products().where(t.Context(), "WHERE stock > 0")
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range products {
		who, err := s.customers().add(t.Context(), Customer{Name: "Ada", Role: customer})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.order(asVisitor(t.Context(), who), p, quantity{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.order(asVisitor(t.Context(), who), products[(i+1)%len(products)], quantity{1}); err != nil {
			t.Fatal(err)
		}
	}
	_, ben := b.connect(t, staff)
	var asked []string
	b.store.watch = func(statement string) { asked = append(asked, statement) }
	count := func(c *livetest.Client, router string, want int) {
		t.Helper()
		asked = nil
		rows := c.Subscribe(t, router, livetest.Limit(20)).Rows()
		if len(rows) != 20 || len(asked) != want {
			t.Errorf("%d %s cost %d statements, want 20 and %d:\n%s", len(rows), router, len(asked), want, strings.Join(asked, "\n"))
		}
	}
	count(ada, "products", 1)
	count(ben, "orders", 2) // and their lines
}

func TestThePageGivesNewVisitorsANameAndARole(t *testing.T) {
	s := lite(t)
	app := newApp(s, slog.New(slog.NewTextHandler(t.Output(), nil)))
	server := httptest.NewServer(app)
	defer server.Close()
	defer app.hub.Shutdown(t.Context())
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	html, _ := io.ReadAll(response.Body)
	if !strings.Contains(string(html), `data-role="customer"`) || len(response.Cookies()) != 1 {
		t.Fatalf("the page came with %v:\n%s", response.Cookies(), html)
	}
	post := func(role, site string) int {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/role", strings.NewReader(url.Values{"role": {role}}.Encode()))
		request.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {site}}
		request.AddCookie(response.Cookies()[0])
		answer, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if got := post("staff", "cross-site"); got != http.StatusForbidden {
		t.Errorf("a form of another site was answered with %d", got)
	}
	if got := post("owner", "same-origin"); got != http.StatusBadRequest {
		t.Errorf("a role that there is not was answered with %d", got)
	}
	if got := post("staff", "same-origin"); got != http.StatusNoContent {
		t.Errorf("the switch was answered with %d", got)
	}
	if c, err := s.customers().byID(t.Context(), 1); err != nil || c.Role != staff {
		t.Errorf("the customer is %+v, %v", c, err)
	}
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-addr", "localhost:0", "-sql"}, in, t.Output()) }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Fields(strings.TrimPrefix(string(line[:n]), "Your shop is at "))[0]
	if body := get(t, address+"/live/products?count=true"); !strings.Contains(body, `"count":37`) {
		t.Errorf("the count is answered with %s", body)
	}
	stop()
	if err := <-done; err != nil {
		t.Error("run:", err)
	}
}
