package transporttest

import (
	"strings"
	"testing"
)

// A subscription to a window goes on with the bound that it has, also after a message that moved its cursor and nothing else. One that
// goes on with an old bound claims rows that it does not hold, and is not told of them.
func TestTheBoundOfAWindowIsThatOfItsRows(t *testing.T) {
	var l ledger
	if !l.subscribe(`{"type":"subscribe","id":1,"router":"items","order":"id","limit":2}`) {
		t.Fatal("it is no subscription")
	}
	take := func(connection int, raw string) {
		t.Helper()
		m, err := decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.Connection = connection
		if err := l.apply(&m); err != nil {
			t.Fatal(err)
		}
	}
	take(1, `{"type":"snapshot","id":1,"query":"k1","cursor":"e.1","order":"id","limit":2,"more":true,"rows":[{"key":"5","version":1,"fields":{"id":5}},{"key":"9","version":1,"fields":{"id":9}}]}`)
	take(1, `{"type":"cursor","cursor":"e.2"}`)
	take(2, `{"type":"resumed","id":1,"query":"k2","cursor":"e.2"}`)
	take(2, `{"type":"change","query":"k2","cursor":"e.3","more":true,"changes":[{"op":"enter","key":"7","version":1,"fields":{"id":7},"at":1}]}`)
	if got := l.messages(); len(got) != 1 || !strings.Contains(got[0], `"bound":[7]`) || !strings.Contains(got[0], `"cursor":"e.3"`) {
		t.Errorf("it goes on with %s, want the bound [7] and the cursor e.3", got)
	}
}
