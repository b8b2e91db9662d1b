package main

import (
	"context"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// List is a named list of todos.
type List struct {
	ID        int64     `live:"id,key"`
	Name      string    `live:"name,write,filter"`
	CreatedAt time.Time `live:"created_at,filter"`
	ChangedAt time.Time `live:"changed_at"`
	ChangedBy string    `live:"changed_by"`
	Version   int64     `live:"version,version"`
}

const maxListName = 60

// listsRouter is the live endpoint of lists. A list that is deleted takes its todos along, so it also publishes those.
func listsRouter(s *store, todos live.Publisher[Todo]) *live.Router[List] {
	return &live.Router[List]{
		Name:  "lists",
		Scope: live.Everyone,
		Tx:    s.tx,

		List: func(ctx context.Context, q live.Query) ([]List, error) {
			clause, args := q.SQL(where.SQLite)
			return s.lists(ctx, clause, args...)
		},
		Get: func(ctx context.Context, key live.Key) (List, error) {
			return s.list(ctx, key.Int64())
		},
		Create: func(ctx context.Context, in List) (List, error) {
			name, err := tidyText("name", in.Name, maxListName)
			if err != nil {
				return List{}, err
			}
			in.Name = name
			in.ChangedBy = visitor(ctx)
			return s.addList(ctx, in)
		},
		Update: func(ctx context.Context, was, now List) (List, error) {
			name, err := tidyText("name", now.Name, maxListName)
			if err != nil {
				return List{}, err
			}
			now.Name = name
			now.ChangedBy = visitor(ctx)
			return s.saveList(ctx, now)
		},
		Delete: func(ctx context.Context, was List) error {
			gone, err := s.removeList(ctx, was)
			if err != nil {
				return err
			}
			for _, todo := range gone {
				if err := todos.Deleted(ctx, todo); err != nil {
					return err
				}
			}
			return nil // and the router publishes the list
		},
	}
}
