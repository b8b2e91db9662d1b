package mirror

import "testing"

// After a log went back within its epoch a resync has a smaller cursor than the client, and what follows it is news.
func TestAResyncMayLieBeforeTheCursor(t *testing.T) {
	c := New()
	c.Feeds[1] = &Feed{}
	for _, data := range []string{
		`{"type":"snapshot","id":1,"query":"q","cursor":"e.13","rows":[]}`,
		`{"type":"change","query":"q","cursor":"e.19","changes":[{"op":"create","key":"1","version":"e.19","fields":{}}]}`,
		`{"type":"resync","id":1,"query":"q","cursor":"e.15","reason":"history","rows":[{"key":"2","version":"e.15","fields":{}}]}`,
		`{"type":"change","query":"q","cursor":"e.15","changes":[{"op":"create","key":"3","version":"e.15","fields":{}}]}`,
		`{"type":"change","query":"q","cursor":"e.16","changes":[{"op":"create","key":"4","version":"e.16","fields":{}}]}`,
	} {
		if err := c.Receive([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	f := c.Feeds[1]
	if _, ok := f.Rows["4"]; f.Cursor != "e.16" || len(f.Rows) != 2 || !ok || f.Ignored != 1 {
		t.Errorf("at %s with %d rows, %d ignored", f.Cursor, len(f.Rows), f.Ignored)
	}
}

// What a change of a window does not name that tells all of its rows is gone.
func TestAWindowThatIsToldWhole(t *testing.T) {
	c := New()
	c.Feeds[1] = &Feed{Window: Window{Limit: 3}}
	for _, data := range []string{
		`{"type":"snapshot","id":1,"query":"q","cursor":"e.1","order":"id","more":true,"rows":[{"key":"1","version":1,"fields":{"id":1}},{"key":"2","version":1,"fields":{"id":2}},{"key":"3","version":1,"fields":{"id":3}}]}`,
		`{"type":"change","query":"q","cursor":"e.2","more":false,"whole":true,"changes":[{"op":"leave","key":"1","version":0},{"op":"enter","key":"2","version":1,"fields":{"id":2}}]}`,
	} {
		if err := c.Receive([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if got := keysOf(c.Feeds[1].Shown()); len(got) != 1 || got[0] != "2" || c.Feeds[1].Bound != nil {
		t.Errorf("it holds %v", got)
	}
}
