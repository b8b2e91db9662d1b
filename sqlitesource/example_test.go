package sqlitesource_test

import (
	"context"
	"fmt"
	"log"

	"github.com/swampline/live"
	"github.com/swampline/live/sqlitesource"
	"github.com/swampline/live/where"
)

// Code that knows nothing of live inserts a row: the router loads it anew, and tells those who follow.
func Example() {
	type Note struct {
		ID   int64  `live:"id,key"`
		Text string `live:"text"`
	}
	source := sqlitesource.New(sqlitesource.Options{})
	db, err := source.Open("file:notes?mode=memory&cache=shared")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"); err != nil {
		log.Fatal(err)
	}
	loaded := make(chan Note, 1)
	notes := &live.Router[Note]{
		Name: "notes", Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) ([]Note, error) {
			clause, args := q.SQL(where.SQLite)
			var n Note
			err := db.QueryRowContext(ctx, "SELECT id, text FROM notes "+clause, args...).Scan(&n.ID, &n.Text)
			loaded <- n
			return []Note{n}, err
		},
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(notes)

	ctx, cancel := context.WithCancel(context.Background())
	if err := source.Capture(ctx, db, sqlitesource.Table(notes, "notes")); err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- source.Run(ctx) }()

	if _, err := db.Exec("INSERT INTO notes (text) VALUES ('from anywhere')"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-loaded)
	cancel()
	fmt.Println(<-ended)
	// Output:
	// {1 from anywhere}
	// <nil>
}
