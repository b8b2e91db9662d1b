package typescript

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type word string

func (word) Values() []word { return []word{"a", "b c"} }

type number8 uint8

func (n number8) MarshalText() ([]byte, error)  { return fmt.Appendf(nil, "n%d", n), nil }
func (n *number8) UnmarshalText(b []byte) error { return nil }

// onPointer marshals where it has an address.
type onPointer struct{ N int }

func (*onPointer) MarshalText() ([]byte, error) { return []byte("text"), nil }

type readsItself struct{ N int }

func (*readsItself) UnmarshalJSON([]byte) error { return nil }

type itself struct {
	Name  string
	Next  *itself
	Kids  []itself
	Named map[string]itself
}

type (
	nodes   []inner
	inner   struct{ Kids nodes }
	forever []forever
)

type page[T any] struct {
	Items []T
	More  *page[T]
}

type Base struct {
	ID    int
	Title string `json:"title"`
}

type Other struct {
	ID   string
	Rest bool
}

type base struct{ Lower int }

type fields struct {
	Base
	*Other
	base
	Plain      int
	Renamed    string         `json:"x-y"`
	Omit       int            `json:",omitempty"`
	OmitPtr    *int           `json:"omitPtr,omitempty"`
	OmitSlice  []int          `json:",omitempty"`
	OmitTime   time.Time      `json:",omitempty"`
	ZeroTime   time.Time      `json:",omitzero"`
	ZeroMap    map[string]int `json:",omitzero"`
	Quoted     int            `json:",string"`
	QuotedPtr  *bool          `json:",string"`
	QuotedText string         `json:",string"`
	Skipped    int            `json:"-"`
	_          int
	Title      string `json:"Title"`
}

type zeroed struct {
	List neverZero `json:",omitzero"`
}

type neverZero []int

func (neverZero) IsZero() bool { return false }

type twice struct {
	A
	B
}

type A struct{ X, Y int }

type B struct {
	X int
	Z int `json:"Y"`
}

type deep struct {
	P  *onPointer
	V  onPointer
	S  []onPointer
	M  map[string]onPointer
	An [2]onPointer
}

// odd has tags that linters complain of, and encoding/json puts up with.
var odd = reflect.StructOf([]reflect.StructField{
	{Name: "NotQuoted", Type: reflect.TypeFor[[]int](), Tag: `json:",string"`},
	{Name: "Bad", Type: reflect.TypeFor[int](), Tag: `json:"a\"b"`},
	{Name: "Dash", Type: reflect.TypeFor[int](), Tag: `json:"-,"`},
})

var cases = []struct {
	t    reflect.Type
	want string
}{
	{reflect.TypeFor[int](), "number"},
	{reflect.TypeFor[uint64](), "number"},
	{reflect.TypeFor[float32](), "number"},
	{reflect.TypeFor[bool](), "boolean"},
	{reflect.TypeFor[string](), "string"},
	{reflect.TypeFor[time.Time](), "string"},
	{reflect.TypeFor[time.Duration](), "number"},
	{reflect.TypeFor[[]byte](), "string | null"},
	{reflect.TypeFor[[4]byte](), "readonly number[]"},
	{reflect.TypeFor[[]number8](), "readonly string[] | null"},
	{reflect.TypeFor[json.RawMessage](), "unknown"},
	{reflect.TypeFor[json.Number](), "number"},
	{reflect.TypeFor[any](), "unknown"},
	{reflect.TypeFor[error](), "unknown"},
	{reflect.TypeFor[big.Int](), "unknown"},
	{reflect.TypeFor[netip.Addr](), "string"},
	{reflect.TypeFor[readsItself](), "unknown"},
	{reflect.TypeFor[chan int](), "unknown"},
	{reflect.TypeFor[forever](), "unknown"},
	{reflect.TypeFor[map[float64]int](), "unknown"},
	{reflect.TypeFor[**int](), "number | null"},
	{reflect.TypeFor[[]*string](), "readonly (string | null)[] | null"},
	{reflect.TypeFor[[][]int](), "readonly (readonly number[] | null)[] | null"},
	{reflect.TypeFor[[2][]word](), `readonly (readonly ("a" | "b c")[] | null)[]`},
	{reflect.TypeFor[map[word]*word](), `Record<string, "a" | "b c" | null> | null`},
	{reflect.TypeFor[map[netip.Addr]int](), "Record<string, number> | null"},
	{reflect.TypeFor[map[int8]bool](), "Record<string, boolean> | null"},
	{reflect.TypeFor[struct{ A, B int }](), "{ A: number; B: number }"},
	{reflect.TypeFor[struct{ a int }](), "{}"},
	{reflect.TypeFor[deep](), "{ P: string | null; V: unknown; S: readonly string[] | null; M: Record<string, unknown> | null; An: readonly unknown[] }"},
	{reflect.TypeFor[*deep](), "{ P: string | null; V: string; S: readonly string[] | null; M: Record<string, unknown> | null; An: readonly string[] } | null"},
	{reflect.TypeFor[twice](), "{ Y: number }"},
	{reflect.TypeFor[zeroed](), "{ List?: readonly number[] | null }"},
	{reflect.TypeFor[fields](), `{ title: string; Rest?: boolean; Lower: number; Plain: number; "x-y": string; Omit?: number; omitPtr?: number; OmitSlice?: readonly number[]; ` +
		`OmitTime?: string; ZeroTime?: string; ZeroMap?: Record<string, number>; Quoted: string; QuotedPtr: string | null; QuotedText: string; Title: string }`},
	{odd, `{ NotQuoted: readonly number[] | null; Bad: number; "-": number }`},
	{reflect.TypeFor[itself](), "Itself"},
	{reflect.TypeFor[nodes](), "readonly Inner[] | null"},
	{reflect.TypeFor[page[itself]](), "Page"},
}

func TestTypesAreWhatEncodingJSONMakesOfThem(t *testing.T) {
	for _, c := range cases {
		ts := &types{names: map[shape]string{}}
		if got := ts.of(c.t, false).text; got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.t, got, c.want)
		}
	}
}

// TestRandomValuesConform marshals values of each type and compares them with the expression.
func TestRandomValuesConform(t *testing.T) {
	unencoded := []reflect.Type{reflect.TypeFor[chan int](), reflect.TypeFor[map[float64]int](), reflect.TypeFor[error]()}
	for _, c := range cases {
		if slices.Contains(unencoded, c.t) {
			continue
		}
		ts := &types{names: map[shape]string{}}
		e := ts.of(c.t, false)
		r := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			v := reflect.New(c.t).Elem()
			fill(v, r, 4)
			data, err := json.Marshal(v.Interface())
			if err != nil {
				t.Fatalf("%s: %v", c.t, err)
			}
			if !conforms(t, e.text, ts.helpers, data) {
				t.Fatalf("%s: %s is not of the type\n%s\n%s", c.t, data, e.text, strings.Join(ts.helpers, ""))
			}
		}
	}
}

// fill sets a value by chance, nil included.
func fill(v reflect.Value, r *rand.Rand, depth int) {
	switch v.Type() {
	case timeType:
		if r.IntN(2) == 0 {
			v.Set(reflect.ValueOf(time.Unix(r.Int64N(1e9), 0)))
		}
		return
	case numberType:
		v.SetString("1.5")
		return
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"x":[1]}`))
		return
	case reflect.TypeFor[word]():
		v.SetString(string(word("").Values()[r.IntN(2)]))
		return
	}
	if !v.CanSet() || depth == 0 || r.IntN(4) == 0 && v.Kind() != reflect.Struct {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(r.Int64N(100))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(r.Uint64N(100))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.String:
		v.SetString("text")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), r, depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), r, depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, r, depth-1)
		fill(value, r, depth-1)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), r, depth-1)
		}
	}
}

func TestTypesThatContainThemselvesHaveNames(t *testing.T) {
	type Routers struct{ Next *Routers } // a name that means something else
	type Inner struct{ Next []Inner }    // one that another type has
	ts := &types{names: map[shape]string{}}
	got := ts.of(reflect.TypeFor[struct {
		R Routers
		I inner
		J Inner
		P page[int]
		Q page[string]
		X itself
	}](), false).text
	if want := "{ R: Routers2; I: Inner; J: Inner2; P: Page; Q: Page2; X: Itself }"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	slices.Sort(ts.helpers)
	for i, want := range []string{
		"interface Inner {\n  Kids: readonly Inner[] | null;\n}\n",
		"interface Inner2 {\n  Next: readonly Inner2[] | null;\n}\n",
	} {
		if i >= len(ts.helpers) || ts.helpers[i] != want {
			t.Errorf("got the interfaces\n%s\nwant as number %d\n%s", strings.Join(ts.helpers, ""), i, want)
		}
	}
}

// oddNames are names that a json tag may have and a TypeScript identifier not, and some that need no quotes.
var oddNames = []string{"a-b", "a b", "1st", "ünïcode", "日本", "$ref", "_", "%", "a.b", "class", "#", "[]", "{}", "a:b", "a;b", "?", "a|b", "*/", "//", "`", "'", "<b>", "&", "\u2028", "𝒳", "é"}

func TestMembersAreCalledAsEncodingJSONCallsThem(t *testing.T) {
	var sf []reflect.StructField
	for i, name := range oddNames {
		sf = append(sf, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[int](), Tag: reflect.StructTag(fmt.Sprintf("json:%q", name))})
	}
	typ := reflect.StructOf(sf)
	data, err := json.Marshal(reflect.Zero(typ).Interface())
	if err != nil {
		t.Fatal(err)
	}
	ts := &types{names: map[shape]string{}}
	if e := ts.of(typ, false); !conforms(t, e.text, nil, data) {
		t.Errorf("%s\nis not of the type\n%s", data, e.text)
	}
}

func TestEmbeddedFieldsAreChosenAsEncodingJSONDoes(t *testing.T) {
	for _, v := range []any{
		fields{Other: &Other{}, OmitSlice: []int{1}, Omit: 1, OmitPtr: new(int), ZeroTime: time.Unix(1, 0), ZeroMap: map[string]int{}}, twice{},
		struct {
			twice
			X string
		}{},
		struct {
			*A
			Base
			Y string `json:"ID"`
		}{A: &A{}},
		struct {
			base `json:"base"`
			B    int
			B2   int `json:"B"`
		}{},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]any
		if err := json.Unmarshal(data, &keys); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range membersOf(reflect.TypeOf(v)) {
			got = append(got, m.name)
		}
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(keys)); !slices.Equal(got, want) {
			t.Errorf("%T: got the members %q, encoding/json writes %q", v, got, want)
		}
	}
}

func FuzzMember(f *testing.F) {
	for _, name := range oddNames {
		f.Add(name)
	}
	f.Add("\"")
	f.Add("\\")
	f.Add("\n")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, name string) {
		got := member(name)
		if !strings.HasPrefix(got, `"`) {
			if got != name || !identifier.MatchString(name) {
				t.Errorf("%q became %s", name, got)
			}
			return
		}
		var back string
		if err := json.Unmarshal([]byte(got), &back); err != nil || back != strings.ToValidUTF8(name, "\uFFFD") && back != string([]rune(name)) {
			t.Errorf("%q became %s, which reads as %q (%v)", name, got, back, err)
		}
		if strings.ContainsAny(got, "\n\r\u2028\u2029") {
			t.Errorf("%q became %q, with a line break", name, got)
		}
	})
}
