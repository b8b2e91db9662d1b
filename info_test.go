package live_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

type infoPart struct {
	ID   int64  `live:"id,key"`
	Name string `live:"name,write,filter"`
	Cost int64  `live:"cost"`
}

type infoRow struct {
	Title string          `live:"title,write,filter"`
	ID    string          `live:"id,key"`
	Owner int64           `live:"owner,scope"`
	Price *float64        `live:"price,write"`
	Raw   json.RawMessage `live:"raw"`
	N     int64           `live:"n,version"`
}

// told writes infos down on lines.
func told(infos []live.FieldInfo) string {
	var lines []string
	for _, f := range infos {
		words := []string{f.Name}
		if f.Type != nil {
			words = append(words, f.Type.String(), f.Kind.String())
		}
		for _, flag := range []struct {
			is   bool
			word string
		}{{f.Nullable, "null"}, {f.Key, "key"}, {f.Version, "version"}, {f.Write, "write"}, {f.Decoded, "decoded"}, {f.Filter, "filter"}, {f.Order, "order"}, {f.Many, "many"}} {
			if flag.is {
				words = append(words, flag.word)
			}
		}
		if f.Nested != nil {
			words = append(words, "{"+strings.ReplaceAll(told(f.Nested), "\n", "; ")+"}")
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

func TestRoutersTellWhatIsDeclared(t *testing.T) {
	parts := live.Serializer[infoPart]{Views: map[string]live.View{"guest": {Except: []string{"cost"}}}}
	load := func(context.Context, []string) (map[string][]infoPart, error) { return nil, nil }
	key := func(r infoRow) string { return r.ID }
	rows := &live.Router[infoRow]{
		Name: "rows", Scope: live.Everyone,
		List:  func(context.Context, live.Query) ([]infoRow, error) { return nil, nil },
		Count: func(context.Context, live.Query) (int64, error) { return 0, nil },
		Get:   func(context.Context, live.Key) (infoRow, error) { return infoRow{}, live.ErrNotFound },
		Verbs: map[string]live.CustomVerb{
			"b": live.RowVerb[infoRow, struct{}, []string](func(context.Context, infoRow, struct{}) ([]string, error) { return nil, nil }),
			"a": live.Verb[int, bool](func(context.Context, int) (bool, error) { return false, nil }),
		},
		Serializer: live.Serializer[infoRow]{
			Computed: map[string]live.Computed[infoRow]{"z": {Of: func(infoRow) any { return 1 }}, "y": {Of: func(infoRow) any { return 1 }}},
			Nested: map[string]live.Nested[infoRow]{
				"parts": live.Many(&parts, key, load),
				"first": live.One(&parts, key, func(context.Context, []string) (map[string]infoPart, error) { return nil, nil }),
			},
			Decode:    map[string]func(json.RawMessage, *infoRow) error{"raw": func(json.RawMessage, *infoRow) error { return nil }},
			Views:     map[string]live.View{"guest": {Except: []string{"price", "title", "z", "first"}, Write: []string{}}},
			View:      func(context.Context) (string, error) { return "guest", nil },
			Relations: map[string]live.Relation{"others": {Router: "others", Field: "rows_id"}},
		},
	}
	other := &live.Router[infoPart]{Name: "a-part", Scope: live.Everyone, Create: func(_ context.Context, in infoPart) (infoPart, error) { return in, nil }}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	if got := hub.Routers(); got != nil {
		t.Errorf("a hub without routers tells of %v", got)
	}
	hub.Register(rows, other)
	infos := hub.Routers()
	if len(infos) != 2 || infos[0].Name != "a-part" || infos[1].Name != "rows" {
		t.Fatalf("got %+v, want the routers a-part and rows", infos)
	}
	if p := infos[0]; !p.Create || p.List || p.Count || p.Get || p.Update || p.Delete || p.Views != nil || p.Verbs != nil || p.Model != reflect.TypeFor[infoPart]() {
		t.Errorf("a-part: got %+v", p)
	}
	i := infos[1]
	if !i.List || !i.Count || !i.Get || i.Create || i.Update || i.Delete {
		t.Errorf("rows: got verbs of %+v", i)
	}
	want := `title string text write filter order
id string text key filter order
price *float64 float null write
raw json.RawMessage opaque null write decoded
n int64 int version filter order
y
z
first null {id int64 int key; name string text; cost int64 int}
parts many {id int64 int key; name string text; cost int64 int}`
	if got := told(i.Fields); got != want {
		t.Errorf("got the fields\n%s\nwant\n%s", got, want)
	}
	want = `id string text key filter order
raw json.RawMessage opaque null
n int64 int version filter order
y
parts many {id int64 int key; name string text}`
	if len(i.Views) != 1 || i.Views[0].Name != "guest" || told(i.Views[0].Fields) != want {
		t.Errorf("got the views %+v, want guest with\n%s", i.Views, want)
	}
	if want := []live.VerbInfo{
		{"a", false, reflect.TypeFor[int](), reflect.TypeFor[bool]()},
		{"b", true, reflect.TypeFor[struct{}](), reflect.TypeFor[[]string]()},
	}; !reflect.DeepEqual(i.Verbs, want) {
		t.Errorf("got the verbs %+v, want %+v", i.Verbs, want)
	}
	if want := (live.Relation{Router: "others", Field: "rows_id"}); len(i.Relations) != 1 || i.Relations["others"] != want {
		t.Errorf("got the relations %+v", i.Relations)
	}
	delete(i.Relations, "others")
	i.Fields[0].Name = "changed"
	if again := hub.Routers()[1]; len(again.Relations) != 1 || again.Fields[0].Name != "title" {
		t.Error("what a caller does to an info changes the next one")
	}
}

func TestRoutersTellWhichFieldsHaveAnOrder(t *testing.T) {
	type row struct {
		ID   int64     `live:"id,key"`
		Word stateWord `live:"word,filter"`
		Done bool      `live:"done,filter"`
		Mute string    `live:"mute"`
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(&live.Router[row]{Name: "rows", Scope: live.Everyone, List: func(context.Context, live.Query) ([]row, error) { return nil, nil }})
	want := map[string][3]any{"id": {where.Int, true, true}, "word": {where.Opaque, true, false}, "done": {where.Bool, true, true}, "mute": {where.Text, false, false}}
	for _, f := range hub.Routers()[0].Fields {
		if got := [3]any{f.Kind, f.Filter, f.Order}; got != want[f.Name] {
			t.Errorf("field %s: got %v, want %v", f.Name, got, want[f.Name])
		}
	}
}

// stateWord marshals to text.
type stateWord int

func (stateWord) MarshalText() ([]byte, error) { return []byte("word"), nil }
func (*stateWord) UnmarshalText([]byte) error  { return nil }
