package live

import (
	"context"
	"encoding/json"
	"testing"
)

// The models whose declarations are wrong, but for the last.
type (
	noTags struct{ ID int64 }
	noKey  struct {
		A int `live:"a"`
	}
	noExport struct {
		id int `live:"id,key"`
	}
	noName struct {
		Title string `live:",write"`
	}
	badName struct {
		A int `live:"a b"`
	}
	twoScores struct {
		A int `live:"a__b"`
	}
	badOption struct {
		Title string `live:"title,flter"`
	}
	mixedScope struct {
		A int `live:"a,scope,write"`
	}
	keyVersion struct {
		A int `live:"a,key,version"`
	}
	wroteVersion struct {
		A int `live:"a,version,write"`
	}
	textVersion struct {
		A string `live:"a,version"`
	}
	nullVersion struct {
		A *int `live:"a,version"`
	}
	nullKey struct {
		A *int `live:"a,key"`
	}
	floatKey struct {
		A float64 `live:"a,key"`
	}
	channelField struct {
		A chan int `live:"a"`
	}
	funcField struct {
		A func() `live:"a"`
	}
	complexField struct {
		A complex128 `live:"a"`
	}
	deepPointer struct {
		A **int `live:"a"`
	}
	calledNot struct {
		A int `live:"not,key"`
	}
	twoNames struct {
		A int `live:"a,key"`
		B int `live:"a"`
	}
	shadowing struct {
		Base
		ID int64 `live:"id"`
	}
	twoKeys struct {
		A int `live:"a,key"`
		B int `live:"b,key"`
	}
	twoVersions struct {
		A int `live:"a,key"`
		B int `live:"b,version"`
		C int `live:"c,version"`
	}
	unreachable struct {
		*hidden
		A int `live:"a,key"`
	}
	mute struct {
		A muted `live:"a,key"`
	}
	muted      int
	jsonFilter struct {
		A json.RawMessage `live:"a,filter"`
	}
	listScope struct {
		A []int `live:"a,scope"`
	}
	deepMistake struct{ inner }
	inner       struct {
		A int `live:"a,oops"`
	}
	fine struct {
		A int `live:"a,key"`
	}
)

var _ = noExport{}.id

func (muted) MarshalText() ([]byte, error) { return []byte("x"), nil }

// declare registers a router of a model with nothing but a list.
func declare[T any](change ...func(*Router[T])) func(*Hub) {
	return func(h *Hub) {
		r := &Router[T]{Name: "things", Scope: Everyone, List: func(context.Context, Query) ([]T, error) { return nil, nil }}
		for _, f := range change {
			f(r)
		}
		h.Register(r)
	}
}

func computing(name string, f func(fine) any) func(*Router[fine]) {
	return func(r *Router[fine]) { r.Serializer.Computed = map[string]Computed[fine]{name: {Of: f}} }
}

// onFine is a verb on rows.
type onFine = RowVerb[fine, int, int]

func rateFine(context.Context, fine, int) (int, error) { return 1, nil }

func verbOf[T any](name string, v CustomVerb) func(*Router[T]) {
	return func(r *Router[T]) { r.Verbs = map[string]CustomVerb{name: v} }
}

func TestRegisterSaysHowToMendADeclaration(t *testing.T) {
	one := func(fine) any { return 1 }
	registered := &Router[fine]{Name: "done", Scope: Everyone, List: func(context.Context, Query) ([]fine, error) { return nil, nil }}
	for _, test := range []struct {
		declare func(*Hub)
		want    string
	}{
		{declare[int](), `live: router things: a model is a struct, and int is not: put it into a field of one`},
		{declare[noTags](), "live: router things: live.noTags has no field with a live tag: declare what may be sent, such as ID int64 `live:\"id,key\"`"},
		{declare[noKey](), "live: router things: live.noKey has no key: tag the field that identifies a row, such as ID int64 `live:\"id,key\"`"},
		{declare[noExport](), `live: router things: field id: it is not exported, so it cannot be read: rename it or remove its live tag`},
		{declare[noName](), `live: router things: field Title: its live tag has no name: write live:"title"`},
		{declare[badName](), `live: router things: field A: the name "a b" is not allowed: use letters, digits and single underscores`},
		{declare[twoScores](), `live: router things: field A: the name "a__b" is not allowed: use letters, digits and single underscores`},
		{declare[badOption](), `live: router things: field Title: unknown tag option "flter" (want key, version, write, filter or scope)`},
		{declare[mixedScope](), `live: router things: field A: scope means that the field serves rights only and is never sent: it goes with no other option`},
		{declare[keyVersion](), `live: router things: field A: a key cannot be the version: tag another field version, or none`},
		{declare[wroteVersion](), `live: router things: field A: a version cannot be written by clients: remove the option write`},
		{declare[textVersion](), `live: router things: field A: a version is an integer that grows with each update, not string`},
		{declare[nullVersion](), `live: router things: field A: a version is an integer that grows with each update, not *int`},
		{declare[nullKey](), `live: router things: field A: a key is an integer, a string or a type that marshals to text, not *int`},
		{declare[floatKey](), `live: router things: field A: a key is an integer, a string or a type that marshals to text, not float64`},
		{declare[channelField](), `live: router things: field A: a value of type chan int cannot be sent: remove the live tag`},
		{declare[funcField](), `live: router things: field A: a value of type func() cannot be sent: remove the live tag`},
		{declare[complexField](), `live: router things: field A: a value of type complex128 cannot be sent: remove the live tag`},
		{declare[deepPointer](), `live: router things: field A: a pointer to a pointer cannot be sent: point to the value, or remove the live tag`},
		{declare[mute](), `live: router things: field A: live.muted marshals itself and nothing reads it back: give it UnmarshalText or UnmarshalJSON, or remove the options`},
		{declare[jsonFilter](), `live: router things: field A: json.RawMessage cannot be compared in SQL: filter by a field of its own, and remove the option`},
		{declare[listScope](), `live: router things: field A: []int cannot be compared in SQL: filter by a field of its own, and remove the option`},
		{declare[calledNot](), `live: router things: field A: the name "not" is not allowed: the filter language uses the word`},
		{declare[twoNames](), `live: router things: fields A and B are both called "a": rename one or remove its live tag`},
		{declare[shadowing](), `live: router things: fields Base.ID and ID are both called "id": rename one or remove its live tag`},
		{declare[twoKeys](), `live: router things: live.twoKeys has 2 fields tagged key: a row has one, leave the option on that`},
		{declare[twoVersions](), `live: router things: live.twoVersions has 2 fields tagged version: a row has one, leave the option on that`},
		{declare[unreachable](), `live: router things: field hidden.Color: the embedded hidden is not exported, so it cannot be allocated: embed it by value or export it`},
		{declare[deepMistake](), `live: router things: field inner.A: unknown tag option "oops" (want key, version, write, filter or scope)`},

		{declare(computing("a", one)), `live: router things: computed field "a": field A has this name: rename one`},
		{declare(computing("b c", one)), `live: router things: computed field "b c": the name is not allowed: use letters, digits and single underscores`},
		{declare(computing("b", nil)), `live: router things: computed field "b" has no func: give it one or remove it`},

		{declare(func(r *Router[fine]) { r.Name = "" }), `live: router "": the name is not allowed: use lower case letters, digits, "_" and "-", beginning with a letter`},
		{declare(func(r *Router[fine]) { r.Name = "To/Do" }), `live: router "To/Do": the name is not allowed: use lower case letters, digits, "_" and "-", beginning with a letter`},
		{declare(func(r *Router[fine]) { r.Scope = nil }), `live: router things: it has no Scope: say who may see which rows, or live.Everyone for rows that anybody may see`},
		{declare(func(r *Router[fine]) { r.List = nil }), `live: router things: it has no verbs: set List, so that it can be subscribed to`},
		{declare(func(r *Router[fine]) {
			r.Update = func(context.Context, fine, fine) (fine, error) { return fine{}, nil }
		}),
			`live: router things: the verb update needs Get, to load the row that is to be updated and to check that the caller may see it`},
		{declare(func(r *Router[fine]) { r.Delete = func(context.Context, fine) error { return nil } }),
			`live: router things: the verb delete needs Get, to load the row that is to be deleted and to check that the caller may see it`},
		{declare(func(r *Router[fine]) {
			r.Tx = func(context.Context, func(context.Context) error) error { return nil }
		}),
			`live: router things: its Tx is never called: set Create, Update or Delete, which run in it, or remove it`},
		{declare(func(r *Router[fine]) { r.Before = func(context.Context, *Write[fine]) error { return nil } }),
			`live: router things: its Before and After are never called: set Create, Update or Delete, around which they are, or remove them`},
		{declare(func(r *Router[fine]) { r.After = func(context.Context, *Write[fine]) {} }),
			`live: router things: its Before and After are never called: set Create, Update or Delete, around which they are, or remove them`},
		{declare(func(r *Router[fine]) { r.Validate = func(context.Context, *fine, fine) error { return nil } }),
			`live: router things: its Validate is never called: set Create or Update, whose rows it checks, or remove it`},
		{declare(func(r *Router[fine]) { r.AllowRow = func(context.Context, string, fine) error { return nil } }),
			`live: router things: its AllowRow is never called: set Get, which loads the rows that it is asked for, or remove it`},
		{declare(verbOf[fine]("Archive", onFine(rateFine))), `live: router things: verb "Archive": the name is not allowed: use lower case letters, digits, "_" and "-", beginning with a letter`},
		{declare(verbOf[fine]("delete", onFine(rateFine))), `live: router things: verb "delete": the name has a meaning of its own: choose another`},
		{declare(verbOf[fine]("explain", onFine(rateFine))), `live: router things: verb "explain": the name has a meaning of its own: choose another`},
		{declare(verbOf[fine]("archive", nil)), `live: router things: verb "archive" has no func: give it one or remove it`},
		{declare(verbOf[fine]("archive", onFine(nil))), `live: router things: verb "archive" has no func: give it one or remove it`},
		{declare(verbOf[fine]("archive", Verb[int, int](nil))), `live: router things: verb "archive" has no func: give it one or remove it`},
		{declare(verbOf[fine]("archive", onFine(rateFine))), `live: router things: the verb archive needs Get, to load the row that it works on and to check that the caller may see it`},
		{declare(verbOf[fine]("archive", RowVerb[inner, int, int](func(context.Context, inner, int) (int, error) { return 1, nil }))),
			`live: router things: verb "archive" works on rows of type live.inner, and those of this router are live.fine: declare it as a live.RowVerb of that type`},
		{declare(verbOf[fine]("archive", Verb[func(), int](func(context.Context, func()) (int, error) { return 1, nil }))),
			`live: router things: verb "archive": a value of type func() cannot be sent: take another type`},
		{declare(verbOf[fine]("archive", Verb[int, chan int](func(context.Context, int) (chan int, error) { return nil, nil }))),
			`live: router things: verb "archive": a value of type chan int cannot be sent: take another type`},
		{func(h *Hub) { declare[fine]()(h); declare[fine]()(h) }, `live: router things: another router has this name: rename one`},
		{func(h *Hub) { h.Register(registered, registered) }, `live: router done: it is registered already; make one Router for each hub`},

		{func(h *Hub) { h.Register(&Channel{}) }, `live: channel "": the name is not allowed: use letters, digits and any of "_-=@,.;:/", and a "*" at the end for a family`},
		{func(h *Hub) { h.Register(&Channel{Name: "a*b"}) }, `live: channel "a*b": the name is not allowed: use letters, digits and any of "_-=@,.;:/", and a "*" at the end for a family`},
		{func(h *Hub) { h.Register(&Channel{Name: "a b"}) }, `live: channel "a b": the name is not allowed: use letters, digits and any of "_-=@,.;:/", and a "*" at the end for a family`},
		{func(h *Hub) { h.Register(&Channel{Name: "chat"}, &Channel{Name: "chat"}) }, `live: channel chat: it is declared twice: keep one`},
	} {
		t.Run(test.want, func(t *testing.T) {
			hub := New(Options{})
			t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
			defer func() {
				if got := recover(); got != test.want {
					t.Errorf("Register panics with\n%v\nwant\n%s", got, test.want)
				}
			}()
			test.declare(hub)
		})
	}
}

func TestNamesThatRegisterTakes(t *testing.T) {
	hub := New(Options{})
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	for _, name := range []string{"todos", "to_do-2", "x"} {
		declare(func(r *Router[fine]) { r.Name = name })(hub)
	}
	for _, name := range []string{"*", "chat:*", "chat:7", "a/b@c.d;e,f=g_h-i", "A"} {
		hub.Register(&Channel{Name: name})
	}
	if len(hub.channels) != 5 || len(hub.endpoints) != 3 {
		t.Errorf("%d channels, %d routers", len(hub.channels), len(hub.endpoints))
	}
}
