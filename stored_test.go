package live_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/swampline/live"
)

type storedBase struct {
	ID      int64 `live:"id,key"`
	Version int64 `live:"version,version"`
}

func TestStoredFields(t *testing.T) {
	type row struct {
		storedBase
		Secret string
		Owner  *int64 `live:"owner,scope"`
		Title  string `live:"title,write"`
	}
	rows := &live.Router[row]{
		Name: "rows", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]row, error) { return nil, nil },
		Serializer: live.Serializer[row]{
			Computed: map[string]live.Computed[row]{"loud": {Of: func(r row) any { return r.Title + "!" }}},
		},
	}
	if rows.StoredFields() != nil || rows.Hub() != nil {
		t.Error("a router that is not registered tells of fields or of a hub")
	}
	hub := live.New(live.Options{})
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	hub.Register(rows)
	if rows.Hub() != hub {
		t.Error("the router is registered with another hub")
	}
	var told string
	for _, f := range rows.StoredFields() {
		told += fmt.Sprintln(f.Name, f.Path, f.Type, f.Key, f.Version, f.Match)
	}
	const want = `id [0 0] int64 true false true
version [0 1] int64 false true true
owner [2] *int64 false false true
title [3] string false false false
`
	if told != want {
		t.Errorf("got\n%swant\n%s", told, want)
	}
}
