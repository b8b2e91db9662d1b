package record

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
)

// reference is what encoding/json makes of an entry.
func reference(e Entry) ([]byte, error) {
	e.Format = Format
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.ToValidUTF8(bytes.TrimSuffix(b.Bytes(), []byte("\n")), []byte("\uFFFD")), nil
}

// likeReference holds an entry that is encoded against what encoding/json makes of it.
func likeReference(t *testing.T, e Entry) {
	t.Helper()
	got, err := Encode(e)
	want, wrong := reference(e)
	if (err == nil) != (wrong == nil) || !bytes.Equal(got, want) {
		t.Errorf("%+v\ngot  %s, %v\nwant %s, %v", e, got, err, want, wrong)
	}
}

func TestEncodeWritesWhatEncodingJSONWould(t *testing.T) {
	for _, e := range written {
		likeReference(t, e)
	}
	likeReference(t, Entry{Messages: []Message{{}}, Changes: []Change{{Now: Fields{"": nil, "a": {}}}}})
	for _, raw := range []string{``, ` `, ` 1 `, `{ "a" : [ 1 , 2 ] }`, "[1,\n2]", `01`, `1 2`, `{"a":1,}`, `"` + "\u2028<&>" + `"`, "\"\xff\"", `nul`, `"a`, `-`} {
		likeReference(t, Entry{Messages: []Message{{Channel: "c", Data: json.RawMessage(raw)}}})
	}
	for _, text := range []string{"<&>", "\u2028\u2029", "\xff", "\x00\x1f\x7f", `"\`, "é\u0080"} {
		likeReference(t, Entry{By: text, Mutation: text, Recheck: []string{text}, Changes: []Change{{Router: text, Key: text, Op: Op(text), Changed: []string{text}, Now: Fields{text: json.RawMessage("1")}}}})
	}
}

// FuzzEncode makes entries of whatever it is given.
func FuzzEncode(f *testing.F) {
	f.Add(uint64(1), "todos", "\u00fc", []byte(`{"a": 1}`), []byte("null"))
	f.Add(uint64(2), "<&>", "\xff", []byte(`"\u2028"`), []byte("1"))
	f.Fuzz(func(t *testing.T, seed uint64, a, b string, x, y []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := func() string { return []string{a, b, "", a + b, "plain"}[r.IntN(5)] }
		raw := func() json.RawMessage { return []json.RawMessage{x, y, nil, []byte("7"), []byte(`"text"`)}[r.IntN(5)] }
		fields := func() Fields {
			if r.IntN(3) == 0 {
				return nil
			}
			all := Fields{}
			for range r.IntN(4) {
				all[text()] = raw()
			}
			return all
		}
		texts := func() (all []string) {
			if r.IntN(2) == 0 {
				all = []string{}
			}
			for range r.IntN(3) {
				all = append(all, text())
			}
			return all
		}
		e := Entry{Recheck: texts(), Disconnect: texts(), Mutation: text(), By: text(), Sent: r.Int64N(3) - 1}
		for range r.IntN(3) {
			c := Change{Router: text(), Key: text(), Op: Op(text()), Now: fields(), Was: fields(), Changed: texts(), Mutation: text(), By: raw(), Where: raw()}
			if r.IntN(2) == 0 {
				c.Version = version(r.Int64() - r.Int64())
			}
			e.Changes = append(e.Changes, c)
		}
		for range r.IntN(3) {
			e.Messages = append(e.Messages, Message{Channel: text(), Data: raw(), Note: raw()})
		}
		likeReference(t, e)
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, way := range []struct {
		name   string
		encode func(Entry) ([]byte, error)
	}{{"written", Encode}, {"encoding-json", reference}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := way.encode(written[2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
