package where_test

import (
	"testing"

	"github.com/swampline/live/where"
)

func TestString(t *testing.T) {
	s := todos(t)
	tests := []struct{ filter, want string }{
		{`{}`, `{}`},
		{`[]`, `[]`},
		{`[{}]`, `{}`},
		{`[[],[{"done":true}]]`, `{"done":true}`},
		{`{"list_id__in":[1]}`, `{"list_id":1}`},
		{`{"list_id__in":[2,1,2,1.0]}`, `{"list_id__in":[1,2]}`},
		{`{"list_id__isnull":true}`, `{"list_id":null}`},
		{`{"list_id__isnull":false}`, `{"list_id__ne":null}`},
		{`{"not":{"list_id__ne":1}}`, `{"list_id":1}`},
		{`{"not":{"list_id__in":[1,2]}}`, `{"not":{"list_id__in":[1,2]}}`},
		{`{"not":{"not":{"title__lt":"a"}}}`, `{"title__lt":"a"}`},
		{`{"title":"a","list_id":1}`, `{"list_id":1,"title":"a"}`},
		{`{"list_id":1,"not":{"not":{"title":"a"}}}`, `{"list_id":1,"title":"a"}`},
		{`[{"title":"a"},{"list_id":1},{"title":"a"}]`, `[{"list_id":1},{"title":"a"}]`},
		{`{"list_id":{"in":[1,2],"ne":2}}`, `{"list_id":1}`},
		{`{"list_id":{"in":[1,2,3],"gt":0,"eq":2}}`, `{"list_id":2,"list_id__gt":0}`},
		{`{"list_id":1,"list_id__ne":1}`, `[]`},
		{`[{"list_id":1},{"list_id":{"in":[2,1]}}]`, `{"list_id__in":[1,2]}`},
		{`[{"list_id":1},{"list_id__ne":1}]`, `{}`},
		{`[{"list_id":1},{"list_id__ne":2}]`, `{"list_id__ne":2}`},
		{`[{"list_id__ne":1},{"list_id__ne":2}]`, `{}`},
		{`{"title__contains":"a","not":{"not":{"title__contains":"b"}}}`, `{"title__contains":"a","not":{"not":{"title__contains":"b"}}}`},
		{`{"not":{"title__lt":"a"},"list_id":1}`, `{"list_id":1,"not":{"title__lt":"a"}}`},
		{`{"not":[{"title__lt":"a"},{"title__gt":"z"}],"list_id":1}`, `{"list_id":1,"not":[{"title__gt":"z"},{"title__lt":"a"}]}`},
		{`{"done":true,"not":{"not":[{"title":"a"},{"list_id":1}]}}`, `{"done":true,"not":{"not":[{"list_id":1},{"title":"a"}]}}`},
		{`{"title":"\u00e9\"\\\n<\ud83d\ude00"}`, `{"title":"é\"\\\u000a<😀"}`},
		{`{"due":"2026-01-02T03:04:05.6789999+02:00"}`, `{"due":"2026-01-02T01:04:05.678999Z"}`},
		{`{"price":1.50}`, `{"price":1.5}`},
		{`{"meta":7.0}`, `{"meta":7}`},
		{`{"meta__eq":{"b":1e2,"a":[null,-0.0]}}`, `{"meta__eq":{"a":[null,0],"b":100}}`},
		{`{"meta__ne":[1E-7,12345678901234567890123]}`, `{"meta__ne":[1e-7,1.2345678901234567890123e22]}`},
		{`{"meta__in":[[],0.00012,-12.50]}`, `{"meta__in":[-12.5,0.00012,[]]}`},
	}
	for _, tt := range tests {
		p := parse(t, s, tt.filter)
		if got := p.String(); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.filter, got, tt.want)
		}
		if again := parse(t, s, p.String()).String(); again != p.String() {
			t.Errorf("%s does not read back: %s", p, again)
		}
	}
}

// TestStringIsInjective holds filters together that a careless text would confuse.
func TestStringIsInjective(t *testing.T) {
	s := todos(t)
	filters := []where.Where{
		where.Eq("title", "a"), where.Eq("meta", "a"), where.Eq("title", `a"`), where.Eq("title", `a\"`),
		where.In("title", "a", "b"), where.Eq("title", "a,b"), where.In("title", "a,b", "c"), where.In("title", "a", "b,c"),
		where.Eq("title", nil), where.Eq("title", "null"), where.Eq("list_id", 1), where.Eq("title", "1"),
		where.Eq("meta", 1), where.Eq("meta", "1"), where.Eq("meta", map[string]any{"in": []int{1}}), where.In("meta", 1, 2),
		where.Contains("title", "a"), where.IContains("title", "a"), where.StartsWith("title", "a"), where.Lt("title", "a"),
		where.Not(where.Lt("title", "a")), where.Gte("title", "a"),
		where.Or(where.Eq("title", "a"), where.Eq("done", true)), where.And(where.Eq("title", "a"), where.Eq("done", true)),
	}
	seen := map[string]int{}
	for i, w := range filters {
		text := bind(t, s, w).String()
		if j, twice := seen[text]; twice {
			t.Errorf("filters %d and %d are both %s", j, i, text)
		}
		seen[text] = i
	}
}

func TestAnd(t *testing.T) {
	s := todos(t)
	scope := bind(t, s, where.And(where.In("list_id", []int64{1, 2, 3}), where.Eq("owner_id", 7)))
	got := scope.And(parse(t, s, `{"list_id__in":[3,4],"done":false}`))
	want := `{"done":false,"list_id":3,"owner_id":7}`
	if got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
	n := got.Node()
	if n.Op != where.OpAnd || len(n.Kids) != 3 || n.Kids[1].Op != where.OpIn || n.Kids[1].Values[0].String() != "3" {
		t.Errorf("the node of %s is %+v", got, n)
	}
}
