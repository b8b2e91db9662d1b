package nodes

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	_ "modernc.org/sqlite" // the database of the application
)

// row is what is compared of a todo or a list.
type row struct {
	ID      int64
	Version int64
	Title   string `json:",omitempty"` // of a todo
	Done    bool   `json:",omitempty"`
	Name    string `json:",omitempty"` // of a list
}

// stored returns the rows of the application's database that a query yields.
func stored(ctx context.Context, t *testing.T, file, query string) (all []row) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.ID, &r.Version, &r.Title, &r.Done, &r.Name); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

const (
	todosByID = "SELECT id, version, title, done, '' FROM todos ORDER BY id"
	openFirst = "SELECT id, version, title, done, '' FROM todos WHERE NOT done ORDER BY title, id LIMIT 5"
	doneByID  = "SELECT id, version, title, done, '' FROM todos WHERE done ORDER BY id"
	listsByID = "SELECT id, version, '', 0, name FROM lists ORDER BY id"
)

func (r row) String() string {
	return fmt.Sprintf("%d@%d %s%s %v", r.ID, r.Version, r.Title, r.Name, r.Done)
}
