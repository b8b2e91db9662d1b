package main

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/swampline/live"
)

func testStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "to do?.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAnEmptyDatabaseIsSeededOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "todo.db")
	for range 2 {
		s, err := openStore(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		lists, err := s.lists(t.Context(), "")
		if err != nil || len(lists) != 1 || lists[0].Name != "Welcome" {
			t.Errorf("lists = %v, %v; want the one called Welcome", lists, err)
		}
		todos, err := s.todos(t.Context(), "WHERE NOT done")
		if err != nil || len(todos) != 3 {
			t.Errorf("there are %d open todos (%v), want 3", len(todos), err)
		}
		s.Close()
	}
}

func TestWhatIsStoredIsWhatIsReadBack(t *testing.T) {
	s, ctx := testStore(t), t.Context()
	list, err := s.addList(ctx, List{Name: "Groceries", ChangedBy: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	if since := time.Since(list.CreatedAt); since < 0 || since > time.Minute {
		t.Errorf("the list was created %v ago", since)
	}
	if read, err := s.list(ctx, list.ID); err != nil || read != list {
		t.Errorf("list = %+v, %v; want %+v", read, err, list)
	}

	todo, err := s.addTodo(ctx, Todo{ListID: list.ID, Title: "milk", Changed: "added", ChangedBy: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	if read, err := s.todo(ctx, todo.ID); err != nil || read != todo {
		t.Errorf("todo = %+v, %v; want %+v", read, err, todo)
	}
	if _, err := s.todo(ctx, 999); !errors.Is(err, live.ErrNotFound) {
		t.Errorf("a todo that is not there: %v, want ErrNotFound", err)
	}
}

func TestTheSecondOfTwoWritersIsToldOfAConflict(t *testing.T) {
	s, ctx := testStore(t), t.Context()
	todos, err := s.todos(ctx, "ORDER BY id LIMIT 1")
	if err != nil {
		t.Fatal(err)
	}
	first, second := todos[0], todos[0]
	first.Title, second.Title = "hers", "his"

	saved, err := s.saveTodo(ctx, first)
	if err != nil || saved.Version != first.Version+1 || saved.Title != "hers" {
		t.Fatalf("the first writer got %+v, %v", saved, err)
	}
	if _, err := s.saveTodo(ctx, second); !errors.Is(err, live.ErrConflict) {
		t.Errorf("the second writer got %v, want ErrConflict", err)
	}
	if err := s.removeTodo(ctx, second); !errors.Is(err, live.ErrConflict) {
		t.Errorf("who deletes the old version got %v, want ErrConflict", err)
	}
	if read, _ := s.todo(ctx, first.ID); read != saved {
		t.Errorf("stored is %+v, want %+v", read, saved)
	}
	if err := s.removeTodo(ctx, saved); err != nil {
		t.Error(err)
	}
}

func TestADeletedListTakesItsTodosAlong(t *testing.T) {
	s, ctx := testStore(t), t.Context()
	lists, err := s.lists(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	outdated := lists[0]
	outdated.Version--
	if gone, err := s.removeList(ctx, outdated); !errors.Is(err, live.ErrConflict) {
		t.Errorf("who deletes the old version got %v, %v; want ErrConflict", gone, err)
	}
	if todos, _ := s.todos(ctx, ""); len(todos) != 4 {
		t.Errorf("%d todos are left after a delete that was refused, want all 4", len(todos))
	}

	gone, err := s.removeList(ctx, lists[0])
	if err != nil || len(gone) != 4 {
		t.Errorf("%d todos went with the list (%v), want 4", len(gone), err)
	}
	if todos, _ := s.todos(ctx, ""); len(todos) != 0 {
		t.Errorf("todos = %v, want none", todos)
	}
	var wrong live.Invalid
	if _, err := s.addTodo(ctx, Todo{ListID: lists[0].ID, Title: "late"}); !errors.As(err, &wrong) || wrong["list_id"] == nil {
		t.Errorf("a todo of a list that is gone: %v, want an error at list_id", err)
	}
}

func TestDoneTodosAreClearedAndReturned(t *testing.T) {
	s, ctx := testStore(t), t.Context()
	lists, err := s.lists(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.removeDone(ctx, lists[0].ID)
	if err != nil || len(gone) != 1 || !gone[0].Done {
		t.Errorf("cleared = %v, %v; want the one that is done", gone, err)
	}
	if todos, _ := s.todos(ctx, ""); len(todos) != 3 {
		t.Errorf("%d todos are left, want 3", len(todos))
	}
}
