package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Todo is one thing to do. Who did what to it last, and when, is part of it: the page shows that under the title.
type Todo struct {
	ID        int64     `live:"id,key"`
	ListID    int64     `live:"list_id,write,filter"`
	Title     string    `live:"title,write,filter"`
	Done      bool      `live:"done,write,filter"`
	CreatedAt time.Time `live:"created_at,filter"`
	Changed   string    `live:"changed"` // added, renamed, ticked, reopened or moved
	ChangedAt time.Time `live:"changed_at"`
	ChangedBy string    `live:"changed_by"`
	Version   int64     `live:"version,version"`
}

const maxTitle = 200

// todosRouter is the live endpoint of todos. The store knows nothing of it, nor of visitors: rules and names are added
// here. What these functions return is published to whom it concerns.
func todosRouter(s *store) *live.Router[Todo] {
	return &live.Router[Todo]{
		Name:  "todos",
		Scope: live.Everyone,
		Tx:    s.tx,

		List: func(ctx context.Context, q live.Query) ([]Todo, error) {
			clause, args := q.SQL(where.SQLite)
			return s.todos(ctx, clause, args...)
		},
		Get: func(ctx context.Context, key live.Key) (Todo, error) {
			return s.todo(ctx, key.Int64())
		},
		Create: func(ctx context.Context, in Todo) (Todo, error) {
			title, err := tidyText("title", in.Title, maxTitle)
			if err != nil {
				return Todo{}, err
			}
			in.Title = title
			in.Changed = "added"
			in.ChangedBy = visitor(ctx)
			return s.addTodo(ctx, in)
		},
		Update: func(ctx context.Context, was, now Todo) (Todo, error) {
			title, err := tidyText("title", now.Title, maxTitle)
			if err != nil {
				return Todo{}, err
			}
			now.Title = title
			now.Changed = whatChanged(was, now)
			now.ChangedBy = visitor(ctx)
			return s.saveTodo(ctx, now)
		},
		Delete: s.removeTodo,
	}
}

func whatChanged(was, now Todo) string {
	switch {
	case !was.Done && now.Done:
		return "ticked"
	case was.Done && !now.Done:
		return "reopened"
	case was.ListID != now.ListID:
		return "moved"
	}
	return "renamed"
}

// clearDone deletes the ticked todos of a list. It is an ordinary handler of the application that changes rows behind
// the router's back, as a job or an import would, and tells the router in the same transaction.
func clearDone(s *store, todos live.Publisher[Todo], logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listID, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		err = s.tx(r.Context(), func(ctx context.Context) error {
			gone, err := s.removeDone(ctx, listID)
			for _, todo := range gone {
				if err == nil {
					err = todos.Deleted(ctx, todo)
				}
			}
			return err
		})
		if err != nil {
			logger.Error("the done todos could not be cleared", "list", listID, "error", err)
			http.Error(w, "They could not be cleared.", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// tidyText returns text without white space around it, or the error that the page shows at the field.
func tidyText(field, text string, limit int) (string, error) {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return "", invalid(field, "Please write something.")
	case n > limit:
		return "", invalid(field, fmt.Sprintf("That is %d characters; %d is the most.", n, limit))
	}
	return text, nil
}

// invalid is the error of a field that holds what it may not.
func invalid(field, message string) error { return live.Invalid{field: {message}} }
