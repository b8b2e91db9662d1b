package wire_test

import (
	"net/url"
	"reflect"
	"testing"

	"github.com/swampline/live/internal/wire"
)

// Whatever a subscribe asks for, it asks for still when it is read back from its Ask, but for where its client was; so a member that
// the type gains must be kept, too.
func TestAsk(t *testing.T) {
	own := map[string]bool{"ID": true, "Cursor": true, "Bound": true, "Tag": true, "Origin": true}
	other := map[string]bool{"Verb": true, "Version": true, "Data": true, "Base": true, "Mutation": true, "Retry": true} // of other messages
	origin := &wire.Origin{Stays: true}
	fields := reflect.TypeFor[wire.Message]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "Type" || other[name] {
			continue
		}
		m := wire.Message{Type: wire.Subscribe, ID: 7}
		plain := wire.AskOf(&m, nil)
		fill(t, reflect.ValueOf(&m).Elem().Field(i))
		if own[name] {
			if wire.AskOf(&m, plain) != plain {
				t.Errorf("who differs in %s alone asks for something of his own", name)
			}
			continue
		}
		ask := wire.AskOf(&m, plain)
		if ask == plain {
			t.Errorf("who differs in %s shares what he asks for", name)
		}
		want := m
		want.ID, want.Origin = 8, origin
		if got := ask.Message(8, origin); !reflect.DeepEqual(got, want) {
			t.Errorf("with %s:\n got %+v\nwant %+v", name, got, want)
		}
		if again := wire.AskOf(&m, ask); ask.Shared() && again != ask {
			t.Errorf("who asks for the same %s does not share it", name)
		}
	}
}

// fill sets a field to something.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case url.Values:
		v.Set(reflect.ValueOf(url.Values{"a": {"b"}}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Index(0).Kind() == reflect.Uint8 {
			v.SetBytes([]byte("{}"))
		} else {
			fill(t, v.Index(0))
		}
	default:
		t.Fatalf("a field of %s: teach this test", v.Type())
	}
}
