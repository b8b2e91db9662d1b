package live

import (
	"context"
	"encoding/json"
	"testing"
)

// full is a model with a field of each kind.
type full struct {
	ID      int    `live:"id,key"`
	Owner   int    `live:"owner,scope"`
	Title   string `live:"title,write"`
	Stars   int    `live:"stars"`
	Version int    `live:"version,version"`
}

// serializing registers a router whose serializer is changed.
func serializing(change func(*Serializer[full])) func(*Hub) {
	return declare(func(r *Router[full]) { change(&r.Serializer) })
}

// viewing registers a router with a view called v.
func viewing(v View) func(*Hub) {
	return serializing(func(s *Serializer[full]) {
		s.Views = map[string]View{"v": v}
		s.View = func(context.Context) (string, error) { return "v", nil }
	})
}

// nestingIn registers a router with a nested field, and a view called v.
func nestingIn(name string, n Nested[full]) func(*Hub) {
	return serializing(func(s *Serializer[full]) {
		s.Nested = map[string]Nested[full]{name: n}
		s.Views = map[string]View{"v": {}}
		s.View = func(context.Context) (string, error) { return "v", nil }
	})
}

func relating(name string, r Relation) func(*Hub) {
	return serializing(func(s *Serializer[full]) { s.Relations = map[string]Relation{name: r} })
}

func options(options map[string]string) func(*Hub) {
	return serializing(func(s *Serializer[full]) { s.Options = options })
}

func decoding(name string, f func(json.RawMessage, *full) error) func(*Hub) {
	return serializing(func(s *Serializer[full]) { s.Decode = map[string]func(json.RawMessage, *full) error{name: f} })
}

type (
	jsonChannel struct {
		ID int      `json:"id"`
		C  chan int `json:"c"`
	}
	jsonName struct {
		ID int `json:"id"`
		A  int `json:"a-b"`
	}
)

func fromJSON[T any]() func(*Hub) {
	return declare(func(r *Router[T]) {
		r.Serializer.Tags, r.Serializer.Options = FromJSON, map[string]string{"id": "key"}
	})
}

func TestRegisterSaysHowToMendASerializer(t *testing.T) {
	key := func(full) int { return 1 }
	load := func(context.Context, []int) (map[int]fine, error) { return nil, nil }
	viewed := &Serializer[fine]{Views: map[string]View{"other": {}}}
	for _, test := range []struct {
		declare func(*Hub)
		want    string
	}{
		{viewing(View{Fields: []string{"title"}}), `live: router things: view "v": it lacks the key, without which no client can hold a row: add "id"`},
		{viewing(View{Except: []string{"id"}}), `live: router things: view "v": it lacks the key, without which no client can hold a row: add "id"`},
		{viewing(View{Fields: []string{"id", "nope"}}), `live: router things: view "v": "nope" is no published field: want one of "id", "title", "stars" or "version"`},
		{viewing(View{Except: []string{"owner"}}), `live: router things: view "v": "owner" is no published field: want one of "id", "title", "stars" or "version"`},
		{viewing(View{Fields: []string{"id"}, Except: []string{"title"}}), `live: router things: view "v": it has both Fields and Except: leave one of them`},
		{viewing(View{Fields: []string{"id"}, Write: []string{"title"}}), `live: router things: view "v": its Write names "title", which is no field of the view: add it to the view, or remove it there`},
		{viewing(View{Write: []string{"stars"}}), `live: router things: view "v": its Write names "stars", which cannot be written: give the field the option write or a decoder, or remove it there`},
		{serializing(func(s *Serializer[full]) { s.Views = map[string]View{"v": {}} }),
			`live: router things: its serializer has Views, and no func View that chooses one for the caller: add it, or remove the Views`},
		{serializing(func(s *Serializer[full]) { s.View = func(context.Context) (string, error) { return "", nil } }),
			`live: router things: its serializer has a func View, and no Views to choose from: declare them, or remove the func`},
		{serializing(func(s *Serializer[full]) {
			s.Views, s.View = map[string]View{"": {}}, func(context.Context) (string, error) { return "", nil }
		}), `live: router things: view "": the name is not allowed: use letters, digits and single underscores`},

		{serializing(func(s *Serializer[full]) {
			s.Computed = map[string]Computed[full]{"c": {From: []string{"owner", "nope"}, Of: func(full) any { return 1 }}}
		}), `live: router things: computed field "c" is made from "nope", which is no field of the model: want one of "id", "owner", "stars", "title" or "version"`},

		{options(map[string]string{"nope": "filter"}), `live: router things: there are options for "nope", which is the name of no field of live.full: say it as it is published, or remove it`},
		{options(map[string]string{"title": "flter"}), `live: router things: field Title: unknown tag option "flter" (want key, version, write, filter or scope)`},
		{options(map[string]string{"id": "-"}), "live: router things: live.full has no key: tag the field that identifies a row, such as ID int64 `live:\"id,key\"`"},
		{options(map[string]string{"title": "key"}), `live: router things: live.full has 2 fields tagged key: a row has one, leave the option on that`},
		{options(map[string]string{"owner": "scope,filter"}), `live: router things: field Owner: scope means that the field serves rights only and is never sent: it goes with no other option`},
		{fromJSON[jsonChannel](), `live: router things: field C: a value of type chan int cannot be sent: remove the live tag (its json tag publishes it: to leave it out, set Options: {"c": "-"})`},
		{fromJSON[jsonName](), `live: router things: field A: the name "a-b" is not allowed: use letters, digits and single underscores (its json tag publishes it: to leave it out, set Options: {"a-b": "-"})`},

		{decoding("nope", func(json.RawMessage, *full) error { return nil }),
			`live: router things: a decoder is declared for "nope", which is no published field of the model: want one of "id", "title" or "stars"`},
		{decoding("owner", func(json.RawMessage, *full) error { return nil }),
			`live: router things: a decoder is declared for "owner", which is no published field of the model: want one of "id", "title" or "stars"`},
		{decoding("version", func(json.RawMessage, *full) error { return nil }),
			`live: router things: a decoder is declared for "version", which is the version, and no client can write it: remove it`},
		{decoding("title", nil), `live: router things: the decoder of "title" has no func: give it one or remove it`},

		{nestingIn("n", nil), `live: router things: nested field "n" is nil: make it with live.One or live.Many`},
		{nestingIn("title", One(&Serializer[fine]{}, key, load)), `live: router things: nested field "title": field Title has this name: rename one`},
		{nestingIn("n m", One(&Serializer[fine]{}, key, load)), `live: router things: nested field "n m": the name is not allowed: use letters, digits and single underscores`},
		{nestingIn("n", One(nil, key, load)), `live: router things: nested field "n" has no serializer: say how its rows become fields`},
		{nestingIn("n", One[full, fine, int](&Serializer[fine]{}, key, nil)), `live: router things: nested field "n" wants two funcs: one that returns a row's key, and one that loads what belongs to keys`},
		{nestingIn("n", Many[full, fine, int](&Serializer[fine]{}, nil, nil)), `live: router things: nested field "n" wants two funcs: one that returns a row's key, and one that loads what belongs to keys`},
		{nestingIn("n", One(viewed, key, load)), `live: router things: nested field "n" is shown in the view "v", which the serializer of its rows, live.fine, does not have: declare it there`},
		{nestingIn("n", One(&Serializer[noKey]{}, key, func(context.Context, []int) (map[int]noKey, error) { return nil, nil })),
			"live: router things: nested field \"n\": live.noKey has no key: tag the field that identifies a row, such as ID int64 `live:\"id,key\"`"},
		{serializing(func(s *Serializer[full]) {
			s.Computed = map[string]Computed[full]{"n": {Of: func(full) any { return 1 }}}
			s.Nested = map[string]Nested[full]{"n": One(&Serializer[fine]{}, key, load)}
		}), `live: router things: nested field "n": a computed field has this name: rename one`},

		{declare(func(r *Router[fine]) { r.Touches = []Toucher[fine]{nil} }),
			`live: router things: the element 0 of its Touches has no router or no func: make it with live.Parent, or remove it`},
		{declare(func(r *Router[fine]) {
			r.Touches = []Toucher[fine]{Parent(r, func(fine) Key { return "" }), Parent[fine](r, nil)}
		}),
			`live: router things: the element 1 of its Touches has no router or no func: make it with live.Parent, or remove it`},

		{relating("a b", Relation{Router: "r", Key: "id"}), `live: router things: relation "a b": the name is not allowed: use letters, digits and single underscores`},
		{relating("title", Relation{Router: "r", Key: "id"}), `live: router things: relation "title": a field has this name: rename one`},
		{relating("r", Relation{Key: "id"}), `live: router things: relation "r": it has no Router: name the one whose rows belong to a row`},
		{relating("r", Relation{Router: "r"}), `live: router things: relation "r": want either Key, the field of this row that holds the other's key, or Field, the other's field that holds this row's; or both of the router Through`},
		{relating("r", Relation{Router: "r", Key: "id", Field: "x"}), `live: router things: relation "r": want either Key, the field of this row that holds the other's key, or Field, the other's field that holds this row's; or both of the router Through`},
		{relating("r", Relation{Router: "r", Through: "t", Key: "id"}), `live: router things: relation "r": want Field and Key, the fields of router t that hold this row's key and the other's`},
		{relating("r", Relation{Router: "r", Key: "owner"}), `live: router things: relation "r": its Key "owner" is no published field of the model`},
		{relating("r", Relation{Router: "things", Field: "title"}),
			`live: router things: relation "r": clients cannot filter router things by "title": give that field the option filter, or name another`},
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
