package live_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live"
)

// The models of the tests of nested fields: an order has a customer and lines, a line has a product.
type (
	order struct {
		ID         int64  `live:"id,key"`
		CustomerID int64  `live:"customer_id,write,filter"`
		Note       string `live:"note,write"`
		Version    int64  `live:"version,version"`
	}
	customer struct {
		ID    int64  `live:"id,key"`
		Name  string `live:"name"`
		Email string `live:"email"`
		Card  string
	}
	line struct {
		ID        int64  `live:"id,key"`
		OrderID   int64  `live:"order_id,write,filter"`
		ProductID int64  `live:"product_id,write"`
		Cost      string `live:"cost"`
		Version   int64  `live:"version,version"`
	}
	product struct {
		ID   int64  `live:"id,key"`
		Name string `live:"name"`
	}
)

// shop is a database of orders with what belongs to them. It counts the loads.
type shop struct {
	mu        sync.Mutex
	orders    map[int64]order
	lines     map[int64]line
	customers map[int64]customer
	products  map[int64]product
	loads     map[string]int
	asked     map[string]string
	fail      error // of loads

	order    *live.Router[order]
	line     *live.Router[line]
	customer live.Serializer[customer]
	product  live.Serializer[product]
	lined    live.Serializer[line] // as it stands in orders
}

// load counts a load of keys.
func (s *shop) load(what string, keys []int64) error {
	s.loads[what]++
	s.asked[what] = fmt.Sprint(keys)
	return s.fail
}

func newShop(orders int) *shop {
	s := &shop{
		orders: map[int64]order{}, lines: map[int64]line{}, customers: map[int64]customer{}, products: map[int64]product{},
		loads: map[string]int{}, asked: map[string]string{},
	}
	for i := range int64(orders) {
		id := i + 1
		s.orders[id] = order{ID: id, CustomerID: id%3 + 1, Note: "n" + strconv.FormatInt(id, 10), Version: 1}
		for j := range int64(2) {
			s.lines[id*10+j] = line{ID: id*10 + j, OrderID: id, ProductID: j + 1, Cost: "cost-7", Version: 1}
		}
	}
	for id := range int64(3) { // there is no customer 3
		s.customers[id] = customer{ID: id, Name: "c" + strconv.FormatInt(id, 10), Email: "mail-7", Card: "card-7"}
		s.products[id] = product{ID: id, Name: "p" + strconv.FormatInt(id, 10)}
	}
	s.lined = live.Serializer[line]{Nested: map[string]live.Nested[line]{
		"product": live.One(&s.product, func(l line) int64 { return l.ProductID }, func(_ context.Context, ids []int64) (map[int64]product, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.products, s.load("products", ids)
		}),
	}}
	s.order = &live.Router[order]{
		Name: "orders", Scope: live.Everyone,
		Serializer: live.Serializer[order]{Nested: map[string]live.Nested[order]{
			"customer": live.One(&s.customer, func(o order) int64 { return o.CustomerID }, s.customersOf),
			"lines":    live.Many(&s.lined, func(o order) int64 { return o.ID }, s.linesOf),
		}},
		List: func(context.Context, live.Query) ([]order, error) { return values(s, s.orders), nil },
		Get:  func(_ context.Context, k live.Key) (order, error) { return get(s, s.orders, k) },
		Create: func(_ context.Context, in order) (order, error) {
			in.ID, in.Version = 900, 1
			s.put(in)
			return in, nil
		},
		Update: func(_ context.Context, _, now order) (order, error) { now.Version++; s.put(now); return now, nil },
	}
	s.line = &live.Router[line]{
		Name: "lines", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]line, error) { return values(s, s.lines), nil },
		Get:  func(_ context.Context, k live.Key) (line, error) { return get(s, s.lines, k) },
		Touches: []live.Toucher[line]{live.Parent(s.order, func(l line) live.Key {
			if l.OrderID == 0 {
				return ""
			}
			return live.Key(strconv.FormatInt(l.OrderID, 10))
		})},
	}
	return s
}

func (s *shop) customersOf(_ context.Context, ids []int64) (map[int64]customer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.customers, s.load("customers", ids)
}

func (s *shop) linesOf(_ context.Context, ids []int64) (map[int64][]line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[int64][]line{}
	for _, l := range s.lines {
		if slices.Contains(ids, l.OrderID) {
			found[l.OrderID] = append(found[l.OrderID], l)
		}
	}
	for _, of := range found {
		slices.SortFunc(of, func(a, b line) int { return int(a.ID - b.ID) })
	}
	return found, s.load("lines", ids)
}

func (s *shop) put(row any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch row := row.(type) {
	case order:
		s.orders[row.ID] = row
	case line:
		s.lines[row.ID] = row
	}
}

// counted returns the loads since the last call.
func (s *shop) counted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprint(s.loads)
	s.loads = map[string]int{}
	return text
}

func values[R any](s *shop, rows map[int64]R) []R {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []R
	for _, row := range rows {
		all = append(all, row)
	}
	return all
}

func get[R any](s *shop, rows map[int64]R, k live.Key) (R, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := rows[k.Int64()]
	if !ok {
		return row, live.ErrNotFound
	}
	return row, nil
}

const (
	product1 = `"product":{"id":1,"name":"p1"}}`
	product2 = `"product":{"id":2,"name":"p2"}}`
	lines1   = `"lines":[{"id":10,"order_id":1,"product_id":1,"cost":"cost-7","version":1,` + product1 + `,{"id":11,"order_id":1,"product_id":2,"cost":"cost-7","version":1,` + product2 + `]`
	order1   = `{"key":"1","version":1,"fields":{"id":1,"customer_id":2,"note":"n1","version":1,"customer":{"id":2,"name":"c2","email":"mail-7"},` + lines1 + `}}`
)

func TestNestedRowsStandInTheirRow(t *testing.T) {
	s := newShop(2)
	s.lines = map[int64]line{10: s.lines[10], 11: s.lines[11]}
	b := newBench(t, live.Options{}, s.order)
	b.want(200, order1, "GET", "/live/orders/1", "")
	// a customer that is missing, and no lines
	order2 := `{"key":"2","version":1,"fields":{"id":2,"customer_id":3,"note":"n2","version":1,"customer":null,"lines":[]}}`
	b.want(200, order2, "GET", "/live/orders/2", "")
	answer := b.say(`{"type":"call","id":1,"router":"orders","verb":"list","order":"id"}`)[0]
	equal(t, "list", answer, `{"type":"result","id":1,"order":"id","rows":[`+order1+","+order2+`]}`)
	b.want(200, strings.NewReplacer(`"note":"n1"`, `"note":"x"`, `"version":1,"customer"`, `"version":2,"customer"`, `"key":"1","version":1`, `"key":"1","version":2`).Replace(order1),
		"PATCH", "/live/orders/1", `{"note":"x"}`, "If-Match", "1")
	b.want(201, `{"key":"900","version":1,"fields":{"id":900,"customer_id":1,"note":"","version":1,"customer":{"id":1,"name":"c1","email":"mail-7"},"lines":[]}}`,
		"POST", "/live/orders", `{"customer_id":1}`)
	if w := b.ask("PATCH", "/live/orders/2", `{"note":"x"}`, "If-Match", "9"); !strings.Contains(w.Body.String(), `"current":`+order2) {
		t.Errorf("a conflict shows %s", w.Body)
	}
	if log := strings.Join(b.spy.entries, ""); strings.Contains(log, "card-7") {
		t.Errorf("what was not published is on the log: %s", log)
	}
}

// TestNestedRowsAreLoadedInOneCall: for a hundred rows, on each level, and only for rows that the caller gets.
func TestNestedRowsAreLoadedInOneCall(t *testing.T) {
	s := newShop(100)
	b := newBench(t, live.Options{}, s.order)
	b.want(200, "…", "GET", "/live/orders", "")
	equal(t, "loads for a list", s.counted(), "map[customers:1 lines:1 products:1]")
	if s.asked["products"] != "[1 2]" || strings.Count(s.asked["customers"], " ") != 2 || strings.Count(s.asked["lines"], " ") != 99 {
		t.Errorf("asked for %v", s.asked)
	}
	b.want(200, "…", "GET", "/live/orders?id__in=4,7&order=id", "")
	equal(t, "asked for a part", s.asked["lines"]+s.asked["customers"], "[4 7][2]")
	s.counted()
	b.refused(404, "not_found", "GET", "/live/orders/1000", "")
	b.want(200, `…`, "GET", "/live/orders?id=1000", "")
	equal(t, "loads for nothing", s.counted(), "map[]")
	o, _ := get(s, s.orders, "7")
	if err := s.order.Changed(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	equal(t, "loads for a row that is published", s.counted(), "map[customers:1 lines:1 products:1]")
	if err := s.order.Deleted(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	equal(t, "loads for a row that is gone", s.counted(), "map[]")
}

func TestNestedFieldCannotBeUsed(t *testing.T) {
	b := newBench(t, live.Options{}, newShop(1).order)
	for _, url := range []string{"/live/orders?lines=1", "/live/orders?customer__isnull=true", "/live/orders?order=customer"} {
		b.refused(400, "field_not_filterable", "GET", url, "")
	}
	b.want(422, `{"title":"Unprocessable Content","status":422,"code":"field_not_writable","detail":"field \"lines\": this field holds other rows","errors":{"lines":["this field holds other rows"]}}`,
		"PATCH", "/live/orders/1", `{"lines":[]}`, "If-Match", "1")
}

// TestWhenANestedFieldIsSent: with a row that enters, when the key changed, and no time else.
func TestWhenANestedFieldIsSent(t *testing.T) {
	s := newShop(1)
	b := newBench(t, live.Options{}, s.order)
	f := b.follow(`{"type":"subscribe","id":1,"router":"orders"}`)
	f.want("snapshot")
	update := func(change func(*order)) string {
		t.Helper()
		was, _ := get(s, s.orders, "1")
		now := was
		change(&now)
		now.Version++
		s.put(now)
		if err := s.order.Updated(t.Context(), was, now); err != nil {
			t.Fatal(err)
		}
		_, items, _ := strings.Cut(f.want("change").Raw, `"changes":`)
		return items
	}
	s.put(line{ID: 12, OrderID: 1, ProductID: 1, Version: 1}) // nobody touches the order
	equal(t, "the keys stay", update(func(o *order) { o.Note = "x" }), `[{"op":"update","key":"1","version":2,"fields":{"note":"x","version":2}}]}`)
	equal(t, "one key changes", update(func(o *order) { o.CustomerID = 1 }),
		`[{"op":"update","key":"1","version":3,"fields":{"customer_id":1,"version":3,"customer":{"id":1,"name":"c1","email":"mail-7"}}}]}`)
	equal(t, "to what is not there", update(func(o *order) { o.CustomerID = 77 }),
		`[{"op":"update","key":"1","version":4,"fields":{"customer_id":77,"version":4,"customer":null}}]}`)
}

// TestALoadThatFails: a list fails; a row is published without, and the publisher is told.
func TestALoadThatFails(t *testing.T) {
	for name, fail := range map[string]func(*shop){
		"an error": func(s *shop) { s.fail = errors.New("the-secret") },
		"a panic": func(s *shop) {
			s.order.Serializer.Nested["customer"] = live.One(&s.customer, func(order) int64 { panic("the-secret") }, s.customersOf)
			s.fail = errors.New("the-secret")
		},
	} {
		s := newShop(1)
		o, _ := get(s, s.orders, "1")
		s.customers[7] = customer{ID: 7}
		fail(s)
		b := newBench(t, live.Options{}, s.order)
		for _, url := range []string{"/live/orders", "/live/orders/1"} {
			if w := b.refused(500, "internal", "GET", url, ""); strings.Contains(w.Body.String(), "the-secret") {
				t.Error(w.Body)
			}
		}
		f := b.follow(`{"type":"subscribe","id":1,"router":"orders","where":{"id":900}}`)
		f.want("snapshot")
		o.ID = 900
		err := s.order.Created(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), `live: router orders: nested field "customer": `) || !strings.Contains(err.Error(), "the-secret") || !strings.Contains(err.Error(), `nested field "lines": `) {
			t.Errorf("%s: the publisher is told %v", name, err)
		}
		_, row, _ := strings.Cut(f.want("change").Raw, `"changes":`)
		equal(t, name, row, `[{"op":"create","key":"900","version":1,"fields":{"id":900,"customer_id":2,"note":"n1","version":1,"customer":null,"lines":null}}]}`)
		if err := s.order.Touch(t.Context(), "1"); err == nil || len(b.spy.entries) != 1 {
			t.Errorf("%s: touched without what it nests: %v, %d entries", name, err, len(b.spy.entries))
		}
	}
}

// TestNestedRowsFollowTheView: the guest sees of lines and customers what is for guests, and each shape is on the log once.
func TestNestedRowsFollowTheView(t *testing.T) {
	s := newShop(1)
	s.customer.Views = map[string]live.View{"guest": {Except: []string{"email"}}, "staff": {}, "bare": {}}
	s.lined.Views = map[string]live.View{"guest": {Except: []string{"cost", "version"}}, "staff": {}}
	s.order.Serializer.Views = map[string]live.View{"guest": {}, "staff": {}, "bare": {Fields: []string{"id", "customer"}}}
	s.order.Serializer.View = func(ctx context.Context) (string, error) {
		return map[int64]string{2: "guest", 3: "staff", 4: "bare"}[visitor(ctx)], nil
	}
	b := newBench(t, live.Options{}, s.order)
	guests := strings.NewReplacer(`,"email":"mail-7"`, "", `"cost":"cost-7","version":1,`, "").Replace(order1)
	bare := `{"key":"1","version":1,"fields":{"id":1,"customer":{"id":2,"name":"c2","email":"mail-7"}}}`
	for who, want := range map[string]string{owner: order1, guest: guests, staff: order1, "4": bare} {
		b.want(200, want, "GET", "/live/orders/1", "", "Visitor", who)
		if f := s.counted(); who == "4" && f != "map[customers:1]" {
			t.Errorf("loads for a view without lines: %s", f)
		}
	}
	o, _ := get(s, s.orders, "1")
	f := follow(t, "websocket", b.server()+"/live/", `{"type":"subscribe","id":1,"router":"orders"}`, "Visitor", guest)
	f.want("snapshot")
	s.counted()
	if err := s.order.Changed(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	equal(t, "loads to publish for all views", s.counted(), "map[customers:1 lines:1 products:1]")
	_, changes, _ := strings.Cut(f.want("change").Raw, `"changes":`)
	equal(t, "what a guest is told", changes, `[{"op":"enter",`+guests[1:]+`]}`)
	log := strings.Join(b.spy.entries, "")
	if strings.Count(log, `"lines"`) != 1 || strings.Count(log, `"lines@guest"`) != 1 || strings.Contains(log, "@staff") || strings.Contains(log, "@bare") {
		t.Errorf("a shape is on the log more than once, or never: %s", log)
	}
}

// node is a model that nests itself.
type node struct {
	ID     int64 `live:"id,key"`
	Parent int64 `live:"parent,version"`
}

func TestASerializerThatNestsItselfEnds(t *testing.T) {
	nodes := map[int64]node{1: {1, 2}, 2: {2, 1}}
	var serializer live.Serializer[node]
	serializer.Nested = map[string]live.Nested[node]{
		"up": live.One(&serializer, func(n node) int64 { return n.Parent }, func(context.Context, []int64) (map[int64]node, error) { return nodes, nil }),
	}
	r := &live.Router[node]{
		Name: "nodes", Scope: live.Everyone, Serializer: serializer,
		Get: func(_ context.Context, k live.Key) (node, error) { return nodes[k.Int64()], nil },
	}
	b := newBench(t, live.Options{}, r)
	b.want(200, `{"key":"1","version":2,"fields":{"id":1,"parent":2,"up":{"id":2,"parent":1}}}`, "GET", "/live/nodes/1", "")
}

// TestAViewReachesThroughASerializerWithoutViews: lines have none, their products do.
func TestAViewReachesThroughASerializerWithoutViews(t *testing.T) {
	s := newShop(1)
	s.product.Views = map[string]live.View{"guest": {Fields: []string{"id"}}}
	s.order.Serializer.Views = map[string]live.View{"guest": {Fields: []string{"id", "lines"}}}
	s.order.Serializer.View = func(ctx context.Context) (string, error) { return map[int64]string{2: "guest"}[visitor(ctx)], nil }
	b := newBench(t, live.Options{}, s.order)
	b.want(200, order1, "GET", "/live/orders/1", "", "Visitor", owner)
	w := b.want(200, "…", "GET", "/live/orders/1", "", "Visitor", guest)
	if body := w.Body.String(); strings.Contains(body, `"name"`) || !strings.Contains(body, `"cost":"cost-7","version":1,"product":{"id":2}}`) {
		t.Errorf("a guest sees %s", body)
	}
}

// TestAWindowHoldsNestedRows: also those that come in from beyond it.
func TestAWindowHoldsNestedRows(t *testing.T) {
	s := newShop(4)
	b := newBench(t, live.Options{}, s.order)
	f := b.follow(`{"type":"subscribe","id":1,"router":"orders","limit":1,"order":"id"}`)
	if got := f.want("snapshot").Raw; !strings.Contains(got, `"rows":[`+order1+`]`) {
		t.Errorf("a window: %s", got)
	}
	f.want("change") // which says what is beyond
	o, _ := get(s, s.orders, "1")
	if err := s.order.Deleted(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := f.want("change").Raw; !strings.Contains(got, `{"op":"enter","key":"2"`) || !strings.Contains(got, `"customer":null,"lines":[{"id":20,`) {
		t.Errorf("who moved up: %s", got)
	}
}

// TestAnotherHubNeedsNoLoads: what is nested travels with the row.
func TestAnotherHubNeedsNoLoads(t *testing.T) {
	here, there := newShop(1), newShop(0)
	shared := newSpy()
	newBench(t, live.Options{Broker: shared}, here.order)
	b := newBench(t, live.Options{Broker: shared}, there.order)
	f := b.follow(`{"type":"subscribe","id":1,"router":"orders"}`)
	f.want("snapshot")
	there.counted()
	if err := here.order.Touch(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	_, changes, _ := strings.Cut(f.want("change").Raw, `"changes":`)
	equal(t, "told by the other hub", changes, `[{"op":"enter",`+order1[1:]+`]}`)
	equal(t, "loads there", there.counted(), "map[]")
}

// TestARowsTagSaysNothingOfNestedRows: its version does not grow when they change.
func TestARowsTagSaysNothingOfNestedRows(t *testing.T) {
	b := newBench(t, live.Options{}, newShop(1).order)
	b.want(200, order1, "GET", "/live/orders/1", "", "If-None-Match", `"1"`)
}
