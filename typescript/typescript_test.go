package typescript_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/typescript"
)

var update = flag.Bool("update", false, "write what the tests compare with")

// golden is a file that the client's typecheck compiles: see use-generated.ts beside it.
const golden = "../client/test/types/generated.ts"

func TestWhatIsWrittenIsWhatTheClientIsTypecheckedWith(t *testing.T) {
	hub := shop(t)
	var out bytes.Buffer
	if err := typescript.Write(&out, hub, options); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s is not what is written now: run go test ./typescript -update, and look at what changed\n%s", golden, out.Bytes())
	}
	for range 20 {
		var again bytes.Buffer
		if err := typescript.Write(&again, hub, options); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Fatalf("the same routers gave other bytes:\n%s", again.Bytes())
		}
	}
}

type numbered int

func (numbered) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (numbered) Values() []numbered           { panic("not yet") }

type flat int

func (flat) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (flat) Values() []int                { return []int{1} }

// hubOf is a hub with one router, that has a verb which takes an In, and relations.
func hubOf[In any](t *testing.T, relations map[string]live.Relation) *live.Hub {
	h := live.New(live.Options{})
	t.Cleanup(func() {
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h.Register(&live.Router[user]{
		Name: "users", Scope: live.Everyone, List: func(context.Context, live.Query) ([]user, error) { return nil, nil },
		Serializer: live.Serializer[user]{Relations: relations},
		Verbs:      map[string]live.CustomVerb{"do": live.Verb[In, struct{}](func(context.Context, In) (struct{}, error) { return struct{}{}, nil })},
	})
	return h
}

func TestNothingIsWrittenWhenSomethingIsWrong(t *testing.T) {
	none := live.New(live.Options{})
	defer none.Shutdown(context.Background())
	for _, test := range []struct {
		hub  *live.Hub
		o    typescript.Options
		want string
	}{
		{none, typescript.Options{}, "the hub has no routers"},
		{hubOf[int](t, map[string]live.Relation{"lines": {Router: "lines", Field: "user_id"}}), typescript.Options{},
			`router users: relation "lines": the router lines is not registered`},
		{hubOf[int](t, map[string]live.Relation{"tags": {Router: "users", Through: "tags", Field: "user_id", Key: "id"}}), typescript.Options{},
			`router users: relation "tags": the router tags is not registered`},
		{hubOf[int](t, nil), typescript.Options{Fields: map[string]string{"users.name": "string", "users.nmae": "string", "z": "string"}},
			`Options.Fields has a type for "users.nmae"`},
		{hubOf[numbered](t, nil), typescript.Options{}, "type typescript_test.numbered: its method Values panicked: not yet"},
	} {
		var out bytes.Buffer
		err := typescript.Write(&out, test.hub, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
			t.Errorf("got %v and wrote %q, want %q", err, out.String(), test.want)
		}
	}
}

func TestValuesOfOtherTypesAreNone(t *testing.T) {
	var out strings.Builder
	if err := typescript.Write(&out, hubOf[flat](t, nil), typescript.Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "do: { in: string; out: undefined; row: false };"; !strings.Contains(out.String(), want) {
		t.Errorf("want %s in\n%s", want, out.String())
	}
}

// broken is a writer that is full.
type broken struct{}

var errFull = errors.New("full")

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestTheErrorOfTheWriterIsReturned(t *testing.T) {
	if err := typescript.Write(broken{}, hubOf[int](t, nil), typescript.Options{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestTypesOfOptionsStandInPlaceOfWhatIsFound(t *testing.T) {
	type in struct {
		P *money           `json:"p"`
		L []money          `json:"l,omitempty"`
		M map[string]state `json:"m"`
	}
	o := typescript.Options{Types: map[reflect.Type]string{reflect.TypeFor[money](): "1 | 2", reflect.TypeFor[state](): "unknown", reflect.TypeFor[string](): "Text"}}
	var out strings.Builder
	if err := typescript.Write(&out, hubOf[in](t, nil), o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"do: { in: { p: 1 | 2 | null; l?: readonly (1 | 2)[]; m: Record<string, unknown> | null }; out: undefined; row: false };",
		"row: { id: number; name: Text; phone: Text; addr: string };",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %s in\n%s", want, out.String())
		}
	}
}
