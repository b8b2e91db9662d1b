package live

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// compiled is the model of T.
func compiled[T any](t *testing.T) *model[T] {
	t.Helper()
	m, err := Serializer[T]{}.compile(compiling{router: "things"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// encoded is a row as it goes out, one field a line.
func encoded[T any](t *testing.T, m *model[T], row T) string {
	t.Helper()
	o, err := m.bare(&row)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, f := range m.fields {
		fmt.Fprintf(&b, "%s=%s ", f.name, o.Values[i])
	}
	return strings.TrimSpace(b.String())
}

type (
	Base struct {
		ID      int64 `live:"id,key"`
		Version int64 `live:"version,version"`
		Hash    string
	}
	Author struct {
		Name  string  `live:"author,write,filter"`
		Email *string `live:"email,write"`
	}
	Deep struct {
		*Author
		Level int `live:"level,write"`
	}
	Address struct {
		Street, secret string
		Zip            int `json:"zip"`
	}
	hidden struct {
		Color string `live:"color,write"`
	}
)

func TestEmbeddedStructsCountAsFields(t *testing.T) {
	type post struct {
		Base
		*Deep
		hidden
		Title string `live:"title,write"`
	}
	m := compiled[post](t)
	if got, want := encoded(t, m, post{Base: Base{1, 2, "x"}, Title: "a"}),
		`id=1 version=2 author=null email=null level=null color="" title="a"`; got != want {
		t.Errorf("with nil in it: %s\nwant %s", got, want)
	}
	full := post{Base{1, 2, "x"}, &Deep{&Author{"Ann", ptr("a@b")}, 3}, hidden{"red"}, "a"}
	if got, want := encoded(t, m, full),
		`id=1 version=2 author="Ann" email="a@b" level=3 color="red" title="a"`; got != want {
		t.Errorf("in full: %s\nwant %s", got, want)
	}

	var row post
	if _, problem := m.write(m.views[""], &row, []byte(`{"author":"Bo","email":"b@c","level":4,"color":"blue"}`)); problem != nil {
		t.Fatal(problem)
	}
	if want := (post{Deep: &Deep{&Author{"Bo", ptr("b@c")}, 4}, hidden: hidden{"blue"}}); !reflect.DeepEqual(row, want) {
		t.Errorf("written through nil pointers: %s", encoded(t, m, row))
	}
	if _, problem := m.write(m.views[""], &row, []byte(`{"author":null}`)); problem == nil {
		t.Error("a field takes null because its embedded struct may be nil")
	}
}

func TestEmbeddedStructThatHoldsItselfEnds(t *testing.T) {
	m := compiled[node](t)
	if got := encoded(t, m, node{ID: 1, node: &node{ID: 2}}); got != "id=1" {
		t.Error(got)
	}
}

type node struct {
	*node
	ID int64 `live:"id,key"`
}

func TestShadowedEmbeddedFieldGoesOutByItsOwnName(t *testing.T) {
	type doc struct {
		Base
		Hash    string `live:"hash"` // Base.Hash has no tag
		Version int64  // shadows Base.Version for Go, but has no tag
	}
	if got, want := encoded(t, compiled[doc](t), doc{Base{1, 2, "secret"}, "public", 9}), `id=1 version=2 hash="public"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRowWithoutKeyIsRefused(t *testing.T) {
	type ref struct{ *Base }
	if _, err := compiled[ref](t).bare(&ref{}); err == nil || !strings.Contains(err.Error(), "Base.ID: a row has an empty key") {
		t.Error(err)
	}
	type text struct {
		ID string `live:"id,key"`
	}
	if _, err := compiled[text](t).bare(&text{}); err == nil || !strings.Contains(err.Error(), "empty key") {
		t.Error(err)
	}
	if o, err := compiled[text](t).bare(&text{"null"}); err != nil || o.Key != "null" {
		t.Error(o.Key, err)
	}
}

func TestNestedStructIsOneOpaqueValue(t *testing.T) {
	type person struct {
		ID   int64   `live:"id,key"`
		Home Address `live:"home,write"`
	}
	m := compiled[person](t)
	row := person{1, Address{"Main St", "s", 12345}}
	if got, want := encoded(t, m, row), `id=1 home={"Street":"Main St","zip":12345}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, problem := m.write(m.views[""], &row, []byte(`{"home":{"zip":7}}`)); problem != nil {
		t.Fatal(problem)
	}
	if want := (Address{Zip: 7}); row.Home != want {
		t.Errorf("a write replaces the whole value: %+v", row.Home)
	}
}

type everything struct {
	ID     int64 `live:"id,key"`
	*Deep  `live:"-"`
	Number int                `live:"number,write"`
	Text   *string            `live:"text,write"`
	Tags   []string           `live:"tags,write"`
	Bytes  []byte             `live:"bytes,write"`
	Raw    json.RawMessage    `live:"raw,write"`
	Map    map[string][]int   `live:"map,write"`
	Home   *Address           `live:"home,write"`
	Null   *sql.NullString    `live:"null,write"`
	At     *time.Time         `live:"at,write"`
	Any    any                `live:"any,write"`
	Array  [2]*int            `live:"array,write"`
	List   sql.Null[[]string] `live:"list,write"`
}

func TestWritingNeverTouchesTheRowBefore(t *testing.T) {
	type post struct {
		everything
		*Author
	}
	fresh := func() post {
		return post{everything{
			1, nil, 2, ptr("a"), []string{"a", "b"}, []byte("abc"), json.RawMessage(`{"a":1}`), map[string][]int{"a": {1}},
			&Address{"S", "s", 1}, &sql.NullString{String: "n", Valid: true}, ptr(utc), map[string]any{"a": 1.0},
			[2]*int{ptr(1), ptr(2)}, sql.Null[[]string]{V: []string{"l"}, Valid: true},
		}, &Author{"Ann", ptr("a@b")}}
	}
	m := compiled[post](t)
	was := fresh()
	now := was
	written, problem := m.write(m.views[""], &now, []byte(`{
		"number": 3, "text": "b", "tags": ["x"], "bytes": "eHl6", "raw": [1], "map": {"a": [9], "b": []}, "home": {"Street": "T"},
		"null": "m", "at": "2030-01-01T00:00:00Z", "any": {"b": 2}, "array": [8, 9], "list": ["k"], "author": "Bo", "email": "b@c"
	}`))
	if problem != nil {
		t.Fatal(problem)
	}
	if want := fresh(); !reflect.DeepEqual(was, want) {
		t.Errorf("the row before is now\n%s", encoded(t, m, was))
	}
	if len(written) != 14 {
		t.Errorf("written: %v", written)
	}
	want := `id=1 number=3 text="b" tags=["x"] bytes="eHl6" raw=[1] map={"a":[9],"b":[]} home={"Street":"T","zip":0} null="m" ` +
		`at="2030-01-01T00:00:00Z" any={"b":2} array=[8,9] list=["k"] author="Bo" email="b@c"`
	if got := encoded(t, m, now); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	again := now
	if _, problem := m.write(m.views[""], &again, []byte(`{"text":null,"tags":null,"bytes":null,"raw":null,"map":null,"home":null,"null":null,"at":null,"any":null,"list":null,"email":null}`)); problem != nil {
		t.Fatal(problem)
	}
	if got := encoded(t, m, now); got != want {
		t.Errorf("writing nulls changed the row before to %s", got)
	}
	if got, want := encoded(t, m, again), `id=1 number=3 text=null tags=null bytes=null raw=null map=null home=null null=null `+
		`at=null any=null array=[8,9] list=null author="Bo" email=null`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestKeysHaveOneForm(t *testing.T) {
	type number struct {
		ID int32 `live:"id,key"`
	}
	type text struct {
		ID title `live:"id,key"`
	}
	type enum struct {
		ID color `live:"id,key"`
	}
	numbers, texts, enums := compiled[number](t), compiled[text](t), compiled[enum](t)
	for _, test := range []struct {
		parse    func(string) (Key, bool)
		in, want string // want is empty for a refusal
	}{
		{parser(numbers), "42", "42"},
		{parser(numbers), "-1", "-1"},
		{parser(numbers), "042", "42"},
		{parser(numbers), "4294967296", ""},
		{parser(numbers), "abc", ""},
		{parser(numbers), "", ""},
		{parser(numbers), "null", ""},
		{parser(numbers), "1.5", ""},
		{parser(numbers), "{}", ""},
		{parser(numbers), `"42"`, ""},
		{parser(texts), "a/b c", "a/b c"},
		{parser(texts), "null", "null"},
		{parser(texts), `"`, `"`},
		{parser(texts), "ü\u2028", "ü\u2028"},
		{parser(texts), "", ""},
		{parser(enums), "green", "green"},
		{parser(enums), "GREEN", "green"},
		{parser(enums), "blue", ""},
	} {
		if got, ok := test.parse(test.in); string(got) != test.want || ok != (test.want != "") {
			t.Errorf("%q is key %q, %v; want %q", test.in, got, ok, test.want)
		}
	}
	if Key("-42").Int64() != -42 || Key("x").Int64() != 0 || Key("x").String() != "x" {
		t.Error("Key's methods")
	}
}

func parser[T any](m *model[T]) func(string) (Key, bool) {
	return func(text string) (Key, bool) {
		key, problem := m.parseKey(text)
		if problem != nil && (problem.Status != 400 || problem.Code != "invalid_key" || len(problem.Errors["id"]) != 1) {
			panic(problem.Error())
		}
		return key, problem == nil
	}
}
