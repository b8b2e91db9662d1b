package livetest_test

import (
	"slices"
	"testing"

	"github.com/swampline/live/livetest"
)

// A window holds its first rows on every transport: over polls nobody tells it of each row that is pushed out.
func TestAWindowKeepsToItsLimit(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		srv := livetest.New(t, newApp().todos)
		writer := srv.Connect(t, as("alice"))
		for _, title := range []string{"y", "z"} {
			create(t, writer, title)
		}
		first := srv.Connect(t, as("alice"), livetest.Over(transport)).Subscribe(t, "todos", livetest.Order("title,id"), livetest.Limit(2))
		for _, title := range []string{"b", "c", "a"} {
			create(t, writer, title)
		}
		first.Sync(t)
		if got := first.Keys(); !slices.Equal(got, []string{"5", "3"}) {
			t.Errorf("the window holds %v, want 5 and 3", got)
		}
	})
}

func create(t *testing.T, c *livetest.Client, title string) {
	t.Helper()
	if _, err := c.Create(t, "todos", map[string]any{"title": title}); err != nil {
		t.Fatal(err)
	}
}
