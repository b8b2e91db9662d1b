package live

import (
	"strings"
	"testing"

	"github.com/swampline/live/where"
)

// account is a model as a generator writes it, without live tags.
type account struct {
	ID           int64  `json:"id"`
	Name         string `json:"name,omitempty"`
	Balance      int64  `json:"balance,string"`
	PasswordHash string `json:"password_hash"`
	Token        string `json:"-"`
	Plain        string
	Nameless     int `json:",omitempty"`
	Times
	Inner Times `json:"inner"`
	Live  int   `json:"other" live:"mine,filter"`
	Out   int   `json:"out" live:"-"`
}

type Times struct {
	Created int `json:"created"`
	ID      int `json:"id"` // shadowed by the account's
}

func TestFieldsFromJSONTags(t *testing.T) {
	s := Serializer[account]{Tags: FromJSON, Options: map[string]string{
		"id": "key", "name": "write, filter", "password_hash": "-", "created": "scope", "mine": "write",
	}}
	m, err := s.compile(compiling{router: "accounts"})
	if err != nil {
		t.Fatal(err)
	}
	row := account{ID: 1, Balance: 5, PasswordHash: "the-secret", Token: "the-secret", Plain: "the-secret", Times: Times{3, 4}, Inner: Times{5, 6}}
	want := `id=1 name="" balance=5 Nameless=0 created=3 inner={"created":5,"id":6} mine=0`
	if got := encoded(t, m, row); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var told []string
	for _, f := range m.fields {
		text := f.name
		for option, set := range map[string]bool{"key": f.key, "write": f.write, "filter": f.filter, "scope": f.scope} {
			if set {
				text += "," + option
			}
		}
		told = append(told, text)
	}
	// the options of mine stand in place of its tag's
	if got := strings.Join(told, " "); !strings.Contains(got, "mine,write") || strings.Contains(got, "mine,write,filter") || !strings.Contains(got, "id,key") ||
		!strings.Contains(got, "created,scope") || !strings.Contains(got, "balance Nameless") {
		t.Error(got)
	}
	if all := m.views[""]; all.Has("created") || all.Has("password_hash") {
		t.Error("what serves rights only, or is removed, is published")
	}
	if _, problem := m.write(m.views[""], &row, []byte(`{"balance":1}`)); problem == nil || problem.Code != "field_not_writable" {
		t.Errorf("a json tag alone lets clients write: %v", problem)
	}
	for filter, ok := range map[string]bool{`{"name":"a"}`: true, `{"id":1}`: true, `{"balance":1}`: false, `{"mine":1}`: false, `{"created":1}`: false} {
		w, err := where.ParseJSON([]byte(filter), where.Limits{})
		if err == nil {
			_, err = m.views[""].Where.BindClient(w)
		}
		if (err == nil) != ok {
			t.Errorf("filter %s: %v", filter, err)
		}
	}
}

func TestWithoutFromJSONAJSONTagSaysNothing(t *testing.T) {
	type half struct {
		ID   int    `live:"id,key" json:"no"`
		Name string `json:"name"`
	}
	if got := encoded(t, compiled[half](t), half{1, "the-secret"}); got != "id=1" {
		t.Error(got)
	}
}
