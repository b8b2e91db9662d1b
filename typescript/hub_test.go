package typescript_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/swampline/live"
	"github.com/swampline/live/typescript"
	"github.com/swampline/live/where"
)

// state is an enum of numbers that marshals to text.
type state uint8

const (
	open state = iota
	paid
)

var states = map[state]string{open: "open", paid: "paid"}

func (s state) Values() []state              { return []state{open, paid} }
func (s state) MarshalText() ([]byte, error) { return []byte(states[s]), nil }
func (s *state) UnmarshalText(text []byte) error {
	for v, word := range states {
		if word == string(text) {
			*s = v
			return nil
		}
	}
	return &live.Error{Code: "invalid", Detail: "no such state"}
}

// colour is an enum of strings, as ent writes them.
type colour string

func (colour) Values() []string { return []string{"red", "light blue", `"quoted"`, "red"} }

// money marshals to JSON in a way of its own.
type money struct{ cents int64 }

func (m money) MarshalJSON() ([]byte, error)     { return json.Marshal(m.cents) }
func (m *money) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &m.cents) }

// tree contains itself.
type tree struct {
	Name string  `json:"name"`
	Kids []*tree `json:"kids,omitempty"`
}

type audit struct {
	CreatedAt time.Time    `live:"created_at,filter"`
	DeletedAt sql.NullTime `live:"deleted_at,filter"`
}

// Place is embedded by a pointer, so it must be exported.
type Place struct {
	City string `live:"city,write,filter"`
}

type order struct {
	ID      int64            `live:"id,key"`
	OwnerID *int64           `live:"owner_id,write,filter"`
	Boss    int64            `live:"boss,scope"`
	State   state            `live:"state,write,filter"`
	Was     *state           `live:"was,filter"`
	Colour  colour           `live:"colour,write,filter"`
	Total   float64          `live:"total,write,filter"`
	Price   money            `live:"price,write,filter"`
	Note    sql.Null[string] `live:"note,write,filter"`
	Paid    bool             `live:"paid,write,filter"`
	Ref     uuid.UUID        `live:"ref,filter"`
	Hash    []byte           `live:"hash,filter"`
	TagIDs  []int64          `live:"tag_ids,write"`
	Tree    tree             `live:"tree"`
	Meta    json.RawMessage  `live:"meta,write"`
	Labels  map[string]*bool `live:"labels"`
	Due     *time.Time       `live:"due,write,filter"`
	Secret  string
	*Place
	audit
	Version int64 `live:"version,version"`
}

type line struct {
	ID      uuid.UUID `live:"id,key"`
	OrderID int64     `live:"order_id,filter"`
	Text    string    `live:"text,write"`
	Cost    float64   `live:"cost"`
}

type user struct {
	ID    int64      `live:"id,key"`
	Name  string     `live:"name"`
	Phone string     `live:"phone"`
	Addr  netip.Addr `live:"addr"`
}

type orderTag struct {
	ID      string `live:"id,key"`
	OrderID int64  `live:"order_id,filter"`
	UserID  int64  `live:"user_id"`
}

type archiveIn struct {
	Reason string     `json:"reason"`
	Silent bool       `json:"silent,omitempty"`
	Before *time.Time `json:"before"`
	Odd    int        `json:"x-odd name,string"`
	Only   []state    `json:"only,omitempty"`
}

type archiveOut struct {
	Archived bool      `json:"archived"`
	Sum      *big.Int  `json:"sum"`
	Trees    []tree    `json:"trees"`
	Grid     [][]*int8 `json:"grid"`
	Any      any       `json:"any"`
}

func everything(ctx context.Context, _ live.Query) ([]order, error) { return nil, nil }

// shop has everything that routers can have.
func shop(t testing.TB) *live.Hub {
	users := live.Serializer[user]{Views: map[string]live.View{"guest": {Except: []string{"phone"}}, "staff": {}}}
	lines := live.Serializer[line]{}
	orders := &live.Router[order]{
		Name: "orders", Scope: live.Everyone, List: everything,
		Get:    func(context.Context, live.Key) (order, error) { return order{}, live.ErrNotFound },
		Create: func(_ context.Context, in order) (order, error) { return in, nil },
		Update: func(_ context.Context, _, now order) (order, error) { return now, nil },
		Serializer: live.Serializer[order]{
			Computed: map[string]live.Computed[order]{
				"overdue": {Of: func(order) any { return false }},
				"extra":   {Of: func(order) any { return nil }},
			},
			Nested: map[string]live.Nested[order]{
				"owner": live.One(&users, func(o order) int64 { return o.ID }, func(context.Context, []int64) (map[int64]user, error) { return nil, nil }),
				"parts": live.Many(&lines, func(o order) int64 { return o.ID }, func(context.Context, []int64) (map[int64][]line, error) { return nil, nil }),
			},
			Decode: map[string]func(json.RawMessage, *order) error{"hash": func(json.RawMessage, *order) error { return nil }},
			Views: map[string]live.View{
				"guest": {Fields: []string{"id", "state", "owner"}, Write: []string{}},
				"staff": {Except: []string{"price"}},
			},
			View: func(context.Context) (string, error) { return "guest", nil },
			Relations: map[string]live.Relation{
				"buyer":    {Router: "users", Key: "owner_id"},
				"lines":    {Router: "lines", Field: "order_id"},
				"watchers": {Router: "users", Through: "order-tags", Field: "order_id", Key: "user_id"},
				"tagged":   {Router: "users", Key: "tag_ids"},
				"guessed":  {Router: "users", Key: "extra"},
			},
		},
		Verbs: map[string]live.CustomVerb{
			"archive":    live.RowVerb[order, archiveIn, archiveOut](func(context.Context, order, archiveIn) (archiveOut, error) { return archiveOut{}, nil }),
			"remind-all": live.Verb[struct{}, struct{}](func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }),
			"grow":       live.Verb[tree, map[string]tree](func(context.Context, tree) (map[string]tree, error) { return nil, nil }),
		},
	}
	h := live.New(live.Options{})
	t.Cleanup(func() {
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h.Register(orders,
		&live.Router[user]{Name: "users", Scope: live.Everyone, List: func(context.Context, live.Query) ([]user, error) { return nil, nil }},
		&live.Router[line]{
			Name: "lines", Scope: live.Everyone, Serializer: lines, List: func(context.Context, live.Query) ([]line, error) { return nil, nil },
			Create: func(_ context.Context, in line) (line, error) { return in, nil },
		},
		&live.Router[orderTag]{
			Name: "order-tags", Scope: live.Everyone, List: func(context.Context, live.Query) ([]orderTag, error) { return nil, nil },
			Create: func(_ context.Context, in orderTag) (orderTag, error) { return in, nil },
		},
		&live.Router[struct {
			ID   string `live:"id,key"`
			Name string `live:"name,filter"`
		}]{
			Name: "unlisted", Scope: func(context.Context) (where.Where, error) { return where.Nothing(), nil },
			Verbs: map[string]live.CustomVerb{"ping": live.Verb[string, int](func(context.Context, string) (int, error) { return 0, nil })},
		},
	)
	return h
}

var options = typescript.Options{
	Import: "../../dist/live.d.ts",
	Types:  map[reflect.Type]string{reflect.TypeFor[money](): "number"},
	Fields: map[string]string{"orders.overdue": "boolean", "orders.owner.addr": "`${number}.${string}` | null"},
}
