package livetest

import (
	"database/sql"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/where"
)

func fieldsOf(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

type base struct {
	ID int64 `live:"id,key"`
}

type Stamps struct {
	Created time.Time `live:"created"`
}

type author struct {
	Name string `live:"name"`
}

type post struct {
	base
	*Stamps
	Title   string         `live:"title" json:"other"`
	Note    sql.NullString `live:"note"`
	Score   sql.Null[int]  `live:"score"`
	Parent  *int64         `live:"parent"`
	Author  author         `live:"author"`
	Data    []byte         `live:"data"`
	Secret  string         // not sent, so left as it is
	Meta    map[string]int `live:"meta"`
	Owner   string         `live:"owner,scope"`
	private string
}

func TestDecode(t *testing.T) {
	t.Parallel()
	parent := int64(1 << 60)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := post{Secret: "kept", Owner: "kept", private: "kept", Note: sql.NullString{String: "old", Valid: true}}
	Row{Fields: fieldsOf(t, `{"id":7,"created":"2026-01-02T03:04:05Z","title":"a","note":null,"score":3,"parent":1152921504606846976,`+
		`"author":{"name":"x"},"data":"AQI=","meta":{"a":1},"later":true}`)}.Decode(t, &got)
	want := post{
		base: base{7}, Stamps: &Stamps{at}, Title: "a", Score: sql.Null[int]{V: 3, Valid: true}, Parent: &parent,
		Author: author{"x"}, Data: []byte{1, 2}, Meta: map[string]int{"a": 1}, Secret: "kept", Owner: "kept", private: "kept",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var plain struct{ Title string }
	Row{Fields: fieldsOf(t, `{"title":"a"}`)}.Decode(t, &plain)
	if plain.Title != "a" {
		t.Errorf("without tags it is %+v", plain)
	}
	if err := decodeFields(nil, post{}); err == nil || !strings.Contains(err.Error(), "want a pointer") {
		t.Errorf("a struct by value is answered with %v", err)
	}
}

func TestSameJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{`{"a":1,"b":[true]}`, `{"b": [true], "a": 1}`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`"1"`, `1`, false},
		{`null`, `0`, false},
		{`{`, `{`, false},
	} {
		if got := sameJSON([]byte(tt.a), []byte(tt.b)); got != tt.same {
			t.Errorf("%s and %s: got %v", tt.a, tt.b, got)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	row := func(key, v string) Row {
		return Row{Key: key, Fields: map[string]json.RawMessage{"v": json.RawMessage(v)}}
	}
	by := func(text string) []where.Order {
		order, err := where.ParseOrder(text)
		if err != nil {
			t.Fatal(err)
		}
		return order
	}
	for _, tt := range []struct {
		order string
		rows  []Row
	}{
		{"", []Row{row("9", `1`), row("10", `0`), row("a", `0`)}},
		{"v", []Row{row("9", `null`), row("10", `null`), row("1", `-1`), row("2", `9`), row("3", `10`), row("4", `1e2`)}},
		{"-v", []Row{row("4", `true`), row("3", `false`), row("9", `null`), row("10", `null`)}},
		{"v", []Row{row("1", `"B"`), row("2", `"a"`), row("3", `"b"`)}},
		{"v", []Row{row("1", `"2026-01-02T00:00:00Z"`), row("2", `"2026-01-02T00:00:00.5Z"`), row("3", `"2026-01-02T00:00:01+00:00"`)}},
	} {
		for i, a := range tt.rows {
			for j, b := range tt.rows {
				got := compareRows(by(tt.order), a, b)
				if (got < 0) != (i < j) || (got > 0) != (i > j) {
					t.Errorf("order %q: %v and %v: got %d", tt.order, a, b, got)
				}
			}
		}
	}
}

// TestSubscribeMessage wants what is sent, and how it is called in messages.
func TestSubscribeMessage(t *testing.T) {
	t.Parallel()
	what, message := subscribeMessage(t, "todos", []SubscribeOption{
		Where(where.Eq("done", false)), Where(where.Gt("id", 7)), Order("-id"), Limit(20),
	})
	data, err := json.Marshal(message)
	if want := `{"limit":20,"order":"-id","router":"todos","where":{"done":false,"id__gt":7}}`; err != nil || string(data) != want {
		t.Errorf("sent is %s, %v, want %s", data, err, want)
	}
	if want := `todos {"done":false,"id__gt":7} by -id, 20 rows`; what != want {
		t.Errorf("it is called %s, want %s", what, want)
	}
	what, message = subscribeMessage(t, "todos", nil)
	if what != "todos" || len(message) != 1 {
		t.Errorf("got %s, %v", what, message)
	}
}
